"""What a sink must do with a batch and its position."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from penstock.core.errors import PipeTakenOver
from penstock.core.ports.data import Batch, Counts, Landing, Part, Rejected, Sink
from penstock.testing.data_memory import table_of

Row = dict[str, Any]
POSITION = {
    "text": 'ünï "✓" \\ \n',
    "number": 1 << 60,
    "half": 0.5,
    "none": None,
    "list": [1, [2, {"x": True}]],
    "": {},
}


def batch(rows: Sequence[Row], number: int = 1, **more: Any) -> Batch:
    """A batch of rows to add, the `number`th of its source."""
    return Batch(parts=(Part(table_of(rows)),) if rows else (), position={"next": number}, order=number, **more)


def people(*ids: int, name: str = "Ada") -> list[Row]:
    """Rows with a key and a text."""
    return [{"id": number, "name": f"{name} {number}"} for number in ids]


class SinkDuties(ABC):
    """What a subclass provides."""

    @abstractmethod
    def make_sink(self, **options: Any) -> Sink:
        """The sink, over what the test has written so far."""

    @abstractmethod
    def rows(self, table: str = "rows") -> list[Row]:
        """All that is in a table."""

    @abstractmethod
    def rejected(self, table: str = "rows") -> list[Rejected]:
        """All that is in quarantine."""

    def opened(self, pipe: str = "pipe", **options: Any) -> Landing:
        return self.make_sink(**options).open(pipe)

    def ids(self, table: str = "rows") -> list[int]:
        return sorted(row["id"] for row in self.rows(table))


class LandingDuties(SinkDuties):
    """Rows and position go together; one process at a time."""

    def test_a_new_pipe_has_no_position(self) -> None:
        with self.opened() as landing:
            assert landing.position is None
            assert landing.counts == Counts()

    def test_rows_position_and_counts_land_together(self) -> None:
        with self.opened() as landing:
            landed = landing.land(batch(people(1, 2), 1))
            assert (landed.counts, landing.counts, landing.position) == (Counts(2, 2), Counts(2, 2), {"next": 1})
            assert landing.land(batch(people(3), 2)).counts == Counts(1, 1)
        assert sorted(self.rows(), key=lambda row: row["id"]) == people(1, 2, 3)
        with self.opened() as again:
            assert (again.position, again.counts) == ({"next": 2}, Counts(3, 3))
            again.land(batch(people(4), 3))
        assert self.ids() == [1, 2, 3, 4]

    def test_a_position_comes_back_as_it_was(self) -> None:
        with self.opened() as landing:
            landing.land(Batch(parts=(Part(table_of(people(1))),), position=POSITION))
        with self.opened() as again:
            assert again.position == POSITION

    def test_a_position_may_move_without_rows(self) -> None:
        with self.opened() as landing:
            landing.land(batch(people(1), 1))
            assert landing.land(batch([], 2)).counts == Counts()
        with self.opened() as again:
            assert again.position == {"next": 2}
        assert self.ids() == [1]

    def test_the_first_batch_may_be_empty(self) -> None:
        with self.opened() as landing:
            landing.land(batch([], 1))
            landing.land(Batch(parts=(Part(table_of(people(1)).slice(0, 0)),), position={"next": 2}, order=2))
            landing.land(batch(people(1), 3))
        assert self.ids() == [1]

    def test_rejected_records_are_kept_with_the_reason_and_the_place(self) -> None:
        bad = (
            Rejected("there are 3 fields, not 2", "a.csv:17", 'x,"y\nz",\u2713'),
            Rejected("no number", "a.csv:18", ""),
        )
        with self.opened() as landing:
            assert landing.land(batch(people(1), 1, rejected=bad)).counts == Counts(3, 1, 0, 2)
            landing.land(batch([], 2, rejected=bad[:1]))
            assert landing.counts == Counts(4, 1, 0, 3)
        found = sorted((one.where, one.reason, one.raw) for one in self.rejected())
        assert found == sorted((one.where, one.reason, one.raw) for one in (*bad, bad[0]))
        assert self.ids() == [1]

    def test_what_the_source_superseded_is_counted(self) -> None:
        with self.opened() as landing:
            assert landing.land(batch(people(1), 1, superseded=4)).counts == Counts(5, 1, 4, 0)

    def test_whoever_opens_it_last_goes_on_with_it(self) -> None:
        with self.opened() as first:
            first.land(batch(people(1), 1))
            with self.opened() as second:
                self._refused(first, batch(people(2), 2))
                assert self.ids() == [1]
                second.land(batch(people(2), 2))
                self._refused(first, batch(people(3), 3))
        assert self.ids() == [1, 2]
        with self.opened() as third:
            assert (third.position, third.counts) == ({"next": 2}, Counts(2, 2))

    def test_one_that_was_opened_but_never_used_takes_over_too(self) -> None:
        with self.opened() as first:
            self.opened().close()
            self._refused(first, batch(people(1), 1))

    @staticmethod
    def _refused(landing: Landing, late: Batch) -> None:
        try:
            landing.land(late)
        except PipeTakenOver:
            return
        raise AssertionError("a process that was replaced has committed")

    def test_pipes_know_nothing_of_each_other(self) -> None:
        with self.opened("one") as one, self.opened('another "pipe" -> ✓/..') as another:
            one.land(batch(people(1), 1))
            another.land(batch(people(2), 7))
            one.land(batch(people(3), 2))
        with self.opened('another "pipe" -> ✓/..') as again:
            assert (again.position, again.counts) == ({"next": 7}, Counts(1, 1))
        assert self.ids() == [1, 2, 3]

    def test_a_pipe_that_was_forgotten_begins_anew(self) -> None:
        with self.opened() as landing:
            landing.land(batch(people(1), 1))
        self.make_sink().forget("pipe")
        self.make_sink().forget("no such pipe")
        with self.opened() as again:
            assert (again.position, again.counts) == (None, Counts())
            again.land(batch(people(2), 1))
        assert self.ids() == [1, 2]

    def test_a_pipe_that_is_forgotten_while_it_is_open_has_ended(self) -> None:
        with self.opened() as landing:
            landing.land(batch(people(1), 1))
            self.make_sink().forget("pipe")
            self._refused(landing, batch(people(2), 2))
        assert self.ids() == [1]

    def test_the_place_has_a_name(self) -> None:
        place = self.make_sink().place
        assert place.namespace
        assert place.name
        assert place == self.make_sink().place
