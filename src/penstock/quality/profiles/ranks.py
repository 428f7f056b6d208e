"""How values are distributed: exactly where there are few different ones, and within a bound that is known otherwise.

A summary is a list of values, each standing for so many. Where there are too many it is collapsed: of m equal parts
the middle value stands for the whole part, which moves no rank by more than half a part. Collapsed summaries are
merged like the digits of a binary number, so that a value is collapsed about log2(N / m) times (Manku, Rajagopalan and
Lindsay, "Approximate medians and other quantiles in one pass and with limited memory", 1998; that such summaries can be
merged: Agarwal and others, "Mergeable summaries", 2012). Every collapse adds to an error that is kept with the
summary: it is a bound, not a likelihood.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.quality.profiles.packing import packed, unpacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from penstock.quality.extras import np

KEPT = 4096


class _Summary(NamedTuple):
    """Ascending values, how many each stands for, and by how many ranks it may be off."""

    values: NDArray[Any]
    weights: NDArray[Any]
    error: int


class Ranks:
    """Takes sorted values.

    Args:
        kept: how many different values are kept: the bound up to which everything is exact.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.kept = kept
        self._levels: list[_Summary | None] = []
        self._whole: _Summary | None = None

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(int(each.weights.sum()) for each in self._levels if each is not None)

    @property
    def exact(self) -> bool:
        """Whether all values are known."""
        return self.error == 0

    @property
    def error(self) -> float:
        """By which fraction of the values a rank may be off at most; 0 where it is exact."""
        count = self.count
        return sum(each.error for each in self._levels if each is not None) / count if count else 0.0

    def take(self, values: NDArray[Any], weights: NDArray[Any]) -> None:
        """Take ascending, different values, and how often each comes."""
        if len(values):
            self._carry(_Summary(values.astype(np.float64), weights.astype(np.int64), 0), 0)

    def _carry(self, taken: _Summary, level: int) -> None:
        self._whole = None
        if len(taken.values) > self.kept:
            taken = _collapsed(taken, self.kept)
        while True:
            while len(self._levels) <= level:
                self._levels.append(None)
            there = self._levels[level]
            if there is None:
                break
            taken = _combined([there, taken])
            if len(taken.values) <= self.kept:
                break
            taken, self._levels[level] = _collapsed(taken, self.kept), None
            level += 1
        self._levels[level] = taken

    def merge(self, other: Ranks) -> Ranks:
        """Of the values of both."""
        made = Ranks(min(self.kept, other.kept))
        for each in (self, other):
            for level, summary in enumerate(each._levels):
                if summary is not None:
                    made._carry(summary, level)
        return made

    @property
    def summary(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Ascending values, and how many each stands for."""
        if self._whole is None:
            self._whole = _combined([each for each in self._levels if each is not None])
        return self._whole.values, self._whole.weights

    def quantile(self, fraction: float) -> float | None:
        """The value that so many are not above, between two values in proportion; None where there are none."""
        values, weights = self.summary
        if not len(values):
            return None
        ends = np.cumsum(weights)
        place = fraction * (int(ends[-1]) - 1)
        low = int(place)
        left, right = (
            float(values[min(int(np.searchsorted(ends, at, "right")), len(values) - 1)]) for at in (low, low + 1)
        )
        return left if left == right else left + (right - left) * (place - low)

    def below(self, points: Sequence[float] | NDArray[Any], *, strictly: bool = False) -> NDArray[Any]:
        """How many values are not above each of these; below them, where it is strictly so."""
        values, weights = self.summary
        ends = np.concatenate(([0], np.cumsum(weights)))
        found: NDArray[Any] = ends[
            np.searchsorted(values, np.asarray(points, dtype=np.float64), "left" if strictly else "right")
        ]
        return found

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        levels = [None if each is None else _as_dict(each) for each in self._levels]
        return {"kept": self.kept, "levels": levels}

    @classmethod
    def of_dict(cls, found: dict[str, Any]) -> Ranks:
        """What `as_dict` gave."""
        made = cls(int(found["kept"]))
        made._levels = [None if each is None else _of_dict(each) for each in found["levels"]]
        if made.kept < 2:
            raise ValueError("values that cannot be")
        return made


def _combined(several: Sequence[_Summary]) -> _Summary:
    if not several:
        return _Summary(np.empty(0), np.empty(0, dtype=np.int64), 0)
    if len(several) == 1:
        return several[0]
    values = np.concatenate([each.values for each in several])
    weights = np.concatenate([each.weights for each in several])
    order = np.argsort(values, kind="stable")
    values, weights = values[order], weights[order]
    first = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    return _Summary(values[first], np.add.reduceat(weights, first), sum(each.error for each in several))


def _collapsed(summary: _Summary, kept: int) -> _Summary:
    ends = np.cumsum(summary.weights)
    total = int(ends[-1])
    parts = np.arange(kept + 1, dtype=np.float64) * (total / kept)
    edges = parts.astype(np.int64)
    edges[-1] = total
    middles = (edges[:-1] + edges[1:]) // 2
    values = summary.values[np.searchsorted(ends, middles, "right").clip(max=len(ends) - 1)]
    first = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    weights = np.add.reduceat(np.diff(edges), first)
    half = -(-int(np.diff(edges).max()) // 2)
    return _Summary(values[first], weights, summary.error + half)


def _as_dict(summary: _Summary) -> dict[str, Any]:
    return {
        "values": packed(summary.values, "<f8"),
        "weights": packed(summary.weights, "<i8"),
        "error": summary.error,
    }


def _of_dict(found: dict[str, Any]) -> _Summary:
    made = _Summary(unpacked(found["values"], "<f8"), unpacked(found["weights"], "<i8"), int(found["error"]))
    if len(made.values) != len(made.weights) or not len(made.values) or (made.weights < 1).any() or made.error < 0:
        raise ValueError("values that cannot be")
    return made
