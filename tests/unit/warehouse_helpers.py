"""What the helpers of every warehouse must do: single rows, models, events, queries."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import enum
import random
import uuid
from contextlib import closing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import pyarrow as pa
import pytest

from penstock.core.errors import ConfigurationError, DataError, SchemaRefused
from penstock.core.ports.data import Batch, Counts, Part
from penstock.stores.warehouse import Event, Warehouse
from penstock.testing.data_memory import table_of

UTC = datetime.UTC
_LETTERS = "\"'`;-$1?%.:\\ \n\t/*[]{}()ünß✓\U0001f600aA"


class Helped:
    warehouse: Warehouse


class RecordDuties(Helped):
    """Create, read, update and delete."""

    @pytest.fixture
    def people(self, system: None) -> Any:
        rows = [{"id": n, "name": f"Ada {n}", "born": 1800 + n, "extra": {"n": n}} for n in range(1, 6)]
        with self.warehouse.table("processed_data.people").open("pipe") as landing:
            landing.land(Batch((Part(table_of(rows)),), {}))
        return self.warehouse.records("processed_data.people")

    def test_rows_are_read_by_what_they_hold(self, people: Any) -> None:
        def ids(where: Any = None, **more: Any) -> list[int]:
            return [row["id"] for row in people.read(where, **{"order_by": ["id"], **more})]

        assert ids() == [1, 2, 3, 4, 5]
        assert ids({"name": "Ada 2"}) == [2]
        assert ids({"id": [1, 4, 9]}) == [1, 4]
        assert ids({"id": []}) == []
        assert ids({"born": (">=", 1804), "id": ("<>", 5)}) == [4]
        assert ids({"name": ("like", "%3")}) == [3]
        assert ids({"name": None}) == []
        assert ids(order_by=["-id"], limit=2) == [5, 4]
        assert people.read({"id": 1}, columns=["extra", "id"]) == [{"extra": {"n": 1}, "id": 1}]

    def test_rows_are_created_changed_and_deleted(self, people: Any) -> None:
        assert people.create([{"id": 6, "name": "Bob", "extra": {"new": ["x", None]}}, {"id": 7}]) == 2
        assert people.update({"id": 7}, {"name": "Cy", "extra": {"a": 1.5}}) == 1
        assert people.update({"id": [1, 2, 3]}, {"born": None}) == 3
        assert people.delete({"born": None, "id": ("<", 3)}) == 2
        found = people.read({"id": (">", 5)}, order_by=["id"])
        assert [(row["name"], row["born"], row["extra"]) for row in found] == [
            ("Bob", None, {"new": ["x", None]}),
            ("Cy", None, {"a": 1.5}),
        ]

    def test_for_async_code(self, people: Any) -> None:
        async def all_of_them() -> list[Any]:
            await people.acreate({"id": 8, "name": "Dee"})
            await people.aupdate({"id": 8}, {"name": "Eve"})
            found = await people.aread({"id": 8}, columns=["name"])
            count = await people.adelete({"id": 8})
            return [found, count, (await self.warehouse.aread("SELECT 1 AS one")).to_pylist()]

        assert asyncio.run(all_of_them()) == [[{"name": "Eve"}], 1, [{"one": 1}]]

    def test_mistakes_are_told(self, people: Any) -> None:
        with pytest.raises(ConfigurationError, match="without a condition"):
            people.delete({})
        with pytest.raises(ConfigurationError, match="no column 'nobody'"):
            people.read({"nobody": 1})
        with pytest.raises(ConfigurationError, match="no comparison"):
            people.read({"id": ("; DROP TABLE people; --", 1)})
        with pytest.raises(ConfigurationError, match="no column"):
            people.read(order_by=["id; DROP TABLE people"])
        with pytest.raises(DataError, match="There is no table"):
            self.warehouse.records("processed_data.nobody").read()

    def test_all_or_none_are_created(self, people: Any) -> None:
        with pytest.raises(SchemaRefused):
            people.create([{"id": 9}, {"id": "nine"}])
        assert people.read({"id": 9}) == []

    @pytest.mark.parametrize("seed", range(4))
    def test_names_and_values_are_never_statements(self, seed: int) -> None:
        dice = random.Random(seed)
        schema, table, column, value = ("".join(dice.choices(_LETTERS, k=dice.randrange(1, 9))) for _ in range(4))
        name = (f'"; DROP TABLE x; --{schema}', f"'; DROP TABLE x; --{table}")
        key, other = f'$1 ?"%s{column}', f"it's {column}"
        with self.warehouse.table(name, mode="merge", keys=[key]).open("pipe") as landing:
            rows = [{key: value, other: value}]
            landing.land(Batch((Part(table_of(rows)),), {}))
            landing.land(Batch((Part(table_of(rows), "", "upsert"),), {}))
        records = self.warehouse.records(name)
        assert records.update({key: value}, {other: f"{value}'"}) >= 1
        assert records.read({key: value, other: f"{value}'"}) == [{key: value, other: f"{value}'"}]
        assert records.delete({other: f"{value}'"}) == 1
        with self.warehouse.table(name, mode="merge", keys=[key]).open("pipe") as landing:
            assert landing.land(Batch((Part(table_of([{key: value}]), "", "delete"),), {})).counts == Counts(1, 1)
        self.warehouse.table(name).forget("pipe")


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Order:
    id: int
    at: datetime.datetime
    total: Annotated[decimal.Decimal, (12, 2)]
    lines: list[dict[str, Any]]
    tags: list[str]
    colour: Colour | None = None
    size: Literal["S", "L"] = "S"
    key: uuid.UUID | None = None


class OrderStruct(msgspec.Struct):
    id: int
    note: str | None = None
    done: bool = False


class ModelDuties(Helped):
    """A class declares a table."""

    def types(self, table: str = "processed_data.orders") -> dict[str, str]:
        schema, name = table.split(".")
        sql = (
            "SELECT column_name, is_nullable FROM information_schema.columns "
            "WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position"
        )
        return {row["column_name"]: row["is_nullable"] for row in self.warehouse.read(sql, [schema, name]).to_pylist()}

    def test_a_table_is_made_and_then_is_as_it_should_be(self) -> None:
        shown = self.warehouse.migrate(Order, "processed_data.orders", keys=["id"], dry_run=True)
        assert (shown.changes, shown.applied) == (("make the table processed_data.orders",), False)
        assert self.types() == {}
        assert self.warehouse.migrate(Order, "processed_data.orders", keys=["id"]).applied
        assert self.types() == dict.fromkeys(["id", "at", "total", "lines", "tags"], "NO") | {
            "colour": "YES",
            "size": "NO",
            "key": "YES",
        }
        assert not self.warehouse.migrate(Order, "processed_data.orders", keys=["id"])
        moment = datetime.datetime(2024, 1, 1, tzinfo=UTC)
        row = {"id": 1, "at": moment, "total": decimal.Decimal("1.50"), "lines": [{"sku": "x"}], "tags": ["a", "b"]}
        orders = self.warehouse.records("processed_data.orders")
        orders.create(row)
        assert orders.read() == [{**row, "colour": None, "size": "S", "key": None}]

    def test_columns_are_added_and_widened(self) -> None:
        self.warehouse.execute("CREATE SCHEMA processed_data")
        self.warehouse.execute("CREATE TABLE processed_data.orders (id integer NOT NULL, extra text NOT NULL)")
        self.warehouse.execute("INSERT INTO processed_data.orders VALUES (1, 'x')")
        done = self.warehouse.migrate(OrderStruct, "processed_data.orders")
        assert [change.split()[:2] for change in done.changes][:3] == [["widen", "id"], ["add", "the"], ["add", "the"]]
        self.warehouse.records("processed_data.orders").create({"id": 1 << 40, "extra": "y"})
        assert [row["done"] for row in self.warehouse.records("processed_data.orders").read()] == [False, False]
        assert not self.warehouse.migrate(OrderStruct, "processed_data.orders")

    def test_what_would_lose_something_is_refused_and_nothing_is_done(self) -> None:
        self.warehouse.execute("CREATE SCHEMA processed_data")
        self.warehouse.execute("CREATE TABLE processed_data.orders (id text, note text, done bigint)")
        self.warehouse.execute("INSERT INTO processed_data.orders VALUES (NULL, 'x', 2)")

        @dataclass
        class Wanted:
            id: int
            done: bool
            needed: str

        with pytest.raises(SchemaRefused) as told:
            self.warehouse.migrate(Wanted, "processed_data.orders")
        assert all(f"\n  {name}:" in told.value.message for name in ("id", "done", "needed"))
        assert list(self.types()) == ["id", "note", "done"]

    def test_mistakes_in_a_model(self) -> None:
        @dataclass
        class Wrong:
            a: int | str
            b: object

        with pytest.raises(ConfigurationError) as told:
            self.warehouse.migrate(Wrong, "processed_data.orders")
        assert all(f"\n  {name}:" in told.value.message for name in "ab")
        with pytest.raises(ConfigurationError, match="declares no table"):
            self.warehouse.migrate(int, "processed_data.orders")


class EventDuties(Helped):
    """`analytics.fact_events`."""

    def test_events_are_kept_once(self) -> None:
        noon = datetime.datetime(2024, 1, 1, 12, tzinfo=UTC)
        placed = Event("order_placed", {"total": 5.5, "lines": [{"sku": "x"}]}, "customer-1", noon, "e1")
        events = self.warehouse.events
        assert events.record(placed, Event("order_paid", occurred_at=noon.replace(hour=13), event_id="e2")) == 2
        assert events.record(placed) == 0
        assert [row["event_id"] for row in events.read()] == ["e1", "e2"]
        assert [row["event_id"] for row in events.read(since=noon.replace(hour=13))] == ["e2"]
        (found,) = events.read("order_placed", subject="customer-1")
        assert found["properties"] == {"total": 5.5, "lines": [{"sku": "x"}]}
        with pytest.raises(ConfigurationError, match="no time zone"):
            events.record(Event("late", occurred_at=datetime.datetime(2024, 1, 1)))

    def test_events_come_through_a_pipe_too(self) -> None:
        row = {"event_id": "e1", "event_name": "seen", "occurred_at": datetime.datetime(2024, 1, 1, tzinfo=UTC)}
        row |= {"properties": {"page": 1}}
        with self.warehouse.events.sink().open("pipe") as landing:
            landing.land(Batch((Part(table_of([row])),), {"n": 1}))
            assert landing.land(Batch((Part(table_of([row])),), {"n": 2})).counts == Counts(1, 1)
        assert [one["properties"] for one in self.warehouse.events.read()] == [{"page": 1}]


class ReadingDuties(Helped):
    """Queries."""

    def test_a_query_with_values(self) -> None:
        found = self.warehouse.read("SELECT CAST($1 AS bigint) + 1 AS n, CAST($2 AS text) AS t", [1, "it's $1"])
        assert found.to_pylist() == [{"n": 2, "t": "it's $1"}]

    def test_a_stream_has_at_least_one_batch(self) -> None:
        self.fill(2_500)
        sizes = [b.num_rows for b in self.warehouse.stream("SELECT * FROM raw_data.rows", batch_rows=1_000)]
        assert sum(sizes) == 2_500
        assert len(sizes) > 1
        (none,) = self.warehouse.stream("SELECT id FROM raw_data.rows WHERE id < 0")
        assert (none.num_rows, none.schema.names) == (0, ["id"])
        with closing(self.warehouse.stream("SELECT * FROM raw_data.rows", batch_rows=10)) as stream:
            next(stream)
        assert self.warehouse.read("SELECT count(*) AS n FROM raw_data.rows").to_pylist() == [{"n": 2_500}]

    def fill(self, rows: int) -> None:
        with self.warehouse.table("raw_data.rows").open("pipe") as landing:
            landing.land(Batch((Part(pa.table({"id": range(rows)})),), {}))

    def test_mistakes_in_a_query_are_told(self) -> None:
        with pytest.raises(DataError, match="nowhere"):
            self.warehouse.read("SELECT * FROM nowhere")
        with pytest.raises(DataError):
            self.warehouse.read("SELEKT 1")
        with pytest.raises(SchemaRefused):
            self.warehouse.read("SELECT CAST('x' AS integer)")
        assert self.warehouse.read("SELECT 1 AS n").to_pylist() == [{"n": 1}]

    def test_indexes_and_statistics(self) -> None:
        self.fill(3)
        name = self.warehouse.index("raw_data.rows", ["id"], unique=True)
        assert self.warehouse.index("raw_data.rows", ["id"], unique=True) == name
        self.warehouse.analyze("raw_data.rows")
        with pytest.raises(SchemaRefused):
            self.warehouse.records("raw_data.rows").create({"id": 1})

    def test_large_loads_are_analyzed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("penstock.stores.warehouse.landing._ANALYZE_ROWS", 10)
        analyzed: list[str] = []
        kind = type(self.warehouse._database)
        real = kind.analyze
        monkeypatch.setattr(kind, "analyze", lambda *a: (analyzed.append(str(a[2])), real(*a)))
        with self.warehouse.table("raw_data.rows").open("pipe") as landing:
            for number in range(8):
                landing.land(Batch((Part(pa.table({"id": range(5)})),), {"n": number}))
        assert analyzed == ["raw_data.rows"] * 2

    def test_nothing_tells_the_password(self) -> None:
        assert "secret" not in repr(self.warehouse) + str(self.warehouse.table("raw_data.rows").place)
