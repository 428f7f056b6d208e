"""Which values come most: exactly where there are few different ones, and within a bound that is known otherwise.

So many values are counted; where there are more, the count of the first that finds no room is taken off all of them,
and those with nothing left leave (Misra and Gries, "Finding repeated elements", 1982; in batches and merged: Agarwal
and others, "Mergeable summaries", 2012). A value came at least as often as it is counted, and at most so many times
more as were taken off: no more than rows / (values kept + 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.quality.profiles.packing import packed, unpacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from penstock.quality.extras import np

KEPT = 512
LONGEST = 256
"""Characters of a text that is shown; longer ones are cut."""
_SMALL = 1024


class Top(NamedTuple):
    """A value, how often it came at least, and at most."""

    value: Any
    least: int
    most: int


class Frequent:
    """Takes different values with their counts.

    Args:
        kept: how many values are counted.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.kept = kept
        self.error = 0
        self._hashes: NDArray[Any] = np.empty(0, dtype=np.uint64)
        self._counts: NDArray[Any] = np.empty(0, dtype=np.int64)
        self._values: list[Any] = []

    @property
    def exact(self) -> bool:
        """Whether all values are there, with their true counts."""
        return self.error == 0

    @property
    def total(self) -> int:
        """The sum of the counts."""
        return int(self._counts.sum())

    def counts(self) -> list[tuple[Any, int]]:
        """Values and counts, the most frequent first, and in the order of their hashes where they are equally so."""
        order = np.lexsort((self._hashes, -self._counts))
        return [(self._values[place], int(self._counts[place])) for place in order]

    def top(self, number: int) -> list[Top]:
        """The most frequent values."""
        return [Top(value, count, count + self.error) for value, count in self.counts()[:number]]

    def take(self, hashes: NDArray[Any], counts: NDArray[Any], values: Callable[[NDArray[Any]], list[Any]]) -> None:
        """Take different values: their hashes, counts, and what gives those at some places."""
        if not len(hashes):
            return
        fresh = np.arange(len(hashes))
        if len(self._hashes):
            order = np.argsort(self._hashes)
            ordered = self._hashes[order]
            found = np.searchsorted(ordered, hashes).clip(max=len(ordered) - 1)
            known = ordered[found] == hashes
            self._counts[order[found[known]]] += counts[known]
            fresh = fresh[~known]
        fresh = _most(fresh, counts[fresh], self.kept + 1)  # others find no room, nor tell what is taken off
        all_counts = np.concatenate([self._counts, counts[fresh]])
        less = 0
        if len(all_counts) > self.kept:
            less = int(np.partition(all_counts, -(self.kept + 1))[-(self.kept + 1)])
        old = self._counts > less
        fresh = fresh[counts[fresh] > less]
        self._values = [value for value, stays in zip(self._values, old, strict=True) if stays] + values(fresh)
        self._hashes = np.concatenate([self._hashes[old], hashes[fresh]])
        self._counts = np.concatenate([self._counts[old], counts[fresh]]) - less
        self.error += less

    def _held(self, places: NDArray[Any]) -> list[Any]:
        return [self._values[place] for place in places]

    def merge(self, other: Frequent) -> Frequent:
        """Of the values of both."""
        made = Frequent(min(self.kept, other.kept))
        for each in (self, other):
            made.take(each._hashes, each._counts, each._held)
            made.error += each.error
        return made

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "kept": self.kept,
            "error": self.error,
            "hashes": packed(self._hashes, "<u8"),
            "counts": packed(self._counts, "<i8"),
            "values": self._values,
        }

    @classmethod
    def of_dict(cls, found: dict[str, Any]) -> Frequent:
        """What `as_dict` gave."""
        made = cls(int(found["kept"]))
        made.error = int(found["error"])
        made._hashes, made._counts = unpacked(found["hashes"], "<u8"), unpacked(found["counts"], "<i8")
        made._values = list(found["values"])
        if not len(made._hashes) == len(made._counts) == len(made._values) <= made.kept:
            raise ValueError("counts that cannot be")
        return made


def _most(places: NDArray[Any], counts: NDArray[Any], number: int) -> NDArray[Any]:
    """The places of so many of the greatest counts, most of which are small and equal."""
    if len(places) <= number:
        return places
    small = np.minimum(counts, _SMALL)
    at_least = np.cumsum(np.bincount(small)[::-1])[::-1]
    least = int(np.flatnonzero(at_least >= number)[-1])
    if least == _SMALL:
        return np.asarray(places[np.argpartition(counts, -number)[-number:]])
    above = np.flatnonzero(small > least)
    return np.asarray(places[np.concatenate([above, np.flatnonzero(small == least)[: number - len(above)]])])


def cut(text: str) -> str:
    """A text as it is shown."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
