"""Logs cut into stretches that others count: processes of this machine, or workers of a cluster.

A stretch is the lines that begin between two places of a file; one that is packed, or UTF-16, is one stretch. Counts
come back in the order of the files, so that lines have their numbers and totals are those of one process.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple, Protocol

from penstock.core.errors import SourceUnavailable
from penstock.core.packed import compression_of
from penstock.processing.logs import detection
from penstock.processing.logs.access_blocks import Reader
from penstock.processing.logs.access_counts import Part, count_block
from penstock.processing.logs.blocks import LONGEST, Block, Buffers, blocks_of
from penstock.processing.logs.opening import Opened, is_utf16
from penstock.processing.logs.text_counts import TextPart, count_text
from penstock.processing.logs.text_formats import TextFormat

Counted = tuple[TextFormat | None, Block, Part | TextPart]

_MOST_CHUNKS = 8
"""So many chunks are a stretch at most: their counts come back together."""
_STRETCHES = 4
"""So many stretches of a file are made for each worker, at least."""
_AHEAD = 3
"""So many stretches are given out for each worker, finished ones among them: what waits is bounded."""
_SHOWN = 64
"""Of more malformed lines of a chunk only their number comes back."""
_STEP = 64 << 10
_LINE_END = 10


class Wanted(NamedTuple):
    """What is counted, and how.

    Attributes:
        size: bytes that are looked at together.
        kind: the format; None for access logs.
        auto: the format is told by the first lines instead.
        year_of: the year of times that have none, of a file.
    """

    size: int
    kind: TextFormat | None
    auto: bool
    year_of: Callable[[str], int]


class Hands(Protocol):
    """Workers that count.

    Attributes:
        count: how many.
    """

    count: int

    def submit(self, work: Callable[..., Any], *args: Any) -> Any:
        """Ask for work; what is asked for so may be an argument of what is asked for later."""

    def result(self, path: str, asked: Any) -> list[Counted]:
        """What came of it.

        Raises:
            SourceUnavailable: it cannot be had.
        """

    def close(self, waiting: Sequence[Any]) -> None:
        """Give up what was asked for, and leave."""


class Stretch(Opened):
    """The lines of a plain file that begin from one place on and before another.

    Args:
        path: a file.
        start: bytes before the first place.
        end: bytes before the other.

    Raises:
        SourceUnavailable: it cannot be read.
    """

    def __init__(self, path: str, start: int, end: int) -> None:
        super().__init__(path)
        self._unpacked = None
        self._end = end
        self._inside = False
        if start:
            self._skip_to(start)

    def _skip_to(self, start: int) -> None:
        """To the first line that begins there or later, or to the end of the stretch."""
        self._head = b""
        self._file.seek(start - 1)
        self.position = start - 1
        while self.position < self._end:
            piece = self.read(_STEP)
            place = piece.find(b"\n")
            if place >= 0:
                self.position += place + 1 - len(piece)
                self._file.seek(self.position)
                return
            if not piece:
                return

    def readinto(self, view: memoryview) -> int:
        """See `Opened.readinto`; the last line is read to its end, wherever that is."""
        room = self._end - self.position
        if room > 0:
            count = super().readinto(view[:room])
            self._inside = count > 0 and view[count - 1] != _LINE_END
            return count
        if not self._inside:
            return 0
        count = super().readinto(view[:_STEP])
        place = bytes(view[:count]).find(b"\n")
        if place >= 0:
            self._inside = False
            self.position += place + 1 - count
            return place + 1
        return count


class Spread:
    """Hands out stretches of files; a context manager.

    Args:
        hands: who counts.
        files: in the order in which they will be asked for.
        wanted: what is counted.
    """

    def __init__(self, hands: Hands, files: Sequence[str], wanted: Wanted) -> None:
        self._wanted = wanted
        self._hands = hands
        self._coming = self._stretches(files)
        self._waiting: deque[tuple[str, Any]] = deque()

    def __enter__(self) -> Spread:
        return self

    def __exit__(self, *unused: object) -> None:
        waiting = [asked for _, asked in self._waiting]
        self._waiting.clear()
        self._hands.close(waiting)

    def counted(self, path: str) -> Iterator[Counted]:
        """What was counted of a file, in its order.

        Raises:
            SourceUnavailable: a worker cannot read it, or the workers are lost.
        """
        self._give_out()
        while self._waiting and self._waiting[0][0] == path:
            _, asked = self._waiting.popleft()
            yield from self._hands.result(path, asked)
            self._give_out()

    def _give_out(self) -> None:
        while len(self._waiting) < _AHEAD * self._hands.count:
            found = next(self._coming, None)
            if found is None:
                return
            self._waiting.append(found)

    def _stretches(self, files: Sequence[str]) -> Iterator[tuple[str, Any]]:
        wanted, hands = self._wanted, self._hands
        for path in files:
            year, kind, size = wanted.year_of(path), wanted.kind, os.path.getsize(path)
            places, there = places_of(path, size, wanted.size, hands.count), os.path.abspath(path)
            if wanted.auto and len(places) > 1:
                kind = hands.submit(told_kind, there, size, wanted.size)
            for start, end in places:
                asked = (there, size, start, end, wanted.size, kind, wanted.auto and len(places) == 1, year)
                yield path, hands.submit(count, *asked)


def places_of(path: str, size: int, chunk: int, workers: int) -> list[tuple[int, int]]:
    """Where stretches begin and end; between two chunks."""
    with open(path, "rb") as file:
        head = file.read(4)
    if compression_of(head) != "none" or is_utf16(head) or size <= chunk:
        return [(0, size)]
    chunks = -(-size // (chunk * workers * _STRETCHES))
    step = chunk * max(1, min(chunks, _MOST_CHUNKS))
    return [(start, min(start + step, size)) for start in range(0, size, step)]


def opened(path: str, size: int, start: int, end: int) -> Opened:
    """On a worker: a stretch of the file that is meant.

    Raises:
        SourceUnavailable: it is not there, or another one is.
    """
    hint = "on a cluster, workers need the same files under the same paths: a folder that all machines share"
    try:
        found = os.stat(path)
        plain = stat.S_ISREG(found.st_mode)
        whole = (start, end) == (0, size)
        file = Opened(path) if whole else Stretch(path, start, end)
    except (OSError, SourceUnavailable) as error:
        told = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceUnavailable(f"A worker cannot read {path}: {told}", hint=hint) from None
    if not plain or found.st_size < size:
        file.close()
        raise SourceUnavailable(f"Another file was found at {path} than when the reading began.", hint=hint)
    return file


def told_kind(path: str, size: int, chunk: int) -> TextFormat | None:
    """On a worker: the format that the first lines have."""
    with closing(opened(path, size, 0, size)) as file:
        return detection.detected(next(blocks_of(file, chunk, Buffers(), LONGEST)))


def count(
    path: str, size: int, start: int, end: int, chunk: int, kind: TextFormat | None, auto: bool, year: int
) -> list[Counted]:
    """On a worker: count a stretch, chunk by chunk."""
    buffers, reader, found = Buffers(), Reader(), list[Counted]()
    with closing(opened(path, size, start, end)) as file:
        for number, block in enumerate(blocks_of(file, chunk, buffers, LONGEST)):
            if auto and number == 0:
                kind = detection.detected(block)
            part = count_block(block, reader) if kind is None else count_text(block, kind, year)
            part.malformed[_SHOWN:] = [(line, b"") for line, _ in part.malformed[_SHOWN:]]
            buffers.give_back(block.buffer)
            block.buffer = bytearray()
            found.append((kind, block, part))
    return found
