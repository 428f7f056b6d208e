"""Quantiles of durations, from counts in buckets that grow by two in a hundred (Masson and others, DDSketch, 2019)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from penstock.processing.logs.extras import Array, np

ERROR = 0.01
"""A quantile is off by at most this share of itself."""

_GROWTH = math.log((1 + ERROR) / (1 - ERROR))
_LEAST = 1e-6


class Latency:
    """Durations in seconds; those below a microsecond count as that."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.micros = 0
        self.longest = 0.0

    def add(self, seconds: Array) -> None:
        """Take durations in; what is not a number is none."""
        known = seconds[~np.isnan(seconds)]
        if not len(known):
            return
        buckets = np.ceil(np.log(np.maximum(known, _LEAST)) / _GROWTH).astype(np.int64)
        low = int(buckets.min())
        for place, count in enumerate(np.bincount(buckets - low).tolist()):
            if count:
                self._buckets[low + place] += count
        self.count += len(known)
        self.micros += int(np.rint(known * 1e6).sum())
        self.longest = max(self.longest, float(known.max()))

    def merge(self, other: Latency) -> None:
        """Take in what another has."""
        self._buckets.update(other._buckets)
        self.count += other.count
        self.micros += other.micros
        self.longest = max(self.longest, other.longest)

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON has it; `of` reads it again."""
        counts = {str(bucket): count for bucket, count in self._buckets.items()}
        return {"buckets": counts, "count": self.count, "micros": self.micros, "longest": self.longest}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Latency:
        """The reverse of `to_dict`."""
        made = cls()
        made._buckets = Counter({int(bucket): count for bucket, count in told["buckets"].items()})
        made.count, made.micros, made.longest = told["count"], told["micros"], told["longest"]
        return made

    @property
    def mean(self) -> float | None:
        """Of all; None where there is none."""
        return self.micros / 1e6 / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """The duration that so many stay below; None where there is none."""
        if not self.count:
            return None
        rank, seen = share * (self.count - 1), 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen > rank:
                return 2 * math.exp(bucket * _GROWTH) / (math.exp(_GROWTH) + 1)
        return self.longest
