"""How two profiles differ, column by column, and whether it matters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.core.errors import BadData
from penstock.core.extras import require
from penstock.quality.profiles.column import ORDERED, ColumnProfile
from penstock.quality.profiles.profile import Profile, profile

if TYPE_CHECKING:
    import numpy as np
else:
    from penstock.quality.extras import np

_PARTS = 10
_SAVED = ".json"
_LEAST_SHARE = 1e-4
_CHANCE = 0.001
_TOLD, _FEW = 20, 5


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much is too much.

    Attributes:
        null_share: difference of the shares of nulls, from 0 to 1.
        psi: population stability index; 0.1 is taken for a small change, 0.25 for a large one.
        ks: the greatest difference of two cumulative distributions, from 0 to 1.
        js: Jensen and Shannon's distance of categories, from 0 to 1.
        categories: share of rows in categories that are new, or lost.
        outside: share of values outside of the range that there was.
    """

    null_share: float = 0.05
    psi: float = 0.2
    ks: float = 0.1
    js: float = 0.15
    categories: float = 0.01
    outside: float = 0.01


class ColumnDrift(msgspec.Struct, frozen=True, kw_only=True):
    """How one column changed. What was not computed, for the column is of another kind, is None.

    Attributes:
        reasons: why it is drift; none where it is not.
        null_shares: of nulls, before and after.
        psi: population stability index, of ten parts of what was before, or of categories.
        ks: Kolmogorov and Smirnov's distance; off by no more than `ks_error`.
        js: Jensen and Shannon's distance of categories (the root of the divergence, to the base of 2).
        p_value: of Pearson's chi-square test of categories: how likely so great a difference is by chance.
        new, lost: categories that were not there before, and that are not there any longer; 20 at most.
        new_share, lost_share: of the values after, and of those before, that are in such categories.
        outside: share of the values that are below the least or above the greatest value of before.
    """

    name: str
    reasons: tuple[str, ...] = ()
    null_shares: tuple[float, float] | None = None
    psi: float | None = None
    ks: float | None = None
    ks_error: float = 0.0
    js: float | None = None
    p_value: float | None = None
    new: tuple[Any, ...] = ()
    lost: tuple[Any, ...] = ()
    new_share: float | None = None
    lost_share: float | None = None
    outside: float | None = None

    @property
    def drifted(self) -> bool:
        """Whether it changed too much."""
        return bool(self.reasons)


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """How two tables differ."""

    before: str
    after: str
    rows: tuple[int, int]
    columns: tuple[ColumnDrift, ...]
    limits: Limits

    @property
    def drifted(self) -> bool:
        """Whether any column changed too much."""
        return any(each.drifted for each in self.columns)

    def summary(self) -> str:
        """In one line."""
        count = sum(each.drifted for each in self.columns)
        several = "column" if len(self.columns) == 1 else "columns"
        return f"{count} of {len(self.columns)} {several} drifted, from {self.rows[0]:,} rows to {self.rows[1]:,}"

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        columns = [{**msgspec.structs.asdict(each), "drifted": each.drifted} for each in self.columns]
        return {**msgspec.structs.asdict(self), "drifted": self.drifted, "columns": columns,
                "limits": msgspec.structs.asdict(self.limits)}  # fmt: skip

    def to_json(self) -> str:
        """As JSON."""
        return msgspec.json.format(msgspec.json.encode(self.as_dict(), enc_hook=str)).decode()


def drift(before: Any, after: Any, *, limits: Limits | None = None) -> DriftReport:
    """Compare two tables.

    Args:
        before: a profile, the path of a saved one (.json), or whatever the validator takes.
        after: the same.
        limits: how much is too much.

    Raises:
        BadData: the data cannot be read.
    """
    old, new, most = opened(before), opened(after), limits or Limits()
    names = list(dict.fromkeys([each.name for each in (*old.columns, *new.columns)]))
    olds, news = ({each.name: each for each in one.columns} for one in (old, new))
    columns = [_column(name, olds.get(name), news.get(name), most) for name in names]
    return DriftReport(before=old.name, after=new.name, rows=(old.rows, new.rows), columns=tuple(columns), limits=most)


def opened(source: Any, tell: Callable[[int], None] | None = None) -> Profile:
    """A profile, as it is, read, or made.

    Raises:
        BadData: it cannot be read.
    """
    if isinstance(source, Profile):
        return source
    if isinstance(source, str | Path) and Path(source).suffix.lower() == _SAVED:
        try:
            return Profile.from_json(Path(source).read_bytes())
        except OSError as error:
            raise BadData(f"{source} cannot be read: {error.strerror or error}") from None
    return profile(source, tell=tell)


def _column(name: str, old: ColumnProfile | None, new: ColumnProfile | None, limits: Limits) -> ColumnDrift:
    if old is None or new is None:
        return ColumnDrift(name=name, reasons=("it is new",) if old is None else ("it is not there any longer",))
    found: dict[str, Any] = {"null_shares": (old.null_share, new.null_share)}
    reasons: list[str] = []
    if new.rows == 0 or old.rows == 0:
        reasons += ["there were no rows" if old.rows == 0 else "there are no rows"] if old.rows != new.rows else []
    elif old.family != new.family and "null" not in (old.family, new.family):
        reasons.append(f"it was {old.type}, and is {new.type}")
    else:
        reasons += _nulls(old, new, limits)
        if old.values and new.values:
            found |= _compared(old, new)
            reasons += [*_judged(found, limits), *_outside(found, old.values, new.values, limits)]
    return ColumnDrift(name=name, reasons=tuple(reasons), **found)


def _nulls(old: ColumnProfile, new: ColumnProfile, limits: Limits) -> Iterator[str]:
    less, more = old.null_share, new.null_share
    if abs(more - less) > limits.null_share and not _by_chance(less, more, old.rows, new.rows):
        yield f"{less:.1%} of the rows were without a value, and {more:.1%} are"


def _by_chance(less: float, more: float, before: int, after: int) -> bool:
    """Whether two shares differ no more than those of samples do, but once in a thousand."""
    whole = (less * before + more * after) / (before + after)
    spread = math.sqrt(max(whole * (1 - whole), 0.0) * (1 / before + 1 / after))
    return abs(more - less) <= 3.29 * spread


def _compared(old: ColumnProfile, new: ColumnProfile) -> dict[str, Any]:
    if old.family in ORDERED:
        return _distributions(old, new)
    if old.frequent.exact and new.frequent.exact:
        return _categories(old, new)
    return _lengths(old, new)


def _distributions(old: ColumnProfile, new: ColumnProfile) -> dict[str, Any]:
    """Of numbers, dates and times."""
    found = _lengths(old, new)
    if found and old.lowest is not None:
        low = int(new.ranks.below([float(old.lowest)], strictly=True)[0])
        high = int(new.ranks.below([float(old.highest)])[0])
        found["outside"] = (low + new.ranks.count - high) / new.ranks.count
    return found


def _lengths(old: ColumnProfile, new: ColumnProfile) -> dict[str, Any]:
    """Of what is in `ranks`: of texts, their lengths."""
    counts = old.ranks.count, new.ranks.count
    if not all(counts):
        return {}
    points = np.union1d(old.ranks.summary[0], new.ranks.summary[0])
    shares = [each.ranks.below(points) / count for each, count in zip((old, new), counts, strict=True)]
    edges = np.unique([old.ranks.quantile(part / _PARTS) for part in range(1, _PARTS)])
    parts = [np.diff(np.concatenate(([0], one.ranks.below(edges), [count])))
             for one, count in zip((old, new), counts, strict=True)]  # fmt: skip
    return {
        "ks": float(np.abs(shares[0] - shares[1]).max()),
        "ks_error": old.ranks.error + new.ranks.error,
        "psi": _psi(*parts),
        "p_value": _ks_chance(float(np.abs(shares[0] - shares[1]).max()), *counts),
    }


def _ks_chance(distance: float, before: int, after: int) -> float:
    """How likely so great a distance is by chance (Kolmogorov's distribution, its first terms)."""
    scaled = math.sqrt(before * after / (before + after)) * distance
    if scaled < 0.3:
        return 1.0
    terms = (2 * (-1) ** (k - 1) * math.exp(-2 * k * k * scaled * scaled) for k in range(1, 101))
    return min(max(math.fsum(terms), 0.0), 1.0)


def _categories(old: ColumnProfile, new: ColumnProfile) -> dict[str, Any]:
    olds, news = dict(old.frequent.counts()), dict(new.frequent.counts())
    values = list(dict.fromkeys([*olds, *news]))
    before = np.array([olds.get(value, 0) for value in values], dtype=np.float64)
    after = np.array([news.get(value, 0) for value in values], dtype=np.float64)
    return {
        "psi": _psi(before, after),
        "js": _js(before / before.sum(), after / after.sum()),
        "p_value": _chi_square(before, after),
        "new": tuple(value for value in values if value not in olds)[:_TOLD],
        "lost": tuple(value for value in values if value not in news)[:_TOLD],
        "new_share": float(after[before == 0].sum() / after.sum()),
        "lost_share": float(before[after == 0].sum() / before.sum()),
    }


def _psi(before: Any, after: Any) -> float:
    old, new = (np.maximum(each / each.sum(), _LEAST_SHARE) for each in (before, after))
    return float(((new - old) * np.log(new / old)).sum())


def _js(old: Any, new: Any) -> float:
    middle = (old + new) / 2
    parts = [np.where(one > 0, one * np.log2(np.where(one > 0, one, 1) / middle), 0).sum() for one in (old, new)]
    return math.sqrt(max(float(parts[0] + parts[1]) / 2, 0.0))


def _chi_square(before: Any, after: Any) -> float | None:
    if len(before) < 2:
        return 1.0
    stats = require("scipy.stats", "quality")
    return float(stats.chi2_contingency(np.array([before, after]), correction=False).pvalue)


def _judged(found: dict[str, Any], limits: Limits) -> Iterator[str]:
    likely = found.get("p_value") is not None and found["p_value"] > _CHANCE
    if likely:
        return
    ks, error = found.get("ks"), found.get("ks_error", 0.0)
    if ks is not None and ks - error > limits.ks:
        yield f"its distribution moved: KS {ks:.3f}" + (f" (off by {error:.3f} at most)" if error else "")
    if (psi := found.get("psi")) is not None and psi > limits.psi:
        yield f"PSI {psi:.3f}"
    if (js := found.get("js")) is not None and js > limits.js:
        yield f"its categories come otherwise: Jensen-Shannon {js:.3f}"
    for what in ("new", "lost"):
        share = found.get(f"{what}_share") or 0.0
        if share > limits.categories:
            told = ", ".join(str(each) for each in found[what][:_FEW])
            yield f"{what} categories, {share:.1%} of the values: {told}"


def _outside(found: dict[str, Any], before: int, after: int, limits: Limits) -> Iterator[str]:
    """Two of so many and one more values are beyond all others by chance."""
    outside = found.get("outside") or 0.0
    if outside > limits.outside and not _by_chance(min(2 / (before + 1), 1.0), outside, before, after):
        yield f"{outside:.1%} of the values are outside of the range there was"
