"""Files as blocks of whole lines, in memory that is used again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from penstock.core.packed import Broken
from penstock.processing.logs.extras import Array, np
from penstock.processing.logs.opening import Opened

PAD = 64
"""Bytes before and after the text of a block that may be read, and mean nothing."""

LONGEST = 1 << 20
"""A line of more bytes is malformed; it is not looked at."""

SAMPLE = 200
"""So much of a malformed line is shown."""

_LINE_END = 10


@dataclass
class Block:
    """Whole lines of a file.

    Attributes:
        buffer: the bytes; the lines are `buffer[start:end]`, and each ends with a line end.
        cut: how the lines began that were too long, and came before all others.
        read: bytes of the file that have been read, up to here.
        trouble: why nothing comes after this; empty where all is well.
        last: the last block of its file.
    """

    buffer: bytearray
    start: int = PAD
    end: int = PAD
    cut: list[bytes] = field(default_factory=list)
    read: int = 0
    trouble: str = ""
    last: bool = False

    @property
    def data(self) -> Array:
        """All of the buffer, as numbers."""
        return np.frombuffer(self.buffer, np.uint8)


class Buffers:
    """Buffers that are used again: a new one costs more than reading into it."""

    def __init__(self) -> None:
        self._free: list[bytearray] = []
        self._lock = threading.Lock()

    def take(self, size: int) -> bytearray:
        """One for a text of so many bytes."""
        needed = size + 2 * PAD
        with self._lock:
            for place, buffer in enumerate(self._free):
                if len(buffer) >= needed:
                    return self._free.pop(place)
        return bytearray(needed)

    def give_back(self, buffer: bytearray) -> None:
        """Nobody uses it any more."""
        with self._lock:
            if len(self._free) < 8:
                self._free.append(buffer)


def blocks_of(file: Opened, size: int, buffers: Buffers, longest: int = LONGEST) -> Iterator[Block]:
    """Cut a file into blocks.

    Args:
        file: what to read.
        size: bytes of a block, about.
        buffers: where buffers come from; whoever is done with a block gives its buffer back.
        longest: bytes of a line that is still looked at.
    """
    rest, cut = b"", list[bytes]()
    while True:
        buffer = buffers.take(len(rest) + size)
        full = PAD + len(rest)
        buffer[PAD:full] = rest
        ended, full, trouble = _filled(file, buffer, full, len(rest) + size)
        if ended and full > PAD and buffer[full - 1] != _LINE_END:
            buffer[full] = _LINE_END
            full += 1
        end = buffer.rfind(b"\n", PAD, full) + 1
        if end > 0 or ended:
            rest = bytes(memoryview(buffer)[max(end, PAD) : full])
            yield Block(buffer, PAD, max(end, PAD), cut, file.position, trouble, ended)
            cut = []
            if ended:
                return
            continue
        rest = bytes(memoryview(buffer)[PAD:full])
        buffers.give_back(buffer)
        if len(rest) > longest:
            cut.append(rest[:SAMPLE])
            rest = _after_line(file)


def _filled(file: Opened, buffer: bytearray, full: int, size: int) -> tuple[bool, int, str]:
    """Read until there are so many bytes of text; whether the file ended, where the text ends, what broke it off."""
    with memoryview(buffer) as view:
        while full < PAD + size:
            try:
                count = file.readinto(view[full : PAD + size])
            except Broken as error:
                return True, full, str(error)
            if not count:
                return True, full, ""
            full += count
    return False, full, ""


def _after_line(file: Opened) -> bytes:
    """Skip to the next line; what has been read of it. A file that breaks says so again when it is read on."""
    piece = bytearray(1 << 16)
    while True:
        try:
            count = file.readinto(memoryview(piece))
        except Broken:
            return b""
        if not count:
            return b""
        end = piece.find(b"\n", 0, count)
        if end >= 0:
            return bytes(piece[end + 1 : count])
