"""How whole columns are looked at: first what is usual is told from all values, then each is compared with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

from penstock.core.errors import ConfigurationError
from penstock.quality.anomalies.contract import MOST, Array, number, size_of
from penstock.quality.anomalies.forest import IsolationForest
from penstock.quality.anomalies.ranks import MAD_OF_NORMAL
from penstock.quality.anomalies.reports import ColumnOutliers, Outlier
from penstock.quality.anomalies.seasonal import decompose
from penstock.quality.anomalies.selection import quantiles
from penstock.quality.extras import np

_MEAN_OF_NORMAL = 1.2533
"""The standard deviation of normally distributed values, by the mean of their distances from the median."""
_SAMPLE = 50_000


class Columns(NamedTuple):
    """Columns to look at together: their names, and a reading of their values; batches have shape (n, columns)."""

    names: list[str]
    batches: Callable[[], Iterator[Array]]


class Usual(NamedTuple):
    """What is usual in a column.

    Attributes:
        middle: the mean or the median.
        spread: what deviations are counted in.
        low: from where distances are counted down; the middle, or a quartile.
        high: from where they are counted up.
        note: what there is to say.
    """

    middle: float
    spread: float
    low: float
    high: float
    note: str = ""


class Best(NamedTuple):
    """The strangest rows so far: their places, scores and values."""

    rows: Array
    scores: Array
    values: Array

    def joined(self, rows: Array, scores: Array, values: Array, limit: int) -> Best:
        """With some more, and again no more than the limit."""
        every = Best(
            np.concatenate([self.rows, rows]),
            np.concatenate([self.scores, scores]),
            np.concatenate([self.values, values]),
        )
        order = np.lexsort((every.rows, -every.scores))[:limit]
        return Best(*(each[order] for each in every))


@dataclass
class Judge(ABC):
    """A way to look at whole columns.

    Attributes:
        threshold: from which score on a value is an outlier.
        period: after how many rows the values repeat.
        seed: of all that is random.
    """

    usual: ClassVar[float]
    together: ClassVar[bool] = False
    whole: ClassVar[bool] = False
    threshold: float
    period: int
    seed: int

    def __post_init__(self) -> None:
        if not self.threshold > 0:
            raise ConfigurationError(f"A threshold of {self.threshold!r} is none.", hint="give a number greater than 0")

    @abstractmethod
    def look(self, columns: Columns, limit: int) -> tuple[ColumnOutliers, list[Outlier]]:
        """Count the outliers, and give the strangest of them."""

    def _found(self, columns: Columns, limit: int, score: Callable[[Array], Array]) -> tuple[int, int, int, int, Best]:
        """Judge each row: how many are numbers, missing, infinite, and outliers; and the strangest."""
        checked = missing = infinite = strange = row = 0
        width = len(columns.names)
        best = Best(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros((0, width)))
        for batch in columns.batches():
            absent, endless = np.isnan(batch).any(axis=1), np.isinf(batch).any(axis=1)
            finite = ~(absent | endless)
            scores = np.zeros(len(batch))
            scores[finite] = score(batch[finite])
            scores[endless & ~absent] = np.inf
            places = np.flatnonzero(scores >= self.threshold)
            checked, missing = checked + int((~absent).sum()), missing + int(absent.sum())
            infinite, strange = infinite + int((endless & ~absent).sum()), strange + len(places)
            best = best.joined(row + places, scores[places], batch[places], limit)
            row += len(batch)
        return checked, missing, infinite, strange, best


class _Deviations(Judge):
    """Judges that count deviations of one column."""

    unit: ClassVar[str]

    @abstractmethod
    def measure(self, values: Callable[[], Iterator[Array]]) -> Usual:
        """What is usual; values have shape (n,), and are finite."""

    def look(self, columns: Columns, limit: int) -> tuple[ColumnOutliers, list[Outlier]]:
        """Count the outliers, and give the strangest of them."""
        usual = self.measure(partial(_finite, columns))
        checked, missing, infinite, strange, best = self._found(columns, limit, partial(_far, usual))
        name, reach = columns.names[0], self.threshold * usual.spread
        note = usual.note or ("" if checked else "there are no values")
        counts = ColumnOutliers(
            column=name,
            checked=checked,
            missing=missing,
            infinite=infinite,
            outliers=strange,
            low=usual.low - reach if checked > infinite else None,
            high=usual.high + reach if checked > infinite else None,
            note=note,
        )
        triples = zip(best.rows.tolist(), best.scores.tolist(), best.values[:, 0].tolist(), strict=True)
        return counts, [
            Outlier(row, {name: value}, score, self._told(name, value, score, usual)) for row, score, value in triples
        ]

    def _told(self, name: str, value: float, score: float, usual: Usual) -> str:
        if np.isinf(value):
            return f"{name} is {number(value)}, which is no finite number"
        way = "above" if value > usual.middle else "below"
        return f"{name} is {number(value)}: {size_of(score)} {self.unit} {way} {self._from(value, usual)}"

    def _from(self, value: float, usual: Usual) -> str:
        return f"the median {number(usual.middle)}"


def _finite(columns: Columns) -> Iterator[Array]:
    for batch in columns.batches():
        values = batch[:, 0]
        yield values[np.isfinite(values)]


def _far(usual: Usual, rows: Array) -> Array:
    values = rows[:, 0]
    with np.errstate(over="ignore", invalid="ignore"):
        outside = np.maximum(np.maximum(values - usual.high, usual.low - values), 0.0)
        found = np.minimum(outside / max(usual.spread, 1e-300), MOST)
    return np.where((outside > 0) & (usual.spread > 0), found, 0.0)


class _ZScore(_Deviations):
    usual = 3.0
    unit = "standard deviations"

    def measure(self, values: Callable[[], Iterator[Array]]) -> Usual:
        count, mean, squares = 0, 0.0, 0.0
        for batch in values():
            if len(batch):
                scale = 1 / len(batch)
                here = float((batch * scale).sum())
                with np.errstate(over="ignore"):
                    apart, both = here - mean, count + len(batch)
                    squares += float(((batch - here) ** 2).sum()) + apart * apart * count * len(batch) / both
                mean, count = mean + apart * len(batch) / both, both
        spread = float(np.sqrt(squares / (count - 1))) if count > 1 else 0.0
        spread = spread if spread > 1e-12 * abs(mean) else 0.0
        note = "" if np.isfinite(spread) else "the values are too large for a standard deviation: try mad"
        return Usual(mean, spread, mean, mean, note or _still(count, spread))

    def _from(self, value: float, usual: Usual) -> str:
        return f"the mean {number(usual.middle)}"


def _still(count: int, spread: float) -> str:
    return "all values are equal" if count and not spread else ""


class _Mad(_Deviations):
    usual = 3.5
    unit = "robust deviations"

    def measure(self, values: Callable[[], Iterator[Array]]) -> Usual:
        middle = quantiles(values, [0.5])[0]
        spread = MAD_OF_NORMAL * quantiles(partial(_apart, values, middle), [0.5])[0]
        spread, note = (spread, "") if spread != 0 else _by_mean(values, middle)
        return Usual(middle, spread, middle, middle, note)


class _Iqr(_Deviations):
    usual = 1.5
    unit = "quartile distances"

    def measure(self, values: Callable[[], Iterator[Array]]) -> Usual:
        low, middle, high = quantiles(values, [0.25, 0.5, 0.75])
        spread, note = (high - low, "") if high != low else _by_mean(values, middle)
        return Usual(middle, spread, low, high, note)

    def _from(self, value: float, usual: Usual) -> str:
        return f"the quartile {number(usual.high if value > usual.middle else usual.low)}"


def _apart(values: Callable[[], Iterator[Array]], middle: float) -> Iterator[Array]:
    for batch in values():
        yield np.minimum(np.abs(batch / 2 - middle / 2), np.finfo(np.float64).max / 2) * 2


def _by_mean(values: Callable[[], Iterator[Array]], middle: float) -> tuple[float, str]:
    """Where most values are equal, the mean distance says more than the median one (Iglewicz and Hoaglin 1993)."""
    count, total = 0, 0.0
    for batch in _apart(values, middle):
        count, total = count + len(batch), total + float(batch.sum())
    spread = _MEAN_OF_NORMAL * total / count if count else 0.0
    return spread, _still(count, spread) or "most values are equal: the mean distance from the median was taken"


class _Seasonal(Judge):
    usual = 3.5
    whole = True

    def look(self, columns: Columns, limit: int) -> tuple[ColumnOutliers, list[Outlier]]:
        """Count the outliers, and give the strangest of them."""
        if self.period < 2:
            raise ConfigurationError("seasonal needs a period.", hint="give after how many rows the values repeat")
        values = np.concatenate([batch[:, 0] for batch in columns.batches()] or [np.zeros(0)])
        finite = np.where(np.isfinite(values), np.clip(values, -1e150, 1e150), np.nan)
        rest = decompose(finite, self.period).rest
        known = rest[~np.isnan(rest)]
        spread = MAD_OF_NORMAL * quantiles(lambda: iter([np.abs(known)]), [0.5])[0]
        spread = 0.0 if np.isnan(spread) else spread
        least = 1e-12 * float(np.max(np.abs(finite), initial=0.0, where=~np.isnan(finite)))
        usual = Usual(0.0, max(spread, least), 0.0, 0.0)
        scores = _far(usual, np.nan_to_num(rest)[:, np.newaxis])
        scores[np.isinf(values)] = np.inf
        places = np.flatnonzero(scores >= self.threshold)
        best = places[np.lexsort((places, -scores[places]))[:limit]].tolist()
        name, missing = columns.names[0], int(np.isnan(values).sum())
        counts = ColumnOutliers(
            column=name,
            checked=len(values) - missing,
            missing=missing,
            infinite=int(np.isinf(values).sum()),
            outliers=len(places),
        )
        return counts, [
            self._outlier(name, row, float(values[row]), float(rest[row]), float(scores[row])) for row in best
        ]

    def _outlier(self, name: str, row: int, value: float, rest: float, score: float) -> Outlier:
        told = f"{number(rest)} beside trend and season ({size_of(score)} robust deviations)"
        reason = f"{name} is {number(value)}: {told}" if np.isfinite(value) else f"{name} is no finite number"
        return Outlier(row, {name: value}, score, reason)


class _Forest(Judge):
    usual = 0.65
    together = True

    def look(self, columns: Columns, limit: int) -> tuple[ColumnOutliers, list[Outlier]]:
        """Count the outliers, and give the strangest of them."""
        sample = self._sampled(columns)
        forest = IsolationForest(sample, self.seed) if len(sample) else None
        scored = forest.scores if forest is not None else lambda rows: np.zeros(len(rows))
        checked, missing, infinite, strange, best = self._found(columns, limit, scored)
        counts = ColumnOutliers(
            column=", ".join(columns.names),
            checked=checked,
            missing=missing,
            infinite=infinite,
            outliers=strange,
            note="" if checked else "there is no row without a missing value",
        )
        rows = zip(best.rows.tolist(), best.scores.tolist(), best.values.tolist(), strict=True)
        return counts, [self._outlier(columns.names, row, score, values) for row, score, values in rows]

    def _outlier(self, names: list[str], row: int, score: float, values: list[float]) -> Outlier:
        if np.isinf(score):
            reason = "there is a number that is not finite"
        else:
            reason = f"soon alone when the rows are cut apart at random: {score:.2f} of 1, where 0.5 is usual"
        return Outlier(row, dict(zip(names, values, strict=True)), score, reason)

    def _sampled(self, columns: Columns) -> Array:
        """Rows that were drawn at random, each with the same chance however many there are."""
        random = np.random.default_rng(self.seed)
        kept, drawn = np.zeros((0, len(columns.names))), np.zeros(0)
        for batch in columns.batches():
            rows = batch[np.isfinite(batch).all(axis=1)]
            kept, drawn = np.concatenate([kept, rows]), np.concatenate([drawn, random.random(len(rows))])
            if len(kept) > _SAMPLE:
                chosen = np.sort(np.argpartition(drawn, _SAMPLE)[:_SAMPLE])
                kept, drawn = kept[chosen], drawn[chosen]
        return kept


METHODS: dict[str, type[Judge]] = {
    "mad": _Mad,
    "zscore": _ZScore,
    "iqr": _Iqr,
    "seasonal": _Seasonal,
    "forest": _Forest,
}
