"""What a sink must do that merges rows, or replaces them."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

from penstock.core.ports.data import Counts
from penstock.testing.sink_landing import SinkDuties, batch, people


class MergeDuties(SinkDuties):
    """One row for a key: the last one."""

    def test_the_last_record_of_a_key_stays(self) -> None:
        with self.opened(mode="merge", keys=["id"]) as landing:
            first = landing.land(batch([*people(1, 2), *people(1, name="Bob")], 1)).counts
            assert first == Counts(3, 2, 1, 0)
            assert landing.land(batch(people(2, 3, name="Cy"), 2)).counts == Counts(2, 2)
        assert sorted(row["name"] for row in self.rows()) == ["Bob 1", "Cy 2", "Cy 3"]

    def test_a_record_without_a_key_is_rejected(self) -> None:
        with self.opened(mode="merge", keys=["id"]) as landing:
            rows = [*people(1), {"id": None, "name": "Nobody"}]
            assert landing.land(batch(rows)).counts == Counts(2, 1, 0, 1)
        assert self.ids() == [1]
        assert "id" in self.rejected()[0].reason

    def test_a_column_that_is_new_in_a_merge(self) -> None:
        with self.opened(mode="merge", keys=["id"]) as landing:
            landing.land(batch(people(1, 2), 1))
            landing.land(batch([{"id": 2, "name": "Bob", "city": "Ulm"}], 2))
        assert [(row["name"], row["city"]) for row in sorted(self.rows(), key=lambda row: row["id"])] == [
            ("Ada 1", None),
            ("Bob", "Ulm"),
        ]

    def test_several_keys(self) -> None:
        with self.opened(mode="merge", keys=["id", "name"]) as landing:
            landing.land(batch([{"id": 1, "name": "a", "n": 1}, {"id": 1, "name": "b", "n": 2}], 1))
            landing.land(batch([{"id": 1, "name": "b", "n": 3}], 2))
        assert sorted((row["name"], row["n"]) for row in self.rows()) == [("a", 1), ("b", 3)]


class ReplaceDuties(SinkDuties):
    """The old rows until the last batch has landed, then the new ones."""

    def test_the_rows_of_one_reading_replace_those_of_the_one_before(self) -> None:
        with self.opened(mode="replace") as landing:
            landing.land(batch(people(1, 2), 1))
            landing.land(batch(people(3), 2, last=True))
        assert self.ids() == [1, 2, 3]
        with self.opened(mode="replace") as landing:
            assert landing.position is None
            landing.land(batch(people(4), 1))
            assert self.ids() == [1, 2, 3]
        with self.opened(mode="replace") as landing:
            assert landing.position == {"next": 1}
            assert self.ids() == [1, 2, 3]
            landing.land(batch(people(5), 2))
            landing.land(batch([], 2, last=True))
        assert self.ids() == [4, 5]

    def test_nothing_replaces_everything(self) -> None:
        with self.opened(mode="replace") as landing:
            landing.land(batch(people(1, 2), 1, last=True))
        with self.opened(mode="replace") as landing:
            landing.land(batch([], 1, last=True))
        assert self.rows() == []

    def test_one_that_was_replaced_does_not_replace_the_table(self) -> None:
        with self.opened(mode="replace") as landing:
            landing.land(batch(people(1), 1, last=True))
        with self.opened(mode="replace") as first:
            first.land(batch(people(2), 1))
            self.opened(mode="replace").close()
            try:
                first.land(batch(people(3), 2, last=True))
            except Exception as error:
                assert type(error).__name__ == "PipeTakenOver"  # noqa: PT017 - the suite does not need pytest
            else:
                raise AssertionError("a process that was replaced has committed")
        assert self.ids() == [1]
