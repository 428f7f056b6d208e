"""Stretches of a block as columns of bytes, without a copy: by views, which say where a text is and how it begins."""

from __future__ import annotations

from typing import Any

from penstock.processing.logs.blocks import Block
from penstock.processing.logs.extras import Array, np, pa, pl

_WITHIN = 12
"""A text that is no longer than this lies in the view itself."""


def views_of(words: Array, start: Array, end: Array) -> Array:
    """Views of what is from each start to its end.

    Args:
        words: the eight bytes from each place on.
        start: where the texts begin; less than 2 GB.
        end: where they end.
    """
    length = (end - start).astype(np.uint64)
    views = np.empty((len(start), 2), np.uint64)
    masks = np.array([(1 << (8 * count)) - 1 for count in range(9)], np.uint64)
    begin = words[start] & masks[np.minimum(length, 4)]
    views[:, 0] = length | (begin << np.uint64(32))
    rest = start.astype(np.uint64) << np.uint64(32)
    short = np.flatnonzero(length <= _WITHIN)
    if len(short):
        rest[short] = words[start[short] + 4] & masks[np.maximum(length[short], 4) - 4]
    views[:, 1] = rest
    return views.view("V16").ravel()


def column_of(block: Block, views: Array | None, count: int) -> Any:
    """So many views as a column of bytes; of nulls where there are no views."""
    if views is None:
        return pl.repeat(None, count, dtype=pl.Binary, eager=True)
    buffers = [None, pa.py_buffer(views), pa.py_buffer(block.buffer)]
    return pl.Series(pl.from_arrow(pa.Array.from_buffers(pa.binary_view(), count, buffers)), dtype=pl.Binary)
