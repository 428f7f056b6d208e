"""What a sink must do with the changes of a table elsewhere."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.core.ports.data import Batch, Counts, How, Part
from penstock.testing.data_memory import table_of
from penstock.testing.sink_landing import SinkDuties, people


def changes(number: int, *parts: tuple[How, Sequence[dict[str, Any]]], table: str = "") -> Batch:
    """A batch of changes, the `number`th of its source."""
    made = tuple(Part(table_of(rows) if rows else table_of([{"id": 0}]).slice(0, 0), table, how) for how, rows in parts)
    return Batch(parts=made, position={"lsn": number}, order=number)


class ChangeDuties(SinkDuties):
    """Upserts, deletes and truncations, in the order of the parts.

    Attributes:
        several: parts may name tables; `rows(table)` reads them.
    """

    several = False

    def test_changes_are_carried_out_in_order(self) -> None:
        with self.opened(mode="merge", keys=["id"]) as landing:
            landing.land(changes(1, ("upsert", people(1, 2, 3))))
            second = changes(2, ("delete", [{"id": 1}]), ("upsert", people(2, 4, name="Bob")))
            assert landing.land(second).counts == Counts(3, 3)
        assert sorted(row["name"] for row in self.rows()) == ["Ada 3", "Bob 2", "Bob 4"]

    def test_columns_that_an_upsert_does_not_have_stay(self) -> None:
        with self.opened(mode="merge", keys=["id"]) as landing:
            landing.land(changes(1, ("upsert", [{"id": 1, "name": "Ada", "essay": "long"}])))
            landing.land(changes(2, ("upsert", [{"id": 1, "name": "Bob"}, {"id": 2, "name": "Cy"}])))
        found = sorted((row["id"], row["name"], row["essay"]) for row in self.rows())
        assert found == [(1, "Bob", "long"), (2, "Cy", None)]

    def test_a_null_is_a_value(self) -> None:
        with self.opened(mode="merge", keys=["id"]) as landing:
            landing.land(changes(1, ("upsert", [{"id": 1, "name": "Ada"}])))
            landing.land(changes(2, ("upsert", [{"id": 1, "name": None}])))
        assert [row["name"] for row in self.rows()] == [None]

    def test_what_is_not_there_can_be_deleted(self) -> None:
        with self.opened(mode="merge", keys=["id"]) as landing:
            landing.land(changes(1, ("upsert", people(1))))
            assert landing.land(changes(2, ("delete", [{"id": 9}]))).counts == Counts(1, 1)
        assert self.ids() == [1]

    def test_a_table_that_is_emptied_and_filled_again(self) -> None:
        with self.opened(mode="merge", keys=["id"]) as landing:
            landing.land(changes(1, ("upsert", people(1, 2))))
            assert landing.land(changes(2, ("truncate", []), ("upsert", people(3)))).counts == Counts(1, 1)
        assert self.ids() == [3]

    def test_a_key_that_is_deleted_and_comes_back(self) -> None:
        with self.opened(mode="merge", keys=["id"]) as landing:
            landing.land(changes(1, ("upsert", people(1))))
            landing.land(changes(2, ("delete", [{"id": 1}])))
            landing.land(changes(3, ("upsert", people(1, name="Bob"))))
        assert [row["name"] for row in self.rows()] == ["Bob 1"]

    def test_a_batch_may_be_about_several_tables(self) -> None:
        if not self.several:
            return
        with self.opened(mode="merge", keys=["id"]) as landing:
            one, two = changes(1, ("upsert", people(1)), table="one"), changes(1, ("upsert", people(2)), table="two")
            landing.land(Batch(parts=(*one.parts, *two.parts), position={"lsn": 1}, order=1))
            landing.land(changes(2, ("delete", [{"id": 2}]), table="two"))
        assert (self.ids("one"), self.ids("two")) == ([1], [])
        with self.opened(mode="merge", keys=["id"]) as again:
            assert (again.position, again.counts) == ({"lsn": 2}, Counts(3, 3))
