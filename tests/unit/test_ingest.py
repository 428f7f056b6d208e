"""The pipe itself: what a source hands out lands once, whatever stops it; the counts balance."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from penstock.core.errors import ConfigurationError, PipeTakenOver, SourceUnavailable, Unbalanced
from penstock.core.ports.data import Batch, Counts, Landed, Landing, Place, Position, Rejected, Size, Source
from penstock.data import Progress, ingest
from penstock.testing import (
    ChangesConformance,
    Memory,
    MemorySink,
    MemorySource,
    SinkConformance,
    SourceConformance,
)

RECORDS = [{"id": number} for number in range(10)]


class TestMemorySource(SourceConformance):
    def make_source(self, records: Sequence[dict[str, Any]]) -> Source:
        self.source = MemorySource(records, rows=9)
        return self.source

    def add(self, records: Sequence[dict[str, Any]]) -> None:
        self.source.records.extend(records)


class Kept:
    @pytest.fixture(autouse=True)
    def memory(self) -> None:
        self.shared = Memory()

    def make_sink(self, *, mode: str = "append", keys: Sequence[str] = ()) -> MemorySink:
        return MemorySink(self.shared, keys=keys)

    def rows(self, table: str = "rows") -> list[dict[str, Any]]:
        rows = self.shared.tables.get(table, [])
        names = dict.fromkeys(name for row in rows for name in row)
        return [{name: row.get(name) for name in names} for row in rows]

    def rejected(self, table: str = "rows") -> list[Rejected]:
        return self.shared.rejected


class TestMemorySink(Kept, SinkConformance):
    test_a_value_that_does_not_fit_is_rejected_and_the_others_land = None  # type: ignore[assignment] # it has no types


class TestChangesInMemory(Kept, ChangesConformance):
    several = True


class Following(Source):
    """Hands out one record after another for ever."""

    def __init__(self) -> None:
        self.closed = False

    @property
    def place(self) -> Place:
        return Place("memory", "stream")

    def batches(self, position: Position | None) -> Iterator[Batch]:
        number = position["next"] if position else 0
        try:
            while True:
                yield from MemorySource([{"id": number}]).batches(None)
                number += 1
                yield Batch((), {"next": number})
        finally:
            self.closed = True


def ids(sink: MemorySink) -> list[int]:
    return [row["id"] for row in sink.memory.tables.get("rows", [])]


def test_everything_lands_and_the_source_is_told() -> None:
    source, sink, seen = MemorySource(RECORDS), MemorySink(), list[Progress]()
    done = ingest(source, sink, on_progress=seen.append)
    assert ids(sink) == list(range(10))
    assert done.counts == Counts(10, 10)
    assert source.told == {"next": 10}
    assert [one.counts.read for one in seen] == [3, 6, 9, 10, 10]
    assert [one.done for one in seen] == [False] * 4 + [True]
    assert [one.fraction for one in seen] == [0.3, 0.6, 0.9, 1.0, 1.0]
    assert (done.batches, done.total) == (4, Size(rows=10))


def test_a_second_time_only_what_is_new() -> None:
    source, sink = MemorySource(RECORDS), MemorySink()
    ingest(source, sink)
    assert ingest(source, sink).counts == Counts()
    source.records += [{"id": 10}]
    assert ingest(source, sink).counts == Counts(1, 1)
    assert ids(sink) == list(range(11))


def test_a_restart_reads_everything_again() -> None:
    source, sink = MemorySource(RECORDS), MemorySink(keys=["id"])
    ingest(source, sink)
    assert ingest(source, sink, restart=True).counts == Counts(10, 10)
    assert ids(sink) == list(range(10))


def test_what_came_before_an_error_of_the_source_lands() -> None:
    class Broken(MemorySource):
        def batches(self, position: Position | None) -> Iterator[Batch]:
            for number, batch in enumerate(super().batches(position)):
                if number == 2:
                    raise SourceUnavailable("it went away")
                yield batch

    sink = MemorySink()
    with pytest.raises(SourceUnavailable, match="it went away"):
        ingest(Broken(RECORDS), sink, name="pipe")
    assert ids(sink) == list(range(6))
    ingest(MemorySource(RECORDS), sink, name="pipe")
    assert ids(sink) == list(range(10))


def test_an_error_of_the_sink_ends_the_reading() -> None:
    class Full(MemorySink):
        def open(self, pipe: str) -> Landing:
            landing = super().open(pipe)
            super().open(pipe)
            return landing

    source = Following()
    with pytest.raises(PipeTakenOver):
        ingest(source, Full())
    assert source.closed
    assert not [thread for thread in threading.enumerate() if thread.name == "penstock-source"]


def test_a_source_that_follows_is_read_until_it_is_told_to_stop() -> None:
    source, sink, stop = Following(), MemorySink(), threading.Event()

    def look(progress: Progress) -> None:
        if progress.counts.landed >= 5:
            stop.set()

    done = ingest(source, sink, stop=stop, on_progress=look)
    assert done.done
    assert done.counts.landed >= 5
    assert source.closed


def test_a_sink_that_loses_a_row_is_found_out() -> None:
    class Leaky(MemorySink):
        def open(self, pipe: str) -> Landing:
            landing = super().open(pipe)
            whole = landing.land
            landing.land = lambda batch: Landed(whole(batch).counts + Counts(-1, -1))  # type: ignore[method-assign]
            return landing

    with pytest.raises(Unbalanced, match="a batch of 3 records was committed as"):
        ingest(MemorySource(RECORDS), Leaky())


def test_rejected_records_are_counted() -> None:
    bad = Rejected("no id", "records:2", "{}")
    sink = MemorySink()
    done = ingest(MemorySource([RECORDS[0], bad, RECORDS[1]], rows=2), sink)
    assert done.counts == Counts(3, 2, 0, 1)
    assert sink.memory.rejected == [bad]


def test_no_room_for_a_batch() -> None:
    with pytest.raises(ConfigurationError, match="ahead=0"):
        ingest(MemorySource([]), MemorySink(), ahead=0)


def test_an_interrupted_landing_closes_the_source() -> None:
    source = Following()

    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(source, MemorySink(), on_progress=interrupt)
    assert source.closed
