"""Exact quantiles of values that need not fit into memory: counted by leading bits, and read again where needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from penstock.quality.anomalies.contract import Array
from penstock.quality.extras import np

_BITS = 16
_KEPT = 2_000_000
"""So many values are held at most, and put in order."""

Batches = Callable[[], Iterable[Array]]
"""Reads all values, from the first, each time it is called."""


def quantiles(values: Batches, parts: Sequence[float]) -> list[float]:
    """Quantiles, with linear interpolation between two values; NaN of no values.

    Args:
        values: finite numbers.
        parts: from 0 to 1.
    """
    if (few := _few(values)) is not None:
        return [_of_ordered(few, part) for part in parts]
    counts = _counted(values, 0, 64)
    total = int(counts.sum())
    places = [part * (total - 1) for part in parts]
    ranks = sorted({rank for place in places for rank in (math.floor(place), math.ceil(place))})
    found = dict(zip(ranks, _ranked(values, counts, 0, 64 - _BITS, ranks), strict=True))
    return [_between(found[math.floor(at)], found[math.ceil(at)], at - math.floor(at)) for at in places]


def _few(values: Batches) -> Array | None:
    """All values in their order; None where there are too many to be held."""
    held, count = [np.zeros(0)], 0
    for batch in values():
        held.append(batch)
        count += len(batch)
        if count > _KEPT:
            return None
    return np.sort(np.concatenate(held) + 0.0)


def _of_ordered(values: Array, part: float) -> float:
    place = part * (len(values) - 1)
    if not len(values):
        return math.nan
    return _between(float(values[math.floor(place)]), float(values[math.ceil(place)]), place - math.floor(place))


def _between(low: float, high: float, part: float) -> float:
    return low + (high - low) * part if low != high else low


def _ranked(values: Batches, counts: Array, prefix: int, shift: int, ranks: list[int]) -> list[float]:
    """The values of these ranks among those whose leading bits are the prefix; counts is of the bits after it."""
    ends = np.cumsum(counts)
    wanted: dict[int, list[int]] = {}
    for rank in ranks:
        wanted.setdefault(int(np.searchsorted(ends, rank, side="right")), []).append(rank)
    found: list[float] = []
    for bits, some in wanted.items():
        here = (prefix << _BITS) | bits
        before = int(ends[bits] - counts[bits])
        if counts[bits] <= _KEPT:
            kept = np.sort(np.concatenate([batch[_keys(batch) >> np.uint64(shift) == here] for batch in values()]))
            found += [float(kept[rank - before]) for rank in some]
        elif not shift:
            found += [_value(here)] * len(some)
        else:
            inner = _counted(values, here, shift)
            found += _ranked(values, inner, here, shift - _BITS, [rank - before for rank in some])
    return found


def _counted(values: Batches, prefix: int, shift: int) -> Array:
    """How many values with this prefix have each of the next bits."""
    counts = np.zeros(2**_BITS, dtype=np.int64)
    for batch in values():
        keys = _keys(batch)
        if shift < 64:
            keys = keys[keys >> np.uint64(shift) == prefix]
        counts += np.bincount(keys >> np.uint64(shift - _BITS) & np.uint64(2**_BITS - 1), minlength=2**_BITS)
    return counts


def _keys(values: Array) -> Array:
    """Whole numbers that are ordered as the values are; -0.0 is 0.0."""
    bits = (values + 0.0).view(np.int64)
    return np.where(bits < 0, ~bits, bits | np.int64(-(2**63))).view(np.uint64)


def _value(key: int) -> float:
    """The value of a key: where so many are equal, one need not be read again."""
    bits = np.array([key], dtype=np.uint64).view(np.int64)
    return float(np.where(bits < 0, bits & np.int64(2**63 - 1), ~bits).view(np.float64)[0])
