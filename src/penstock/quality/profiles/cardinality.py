"""How many different values there are: exactly up to a bound, and beyond it from the smallest hashes.

The smallest k hashes of the different values are kept. Below k they are all there are; beyond, the k-th smallest tells
how densely hashes lie: (k - 1) / its place between 0 and 1 is an unbiased estimate with a relative standard error of
1 / sqrt(k - 2) (Bar-Yossef and others, "Counting distinct elements in a data stream", 2002; Beyer and others, "On
synopses for distinct-value estimation under multiset operations", 2007). What is kept does not depend on the order in
which values come, or on how they are split: a merge gives what one reading gives.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from penstock.quality.profiles.packing import packed, unpacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from penstock.quality.extras import np

KEPT = 32_768


class Cardinality:
    """Takes hashes of values.

    Args:
        kept: how many hashes are kept: the bound up to which counts are exact.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.kept = kept
        self.hashes: NDArray[Any] = np.empty(0, dtype=np.uint64)
        self.repeated: NDArray[Any] = np.empty(0, dtype=bool)
        self.exact = True

    @property
    def count(self) -> int:
        """Different values."""
        if self.exact:
            return len(self.hashes)
        return round((self.kept - 1) / ((int(self.hashes[-1]) + 1) / 2.0**64))

    @property
    def error(self) -> float:
        """The relative standard error of the count."""
        return 0.0 if self.exact else 1 / math.sqrt(self.kept - 2)

    @property
    def repeats(self) -> bool:
        """Whether some value came twice: certain where the count is exact, among a sample of the values otherwise."""
        return bool(self.repeated.any())

    def take(self, hashes: NDArray[Any], repeated: NDArray[Any] | None = None) -> None:
        """Take hashes, of different values or not; `repeated` tells which of them already stand for several."""
        if repeated is None:
            repeated = np.zeros(len(hashes), dtype=bool)
        if not self.exact:
            below = hashes <= self.hashes[-1]
            hashes, repeated = hashes[below], repeated[below]
        if not len(hashes):
            return
        hashes = np.concatenate([self.hashes, hashes])
        order = np.argsort(hashes)
        hashes, repeated = hashes[order], np.concatenate([self.repeated, repeated])[order]
        first = np.flatnonzero(np.concatenate(([True], hashes[1:] != hashes[:-1])))
        several = np.diff(np.append(first, len(hashes))) > 1
        self.repeated = np.logical_or.reduceat(repeated, first) | several
        self.hashes = hashes[first]
        self._cut()

    def _cut(self) -> None:
        if len(self.hashes) > self.kept:
            self.hashes, self.repeated = self.hashes[: self.kept].copy(), self.repeated[: self.kept].copy()
            self.exact = False

    def merge(self, other: Cardinality) -> Cardinality:
        """Of the values of both."""
        made = Cardinality(min(self.kept, other.kept))
        for each in (self, other):
            made.take(each._within(made.kept), each.repeated[: made.kept])
        made.exact = made.exact and self.exact and other.exact
        return made

    def _within(self, kept: int) -> NDArray[Any]:
        return self.hashes[:kept]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "kept": self.kept,
            "exact": self.exact,
            "hashes": packed(self.hashes, "<u8"),
            "repeated": packed(np.packbits(self.repeated), "u1"),
        }

    @classmethod
    def of_dict(cls, found: dict[str, Any]) -> Cardinality:
        """What `as_dict` gave."""
        made = cls(int(found["kept"]))
        made.hashes = unpacked(found["hashes"], "<u8")
        made.repeated = np.unpackbits(unpacked(found["repeated"], "u1"))[: len(made.hashes)].astype(bool)
        made.exact = bool(found["exact"])
        if len(made.hashes) > made.kept or len(made.repeated) != len(made.hashes) or made.kept < 3:
            raise ValueError("hashes that cannot be")
        return made
