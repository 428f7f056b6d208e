"""Parsed lines as Parquet files in a folder, or as rows of any table that records can be brought into."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.addresses import FILES, Address, parsed
from penstock.core.errors import BadData
from penstock.core.packed import compression_of
from penstock.core.ports.data import Batch, Counts, Part, Place, Position, Rejected, Sink
from penstock.engine import datasets
from penstock.engine.addresses import sink_at
from penstock.processing.logs.counting import Counting
from penstock.processing.logs.extras import pl
from penstock.processing.logs.folder import Folder
from penstock.processing.logs.lines import Identity, Lines, distinct, lines_of
from penstock.processing.logs.opening import STDIN, total_size
from penstock.processing.logs.progress import Progress
from penstock.processing.logs.report import LogReport, Written

if TYPE_CHECKING:
    from penstock.processing.logs.analyzer import LogAnalyzer

_PIPE = "logs"


class Pass:
    """One reading of files, in which lines are written and counted.

    Args:
        analyzer: how lines are read.
        files: which.
        on_progress: is told after each block.
        stop: once set, nothing more is read.
    """

    def __init__(
        self,
        analyzer: LogAnalyzer,
        files: list[str],
        on_progress: Callable[[Progress], None] | None,
        stop: threading.Event | None,
    ) -> None:
        self.files = files
        self.identities = distinct(files)
        self.counting: Counting = analyzer.counting(LogReport(files))
        self._analyzer = analyzer
        self._on_progress = on_progress
        self._stop = stop
        self._size, self._done = total_size(files), 0
        self._began = time.monotonic()

    @property
    def stopped(self) -> bool:
        """Nothing more is to be read."""
        return self._stop is not None and self._stop.is_set()

    def lines(self, file: str) -> Iterator[Lines]:
        """The lines of a file."""
        report = self.counting.report
        for each in lines_of(self._analyzer, file, self.counting):
            report.bytes_read = self._done + each.read
            report.seconds = time.monotonic() - self._began
            if each.trouble:
                report.problems[file] = each.trouble
            if self._on_progress is not None:
                self._on_progress(Progress.of(report, self._size))
            yield each
            if self.stopped:
                break
        self._done = report.bytes_read

    def told(self, written: Written) -> LogReport:
        """The report."""
        report = self.counting.told()
        report.written = written
        report.seconds = time.monotonic() - self._began
        return report


def into_folder(done: Pass, path: str | os.PathLike[str]) -> Written:
    """Write Parquet files; what a log was before is replaced. Of a log that was not read to its end nothing is."""
    written = Written(str(path))
    with closing(Folder(path)) as folder:
        for file in done.files:
            try:
                with folder.replacing(file, done.identities[file]) as parts:
                    for lines in done.lines(file):
                        parts.add(lines)
                    if done.stopped:
                        raise _Stopped
            except _Stopped:
                break
            written.rows += parts.rows
            written.malformed += parts.wrong
            written.files += len(parts.written)
            written.bytes += parts.size
    return written


class _Stopped(Exception):
    """Nothing of this file is written."""


def into_sink(done: Pass, sink: Sink, how: str) -> Written:
    """Bring lines into a table that are not there yet; they, and how far they go, are one commit."""
    written = Written(str(sink.place))
    landed = Counts()
    with sink.open(_PIPE) as landing:
        known = _Known(landing.position, how)
        for file in done.files:
            entry = known.entry(file, done.identities[file])
            for lines in _finished(file, done.lines(file), written):
                fresh = lines.frame.filter(pl.col("line") > entry["lines"])
                wrong = [each for each in lines.wrong if each.line > entry["lines"]]
                written.before += len(lines.frame) + len(lines.wrong) - len(fresh) - len(wrong)
                if lines.last <= entry["lines"]:
                    continue
                entry["lines"] = lines.last
                rows = fresh.with_columns(pl.lit(file).alias("file"), pl.col("time").dt.date().alias("day"))
                parts = (Part(rows.to_arrow(compat_level=pl.CompatLevel.oldest())),) if len(rows) else ()
                rejected = tuple(Rejected(each.reason, f"{file}:{each.line}", each.text) for each in wrong)
                landed += landing.land(Batch(parts, known.position(), rejected)).counts
            if done.stopped:
                break
    written.rows, written.malformed = landed.landed, landed.rejected
    if landed.read:
        inputs = [Place("file", os.path.abspath(file)) for file in done.files if file != STDIN]
        datasets.wrote(datasets.journal_here(), sink.place, datasets.Written(landed, pipe=_PIPE, inputs=inputs))
    return written


def _finished(file: str, blocks: Iterator[Lines], written: Written) -> Iterator[Lines]:
    """What can land for good: a last line without its end may be half of one, and waits for the next time."""
    held: Lines | None = None
    for lines in blocks:
        if held is not None:
            yield held
        held = lines
    if held is None:
        return
    if held.trouble or _ended(file, held.read):
        yield held
        return
    wrong = [each for each in held.wrong if each.line < held.last]
    frame = held.frame.filter(pl.col("line") < held.last)
    written.unfinished += len(held.frame) + len(held.wrong) - len(frame) - len(wrong)
    yield replace(held, frame=frame, wrong=wrong, last=held.last - 1)


def _ended(file: str, read: int) -> bool:
    """Whether what was read of a file ends with the end of a line; of what does not grow it does not matter."""
    if file == STDIN or not read:
        return True
    with open(file, "rb") as stream:
        if compression_of(stream.read(4)) != "none":
            return True
        stream.seek(read - 1)
        return stream.read(1) == b"\n"


class _Known:
    """How many lines of each log are in a table."""

    def __init__(self, position: Position | None, how: str) -> None:
        self._how = how
        self._logs: list[dict[str, Any]] = [dict(each) for each in position["logs"]] if position is not None else []
        if position is not None and position["how"] != how:
            raise BadData(
                f"Logs were brought in here as {position['how']} before, and not as {how}.",
                hint="read them as before, or bring them into another table",
            )

    def entry(self, file: str, identity: Identity) -> dict[str, Any]:
        for each in self._logs:
            if file != STDIN and self._is(each, file):
                return each
        made = {"head": identity.head, "known": identity.known, "lines": 0, "file": os.path.abspath(file)}
        if file != STDIN:
            self._logs.append(made)
        return made

    @staticmethod
    def _is(entry: dict[str, Any], file: str) -> bool:
        """A short log is known by all that it has, with which another may begin: then it must have been moved, too."""
        identity = Identity(entry["head"], entry["known"])
        if not identity.fits(file):
            return False
        if identity.whole or entry["file"] == os.path.abspath(file):
            return True
        return not (os.path.exists(entry["file"]) and identity.fits(entry["file"]))

    def position(self) -> Position:
        return {"logs": [dict(each) for each in self._logs], "how": self._how}


def write(
    analyzer: LogAnalyzer,
    files: list[str],
    out: str | os.PathLike[str] | Sink,
    on_progress: Callable[[Progress], None] | None,
    stop: threading.Event | None,
) -> LogReport:
    """See `LogAnalyzer.write`."""
    done = Pass(analyzer, files, on_progress, stop)
    if isinstance(out, Sink):
        return done.told(into_sink(done, out, analyzer.how))
    address = parsed(os.fspath(out)) if isinstance(out, str) else Address(FILES, os.fspath(out))
    if address.scheme in (FILES, "file"):
        return done.told(into_folder(done, Path(address.rest)))
    sink = sink_at(os.fspath(out), {"partition_by": "day"} if address.scheme == "lake" else None)
    return done.told(into_sink(done, sink, analyzer.how))
