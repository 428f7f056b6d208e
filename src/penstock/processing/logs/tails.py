"""Files that are written on, each read by a thread of its own; and their lines, counted block by block."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.core.addresses import Address
from penstock.core.ports.data import Batch, Position, Source
from penstock.engine.addresses import source_at
from penstock.processing.logs import detection
from penstock.processing.logs.access_counts import Part
from penstock.processing.logs.blocks import LONGEST, PAD, SAMPLE, Block
from penstock.processing.logs.opening import year_of
from penstock.processing.logs.text_counts import TextPart
from penstock.processing.logs.text_formats import TextFormat

if TYPE_CHECKING:
    from penstock.processing.logs.analyzer import LogAnalyzer

_AHEAD = 4
_LOOK_SECONDS = 0.1
_ENOUGH = 200
_MOST_WAITING = 4 << 20


@dataclass(frozen=True)
class Piece:
    """What a file has given.

    Attributes:
        file: which one.
        position: where to go on after it.
        block: whole lines; part of one where it is very long.
        line: number of its first line in its file.
        fresh: it begins its file.
        ends: its last line is whole.
        size: bytes that were read.
        gap: what was not read, and is gone.
    """

    file: str
    position: Position
    block: bytes = b""
    line: int = 1
    fresh: bool = False
    ends: bool = True
    size: int = 0
    gap: str = ""


class Tail:
    """How far the lines of one log were counted.

    A line that is too long is malformed, however many pieces it comes in. The format is told by the first lines; until
    that can be done, they wait, and the position stays before them.

    Args:
        file: its path.
        analyzer: how lines are read.
    """

    def __init__(self, file: str, analyzer: LogAnalyzer) -> None:
        self.file = file
        self.kind: TextFormat | None = None
        self.position: Position | None = None
        self._analyzer = analyzer
        self._known = False
        self._cutting = False
        self._waiting = b""
        self._first = 1
        self._ahead: Position | None = None

    def source(self, *, follow: bool) -> Source:
        """What reads it."""
        options = {"format": "blocks", "gaps": "report", "poll_seconds": "0.2", "follow": str(follow).lower()}
        return source_at(Address("tail", self.file, "", options))

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Go on where `kept` was."""
        self.position, self._cutting, self._known = kept["position"], kept["cutting"], kept["known"]
        if self._known:
            self.kind = self._analyzer.kind_named(kept["kind"])

    def kept(self) -> dict[str, Any]:
        """How far it was counted, as JSON."""
        name = self.kind.name if self.kind is not None else detection.ACCESS
        return {"position": self.position, "cutting": self._cutting, "known": self._known, "kind": name}

    def behind(self) -> int:
        """Bytes that are there and were not counted."""
        with self.source(follow=False) as source:
            return source.size(self.position).bytes or 0

    def counted(self, piece: Piece) -> Iterator[tuple[list[bytes], Part | TextPart, int]]:
        """What is in a piece, and what has waited for it.

        Yields:
            How lines begin that are too long, what was counted of the others, and how many lines came before.
        """
        self._ahead = piece.position
        if not piece.block:
            self.position = self.position if self._waiting else piece.position
            return
        block, line, cut = self._without_long_lines(piece)
        if cut:
            yield from self.rest()
        self._first = self._first if self._waiting else line
        self._waiting = self._waiting + block if self._waiting else block
        if cut or self._is_known(self._waiting):
            yield from self._all(cut)
        elif not self._waiting:
            self.position = piece.position

    def rest(self) -> Iterator[tuple[list[bytes], Part | TextPart, int]]:
        """What waits, as nothing more will come."""
        if self._waiting:
            yield from self._all([])

    def _all(self, cut: list[bytes]) -> Iterator[tuple[list[bytes], Part | TextPart, int]]:
        lines, self._waiting, self.position = self._waiting, b"", self._ahead
        block = _block_of(lines)
        if not self._known:
            self.kind = self._analyzer.kind_of(block)
        part = self._analyzer.count(block, self.kind, year_of(self.file))
        self._known = self._known or _is_enough(lines, part)
        yield cut, part, self._first - 1 - len(cut)

    def _is_known(self, waiting: bytes) -> bool:
        """The first lines say what they are: there are many, or most of them mean something."""
        if self._known or not waiting:
            return self._known
        block = _block_of(waiting)
        return _is_enough(waiting, self._analyzer.count(block, self._analyzer.kind_of(block), year_of(self.file)))

    def _without_long_lines(self, piece: Piece) -> tuple[bytes, int, list[bytes]]:
        """The piece without the rest of a line that was too long, or the beginning of one; and how that begins."""
        block, line = piece.block, piece.line
        self._cutting = self._cutting and not piece.fresh
        if self._cutting:
            end = block.find(b"\n")
            if end < 0:
                self._cutting = not piece.ends
                return b"", line, []
            self._cutting = False
            block, line = block[end + 1 :], line + 1
        if not piece.ends and len(block) > LONGEST:
            self._cutting = True
            return b"", line + 1, [block[:SAMPLE]]
        return block, line, []


def _is_enough(lines: bytes, part: Part | TextPart) -> bool:
    return len(lines) > _MOST_WAITING or part.lines >= _ENOUGH or 2 * part.good > part.lines - part.blank


def _block_of(lines: bytes) -> Block:
    end = b"" if lines.endswith(b"\n") or not lines else b"\n"
    buffer = bytearray(PAD)
    buffer += lines + end + bytes(PAD)
    return Block(buffer, PAD, len(buffer) - PAD)


class Tails:
    """Reads several files at once.

    Args:
        tails: what to read, and from where on.
        follow: go on with what comes.

    Attributes:
        ended: nothing more will come.
    """

    def __init__(self, tails: Mapping[str, Tail], *, follow: bool) -> None:
        self._pieces: queue.Queue[Piece | BaseException | None] = queue.Queue(_AHEAD)
        self._closing = threading.Event()
        self._sources = [tail.source(follow=follow) for tail in tails.values()]
        self._left = len(tails)
        self._threads = [
            threading.Thread(target=self._read, args=(tail.file, source, tail.position), name="penstock-tail")
            for tail, source in zip(tails.values(), self._sources, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def ended(self) -> bool:
        """Nothing more will come."""
        return not self._left

    def next(self, seconds: float, stop: threading.Event) -> Piece | None:
        """What was read next; None if nothing came in that time.

        Raises:
            DataError: a file cannot be read.
        """
        left = seconds
        while self._left and not stop.is_set():
            try:
                found = self._pieces.get(timeout=min(left, _LOOK_SECONDS)) if left > 0 else self._pieces.get_nowait()
            except queue.Empty:
                left -= _LOOK_SECONDS
                if left <= 0:
                    return None
                continue
            if isinstance(found, BaseException):
                raise found
            if found is not None:
                return found
            self._left -= 1
        return None

    def close(self) -> None:
        """Stop reading."""
        self._closing.set()
        for source in self._sources:
            source.close()
        for thread in self._threads:
            thread.join()

    def _read(self, file: str, source: Source, position: Position | None) -> None:
        try:
            for batch in source.batches(position):
                for piece in _pieces(file, batch):
                    self._put(piece)
                if self._closing.is_set():
                    return
            self._put(None)
        except BaseException as error:
            self._put(error)

    def _put(self, piece: Piece | BaseException | None) -> None:
        while not self._closing.is_set():
            try:
                self._pieces.put(piece, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
            return


def _pieces(file: str, batch: Batch) -> Iterator[Piece]:
    gap = batch.rejected[0].reason if batch.rejected else ""
    if not batch.parts:
        yield Piece(file, batch.position, gap=gap)
    for part in batch.parts:
        for row in part.rows.to_pylist():
            yield Piece(
                file, batch.position, row["block"], row["line"], row["offset"] == 0, row["ends"], batch.size, gap
            )
