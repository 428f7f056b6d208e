"""What the last values say of the next one: means, medians and quartiles of windows that end before it."""

from __future__ import annotations

import math
from itertools import pairwise

from penstock.quality.anomalies.contract import Array
from penstock.quality.extras import np, pl

_FEW = 16


def quantile_before(values: Array, count: int, window: int, quantile: float, fewest: int) -> Array:
    """Of each of the last `count` values, the quantile of up to `window` values before it.

    NaN where fewer than `fewest` are known.
    """
    fewest = min(fewest, window)
    places = range(len(values) - count, len(values))
    if count <= _FEW:  # Polars would look at every window of the series
        return np.array([_quantile(values[max(place - window, 0) : place], quantile, fewest) for place in places])
    begin = max(len(values) - count - window, 0)
    series = pl.Series(values[begin:-1]).fill_nan(None)
    found = series.rolling_quantile(quantile, "linear", window, min_samples=fewest)
    return np.concatenate([[np.nan], found.to_numpy()])[-count:]


def _quantile(values: Array, quantile: float, fewest: int) -> float:
    """To the last bit as Polars has it."""
    known = np.sort(values[~np.isnan(values)])
    if len(known) < fewest:
        return float("nan")
    place = (len(known) - 1) * quantile
    low, high = float(known[math.floor(place)]), float(known[math.ceil(place)])
    return low + (high - low) * (place - math.floor(place))


def lagged(values: Array, lag: int, count: int) -> Array:
    """The last `count` values, each as it was `lag` places earlier; NaN where the series had not begun."""
    first = len(values) - count - lag
    if first >= 0:
        return values[first : first + count]
    missing = min(-first, count)
    return np.concatenate([np.full(missing, np.nan), values[: count - missing]])


def median_of(rows: Array) -> Array:
    """The median of each column; what is missing does not count, and of nothing it is NaN. Shape (k, n) -> (n,)."""
    ordered = np.sort(rows, axis=0)
    known = len(rows) - np.isnan(rows).sum(axis=0)
    columns = np.arange(rows.shape[1])
    low, high = np.maximum(known - 1, 0) // 2, np.minimum(known // 2, len(rows) - 1)
    return (ordered[low, columns] + ordered[high, columns]) / 2


def pieces(begin: int, count: int, size: int) -> list[tuple[int, int]]:
    """How `count` places from `begin` fall into pages of `size` that begin at multiples of it: from and to, from 0."""
    edges = [0, *range(size - begin % size, count, size), count]
    return [(start, end) for start, end in pairwise(edges) if end > start]
