"""The conformance suite that every source passes; run it over your own with pytest.

Example:
    class TestMySource(SourceConformance):
        def make_source(self, records):
            self.system = MySystem(records)
            return MySource(self.system)

        def add(self, records):
            self.system.add(records)
"""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from penstock.core.ports.data import Batch, Place, Position, Source
from penstock.data.ingest import ingest
from penstock.testing.data_memory import Memory, MemorySink

Row = dict[str, Any]
NAMES = ("plain", "", "with, comma", 'a "quote"', "two\nlines", "ünïcode ✓", " spaces ", "1.5", "null", "\\N", "=1+1")


def samples(count: int, start: int = 0) -> list[Row]:
    """Records with a key, a text that is not easy, and a number."""
    return [
        {"id": number, "name": NAMES[number % len(NAMES)], "amount": number * 0.25 if number % 4 else -0.5}
        for number in range(start, start + count)
    ]


def rows_in(batches: Sequence[Batch]) -> list[Row]:
    """The rows of all parts, in order."""
    return [row for batch in batches for part in batch.parts for row in part.rows.to_pylist()]


class SourceConformance(ABC):
    """The duties in the docstrings of `penstock.core.ports.data.Source`.

    A subclass provides `make_source`, which fills a new place with records and gives a source that reads it in several
    batches, and `add`, which adds records there. Where a place cannot keep some of the columns or values, `normal` says
    what becomes of a record that was put there, or of a row that was read.

    Attributes:
        count: how many records to read.
        grows: records may be added to the place.
    """

    count = 100
    grows = True

    @abstractmethod
    def make_source(self, records: Sequence[Row]) -> Source:
        """A source that reads these records from a new place, in several batches."""

    @abstractmethod
    def add(self, records: Sequence[Row]) -> None:
        """Put more records into the place of the last source."""

    def normal(self, row: Row) -> Row:
        return {column: row[column] for column in ("id", "name", "amount")}

    def same(self, rows: Sequence[Row], records: Sequence[Row]) -> None:
        def ordered(those: Sequence[Row]) -> list[Row]:
            return sorted(map(self.normal, those), key=lambda row: row["id"])

        assert ordered(rows) == ordered(records)

    def test_every_record_is_handed_out_once(self) -> None:
        records = samples(self.count)
        with self.make_source(records) as source:
            batches = list(source.batches(None))
        self.same(rows_in(batches), records)
        assert sum(batch.read for batch in batches) == self.count
        assert len(batches) > 2, "the suite needs a source that is read in several batches"
        assert [batch.last for batch in batches] == [False] * (len(batches) - 1) + [True]

    def test_from_each_position_the_rest_is_handed_out(self) -> None:
        records = samples(self.count)
        with self.make_source(records) as source:
            batches = list(source.batches(None))
            for place, batch in enumerate(batches):
                position: Position = json.loads(json.dumps(batch.position))
                self.same(rows_in(list(source.batches(position))), rows_in(batches[place + 1 :]))

    def test_the_order_grows_and_is_the_same_again(self) -> None:
        with self.make_source(samples(self.count)) as source:
            batches = list(source.batches(None))
            orders = [batch.order for batch in batches if batch.order is not None]
            assert orders in ([], [batch.order for batch in batches])
            assert orders == sorted(set(orders))
            if orders:
                again = [batch.order for batch in source.batches(batches[0].position)]
                assert again == orders[1:]

    def test_an_iterator_that_is_left_half_read_disturbs_nothing(self) -> None:
        records = samples(self.count)
        with self.make_source(records) as source:
            for taken in (1, 2):
                reading = source.batches(None)
                for _ in range(taken):
                    next(reading)
                getattr(reading, "close", lambda: None)()
            self.same(rows_in(list(source.batches(None))), records)

    def test_after_the_last_position_comes_what_was_added(self) -> None:
        with self.make_source(samples(self.count)) as source:
            batches = list(source.batches(None))
            last = batches[-1].position
            nothing = list(source.batches(last))
            assert rows_in(nothing) == []
            assert [batch.last for batch in nothing] == [True]
            if not self.grows:
                return
            more = samples(7, start=self.count)
            self.add(more)
            self.same(rows_in(list(source.batches(last))), more)

    def test_a_pipe_that_is_stopped_again_and_again_lands_each_record_once(self) -> None:
        records, memory = samples(self.count), Memory()
        with self.make_source(records) as source:
            for limit in (1, 1, 2, 1, 3, 1 << 30):
                ingest(_Cut(source, limit), MemorySink(memory), name="pipe")
        self.same(memory.tables["rows"], records)

    def test_nothing_is_there_yet(self) -> None:
        with self.make_source([]) as source:
            batches = list(source.batches(None))
            assert rows_in(batches) == []
            assert [batch.last for batch in batches] == [True]

    def test_the_place_has_a_name(self) -> None:
        with self.make_source(samples(3)) as source:
            assert source.place.namespace
            assert source.place.name
            assert source.place == source.place

    def test_the_size_is_no_lie(self) -> None:
        records = samples(self.count)
        with self.make_source(records) as source:
            size = source.size(None)
            assert size.rows is None or size.rows == self.count
            assert size.bytes is None or size.bytes > 0


class _Cut(Source):
    """Another source, of which only so many batches are read."""

    def __init__(self, source: Source, batches: int) -> None:
        self._source, self._most = source, batches

    @property
    def place(self) -> Place:
        return self._source.place

    def batches(self, position: Position | None) -> Iterator[Batch]:
        reading = self._source.batches(position)
        yield from itertools.islice(reading, self._most)
        getattr(reading, "close", lambda: None)()
