"""Detectors that count deviations: from the mean of the last values, and from a mean that forgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from penstock.core.extras import LateExtra
from penstock.quality.anomalies.contract import Array, Detector, distance, number, size_of
from penstock.quality.anomalies.windows import pieces
from penstock.quality.extras import np

signal: Any = LateExtra("scipy.signal", "quality")


@dataclass
class ZScore(Detector):
    """Standard deviations from the mean of the last values.

    An update takes time in the order of the window.

    Attributes:
        window: how many values before it a value is compared with.
        fewest: values that are learned before one is judged.
    """

    name: ClassVar[str] = "zscore"
    window: int = 500
    fewest: int = 20
    threshold: float = 4.0

    def _beginning(self) -> dict[str, Any]:
        return {"seen": 0, "page": np.zeros(0), "ends": np.zeros((3, 0))}

    def _judge(self, values: Array) -> tuple[Array, Array]:
        mean, spread = np.empty(len(values)), np.empty(len(values))
        for start, end in pieces(self._memory["seen"], len(values), self.window):
            mean[start:end], spread[start:end] = self._next(values[start:end])
        return distance(np.where(np.isnan(spread), 0.0, values - mean), spread, mean), mean

    def _next(self, values: Array) -> tuple[Array, Array]:
        """Mean and deviation before each value of one page: the end of the page before, and the begin of this one.

        The sums of a page are counted from the mean of the one before it, so that nothing cancels out, and what has
        left the window leaves no rounding behind.
        """
        memory, (counts, means, squares) = self._memory, self._memory["ends"]
        page = np.concatenate([memory["page"], values])
        places = np.arange(len(memory["page"]), len(page))
        origin = means[0] if len(means) else page[0]
        here, mean_here, squares_here = _sums(page, origin)
        n, m, s = here[places], mean_here[places], squares_here[places]
        if len(counts):
            n, m, s = _together((counts[places], means[places], squares[places]), (n, m, s))
        memory["seen"] += len(values)
        memory["page"] = page
        if len(page) == self.window:
            backwards = [each[::-1][:-1] for each in _sums(page[::-1], origin)]
            memory["ends"], memory["page"] = np.stack(backwards), np.zeros(0)
        known = n >= min(self.fewest, self.window)
        return np.where(known, m, np.nan), np.where(known, np.sqrt(np.maximum(s, 0) / np.maximum(n - 1, 1)), np.nan)

    def told(self, value: float, score: float, expected: float | None) -> str:
        """An anomaly in words."""
        return deviations(value, score, expected, "standard deviations from the mean of the values before it")


def _sums(page: Array, origin: float) -> tuple[Array, Array, Array]:
    """How many, their mean, and their squared distances from it, of the first 0, 1, 2, ... values."""
    shifted = page - origin
    count = np.arange(len(page) + 1.0)
    total = np.concatenate([[0.0], np.cumsum(shifted)])
    squares = np.concatenate([[0.0], np.cumsum(shifted * shifted)])
    mean = total / np.maximum(count, 1)
    return count, origin + mean, np.maximum(squares - total * mean, 0)


def _together(one: tuple[Array, ...], other: tuple[Array, ...]) -> tuple[Array, Array, Array]:
    """The same of two sets of values (Chan, Golub and LeVeque 1979)."""
    count = one[0] + other[0]
    apart = other[1] - one[1]
    share = other[0] / np.maximum(count, 1)
    return count, one[1] + apart * share, one[2] + other[2] + apart * apart * one[0] * share


@dataclass
class Ewma(Detector):
    """Deviations from a mean that forgets: each value counts less the longer ago it was.

    An update takes constant time.

    Attributes:
        share: of a new value in the mean; 0.05 looks back on some twenty values.
        fewest: values that are learned before one is judged.
    """

    name: ClassVar[str] = "ewma"
    share: float = 0.05
    fewest: int = 40
    threshold: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.share = min(self.share, 1.0)

    def _beginning(self) -> dict[str, Any]:
        return {"seen": 0, "mean": 0.0, "variance": 0.0}

    def _judge(self, values: Array) -> tuple[Array, Array]:
        memory, share = self._memory, self.share
        if not memory["seen"]:
            memory["mean"] = float(values[0])
        means = _forgetting(values * share, memory["mean"], share)
        before = np.concatenate([[memory["mean"]], means[:-1]])
        apart = values - before
        variances = _forgetting(share * (1 - share) * apart * apart, memory["variance"], share)
        spread = np.sqrt(np.concatenate([[memory["variance"]], variances[:-1]]))
        known = np.arange(memory["seen"], memory["seen"] + len(values)) >= self.fewest
        memory.update(seen=memory["seen"] + len(values), mean=float(means[-1]), variance=float(variances[-1]))
        return np.where(known, distance(apart, spread, before), 0.0), np.where(known, before, np.nan)

    def told(self, value: float, score: float, expected: float | None) -> str:
        """An anomaly in words."""
        return deviations(value, score, expected, "standard deviations from the moving mean")


def _forgetting(added: Array, last: float, share: float) -> Array:
    """What is left of the last one, and what is added, again and again."""
    left = 1 - share
    found, _ = signal.lfilter([1.0], [1.0, -left], added, zi=[left * last])
    return found


def deviations(value: float, score: float, expected: float | None, unit: str) -> str:
    """So many deviations from what is usual, in words."""
    if expected is None:
        return f"{number(value)} is no finite number"
    return f"{number(value)} where {number(expected)} was expected: {size_of(score)} {unit}"
