"""A file that grows, as a stream of its lines, through its rotations."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, get_args

from penstock.connectors.files.json_lines import JsonLines
from penstock.connectors.files.options import Schema, format_of, one_of, refuse
from penstock.connectors.files.progress import packed_types, unpacked_types
from penstock.connectors.files.reading import Job, Types, cut
from penstock.connectors.files.rotation import Family, Log, Spot
from penstock.core.errors import BadData, SourceChanged
from penstock.core.packed import Broken
from penstock.core.ports.data import Batch, Part, Place, Position, Rejected, Size, Source
from penstock.core.rows.types import types_of

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

LineFormat = Literal["text", "ndjson", "blocks"]
Gaps = Literal["refuse", "report"]

_LONGEST = 64 << 20
_PIECE = 16 << 20
_HEARTBEAT_SECONDS = 0.5


class Tail(Source):
    """Follows a file that is written on, line by line.

    A line is handed out when its end is there. When the file is renamed and a new one is begun, or when it is copied
    and cut, reading goes on where it was: the rest of the old one first, then those between, then the new one. That
    holds over restarts, too, as long as the old files are there (compressed or not).

    Args:
        path: the file; it may come later.
        format: `text`, where each line is a row; `ndjson`, where each line is an object; `blocks`, where a row has many
            lines as they are (`block`), where they begin (`offset`), and the number of the first (`line`); a line of
            more than 16 MB comes in pieces (`ends` is false but for the last of them). By default what the name says.
        column: of text, the name of the column.
        schema: of NDJSON, types of columns.
        follow: wait for more at the end.
        poll_seconds: how often to look.
        rotate_seconds: for how long an old file must not have been written before the new one is read: some writers go
            on with the old one for a moment.
        gaps: what was not read is gone with its file: `refuse` raises SourceChanged, `report` makes one rejected
            record of it and goes on.
        batch_bytes: about how much makes a batch.

    Raises:
        ConfigurationError: something of this cannot be.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        format: LineFormat | None = None,
        column: str = "line",
        schema: Schema | None = None,
        follow: bool = True,
        poll_seconds: float = 0.5,
        rotate_seconds: float = 2.0,
        gaps: Gaps = "refuse",
        batch_bytes: int = 4 << 20,
    ) -> None:
        self._path = os.fspath(path)
        found = one_of("format", format, (None, *get_args(LineFormat))) + one_of("gaps", gaps, get_args(Gaps))
        found += [] if self._path else [("path", "is empty")]
        found += [] if column else [("column", "is empty")]
        found += [] if poll_seconds > 0 else [("poll_seconds", "is more than 0")]
        found += [] if rotate_seconds >= 0 else [("rotate_seconds", "is not negative")]
        found += [] if batch_bytes >= 1024 else [("batch_bytes", "is 1024 or more")]
        refuse("Tail", found)
        self._format: LineFormat = format or ("ndjson" if format_of(self._path) == "ndjson" else "text")
        self._column, self._schema = column, types_of(schema)
        self._follow, self._poll, self._quiet = follow, poll_seconds, rotate_seconds
        self._gaps, self._batch_bytes = gaps, batch_bytes
        self._family = Family(self._path)
        self._closed = threading.Event()

    def __repr__(self) -> str:
        return f"Tail({self._path!r})"

    @property
    def place(self) -> Place:
        """See `Source.place`."""
        return Place("file", os.path.abspath(self._path))

    def close(self) -> None:
        """Stop waiting for more."""
        self._closed.set()

    def size(self, position: Position | None) -> Size:
        """See `Source.size`: of the file itself."""
        try:
            stat = os.stat(self._path)
        except FileNotFoundError:
            return Size()
        spot = Spot.of(position["spot"]) if position and position.get("spot") else Spot()
        return Size(bytes=max(stat.st_size - (spot.offset if spot.inode == stat.st_ino else 0), 0))

    def batches(self, position: Position | None) -> Iterator[Batch]:
        """See `Source.batches`. While nothing comes, there is a batch without records now and then."""
        self._closed.clear()
        reading = _Tailing(self._family, self._gaps, position)
        types = Types(self._schema, found=unpacked_types(position.get("types") if position else None))
        try:
            while not self._closed.is_set():
                if reading.gap is not None:
                    gap, reading.gap = reading.gap, None
                    yield Batch((), reading.position(types), rejected=(gap,))
                log = reading.log
                if log is not None and (some := self._lines(log)):
                    if not reading.was_cut():
                        yield self._batch(log, some, reading, types)
                    continue
                patience = self._quiet if self._follow else 0.0
                if log is not None and reading.moves_on(patience):
                    if some := self._lines(log):  # it was written on just before it was left
                        yield self._batch(log, some, reading, types)
                        continue
                    if rest := log.rest():
                        yield self._batch(log, rest, reading, types)
                    reading.move_on()
                    continue
                if reading.log is not log or (log is None and reading.begin()):
                    continue
                if not self._follow:
                    break
                yield from self._wait(reading.position(types))
            if not self._follow:
                yield Batch((), reading.position(types), last=True)
        finally:
            reading.close()

    def _wait(self, position: Position) -> Iterator[Batch]:
        left = self._poll
        while left > 0 and not self._closed.is_set():
            yield Batch((), position)
            self._closed.wait(min(left, _HEARTBEAT_SECONDS))
            left -= _HEARTBEAT_SECONDS

    def _lines(self, log: Log) -> bytes:
        try:
            some = log.read(self._batch_bytes, _PIECE if self._format == "blocks" else _LONGEST)
        except Broken as error:
            raise BadData(f"{log.path}:{log.line}@{log.offset}: {error}.") from None
        if not some and self._format == "blocks" and log.begun > _PIECE:
            return log.rest()
        if log.begun > _LONGEST:
            raise BadData(f"{log.path}:{log.line}@{log.offset}: the line is longer than {_LONGEST} bytes.")
        return some

    def _batch(self, log: Log, some: bytes, reading: _Tailing, types: Types) -> Batch:
        offset, line = log.offset, log.line
        ends = self._format != "blocks" or some.endswith(b"\n") or len(some) <= _PIECE
        log.take(some, ends=ends)
        job = Job(io.BytesIO(), log.path, {}, types)
        if self._format == "blocks":
            block = {"block": pa.array([some], pa.large_binary()), "offset": [offset], "line": [line], "ends": [ends]}
            return Batch((Part(pa.table(block)),), reading.position(types), size=len(some))
        if self._format == "ndjson":
            rows, rejected = JsonLines().block_of(job, some, offset, line)
        else:
            rows, rejected = self._texts(job, some, offset, line)
        parts = (Part(rows),) if rows is not None and rows.num_rows else ()
        return Batch(parts, reading.position(types), tuple(rejected), size=len(some))

    def _texts(self, job: Job, some: bytes, offset: int, line: int) -> tuple[pa.Table, list[Rejected]]:
        raws = some.removesuffix(b"\n").split(b"\n")
        texts: list[str] = []
        rejected: list[Rejected] = []
        for number, raw in enumerate(raws, start=line):
            try:
                texts.append(raw.removesuffix(b"\r").decode())
            except UnicodeDecodeError as error:
                why = f"byte {raw[error.start]:#04x} at column {error.start + 1} is no UTF-8"
                rejected.append(Rejected(why, job.where(number, offset), cut(raw)))
            offset += len(raw) + 1
        return pa.table({self._column: pa.array(texts, pa.string())}), rejected


class _Tailing:
    """Which file of the log is read, and how far.

    Attributes:
        log: the file; None while there is none.
        gap: what to tell of something that is gone.
    """

    def __init__(self, family: Family, gaps: Gaps, position: Position | None) -> None:
        self._family, self._gaps = family, gaps
        self.log: Log | None = None
        self.gap: Rejected | None = None
        if position is not None and position.get("tail") != 1:
            hint = "begin anew: let the sink forget the pipe"
            raise SourceChanged("This is no position of a tailing source.", hint=hint)
        said = position.get("spot") if position else None
        self._spot = Spot.of(said) if said else None
        self._quiet_since = (0, 0.0)
        if self._spot is not None:
            self._find(self._spot)

    def close(self) -> None:
        """Let go of the file."""
        if self.log is not None:
            self.log.close()

    def position(self, types: Types) -> dict[str, Any]:
        """Where to go on."""
        if self.log is not None:
            self._spot = self.log.spot
        made: dict[str, Any] = {"tail": 1}
        if self._spot is not None:
            made["spot"] = self._spot.as_json()
        if types.found:
            made["types"] = packed_types(types.found)
        return made

    def begin(self) -> bool:
        """Open the log, if it has come."""
        try:
            self.log = Log(self._family.path)
        except FileNotFoundError:
            return False
        return True

    def _find(self, spot: Spot) -> None:
        self.log = self._family.find(spot)
        if self.log is not None:
            return
        where = f"{self._family.path}@{spot.offset}"
        why = "what came after this byte was not read, and is gone with its file"
        if self._gaps == "refuse":
            raise SourceChanged(
                f"{where}: {why}.", hint="gaps='report' goes on with what is there; keep rotated files for longer"
            )
        self.gap = Rejected(why, where, "")
        self._spot = None

    def was_cut(self) -> bool:
        """The file was written anew; then it is another one that is read now."""
        log = self.log
        if log is None or not log.was_cut():
            return False
        self.log = None
        log.close()
        self._find(log.spot)
        return True

    def moves_on(self, patience: float) -> bool:
        """Nothing more will be written to the file."""
        log = self.log
        if log is None or self.was_cut():
            return False
        try:
            if os.stat(self._family.path).st_ino == log.inode:
                return False
        except FileNotFoundError:
            return False
        modified = log.modified
        if self._quiet_since[0] != modified:
            self._quiet_since = (modified, time.monotonic())
        return patience == 0 or log.packed or time.monotonic() - self._quiet_since[1] >= patience

    def move_on(self) -> None:
        """Go on with the file that was begun when this one was left."""
        log = self.log
        if log is None:
            return
        path = self._family.after(log)
        if path is None:
            return
        try:
            fresh = Log(path)
        except FileNotFoundError:
            return
        if not self._family.follows(fresh, log):  # it was rotated while it was opened
            fresh.close()
            return
        log.close()
        self.log, self._spot = fresh, None
