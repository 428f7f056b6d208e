"""How rare is this? Tail probabilities of a value, of its jump, of the level, and of what is usual at this time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from penstock.quality.anomalies.contract import Array, Detector, number
from penstock.quality.anomalies.windows import lagged, median_of, pieces
from penstock.quality.extras import np

_PAGE = 64
"""After so many values the quantiles of the window are told anew."""
_LEARNED = 2 * _PAGE
_FAR = 0.98
_TAIL = (1 - _FAR, 0.1, 0.25, 0.5, 0.75, 0.9, _FAR)
_LEVELS = 6
"""The long mean is the mean of so many short ones."""
_BESIDE = 2
"""Values that early or late are as good as those of the same time."""
_SMOOTHED = 6
_HEAVIEST = 0.3
_RAREST = 300.0


@dataclass
class Tails(Detector):
    """The power of ten of how rare a value is: a score of 4 is once in 10,000 values.

    Five things are looked at: the value, how far it is from the median of those just before it, the mean of the last
    ones, that of the last six times as many, and how far it is outside of what was there at this time in the last
    cycles. Each is compared with its own past: beyond the 98 % quantile of the window, what exceeds it is taken as
    generalised Pareto (peaks over threshold, as Siffer and others 2017 do), fitted by moments to all that exceeded it
    before. The rarest of the five is the score. An alarm silences for a while what is less strange than itself.

    Nothing is told of the first 128 values, or two periods. An update takes time in the order of cycles, and every 64th
    in that of the window.

    Attributes:
        window: how many values the quantiles are told from.
        short: values in the short mean.
        period: after how many values the series repeats; 0 where it does not.
        cycles: how many periods are looked back upon.
        quiet: how many values an alarm silences weaker ones.
    """

    name: ClassVar[str] = "tails"
    gaps: ClassVar[bool] = True
    window: int = 2000
    short: int = 12
    period: int = 0
    cycles: int = 5
    quiet: int = 288
    threshold: float = 4.0

    def _beginning(self) -> dict[str, Any]:
        both = 10 if self.period else 8
        return {
            "seen": 0,
            "values": np.zeros(0),
            "means": np.zeros(0),
            "unusual": np.zeros(0),
            "views": np.zeros((both // 2, 0)),
            "limits": np.zeros((3, 0)),
            "exceeding": np.zeros((3, both)),
            "age": 0,
            "height": 0.0,
        }

    def _judge(self, values: Array) -> tuple[Array, Array]:
        views = self._views(values)
        scores, expected = np.zeros(len(values)), np.full(len(values), np.nan)
        for start, end in pieces(self._memory["seen"], len(values), _PAGE):
            scores[start:end], expected[start:end] = self._next(views[:, start:end])
        first = self._memory["seen"] - len(values)
        learned = max(_LEARNED, 2 * self.period) - first
        if learned > 0:
            scores[:learned], expected[:learned] = 0.0, np.nan
        return self._spaced(scores), expected

    def _views(self, values: Array) -> Array:
        """What is looked at, shape (4 or 5, n)."""
        memory, count = self._memory, len(values)
        series = np.concatenate([memory["values"], values])
        before = [lagged(series, lag, count) for lag in range(1, self.short + 1)]
        means = np.concatenate([memory["means"], _mean_of([values, *before[:-1]])])
        levels = _mean_of([lagged(means, level * self.short, count) for level in range(_LEVELS)])
        views = [values, values - median_of(np.stack(before)), means[-count:], levels]
        if self.period:
            unusual = np.concatenate([memory["unusual"], self._unusual(series, count)])
            views.append(_mean_of([lagged(unusual, lag, count) for lag in range(_SMOOTHED)]))
            memory["unusual"] = unusual[-_SMOOTHED:]
        memory["values"] = series[-max(self.short, self.cycles * self.period + _BESIDE) :]
        memory["means"] = means[-self.short * _LEVELS :]
        return np.stack(views)

    def _unusual(self, series: Array, count: int) -> Array:
        """How far each value is outside of those at its time in the last cycles; 0 inside, NaN in the first cycle."""
        low, high = np.full(count, np.nan), np.full(count, np.nan)
        for cycle in range(1, self.cycles + 1):
            for beside in range(-_BESIDE, _BESIDE + 1):
                lag = max(cycle * self.period + beside, 1)
                then = lagged(series, lag, count)
                low, high = np.fmin(low, then), np.fmax(high, then)
        values = series[-count:]
        return np.maximum(values - high, 0.0) - np.maximum(low - values, 0.0)

    def _next(self, views: Array) -> tuple[Array, Array]:
        """The scores of some values of one page, whose quantiles are those at its begin; and the median then."""
        memory, count = self._memory, views.shape[1]
        scores, expected = np.zeros(count), np.full(count, np.nan)
        if memory["limits"].shape[1]:
            scores = np.max(self._tails(np.concatenate([views, -views])), axis=0)
            expected[:] = memory["limits"][2, 0]
        memory["views"] = np.concatenate([memory["views"], views], axis=1)[:, -self.window :]
        memory["seen"] += count
        if memory["seen"] % _PAGE == 0:
            memory["limits"] = _limits(memory["views"])
        return scores, expected

    def _tails(self, both: Array) -> Array:
        """The power of ten of how rare each view is, high (the first half of the rows) and low; 0 inside of limits."""
        limit, least, _ = self._memory["limits"]
        beyond = both - limit[:, np.newaxis]
        exceeds = beyond > 0
        excess = np.where(exceeds, beyond, 0.0)
        steps = np.stack([exceeds.astype(np.float64), excess, excess * excess])
        sums = np.cumsum(np.concatenate([self._memory["exceeding"][..., np.newaxis], steps], axis=2), axis=2)
        self._memory["exceeding"] = sums[..., -1].copy()
        number, total, squares = sums[..., :-1]
        least = least[:, np.newaxis]
        # two made-up excesses of the least size: a tail that was never seen has some size, too
        mean = (total + 2 * least) / (number + 2)
        variance = np.maximum((squares + 4 * least * least) / (number + 2) - mean * mean, 1e-300)
        shape = np.clip(0.5 * (1 - mean / variance * mean), 0.0, _HEAVIEST)
        scale = np.maximum(mean * (1 - shape), least)
        heavy = np.maximum(shape, 1e-6)
        length = np.log1p(np.minimum(heavy * excess / scale, 1e300)) / heavy
        seen = self._memory["seen"] + np.arange(both.shape[1])
        rate = np.minimum((number + 1) / (seen + 1), 1.0)
        return np.where(exceeds, np.minimum(length / np.log(10) - np.log10(rate), _RAREST), 0.0)

    def _spaced(self, scores: Array) -> Array:
        """An alarm silences for a while what is less strange than itself, and the less the longer ago it was."""
        memory, least = self._memory, self.threshold / 2
        begin = 0
        for place in np.flatnonzero(scores > least).tolist():
            memory["age"] += place - begin
            begin = place
            left = memory["height"] * max(1 - memory["age"] / self.quiet, 0.0) if self.quiet else 0.0
            if scores[place] > memory["height"] or not left:
                memory["age"], memory["height"] = 0, float(scores[place])
            else:
                scores[place] = max(scores[place] - left, 0.0) / 2
        memory["age"] += len(scores) - begin
        return scores

    def told(self, value: float, score: float, expected: float | None) -> str:
        """An anomaly in words."""
        if np.isinf(score):
            return f"{number(value)} is no finite number"
        often = f"once in {float(f'{10.0**score:.1g}'):,.0f} values" if score < 9 else "never"
        usual = "" if expected is None else f" where {number(expected)} is usual"
        return f"{number(value)}{usual}: this value here, or a jump or level like this one, comes {often}"


def _mean_of(rows: list[Array]) -> Array:
    """The mean of each column; what is missing does not count."""
    total, known = np.zeros(len(rows[0])), np.zeros(len(rows[0]))
    for row in rows:
        there = ~np.isnan(row)
        total += np.where(there, row, 0.0)
        known += there
    return np.where(known > 0, total / np.maximum(known, 1), np.nan)


def _limits(views: Array) -> Array:
    """Of views and their negatives: from where on a tail begins, its least size, and the median. Shape (3, 2k)."""
    low, tenth, quarter, middle, most, ninth, high = _quantiles(views)
    size = np.maximum(0.05 * (ninth - tenth), 0.1 * (most - quarter))
    limits = np.concatenate([high, -low])
    least = np.maximum(np.concatenate([size, size]), 1e-9 * np.abs(limits))
    return np.stack([limits, np.maximum(least, 1e-300), np.concatenate([middle, -middle])])


def _quantiles(views: Array) -> Array:
    """Of each view those that a tail is told from; what is missing does not count. Shape (k, n) -> (7, k)."""
    ordered = np.sort(views, axis=1)
    rows = np.arange(len(views))[np.newaxis]
    last = np.maximum(views.shape[1] - np.isnan(views).sum(axis=1) - 1, 0)
    places = np.array(_TAIL)[:, np.newaxis] * last
    below = np.floor(places).astype(np.int64)
    low, high = ordered[rows, below], ordered[rows, np.ceil(places).astype(np.int64)]
    return low + (high - low) * (places - below)
