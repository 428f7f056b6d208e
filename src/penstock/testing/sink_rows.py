"""What a sink must do with rows of every kind."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

import datetime
import decimal
from typing import Any

from penstock.core.ports.data import Batch, Counts, Part
from penstock.testing.data_memory import table_of
from penstock.testing.sink_landing import Row, SinkDuties, batch, people

_UTC = datetime.UTC
_AT = datetime.datetime(2024, 2, 29, 23, 59, 59, 123456)
_ROWS: list[dict[str, Any]] = [
    {
        "id": 1,
        "whole": -(1 << 63),
        "half": 0.1 + 0.2,
        "truth": True,
        "text": "ünï ✓ \n\t'\"\\",
        "day": datetime.date(1969, 7, 20),
        "at": _AT.replace(tzinfo=_UTC),
        "local": _AT,
        "price": decimal.Decimal("12345678901234.5678"),
        "data": bytes(range(256)),
    },
    {"id": 2} | dict.fromkeys(("whole", "half", "truth", "text", "day", "at", "local", "price", "data")),
    {
        "id": 3,
        "whole": (1 << 63) - 1,
        "half": -1e300,
        "truth": False,
        "text": "",
        "day": datetime.date(9999, 12, 31),
        "at": datetime.datetime(1900, 1, 1, tzinfo=_UTC),
        "local": datetime.datetime(2038, 1, 19, 3, 14, 8),
        "price": decimal.Decimal("-0.0001"),
        "data": b"",
    },
]


class RowDuties(SinkDuties):
    """Values come back as they were; what does not fit is rejected; a table may grow.

    Attributes:
        kinds: the columns of the sample rows that the sink can keep.
        nested: it keeps structs and lists, as such or as JSON that comes back as the same Python values.
    """

    kinds: tuple[str, ...] = ("id", "whole", "half", "truth", "text", "day", "at", "local", "price", "data")
    nested = True

    def test_values_come_back_as_they_were(self) -> None:
        rows = [{kind: row[kind] for kind in self.kinds} for row in _ROWS]
        with self.opened() as landing:
            landing.land(batch(rows))
        assert sorted(self.rows(), key=lambda row: row["id"]) == rows

    def test_nested_values_come_back_as_they_were(self) -> None:
        if not self.nested:
            return
        rows: list[Row] = [
            {"id": 1, "tags": ["a", "b"], "who": {"name": "Ada", "born": 1815}},
            {"id": 2, "tags": [], "who": {"name": None, "born": None}},
            {"id": 3, "tags": None, "who": None},
        ]
        with self.opened() as landing:
            landing.land(batch(rows))
        assert sorted(self.rows(), key=lambda row: row["id"]) == rows

    def test_a_new_column_is_added(self) -> None:
        with self.opened() as landing:
            landing.land(batch(people(1), 1))
            landing.land(batch([{"id": 2, "name": "Bob", "city": "Ulm"}], 2))
            landing.land(batch([{"name": "Cy", "id": 3}], 3))
        found = sorted(self.rows(), key=lambda row: row["id"])
        assert [(row["id"], row["name"], row["city"]) for row in found] == [
            (1, "Ada 1", None),
            (2, "Bob", "Ulm"),
            (3, "Cy", None),
        ]

    def test_a_value_that_does_not_fit_is_rejected_and_the_others_land(self) -> None:
        with self.opened() as landing:
            landing.land(batch([{"id": 1, "amount": 5}], 1))
            rows: list[Row] = [{"id": "2", "amount": "7"}, {"id": "3", "amount": "seven"}, {"id": "4", "amount": None}]
            assert landing.land(batch(rows, 2)).counts == Counts(3, 2, 0, 1)
        assert sorted((row["id"], row["amount"]) for row in self.rows() if row["amount"] is not None) == [
            (1, 5),
            (2, 7),
        ]
        (bad,) = self.rejected()
        assert "amount" in bad.reason
        assert "seven" in bad.reason + bad.raw

    def test_names_are_only_names(self) -> None:
        names = ["select", 'a "b"', "c'; DROP TABLE rows; --", "ünï", "with space", "UPPER", "1st", "x.y"]
        row = {"id": 1} | {name: f"in {name}" for name in names}
        with self.opened() as landing:
            landing.land(batch([row], 1))
            landing.land(batch([row | {"id": 2, "new; --": 1}], 2))
        found = sorted(self.rows(), key=lambda one: one["id"])
        assert [{name: one[name] for name in row} for one in found] == [row, row | {"id": 2}]
        assert [one["new; --"] for one in found] == [None, 1]

    def test_a_batch_of_several_parts_is_one(self) -> None:
        with self.opened() as landing:
            parts = (Part(table_of(people(1, 2))), Part(table_of([{"id": 3}])))
            assert landing.land(Batch(parts=parts, position={"next": 1})).counts == Counts(3, 3)
        assert self.ids() == [1, 2, 3]

    def test_many_rows_in_many_batches(self) -> None:
        with self.opened() as landing:
            for number in range(20):
                landing.land(batch(people(*range(number * 500, number * 500 + 500)), number + 1))
            assert landing.counts == Counts(10_000, 10_000)
        assert self.ids() == list(range(10_000))
