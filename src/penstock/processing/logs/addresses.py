"""Clients that are written with digits and points, as numbers: sixteen characters of four bits each.

A number stands for one text only, and numbers are in the order of their texts. Whatever has a longer name, or another
character in it, has no number.
"""

from __future__ import annotations

from typing import Any

from penstock.processing.logs.access_words import words_of
from penstock.processing.logs.blocks import PAD
from penstock.processing.logs.extras import Array, np, pa, pl

_LONGEST = 16
_BEFORE = 0x2C
"""The character before the first that has a number; four bits reach to the fifteenth after it."""

_EACH = 0x0101010101010101
_HIGH = 0xF0F0F0F0F0F0F0F0
_STEPS = ((4, 0x00FF00FF00FF00FF), (8, 0x0000FFFF0000FFFF), (16, 0x00000000FFFFFFFF))


def numbers_of(words: Array, start: Array, length: Array) -> tuple[Array, Array]:
    """The numbers of texts, and where there are any.

    Args:
        words: the eight bytes from each place on.
        start: where the texts begin.
        length: of each.
    """
    there = (length >= 1) & (length <= _LONGEST)
    upper, whole = _half(words[start], length)
    there &= whole
    lower, whole = _half(words[start + 8], length - 8)
    there &= whole
    return (upper << np.uint64(32)) | lower, there


def numbers_of_texts(texts: list[bytes]) -> tuple[Array, Array]:
    """The same, of texts that lie nowhere in particular."""
    length = np.array([len(text) for text in texts], np.int64)
    start = np.cumsum(length) - length
    return numbers_of(words_of(np.frombuffer(b"".join(texts) + bytes(PAD), np.uint8)), start, length)


def _half(word: Array, length: Array) -> tuple[Array, Array]:
    """Eight characters, or as many of them as there are, as 32 bits; and where they can be."""
    here = np.clip(length, 0, 8).astype(np.uint64) << np.uint64(3)
    inside = ~(~np.uint64(0) >> here)
    text = word.byteswap() & inside
    # Each byte less the one before all that fit; a byte that does not fit leaves something in its upper half.
    text = text - (inside & np.uint64(_BEFORE * _EACH))
    # A byte that is nothing could be the end of the text, and is not told from it.
    some = (text | ~inside) & np.uint64(0x0F * _EACH)
    some = ((some + np.uint64(0x7F * _EACH)) & np.uint64(0x80 * _EACH)) == np.uint64(0x80 * _EACH)
    there = ((text & np.uint64(_HIGH)) == np.uint64(0)) & some
    for shift, mask in _STEPS:
        text = (text | (text >> np.uint64(shift))) & np.uint64(mask)
    return text, there


def texts_of_numbers(numbers: Array) -> Any:
    """The texts again, as a column."""
    shifts = np.arange(60, -1, -4).astype(np.uint64)
    nibbles = ((numbers[:, None] >> shifts) & np.uint64(15)).astype(np.uint8)
    there = nibbles > 0
    offsets = np.zeros(len(numbers) + 1, np.int64)
    np.cumsum(there.sum(axis=1), out=offsets[1:])
    text = (nibbles + np.uint8(_BEFORE))[there]
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    return pl.Series(pl.from_arrow(pa.Array.from_buffers(pa.large_binary(), len(numbers), buffers)), dtype=pl.Binary)
