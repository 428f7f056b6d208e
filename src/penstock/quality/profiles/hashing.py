"""Values as whole numbers of 64 bits that are the same everywhere: on every machine, today and in ten years.

Saved profiles are merged with later ones, so the hash functions of libraries, which change, will not do. Numbers are
their bits. A text is the sum of its bytes times a random odd number for each place (multilinear hashing: Lemire and
Kaser, "Strongly universal string hashing is fast", 2014). Both are finished by the mixer of SplitMix64 (Steele, Lea
and Flood, "Fast splittable pseudorandom number generators", 2014).
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray
else:
    from penstock.quality.extras import np, pl

LONGEST = 4096
"""Bytes of a text that is hashed along with others; longer ones are hashed one by one."""
_TOGETHER = 32_768
"""Bytes that are hashed at a time: so few that what is made of them stays in the processor's cache."""
_STEP = 0x9E3779B97F4A7C15
_SPAN = 2.0**63


def mixed(keys: NDArray[Any]) -> NDArray[Any]:
    """Bits in which every bit depends on every bit of the keys."""
    mixing = keys + np.uint64(_STEP)
    mixing = (mixing ^ (mixing >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixing = (mixing ^ (mixing >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    made: NDArray[Any] = mixing ^ (mixing >> np.uint64(31))
    return made


def number_hashes(values: NDArray[Any]) -> NDArray[Any]:
    """Of numbers; a float without a fraction is the same number as an integer."""
    if values.dtype.kind == "u":
        return mixed(values.astype(np.uint64))
    if values.dtype.kind != "f":
        return mixed(values.astype(np.int64).view(np.uint64))
    values = values.astype(np.float64) + 0.0  # there is one zero
    bits = values.view(np.uint64)
    whole = (values == np.floor(values)) & (values >= -_SPAN) & (values < 2 * _SPAN)
    if whole.any():
        low = whole & (values < _SPAN)
        bits = bits.copy()
        bits[low] = values[low].astype(np.int64).view(np.uint64)
        high = whole & ~low
        bits[high] = values[high].astype(np.uint64)
    return mixed(bits)


def text_bytes(texts: pl.Series) -> tuple[NDArray[Any], NDArray[Any]]:
    """The bytes of texts without nulls, one after the other, and where each begins and ends."""
    if not len(texts):
        return np.empty(0, dtype=np.uint8), np.zeros(1, dtype=np.int64)
    array = texts.rechunk().to_arrow()
    array = array.cast("large_string") if str(array.type) != "large_string" else array
    _, ends, data = array.buffers()
    edges = np.frombuffer(ends, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    if data is None or edges[-1] == edges[0]:
        return np.empty(0, dtype=np.uint8), edges - edges[0]
    return np.frombuffer(data, dtype=np.uint8)[edges[0] : edges[-1]], edges - edges[0]


def text_hashes(texts: pl.Series) -> NDArray[Any]:
    """Of texts without nulls."""
    lengths = texts.str.len_bytes().to_numpy()
    if len(texts) and int(lengths.max()) > LONGEST:
        long = lengths > LONGEST
        made = np.empty(len(texts), dtype=np.uint64)
        made[~long] = _short_hashes(texts.filter(pl.Series(~long)))
        made[long] = [_long_hash(text) for text in texts.filter(pl.Series(long))]
        return made
    return _short_hashes(texts)


def _long_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _short_hashes(texts: pl.Series) -> NDArray[Any]:
    data, edges = text_bytes(texts)
    sums = np.empty(len(texts), dtype=np.uint64)
    start = 0
    while start < len(texts):
        stop = max(int(np.searchsorted(edges, edges[start] + _TOGETHER, "right")) - 1, start + 1)
        sums[start:stop] = _sums(data[edges[start] : edges[stop]], edges[start : stop + 1] - edges[start])
        start = stop
    return mixed(sums ^ (np.diff(edges).astype(np.uint64) * np.uint64(_STEP)))


def _sums(data: NDArray[Any], edges: NDArray[Any]) -> NDArray[Any]:
    places = np.arange(len(data), dtype=np.int64)
    places -= np.repeat(edges[:-1], np.diff(edges))
    products = _multipliers()[places]
    products *= data.astype(np.uint64) + np.uint64(1)
    totals = np.zeros(len(data) + 1, dtype=np.uint64)
    np.cumsum(products, out=totals[1:])
    made: NDArray[Any] = totals[edges[1:]] - totals[edges[:-1]]
    return made


@functools.cache
def _multipliers() -> NDArray[Any]:
    """A random odd number for each place in a text: always the same ones."""
    return mixed(mixed(np.arange(LONGEST, dtype=np.uint64))) | np.uint64(1)
