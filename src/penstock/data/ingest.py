"""Bringing data in: what a source hands out is committed by a sink, batch by batch, each record once."""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from penstock.core.errors import ConfigurationError, Unbalanced
from penstock.core.ports.data import Batch, Counts, Landed, Position, Sink, Size, Source
from penstock.data.recording import Recording

_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it has come.

    Attributes:
        pipe: its name.
        counts: what became of the records that were read this time.
        batches: commits made this time.
        bytes_read: bytes read from the source this time.
        bytes_written: bytes written to the sink this time, where that is known.
        total: what there was to read at the beginning, as far as the source can tell.
        seconds: since the beginning.
        version: of the dataset, where it has versions.
        done: everything has been read and committed, or it was told to stop.
    """

    pipe: str
    counts: Counts = field(default_factory=Counts)
    batches: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    total: Size = field(default_factory=Size)
    seconds: float = 0.0
    version: str = ""
    done: bool = False

    @property
    def rows_per_second(self) -> float:
        """Records read for each second."""
        return self.counts.read / self.seconds if self.seconds else 0.0

    @property
    def fraction(self) -> float | None:
        """How much of it is done, from 0 to 1; None where the source cannot tell, or was wrong."""
        for all_, done in ((self.total.bytes, self.bytes_read), (self.total.rows, self.counts.read)):
            if all_:
                return done / all_ if done <= all_ else None
        return None

    @property
    def seconds_left(self) -> float | None:
        """How long it will take at the speed so far; None where that cannot be told."""
        done = self.fraction
        return self.seconds * (1 - done) / done if done else None

    def after(self, batch: Batch, landed: Landed, seconds: float) -> Progress:
        """The progress when this batch has landed."""
        return replace(
            self,
            counts=self.counts + landed.counts,
            batches=self.batches + 1,
            bytes_read=self.bytes_read + batch.size,
            bytes_written=self.bytes_written + landed.written,
            seconds=seconds,
            version=landed.version or self.version,
        )


OnProgress: TypeAlias = Callable[[Progress], object]


def ingest(
    source: Source,
    sink: Sink,
    *,
    name: str | None = None,
    ahead: int = 2,
    restart: bool = False,
    stop: threading.Event | None = None,
    on_progress: OnProgress | None = None,
) -> Progress:
    """Bring everything that a source has, and that has not landed yet, into a sink.

    Killed at any moment and called again, it goes on where the last commit left off: each record lands once. The next
    batches are read while one is committed. In a run, and where the sink is a `Dataset`, what was read and written is
    recorded in the journal.

    Args:
        source: where from. One that follows is read until `stop` is set.
        sink: where to.
        name: names the pipe: how far it has come is kept in the sink under this name. By default it is made of what is
            read and what is written, so that the same two are the same pipe.
        ahead: how many batches may wait to be committed.
        restart: forget how far the pipe has come, and read everything again. What has landed stays.
        stop: when set, what has been read so far is committed, and that is the end.
        on_progress: called after each commit, in this thread.

    Returns:
        What became of the records; `counts.read == counts.landed + counts.superseded + counts.rejected`.

    Raises:
        ConfigurationError: `ahead` is less than one.
        SourceUnavailable, SourceChanged, BadData: by the source, when all before has been committed.
        SinkUnavailable, SchemaRefused, PipeTakenOver: by the sink; what was committed before stays.
        Unbalanced: the sink's counts are not those of the batch, which is a defect of one of the two.
    """
    if ahead < 1:
        raise ConfigurationError(f"ahead={ahead} leaves no room for a batch.", hint="ahead is 1 or more")
    pipe = name or f"{source.place} -> {sink.place}"
    stopping = stop or threading.Event()
    began = time.monotonic()
    if restart:
        sink.forget(pipe)
    recording = Recording(source.place, sink, pipe)
    with sink.open(pipe) as landing:
        progress = Progress(pipe, total=source.size(landing.position))
        try:
            with closing(_read_ahead(source, landing.position, ahead, stopping)) as batches:
                for batch in batches:
                    landed = landing.land(batch)
                    if not landed.counts.balanced or landed.counts.read != batch.read:
                        raise Unbalanced(f"{pipe}: a batch of {batch.read} records was committed as {landed.counts}.")
                    source.landed(batch.position)
                    progress = progress.after(batch, landed, time.monotonic() - began)
                    recording.add(batch, landed)
                    if on_progress is not None:
                        on_progress(progress)
        finally:
            recording.tell()
    progress = replace(progress, seconds=time.monotonic() - began, done=True)
    if on_progress is not None:
        on_progress(progress)
    return progress


def _read_ahead(
    source: Source, position: Position | None, ahead: int, stop: threading.Event
) -> Generator[Batch, None, None]:
    """The source's batches, read by another thread; its error comes when all before it have been taken."""
    ready: queue.Queue[Batch | None] = queue.Queue(ahead)
    over = threading.Event()
    errors: list[BaseException] = []

    def put(item: Batch | None) -> bool:
        while not over.is_set():
            try:
                ready.put(item, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def read() -> None:
        here = position
        reading: Iterator[Batch] | None = None
        try:
            reading = source.batches(position)
            for batch in reading:
                says_something = batch.parts or batch.rejected or batch.last or batch.position != here
                here = batch.position
                if says_something and not put(batch):
                    return
                if stop.is_set() or over.is_set():
                    return
        except BaseException as error:
            errors.append(error)
        finally:
            try:
                if isinstance(reading, Generator):
                    reading.close()
            except BaseException as error:
                errors.append(error)
            put(None)

    context = contextvars.copy_context()
    reader = threading.Thread(target=context.run, args=(read,), name="penstock-source", daemon=True)
    reader.start()
    interrupted = False
    try:
        while True:
            try:
                batch = ready.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if stop.is_set() and not interrupted:  # it may wait for minutes, for what is then not wanted
                    interrupted = True
                    source.interrupt()
                continue
            if batch is None:
                break
            yield batch
    finally:
        over.set()
        if reader.is_alive():
            source.interrupt()
        reader.join()
    if errors and not interrupted:
        raise errors[0]
