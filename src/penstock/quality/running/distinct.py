"""Which values come more than once, exactly, however many there are.

Values come in pieces, from several threads, as 64-bit keys: whole numbers as they are, anything else as a hash. Each
piece is sorted and kept as a run; runs beyond a budget go to a temporary file. In the end runs that overlap no other
are known already, and the others are merged range by range. Equal values have equal keys, so keys that are all
different prove that the values are; equal hashes are only a suspicion, which `repeats` looks at.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray
else:
    from penstock.quality.extras import np, pl

BUDGET = 256 * 1024 * 1024
"""Bytes of keys in memory, of one rule."""
PART = 4_000_000
"""Keys that are merged at a time."""
LISTED = 100_000
"""Repeated keys that are told one by one."""
_SAMPLED = 64


class Repeated(NamedTuple):
    """What came of it.

    Attributes:
        keys: how many keys came more than once.
        rows: how many rows have one of them.
        distinct: how many different keys there are.
        some: the repeated keys, ascending; only the first of them where there are very many.
    """

    keys: int
    rows: int
    distinct: int
    some: NDArray[Any]


class _Run(NamedTuple):
    """Sorted keys; where they are all the whole numbers from low to high, no values are kept.

    Attributes:
        low, high: the least and the greatest.
        length: how many.
        twice: whether one of them comes more than once.
        values: the keys.
    """

    low: Any
    high: Any
    length: int
    twice: bool
    values: NDArray[Any] | None

    def between(self, low: Any, high: Any) -> NDArray[Any]:
        """The keys from low up to, and without, high (None for no end)."""
        if self.values is not None:
            start = np.searchsorted(self.values, low, "left")
            stop = self.length if high is None else np.searchsorted(self.values, high, "left")
            return np.asarray(self.values[start:stop])
        kind = type(self.low)
        first = max(self.low, low)
        last = self.high if high is None else min(int(self.high), int(high) - 1)
        if int(last) < int(first):
            return np.empty(0, dtype=kind)
        numbers: NDArray[Any] = np.arange(int(last) - int(first) + 1, dtype=kind) + kind(first)
        return numbers


class Distinct:
    """Takes keys in pieces; call it with a Polars series from as many threads as you like."""

    def __init__(self, budget: int = BUDGET, part: int = PART) -> None:
        self._budget = budget
        self._part = part
        self._runs: list[_Run] = []
        self._kept = 0
        self._file: Any = None
        self._lock = threading.Lock()
        self.seen = 0

    def __call__(self, keys: pl.Series) -> pl.Series:
        """Take a piece; nulls are left out. The answer says where there was a key."""
        there = keys.drop_nulls()
        values = there.to_numpy()
        if not bool((values[:-1] <= values[1:]).all()):  # Polars sorts three times as fast as NumPy
            values = there.sort(multithreaded=False).to_numpy()
        if len(values):
            self._take(values)
        return keys.is_not_null()

    def _take(self, values: NDArray[Any]) -> None:
        low, high, length = values[0], values[-1], len(values)
        twice = bool((values[1:] == values[:-1]).any())
        whole = not twice and int(high) - int(low) == length - 1
        with self._lock:
            self.seen += length
            kept = None if whole else self._room_for(values)
            self._runs.append(_Run(low, high, length, twice, kept))

    def _room_for(self, values: NDArray[Any]) -> NDArray[Any]:
        if self._kept + values.nbytes <= self._budget:
            self._kept += values.nbytes
            return values if values.base is None else values.copy()  # a view would keep all that it is a part of
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="penstock-")  # noqa: SIM115 (closed with this object)
        offset = self._file.tell()
        self._file.write(values.tobytes())
        self._file.flush()
        spilled: NDArray[Any] = np.memmap(self._file, values.dtype, "r", offset, values.shape)
        self._file.seek(offset + values.nbytes)
        return spilled

    def repeated(self) -> Repeated:
        """What comes more than once, among all that was taken."""
        keys = rows = distinct = 0
        some: list[NDArray[Any]] = []
        for runs in _overlapping(self._runs):
            if len(runs) == 1 and not runs[0].twice:
                distinct += runs[0].length
                continue
            for values in self._merged(runs):
                first = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
                counts = np.diff(np.append(first, len(values)))
                several = counts > 1
                distinct += len(first)
                keys += int(several.sum())
                rows += int(counts[several].sum())
                if sum(map(len, some)) < LISTED:
                    some.append(values[first[several]])
        listed = np.concatenate(some)[:LISTED] if some else np.empty(0, dtype=np.int64)
        return Repeated(keys, rows, distinct, listed)

    def _merged(self, runs: list[_Run]) -> Iterator[NDArray[Any]]:
        """All keys in order, range by range; equal ones are in one range."""
        if len(runs) == 1 and runs[0].values is not None:
            yield runs[0].values
            return
        edges = self._edges(runs)
        for low, high in zip(edges, [*edges[1:], None], strict=True):
            touching = [r for r in runs if r.high >= low and (high is None or r.low < high)]
            values = np.concatenate([run.between(low, high) for run in touching])
            if len(values):
                yield values if len(touching) == 1 else pl.Series(values).sort().to_numpy()

    def _edges(self, runs: list[_Run]) -> list[Any]:
        """Where ranges begin, so that each holds about as many keys as are merged at a time."""
        least = min(run.low for run in runs)
        parts = -(-sum(run.length for run in runs) // self._part)
        if parts <= 1:
            return [least]
        kind = least.dtype
        samples = [run.values[:: max(run.length // _SAMPLED, 1)] for run in runs if run.values is not None]
        spread = [np.array(_steps(int(run.low), int(run.high)), dtype=kind) for run in runs if run.values is None]
        ordered = np.sort(np.concatenate([*samples, *spread]))
        picked = np.unique(ordered[:: max(len(ordered) // parts, 1)])
        return [least, *(edge for edge in picked if edge > least)]

    def close(self) -> None:
        """Give back the temporary file."""
        self._runs = []
        if self._file is not None:
            self._file.close()
            self._file = None

    def __del__(self) -> None:
        self.close()


def _overlapping(runs: list[_Run]) -> Iterator[list[_Run]]:
    """The runs in groups, by their keys ascending; no key is in two of the groups."""
    group: list[_Run] = []
    furthest = 0
    for run in sorted(runs, key=lambda run: int(run.low)):
        if group and int(run.low) > furthest:
            yield group
            group = []
        furthest = max(furthest, int(run.high)) if group else int(run.high)
        group.append(run)
    if group:
        yield group


def _steps(low: int, high: int) -> list[int]:
    return [low + (high - low) * step // _SAMPLED for step in range(_SAMPLED)]
