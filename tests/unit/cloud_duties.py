"""What the warehouse must do in a cloud, where transactions are deferred; run over the stand-ins of the services."""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.warehouse_duties import TypeDuties, adding, batch
from tests.unit.warehouse_helpers import EventDuties, RecordDuties

from penstock.core.errors import ConfigurationError, DataError, PipeTakenOver, SchemaRefused, SinkUnavailable
from penstock.core.ports.data import Counts, Part, Rejected, Sink, Source
from penstock.data import ingest
from penstock.stores.warehouse import Warehouse, WarehouseTable
from penstock.stores.warehouse.cloud import CloudSession
from penstock.testing import MemorySource
from penstock.testing.data_memory import table_of

UTC = datetime.UTC
_SHAPES = re.compile(r"\s*(CREATE|ALTER|DROP|PUT|COPY)\b")


class Killed(BaseException):
    """The process is dead from here on."""


class _Killer:
    """Every call of a session asks whether it is still alive."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: type[CloudSession], kill_at: int, late: bool) -> None:
        self.calls = 0
        self.dead = False

        def watched(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                self.calls += 1
                self.dead = self.dead or (self.calls == kill_at and not late)
                if self.dead:
                    raise Killed
                done = real(*args, **kwargs)
                self.dead = self.calls >= kill_at > 0 and late
                if self.dead:
                    raise Killed
                return done

            return call

        for name in ("execute", "rows", "load", "described"):
            monkeypatch.setattr(kind, name, watched(getattr(kind, name)))
        if kind.__name__ == "BigQuerySession":  # its commits are no calls of execute
            monkeypatch.setattr(kind, "commit", watched(kind.commit))


class CloudDuties(TypeDuties, RecordDuties, EventDuties):
    """Attributes:
    site: the stand-in.
    conflict: what it answers to a statement that another one is in the way of.
    begins: what the first statement of a transaction begins with.
    ends: what the last one begins with; empty where all of them are one script.
    """

    site: Any
    conflict: tuple[Any, Any, str]
    begins: str
    ends: str
    test_names_and_values_are_never_statements = None  # the characters of names are each service's own

    def test_uuids(self) -> None:
        """There is no type for them: they are text."""
        rows = pa.table({"id": [1, 2], "u": pa.array([b"\0" * 15 + b"\1", None], pa.uuid())})
        self.land(self.warehouse.table("raw_data.rows"), adding(rows))
        assert [row["u"] for row in self.read(order_by=["id"])] == ["00000000-0000-0000-0000-000000000001", None]

    def counted(self, table: str = "raw_data.rows") -> int:
        return len(self.read(table))

    def tables(self) -> list[str]:
        return [name.lower() for name in self.site.house.tables("raw_data")]

    def test_tables_are_made_before_a_transaction_and_not_in_it(self) -> None:
        sink = self.warehouse.table("raw_data.rows", mode="merge", keys=["id"])
        wide = adding([{"id": 1, "n": 2, "more": "x"}], 2, rejected=(Rejected("bad", "here", "raw"),))
        self.land(sink, adding([{"id": 1, "n": 1}]), wide)
        inside = False
        begun = 0
        for sql in self.site.log:
            if sql.startswith(self.begins):
                begun += 1
                inside = bool(self.ends)
                assert self.ends or not any(_SHAPES.match(line) for line in sql.splitlines())
            elif inside and sql == self.ends:
                inside = False
            assert not (inside and _SHAPES.match(sql)), sql
        assert begun == 2
        assert self.tables() == ["penstock_pipes", "rows", "rows__rejected"]

    def test_one_that_is_taken_over_in_the_middle_commits_nothing(self) -> None:
        sink = self.warehouse.table("raw_data.rows")
        with sink.open("pipe") as first:
            first.land(adding([{"id": 1}]))
            opened: list[Any] = []

            def refuse(sql: str) -> None:
                if sql.startswith(self.begins) and not opened:
                    opened.append(None)
                    opened[0] = sink.open("pipe")

            self.site.refuse = refuse
            with pytest.raises(PipeTakenOver):
                first.land(adding([{"id": 2}], 2))
            (second,) = opened
            assert (second.position, second.counts) == ({"next": 1}, Counts(1, 1))
            second.land(adding([{"id": 3}], 2))
        assert sorted(row["id"] for row in self.read()) == [1, 3]

    def test_a_conflict_is_tried_again(self) -> None:
        left = [self.conflict, self.conflict]

        def refuse(sql: str) -> Any:
            return (
                left.pop() if left and "INSERT INTO" in sql and "rows" in sql and "penstock_pipes" not in sql else None
            )

        def refuse_script(sql: str) -> Any:
            return left.pop() if left and sql.startswith(self.begins) else None

        self.site.refuse = refuse if self.ends else refuse_script
        assert self.land(self.warehouse.table("raw_data.rows"), adding([{"id": 1}])) == [Counts(1, 1)]
        assert left == []
        assert self.read() == [{"id": 1}]

    def test_a_conflict_that_never_ends_is_told(self) -> None:
        with self.warehouse.table("raw_data.rows").open("pipe") as landing:
            landing.land(adding([{"id": 1}]))
            self.site.refuse = lambda sql: self.conflict if "INSERT INTO" in sql else None
            with pytest.raises(SinkUnavailable, match="all the time"):
                landing.land(adding([{"id": 2}], 2))

    def test_what_the_service_refuses_takes_its_batch_with_it_and_nothing_else(self) -> None:
        self.warehouse.execute("CREATE SCHEMA raw_data")
        self.warehouse.execute("CREATE TABLE raw_data.rows (id bigint, needed varchar(9) NOT NULL)")
        sink = self.warehouse.table("raw_data.rows")
        with sink.open("pipe") as landing:
            with pytest.raises(SchemaRefused):
                landing.land(adding([{"id": 1}]))
            landing.land(adding([{"id": 2, "needed": "yes"}], 2))
        assert [row["needed"] for row in self.read()] == ["yes"]

    def test_numbers_get_more_digits(self) -> None:
        sink = self.warehouse.table("raw_data.rows")
        giant = pa.table({"n": pa.array([(1 << 64) - 1], pa.uint64())})
        counts = self.land(sink, adding([{"n": 1}]), adding(giant, 2))
        assert counts == [Counts(1, 1)] * 2
        assert sorted(row["n"] for row in self.read()) == [1, (1 << 64) - 1]

    def test_and_become_nothing_else(self) -> None:
        sink = self.warehouse.table("raw_data.rows")
        assert self.land(sink, adding([{"n": 1}]), adding([{"n": 0.5}, {"n": 2.0}], 2))[1] == Counts(2, 1, 0, 1)
        assert sorted(row["n"] for row in self.read()) == [1, 2]

    def test_a_replacement_goes_on_where_another_process_was_taken_over(self) -> None:
        sink = self.warehouse.table("raw_data.rows", mode="replace")
        self.land(sink, adding([{"id": 9}], last=True))
        with sink.open("pipe") as first:
            first.land(adding([{"id": 1}]))
            with sink.open("pipe") as second:
                assert second.position == {"next": 1}
                second.land(adding([{"id": 2}], 2))
                with pytest.raises(PipeTakenOver):
                    first.land(adding([{"id": 3}], 2))
                assert [row["id"] for row in self.read()] == [9]
                second.land(adding([{"id": 4}], 3, last=True))
        assert sorted(row["id"] for row in self.read()) == [1, 2, 4]
        assert self.tables() == ["penstock_pipes", "rows"]

    def test_nothing_is_left_of_a_replacement_that_was_forgotten(self) -> None:
        sink = self.warehouse.table("raw_data.rows", mode="replace")
        self.land(sink, adding([{"id": 1}]))
        assert len(self.tables()) == 2
        sink.forget("pipe")
        assert self.tables() == ["penstock_pipes"]
        self.land(sink, adding([{"id": 1}], 7))
        self.land(self.warehouse.table("raw_data.rows"), adding([{"id": 2}], 8))
        assert self.tables() == ["penstock_pipes", "rows"]

    def test_several_tables_are_one_commit(self) -> None:
        sink = self.warehouse.tables("raw_data", keys={"one": ["id"], "two": ["id"]})
        both = batch(Part(table_of([{"id": 1}]), "one"), Part(table_of([{"id": 2}]), "two", "upsert"))
        with sink.open("pipe") as landing:
            landing.land(both)
            gone = batch(Part(table_of([{"id": 1}]), "one", "delete"), Part(table_of([{"id": 3}]), "two"), number=2)
            left = [(self.conflict[0], self.conflict[1], "the service is gone")]
            self.site.refuse = lambda sql: (
                left[0] if self.begins in sql and not self.ends else left[0] if sql == self.ends and self.ends else None
            )
            with pytest.raises((DataError, SchemaRefused)):
                landing.land(gone)
        self.site.refuse = lambda sql: None
        assert (self.read("raw_data.one"), self.read("raw_data.two")) == ([{"id": 1}], [{"id": 2}])

    def test_queries(self) -> None:
        sink = self.warehouse.table("raw_data.rows")
        self.land(sink, adding(pa.table({"id": range(250)})))
        found = self.warehouse.read("SELECT id, $2 AS t FROM raw_data.rows WHERE id = $1", [7, "it's $1"])
        assert found.to_pylist() == [{"id": 7, "t": "it's $1"}]
        sizes = [one.num_rows for one in self.warehouse.stream("SELECT * FROM raw_data.rows", batch_rows=100)]
        assert sum(sizes) == 250
        assert len(sizes) > 1
        (none,) = self.warehouse.stream("SELECT id FROM raw_data.rows WHERE id < 0")
        assert (none.num_rows, none.schema.names) == (0, ["id"])
        with pytest.raises(DataError):
            self.warehouse.read("SELECT * FROM raw_data.nowhere")
        with pytest.raises(DataError):
            self.warehouse.read("SELEKT 1 +")
        with pytest.raises(DataError, match=r"there are 1 values|1 values are given"):
            self.warehouse.read("SELECT $1 AS a, $2 AS b", [1])
        assert self.warehouse.execute("DELETE FROM raw_data.rows WHERE id >= $1", [200]) == 50

    def test_a_table_is_read_by_its_columns(self) -> None:
        self.land(self.warehouse.table("raw_data.rows"), adding([{"id": 1, "n": 1}, {"id": 2, "n": None}]))
        table = WarehouseTable(self.warehouse, "raw_data.rows", {})
        assert table.read(columns=["id"], where="id > 1").read_all().to_pylist() == [{"id": 2}]
        assert table.count() == 2
        assert table.schema().names == ["id", "n"]

    def test_a_class_declares_a_table(self) -> None:
        @dataclass
        class Order:
            id: int
            at: datetime.datetime
            total: decimal.Decimal
            lines: list[dict[str, Any]]
            note: str | None = None

        assert self.warehouse.migrate(Order, "processed_data.orders", keys=["id"]).applied
        assert not self.warehouse.migrate(Order, "processed_data.orders", keys=["id"])
        row = {"id": 1, "at": datetime.datetime(2024, 1, 1, tzinfo=UTC), "total": decimal.Decimal("1.50")}
        orders = self.warehouse.records("processed_data.orders")
        orders.create(row | {"lines": [{"sku": "x"}]})
        assert orders.read() == [row | {"lines": [{"sku": "x"}], "note": None}]

    def test_what_there_is_not_yet_is_told(self) -> None:
        with pytest.raises(ConfigurationError, match="keeps no history"):
            self.warehouse.table("rows", mode="history", keys=["id"])
        with pytest.raises(ConfigurationError, match="has no indexes"):
            self.warehouse.index("rows", ["id"])

    def test_two_that_begin_a_pipe_at_the_same_moment(self) -> None:
        with self.warehouse.table("raw_data.rows").open("pipe"):
            pass
        self.warehouse.execute("INSERT INTO raw_data.penstock_pipes SELECT * FROM raw_data.penstock_pipes")
        with pytest.raises(SinkUnavailable, match="at the same moment"):
            self.warehouse.table("raw_data.rows").open("pipe")

    @pytest.mark.parametrize("stride", [23, pytest.param(4, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
    @pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("mode", ["append", "merge", "replace"])
    def test_killed_at_any_moment(self, mode: str, late: bool, stride: int) -> None:
        with self.warehouse._asked() as session:  # type: ignore[attr-defined]
            kind = type(session)
        calm, calls = self._brought_in(kind, mode, "calm", 0, late)
        for kill_at in range(3 if late else 1, calls + 1, stride):
            schema = f"k{kill_at}"
            with pytest.raises(Killed):
                self._brought_in(kind, mode, schema, kill_at, late)
            again, _ = self._brought_in(kind, mode, schema, 0, late)
            if mode == "replace" and again["counts"] != calm["counts"]:  # killed after the last commit: done twice
                again["counts"] = {name: number // 2 for name, number in again["counts"].items()}
                again["bad"] = again["bad"][::2]
            assert again == calm, kill_at

    def _brought_in(self, kind: Any, mode: str, schema: str, kill_at: int, late: bool) -> tuple[dict[str, Any], int]:
        with pytest.MonkeyPatch.context() as patched:
            killer = _Killer(patched, kind, kill_at, late)
            try:
                ingest(*_pipe(self.warehouse, mode, schema), name="pipe")
            finally:
                self.warehouse.close()
                self.site.forget()
        rows = sorted(map(str, self.read(f"{schema}.rows")))
        bad = sorted(str(row["raw"]) for row in self.read(f"{schema}.rows__rejected"))
        (pipe,) = self.read(f"{schema}.penstock_pipes")
        counts = {name: pipe[name] for name in ("read", "landed", "superseded", "rejected")}
        return {"rows": rows, "bad": bad, "counts": counts}, killer.calls


def _pipe(warehouse: Warehouse, mode: Any, schema: str) -> tuple[Source, Sink]:
    rows: list[Any] = [{"id": number % 5, "n": str(number) if 4 <= number < 8 else number} for number in range(9)]
    rows[2], rows[6] = Rejected("no number", "a.csv:3", "x"), {"id": 2, "n": "seven"}
    rows.append({"id": 11, "n": 11, "more": "m"})
    keys = [] if mode == "append" else ["id"]
    return MemorySource(rows, rows=4), warehouse.table((schema, "rows"), mode=mode, keys=keys)
