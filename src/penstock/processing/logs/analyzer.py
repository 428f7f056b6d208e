"""Reads logs block by block, several at once, and puts together what each says."""

from __future__ import annotations

import datetime
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

from penstock.core.errors import BadData
from penstock.processing.logs import detection
from penstock.processing.logs.access_blocks import Reader
from penstock.processing.logs.access_counts import Part, Totals, count_block
from penstock.processing.logs.access_frames import access_frame
from penstock.processing.logs.access_report import tell
from penstock.processing.logs.anomalies import Anomaly, Detector, detect
from penstock.processing.logs.blocks import LONGEST, Block, Buffers, blocks_of
from penstock.processing.logs.extras import Frame, pl
from penstock.processing.logs.opening import STDIN, Opened, files_of, total_size
from penstock.processing.logs.report import LogReport, Malformed
from penstock.processing.logs.text_counts import TextPart, TextTotals, count_text, frame_of, tell_text
from penstock.processing.logs.text_formats import TextFormat, custom

CHUNK = 16 << 20
_SAMPLES = 20
_R = TypeVar("_R")
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclass(frozen=True)
class Progress:
    """How far the reading has come.

    Attributes:
        bytes_total: of all files; None where nobody knows.
    """

    lines: int
    malformed: int
    bytes_read: int
    bytes_total: int | None
    seconds: float

    @property
    def fraction(self) -> float | None:
        """Of all bytes."""
        return min(self.bytes_read / self.bytes_total, 1.0) if self.bytes_total else None

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return self.bytes_read / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """As it has gone so far."""
        if self.bytes_total is None or not self.rate:
            return None
        return max(self.bytes_total - self.bytes_read, 0) / self.rate


class LogAnalyzer:
    """Reads logs far larger than memory.

    Args:
        chunk_size: bytes that are looked at together.
        format: `auto` tells each file by its first lines; `access` (also `common`, `combined`, `nginx`), `json`,
            `syslog`, `hdfs`, `spark`, `iso`.
        pattern: a regular expression with groups `time`, `level`, `component`, `message`, instead of a format.
        time_format: how `time` in the pattern is written, as `strftime` says it; ISO 8601 where it is not said.
        workers: how many chunks are looked at at once.
        detector: what finds anomalies in minutes.

    Raises:
        BadData: there is no such format, or the pattern cannot be used.
    """

    def __init__(
        self,
        chunk_size: int = CHUNK,
        format: str = "auto",
        *,
        pattern: str | None = None,
        time_format: str | None = None,
        workers: int | None = None,
        detector: Detector = detect,
    ) -> None:
        if not 1 <= chunk_size <= 1 << 30:
            raise BadData(f"chunk_size={chunk_size} cannot be.", hint="bytes, at most 1 GB; 16 MB is good")
        self._size = chunk_size
        self._workers = workers or min(os.cpu_count() or 1, 8)
        self._detector = detector
        self._auto = format == "auto" and pattern is None
        self._kind: TextFormat | None = None
        if pattern is not None:
            self._kind = custom(pattern, time_format)
        elif not self._auto:
            self._kind = detection.chosen(format)
        self._readers = threading.local()

    def analyze(
        self,
        paths: Paths,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> LogReport:
        """Read everything, and say what is in it.

        Args:
            paths: files, folders, or `-` for standard input.
            on_progress: is told after each chunk.
            stop: once set, the report is of what has been read.

        Raises:
            SourceUnavailable: a file is not there, or cannot be opened.
            BadData: there is no file, or access logs and others are mixed.
        """
        began = time.monotonic()
        files = files_of(paths)
        report, counting = LogReport(files), _Counting()
        size, done = total_size(files), 0
        for path in files:
            for kind, block, part in self._counted(path):
                counting.add(kind, part)
                _account(report, path, block, part, kind)
                report.bytes_read = done + block.read
                report.seconds = time.monotonic() - began
                if block.trouble:
                    report.problems[path] = block.trouble
                if on_progress is not None:
                    progress = (report.lines, report.malformed, report.bytes_read, size, report.seconds)
                    on_progress(Progress(*progress))
                if stop is not None and stop.is_set():
                    break
            done = report.bytes_read
            if stop is not None and stop.is_set():
                break
        counting.tell(report, self._detector)
        report.seconds = time.monotonic() - began
        return report

    def process_logs_stream(self, path: str | os.PathLike[str]) -> Iterator[Frame]:
        """The lines that mean something, as Polars frames, in the order of the file.

        Columns of access logs: `line`, `time`, `client`, `ident`, `user`, `method`, `path`, `query`, `protocol`,
        `status`, `bytes`, `referrer`, `agent`, `seconds`; of others: `line`, `time`, `level`, `component`, `message`.

        Raises:
            SourceUnavailable: the file is not there.
        """
        for name in files_of(path):
            before = 0
            for _, block, (frame, lines) in self._each(name, self._framed):
                before += len(block.cut)
                if len(frame):
                    yield frame.with_columns(pl.col("line") + (before + 1))
                before += lines

    def detect_anomalies(self, frame: Frame) -> list[Anomaly]:
        """Anomalies in lines, as `process_logs_stream` gives them, or in minutes, as a report has them."""
        if "requests" in frame.columns:
            minute = pl.col("time").dt.epoch("s") // 60
            return self._detector(frame.with_columns(minute=minute))
        from penstock.processing.logs.access_frames import minutes_of

        found = minutes_of(frame)
        return self._detector(found) if found is not None else []

    def _reader(self) -> Reader:
        if not hasattr(self._readers, "reader"):
            self._readers.reader = Reader()
        reader: Reader = self._readers.reader
        return reader

    def _counted(self, path: str) -> Iterator[tuple[TextFormat | None, Block, Part | TextPart]]:
        return self._each(path, self._count)

    def _count(self, block: Block, kind: TextFormat | None, year: int) -> Part | TextPart:
        return count_block(block, self._reader()) if kind is None else count_text(block, kind, year)

    def _framed(self, block: Block, kind: TextFormat | None, year: int) -> tuple[Frame, int]:
        if kind is None:
            return access_frame(block, self._reader())
        frame, part = frame_of(block, kind, year)
        times = (pl.col("time") * 1000).cast(pl.Int64).cast(pl.Datetime("ms", "UTC"))
        frame = frame.with_columns(times.alias("time")).select("line", "time", "level", "component", "message")
        return pl.from_arrow(frame.to_arrow(compat_level=pl.CompatLevel.oldest())), part.lines

    def _each(
        self, path: str, work: Callable[[Block, TextFormat | None, int], _R]
    ) -> Iterator[tuple[TextFormat | None, Block, _R]]:
        """Do something with each block of a file, several at once; the results come in the order of the file."""
        buffers, year = Buffers(), _year_of(path)
        waiting: deque[tuple[Block, Future[_R]]] = deque()
        kind = self._kind
        with closing(Opened(path)) as file, ThreadPoolExecutor(self._workers, "penstock-logs") as pool:
            try:
                for number, block in enumerate(blocks_of(file, self._size, buffers, LONGEST)):
                    if number == 0 and self._auto:
                        kind = detection.detected(block)
                    waiting.append((block, pool.submit(work, block, kind, year)))
                    if len(waiting) > self._workers:
                        yield kind, *self._finished(waiting, buffers)
                while waiting:
                    yield kind, *self._finished(waiting, buffers)
            finally:
                for _, future in waiting:
                    future.cancel()

    def _finished(self, waiting: deque[tuple[Block, Future[_R]]], buffers: Buffers) -> tuple[Block, _R]:
        block, future = waiting.popleft()
        result = future.result()
        buffers.give_back(block.buffer)
        return block, result


class _Counting:
    """The totals of the one kind of log that is counted."""

    def __init__(self) -> None:
        self._totals: dict[bool, Any] = {}

    def add(self, kind: TextFormat | None, part: Part | TextPart) -> None:
        is_access = kind is None
        if not part.good:
            return
        if (not is_access) in self._totals:
            raise BadData(
                "Access logs and other logs are counted differently, and here are both.",
                hint="analyse them one after the other",
            )
        if is_access not in self._totals:
            self._totals[is_access] = Totals() if is_access else TextTotals()
        self._totals[is_access].add(part)

    def tell(self, report: LogReport, detector: Detector) -> None:
        if True in self._totals:
            tell(report, self._totals[True], detector)
        elif False in self._totals:
            tell_text(report, self._totals[False], detector)


def _account(report: LogReport, path: str, block: Block, part: Part | TextPart, kind: TextFormat | None) -> None:
    """Where every line of a block has gone."""
    name = kind.name if kind is not None else detection.ACCESS
    first = report.lines_of.get(path)
    if first is None:
        report.formats[name] = report.formats.get(name, 0) + 1
        first = 0
    wrong = [(first + place + 1, text, f"longer than {LONGEST:,} bytes") for place, text in enumerate(block.cut)]
    first += len(block.cut)
    told = f"no line of {'an access' if kind is None else f'a {name}'} log"
    wrong += [(first + line + 1, text, told) for line, text in part.malformed]
    for line, text, reason in wrong[: _SAMPLES - len(report.samples)]:
        report.samples.append(Malformed(path, line, text.decode("utf-8", "backslashreplace"), reason))
    report.lines_of[path] = first + part.lines
    report.lines += len(block.cut) + part.lines
    report.parsed += part.good
    report.malformed += len(wrong)
    report.skipped += part.blank


def _year_of(path: str) -> int:
    """When the file was last changed: the year of times that have none."""
    changed = os.path.getmtime(path) if path != STDIN else time.time()
    return datetime.datetime.fromtimestamp(changed, datetime.UTC).year


def process_large_log(
    path: str | os.PathLike[str], chunk_size: int = CHUNK, *, format: str = "auto"
) -> tuple[Iterator[Frame], Frame]:
    """The lines of a log that say something failed, and how many there were in each hour.

    Args:
        path: the log.
        chunk_size: bytes that are looked at together.
        format: see `LogAnalyzer`.

    Returns:
        Frames of error lines (status 500 and above; levels ERROR and CRITICAL), read while they are asked for; and
        a frame with a row for each hour: `time`, `requests`, `refused`, `failed`, `bytes`, `taken`, `timed`.
    """
    analyzer = LogAnalyzer(chunk_size, format)
    report = analyzer.analyze(path)
    return _errors(analyzer, path), report.hours


def _errors(analyzer: LogAnalyzer, path: str | os.PathLike[str]) -> Iterator[Frame]:
    for frame in analyzer.process_logs_stream(path):
        failed = pl.col("status") >= 500 if "status" in frame.columns else pl.col("level").is_in(["ERROR", "CRITICAL"])
        errors = frame.filter(failed)
        if len(errors):
            yield errors
