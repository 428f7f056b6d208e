"""Reads logs block by block, several at once, and puts together what each says."""

from __future__ import annotations

import datetime
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from penstock.core.errors import BadData
from penstock.core.ports.data import Sink
from penstock.processing.logs import detection, over_dask, over_processes
from penstock.processing.logs.access_blocks import Reader
from penstock.processing.logs.access_counts import Part, Totals, count_block
from penstock.processing.logs.access_frames import access_frame
from penstock.processing.logs.anomalies import Anomaly, Detector, detect
from penstock.processing.logs.blocks import LONGEST, Block, Buffers, blocks_of
from penstock.processing.logs.counting import Counting
from penstock.processing.logs.extras import Frame, pl
from penstock.processing.logs.lines import RAW
from penstock.processing.logs.opening import Opened, files_of, total_size, year_of
from penstock.processing.logs.progress import Progress
from penstock.processing.logs.report import LogReport
from penstock.processing.logs.stretches import Counted, Hands, Spread, Wanted
from penstock.processing.logs.text_counts import TextPart, TextTotals, count_text, fill, frame_of
from penstock.processing.logs.text_formats import TextFormat, custom

if TYPE_CHECKING:
    from penstock.processing.logs.following import Following, Interval

CHUNK = 8 << 20
_LARGEST = 64 << 20
"""Sums of a chunk fit into their places; more of it at once would not be faster."""

_R = TypeVar("_R")
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


class LogAnalyzer:
    """Reads logs far larger than memory.

    Args:
        chunk_size: bytes that are looked at together; 64 MB at most, whatever is asked for.
        format: `auto` tells each file by its first lines; `access` (also `common`, `combined`, `nginx`), `json`,
            `syslog`, `hdfs`, `spark`, `iso`.
        pattern: a regular expression with groups `time`, `level`, `component`, `message`, instead of a format.
        time_format: how `time` in the pattern is written, as `strftime` says it; ISO 8601 where it is not said.
        workers: how many chunks are looked at at once.
        detector: what finds anomalies in minutes.
        new_since: templates of errors that were met first at this time or later are new; by default in the last tenth
            of the log.
        engine: `local`, or `dask` to have `analyze` count on the workers of a cluster.
        scheduler: of Dask: its address, such as `tcp://10.0.0.5:8786`, or a `distributed.Client`.

    Raises:
        BadData: there is no such format or engine, or the pattern cannot be used.
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
        new_since: datetime.datetime | None = None,
        engine: str = "local",
        scheduler: Any = None,
    ) -> None:
        if not 1 <= chunk_size <= 1 << 30:
            raise BadData(f"chunk_size={chunk_size} cannot be.", hint="bytes, at most 1 GB; 8 MB is good")
        self._size = min(chunk_size, _LARGEST)
        self._workers = workers or min(os.cpu_count() or 1, 8)
        self._detector = detector
        self._new_since = new_since if new_since is None or new_since.tzinfo else new_since.replace(tzinfo=datetime.UTC)
        self._scheduler = over_dask.scheduler_of(engine, scheduler)
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
        report = LogReport(files)
        counting = self.counting(report)
        size, done = total_size(files), 0
        with self._counted(files) as counted:
            for path in files:
                for kind, block, part in counted(path):
                    counting.add(path, block.cut, part, kind)
                    report.bytes_read = done + block.read
                    report.seconds = time.monotonic() - began
                    if block.trouble:
                        report.problems[path] = block.trouble
                    if on_progress is not None:
                        on_progress(Progress.of(report, size))
                    if stop is not None and stop.is_set():
                        break
                done = report.bytes_read
                if stop is not None and stop.is_set():
                    break
        report = counting.told()
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
            for _, block, (frame, lines) in self.each(name, self._framed):
                before += len(block.cut)
                if len(frame):
                    yield frame.with_columns(pl.col("line") + (before + 1))
                before += lines

    def write(
        self,
        paths: Paths,
        out: str | os.PathLike[str] | Sink,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> LogReport:
        """Read everything, write the lines, and say what is in them; `written` of the report tells what became of them.

        In a folder they are Parquet files, parted by day and hour (UTC); a log that is written again replaces what it
        was. In a table, only those land that are not there yet. Malformed lines are kept apart, with their numbers.

        Args:
            paths: files, folders, or `-` for standard input.
            out: a folder, the address of a table (`lake:raw/access`), or a sink.
            on_progress: is told after each chunk.
            stop: once set, nothing more is read; what a folder has of the file at hand stays as it was.

        Raises:
            SourceUnavailable: a file is not there, or cannot be opened.
            SinkUnavailable: nothing can be written there.
            BadData: there is no file, two are the same log, or were brought in differently before.
        """
        from penstock.processing.logs.writing import write

        return write(self, files_of(paths), out, on_progress, stop)

    def follow(self, paths: Paths, **options: Unpack[Following]) -> Generator[Interval, None, None]:
        """Read logs on and on while they are written, through their rotations; see `following.follow`."""
        from penstock.processing.logs.following import follow

        return follow(self, paths, **options)

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
            self._readers.reader = Reader(sample=RAW)
        reader: Reader = self._readers.reader
        return reader

    @contextmanager
    def _counted(self, files: list[str]) -> Iterator[Callable[[str], Iterator[Counted]]]:
        hands: Hands
        if self._scheduler is not None:
            hands = over_dask.Cluster(self._scheduler, files)
        elif self._workers > 1 and over_processes.worth(files):
            hands = over_processes.Helpers(self._workers)
        else:
            yield lambda path: self.each(path, self.count)
            return
        with Spread(hands, files, Wanted(self._size, self._kind, self._auto, year_of)) as spread:
            yield spread.counted

    def counting(self, report: LogReport, totals: Totals | TextTotals | None = None) -> Counting:
        """An account of what is read, that goes on with what was counted before."""
        return Counting(report, self._detector, self._new_since, totals)

    @property
    def how(self) -> str:
        """How lines are read, in words that are the same for the same way."""
        return "auto" if self._auto else detection.ACCESS if self._kind is None else repr(self._kind)

    def kind_named(self, name: str) -> TextFormat | None:
        """The format of that name, as `kind_of` told it."""
        return self._kind if not self._auto else detection.chosen(name)

    def kind_of(self, block: Block) -> TextFormat | None:
        """The format that was asked for, or what the first lines say; None for an access log."""
        return detection.detected(block) if self._auto else self._kind

    def count(self, block: Block, kind: TextFormat | None, year: int) -> Part | TextPart:
        """Read a block, and count what is in it."""
        return count_block(block, self._reader()) if kind is None else count_text(block, kind, year)

    def counted_and_framed(self, block: Block, kind: TextFormat | None, year: int) -> tuple[Frame, Part | TextPart]:
        """Read a block: its lines as a frame, with numbers from 0, and what was counted of them."""
        if kind is None:
            reader = self._reader()
            return access_frame(block, reader)[0], count_block(block, reader)
        frame, part = frame_of(block, kind, year, RAW)
        fill(part, frame)
        return _shaped(frame), part

    def _framed(self, block: Block, kind: TextFormat | None, year: int) -> tuple[Frame, int]:
        if kind is None:
            return access_frame(block, self._reader())
        frame, part = frame_of(block, kind, year)
        return _shaped(frame), part.lines

    def each(
        self, path: str, work: Callable[[Block, TextFormat | None, int], _R]
    ) -> Iterator[tuple[TextFormat | None, Block, _R]]:
        """Do something with each block of a file, several at once; the results come in the order of the file."""
        buffers, year = Buffers(), year_of(path)
        waiting: deque[tuple[Block, Future[_R]]] = deque()
        kind = self._kind
        with closing(Opened(path)) as file, ThreadPoolExecutor(self._workers, "penstock-logs") as pool:
            try:
                for number, block in enumerate(blocks_of(file, self._size, buffers, LONGEST)):
                    if number == 0:
                        kind = self.kind_of(block)
                    waiting.append((block, pool.submit(work, block, kind, year)))
                    if len(waiting) > self._workers + 1:  # one waits, so that nobody waits for it
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


def _shaped(frame: Frame) -> Frame:
    """In memory of its own, and with times."""
    times = (pl.col("time") * 1000).cast(pl.Int64).cast(pl.Datetime("ms", "UTC"))
    frame = frame.with_columns(times.alias("time")).select("line", "time", "level", "component", "message")
    return pl.from_arrow(frame.to_arrow(compat_level=pl.CompatLevel.oldest()))


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
