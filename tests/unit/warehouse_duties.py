"""What every warehouse must do beyond the conformance of sinks; run over DuckDB and PostgreSQL."""

from __future__ import annotations

import datetime
import decimal
import random
import uuid
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from tests.unit.warehouses import exists

from penstock.core.errors import ConfigurationError, SchemaRefused
from penstock.core.ports.data import Batch, Counts, Part, Rejected
from penstock.stores.warehouse import Warehouse
from penstock.testing.data_memory import table_of

UTC = datetime.UTC
Row = dict[str, Any]


def at(hour: int) -> datetime.datetime:
    return datetime.datetime(2024, 1, 1, tzinfo=UTC) + datetime.timedelta(hours=hour)


def batch(*parts: Part, number: int = 1, **more: Any) -> Batch:
    return Batch(parts=parts, position={"next": number}, **more)


def adding(rows: Sequence[Row] | pa.Table, number: int = 1, **more: Any) -> Batch:
    return batch(Part(rows if isinstance(rows, pa.Table) else table_of(rows)), number=number, **more)


class Duties:
    warehouse: Warehouse

    def land(self, sink: Any, *batches: Batch, pipe: str = "pipe") -> list[Counts]:
        with sink.open(pipe) as landing:
            return [landing.land(one).counts for one in batches]

    def read(self, table: str = "raw_data.rows", **options: Any) -> list[Row]:
        return self.warehouse.records(table).read(**options)


class EvolutionDuties(Duties):
    """Tables grow as far as nothing is lost."""

    def kind(self, column: str = "n") -> pa.DataType:
        return self.warehouse.read("SELECT * FROM raw_data.rows").schema.field(column).type

    def grown(self, *columns: pa.Array) -> list[Counts]:
        sink = self.warehouse.table("raw_data.rows")
        return self.land(sink, *(adding(pa.table({"n": column}), number) for number, column in enumerate(columns, 1)))

    def test_an_integer_gets_as_wide_as_it_must(self) -> None:
        self.grown(pa.array([1], pa.int16()), pa.array([70_000], pa.int32()), pa.array([1 << 40], pa.int64()))
        assert self.kind() == pa.int64()
        assert sorted(row["n"] for row in self.read()) == [1, 70_000, 1 << 40]

    def test_a_wide_type_alone_widens_nothing(self) -> None:
        self.grown(pa.array([1], pa.int32()), pa.array([2], pa.int64()))
        assert self.kind() == pa.int32()

    def test_an_integer_becomes_a_float_where_nothing_is_lost(self) -> None:
        self.grown(pa.array([1 << 53]), pa.array([0.5]))
        assert self.kind() == pa.float64()
        assert sorted(row["n"] for row in self.read()) == [0.5, float(1 << 53)]

    def test_and_stays_what_it_is_where_something_would_be(self) -> None:
        counts = self.grown(pa.array([(1 << 53) + 1]), pa.array([0.5, 2.0]))
        assert counts[1] == Counts(2, 1, 0, 1)
        assert self.kind() == pa.int64()
        assert sorted(row["n"] for row in self.read()) == [2, (1 << 53) + 1]

    def test_decimals_get_the_digits_they_need(self) -> None:
        one, two = decimal.Decimal("99999999.99"), decimal.Decimal("0.123456")
        self.grown(pa.array([one], pa.decimal128(10, 2)), pa.array([two], pa.decimal128(7, 6)))
        assert sorted(row["n"] for row in self.read()) == [two, one]

    def test_a_number_becomes_no_text(self) -> None:
        assert self.grown(pa.array([1]), pa.array(["one", "2"]))[1] == Counts(2, 1, 0, 1)
        assert self.kind() == pa.int64()

    def test_an_index_on_another_column_does_not_stand_in_the_way(self) -> None:
        sink = self.warehouse.table("raw_data.rows")
        self.land(sink, adding(pa.table({"id": [1], "n": pa.array([1], pa.int32())})))
        self.warehouse.index("raw_data.rows", ["id"], called="by_id")
        assert self.land(sink, adding(pa.table({"id": [2], "n": [1 << 40]}), 2)) == [Counts(1, 1)]
        assert self.kind() == pa.int64()

    def test_a_column_that_something_depends_on_stays(self) -> None:
        self.grown(pa.array([1], pa.int32()))
        self.depend_on_n()
        sink = self.warehouse.table("raw_data.rows")
        wide = pa.table({"n": [1 << 40, 2]})
        assert self.land(sink, adding(wide, 2)) == [Counts(2, 1, 0, 1)]
        replacing = self.warehouse.table("raw_data.rows", mode="replace")
        assert self.land(replacing, adding(wide, last=True), pipe="another") == [Counts(2, 1, 0, 1)]
        assert self.read() == [{"n": 2}]

    @abstractmethod
    def depend_on_n(self) -> None:
        """Make something of the database that needs the column as it is."""

    def test_a_strict_table_gets_no_columns(self) -> None:
        self.grown(pa.array([1], pa.int32()))
        strict = self.warehouse.table("raw_data.rows", schema="strict")
        with pytest.raises(SchemaRefused, match="no column 'm'"):
            self.land(strict, adding([{"n": 1, "m": 2}], 2))
        assert self.land(strict, adding(pa.table({"n": [1 << 40, 7]}), 2)) == [Counts(2, 1, 0, 1)]
        assert sorted(row["n"] for row in self.read()) == [1, 7]

    def test_a_column_without_values_comes_with_the_first_value(self) -> None:
        sink = self.warehouse.table("raw_data.rows")
        self.land(sink, adding([{"id": 1, "n": None}]), adding([{"id": 2, "n": 5}], 2), adding([{"n": None}], 3))
        assert sorted((row["id"] or 0, row["n"]) for row in self.read()) == [(0, None), (1, None), (2, 5)]

    def test_rows_in_which_nothing_is_are_rows(self) -> None:
        sink = self.warehouse.table("raw_data.rows")
        assert self.land(sink, adding([{"a": None}, {"a": None}])) == [Counts(2, 2)]
        assert self.land(sink, adding([{"b": None}], 2)) == [Counts(1, 1)]
        assert self.read() == [{"a": None}] * 3

    def test_added_columns_are_told(self) -> None:
        with self.warehouse.table("raw_data.rows").open("pipe") as landing:
            landing.land(adding([{"a": 1}]))
            assert list(landing.land(adding([{"a": 1, "b": "x"}], 2)).columns) == ["b"]

    def test_a_name_that_comes_twice_is_refused(self) -> None:
        twice = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
        with pytest.raises(SchemaRefused, match="twice"):
            self.land(self.warehouse.table("raw_data.rows"), adding(twice))
        assert not exists(self.warehouse, "raw_data.rows")


class TypeDuties(Duties):
    """Values of every type come back as they were."""

    columns: ClassVar[dict[str, tuple[pa.DataType, list[Any]]]] = {
        "truth": (pa.bool_(), [True, False]),
        "tiny": (pa.int8(), [-128, 127]),
        "byte": (pa.uint8(), [0, 255]),
        "short": (pa.uint16(), [0, 65_535]),
        "word": (pa.uint32(), [0, (1 << 32) - 1]),
        "giant": (pa.uint64(), [0, (1 << 64) - 1]),
        "half": (pa.float32(), [0.5, -1.5]),
        "float": (pa.float64(), [float("inf"), -0.1]),
        "digits": (pa.decimal128(38, 10), [decimal.Decimal("-1234567890123456789012345678.0123456789")]),
        "cents": (pa.decimal128(5, 4), [decimal.Decimal("0.0001"), decimal.Decimal("-9.9999")]),
        "whole": (pa.decimal128(12, 0), [decimal.Decimal(100_000_000_000), decimal.Decimal(0)]),
        "day": (pa.date32(), [datetime.date(1, 1, 1), datetime.date(9999, 12, 31)]),
        "time": (pa.time64("us"), [datetime.time(23, 59, 59, 999_999), datetime.time(0)]),
        "local": (pa.timestamp("us"), [datetime.datetime(1, 1, 1), datetime.datetime(2024, 2, 29, 1, 2, 3, 4)]),
        "moment": (pa.timestamp("us", "UTC"), [datetime.datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC)]),
        "text": (pa.string(), ["", "ünï ✓ \U0001f600 \n\r\t'\"\\", "\\."]),
        "large": (pa.large_string(), ["x" * 70_000]),
        "view": (pa.string_view(), ["view", ""]),
        "word_list": (pa.list_(pa.string()), [["a", None, ""], [], ["NULL", "{}"]]),
        "numbers": (pa.list_(pa.int32()), [[1, None, -3], []]),
        "bytes": (pa.binary(), [bytes(range(256)), b""]),
        "fixed": (pa.binary(3), [b"abc", b"\0\0\0"]),
        "kind": (pa.dictionary(pa.int8(), pa.string()), ["red", "blue"]),
    }

    def test_each_type(self) -> None:
        height = 1 + max(len(values) for _, values in self.columns.values())
        arrays = {n: pa.array(v + [None] * (height - len(v)), kind) for n, (kind, v) in self.columns.items()}
        rows = pa.table({"id": pa.array(range(height)), **arrays})
        assert self.land(self.warehouse.table("raw_data.rows"), adding(rows)) == [Counts(height, height)]
        assert self.read(order_by=["id"]) == rows.to_pylist()

    def test_slices_and_chunks_are_what_they_show(self) -> None:
        kinds = self.columns
        arrays = [pa.array([*(v * 4)[:4], None], kind) for kind, v in kinds.values()]
        chunk = pa.table([pa.array(range(5)), *arrays], names=["id", *kinds])
        rows = pa.concat_tables([chunk.slice(1, 3), chunk.slice(4), chunk.slice(0, 1)])
        self.land(self.warehouse.table("raw_data.rows"), adding(rows))
        assert self.read(order_by=["id"]) == chunk.to_pylist()

    def test_uuids(self) -> None:
        made = [uuid.uuid4(), None, uuid.UUID(int=0)]
        stored = pa.array([None if one is None else one.bytes for one in made], pa.uuid())
        sink = self.warehouse.table("raw_data.rows")
        self.land(sink, adding(pa.table({"id": [1, 2, 3], "u": stored})))
        more = [{"id": 4, "u": str(made[0])}, {"id": 5, "u": "no uuid"}]
        assert self.land(sink, adding(more, 2)) == [Counts(2, 1, 0, 1)]
        found = self.read(order_by=["id"])
        assert [row["u"] for row in found] == [None if one is None else str(one) for one in (*made, made[0])]

    def test_json(self) -> None:
        sink = self.warehouse.table("raw_data.rows")
        deep = {"a": [1, 2], "b": {"x": None, "y": 0.5}, "c": "ünï \"✓'"}
        self.land(sink, adding([{"id": 1, "j": deep}]))
        kept = pa.table({"id": [2, 3], "j": pa.array(['{"z": 1.50}', "nothing"], pa.string())})
        assert self.land(sink, adding(kept, 2), adding([{"id": 4, "j": {"new": "shape"}}], 3)) == [
            Counts(2, 1, 0, 1),
            Counts(1, 1),
        ]
        assert [row["j"] for row in self.read(order_by=["id"])] == [deep, {"z": 1.5}, {"new": "shape"}]
        assert "is no JSON" in self.read("raw_data.rows__rejected")[0]["reason"]

    def test_what_is_too_fine_is_rejected_and_not_cut(self) -> None:
        sink = self.warehouse.table("raw_data.rows")
        self.land(sink, adding(pa.table({"t": pa.array([1], pa.timestamp("us"))})))
        fine = pa.table({"t": pa.array([1_000, 1_001], pa.timestamp("ns"))})
        assert self.land(sink, adding(fine, 2)) == [Counts(2, 1, 0, 1)]


class ModeDuties(Duties):
    """What lies beyond the conformance of merging and replacing."""

    def test_a_view_an_index_and_a_default_survive_a_replacement(self) -> None:
        sink = self.warehouse.table("raw_data.rows", mode="replace")
        self.land(sink, adding([{"id": 1, "n": 1}], last=True))
        self.warehouse.execute("CREATE VIEW raw_data.seen AS SELECT id, n FROM raw_data.rows")
        self.warehouse.index("raw_data.rows", ["id"], unique=True)
        self.land(sink, adding([{"id": 1, "n": 2, "more": "x"}, {"id": 2, "n": 3}], last=True))
        assert self.warehouse.read("SELECT * FROM raw_data.seen ORDER BY id").to_pylist() == [
            {"id": 1, "n": 2},
            {"id": 2, "n": 3},
        ]
        with pytest.raises(SchemaRefused):
            self.warehouse.records("raw_data.rows").create({"id": 1, "n": 9})

    def test_a_replacement_with_keys_keeps_the_last_of_each(self) -> None:
        sink = self.warehouse.table("raw_data.rows", mode="replace", keys=["id"])
        first = adding([{"id": 1, "n": 1}, {"id": 2, "n": 2}])
        counts = self.land(sink, first, adding([{"id": 1, "n": 3}, {"id": 1, "n": 4}], 2, last=True))
        assert counts == [Counts(2, 2), Counts(2, 1, 1)]
        assert sorted((row["id"], row["n"]) for row in self.read()) == [(1, 4), (2, 2)]

    def test_columns_that_are_not_given_have_their_defaults_in_a_replacement(self) -> None:
        self.warehouse.execute("CREATE SCHEMA raw_data")
        self.warehouse.execute("CREATE TABLE raw_data.rows (id bigint, made varchar(9) NOT NULL DEFAULT 'by hand')")
        sink = self.warehouse.table("raw_data.rows", mode="replace")
        self.land(sink, adding([{"id": 1}]), adding([{"id": 2}], 2), batch(number=3, last=True))
        assert self.read(order_by=["id"]) == [{"id": 1, "made": "by hand"}, {"id": 2, "made": "by hand"}]

    def test_nothing_is_left_of_a_replacement_that_was_forgotten(self) -> None:
        sink = self.warehouse.table("raw_data.rows", mode="replace")
        self.land(sink, adding([{"id": 1}]))
        before = self._tables()
        sink.forget("pipe")
        assert len(before) - len(self._tables()) == 1
        assert self.land(sink, adding([{"id": 2}], last=True)) == [Counts(1, 1)]
        assert self.read() == [{"id": 2}]

    def test_another_mode_does_not_go_on_with_half_a_replacement(self) -> None:
        self.land(self.warehouse.table("raw_data.rows", mode="replace"), adding([{"id": 1}], 7))
        with self.warehouse.table("raw_data.rows").open("pipe") as landing:
            assert landing.position is None
            landing.land(adding([{"id": 1}, {"id": 2}], 8))
        assert sorted(row["id"] for row in self.read()) == [1, 2]
        assert self._tables() == ["penstock_pipes", "rows"]

    def _tables(self) -> list[str]:
        sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'raw_data' ORDER BY 1"
        return [str(row["table_name"]) for row in self.warehouse.read(sql).to_pylist()]

    def test_several_tables_are_replaced_together(self) -> None:
        sink = self.warehouse.tables("raw_data", mode="replace")
        parts = (Part(table_of([{"id": 1}]), "one"), Part(table_of([{"id": 2}]), "two"))
        self.land(sink, batch(*parts), batch(number=2, last=True))
        self.land(sink, batch(Part(table_of([{"id": 3}]), "one"), number=1))
        assert (self.read("raw_data.one"), self.read("raw_data.two")) == ([{"id": 1}], [{"id": 2}])
        self.land(sink, batch(Part(table_of([{"id": 4}]), "two"), number=2, last=True))
        assert (self.read("raw_data.one"), self.read("raw_data.two")) == ([{"id": 3}], [{"id": 4}])

    def test_a_source_may_tell_the_keys_and_the_names(self) -> None:
        def change(how: Any, *ids: int) -> Part:
            return Part(table_of([{"id": number} for number in ids]), "public.orders", how, ("id",))

        sink = self.warehouse.tables("raw_data")
        self.land(sink, batch(change("upsert", 1, 2)), batch(change("upsert", 2), change("delete", 1), number=2))
        assert self.read("raw_data.public_orders") == [{"id": 2}]
        both = batch(change("upsert", 1), Part(table_of([{"id": 1}]), "public_orders", "upsert", ("id",)))
        with pytest.raises(SchemaRefused, match="would both be"):
            self.land(sink, both)

    def test_rows_that_the_table_refuses_are_rejected_one_by_one(self) -> None:
        self.warehouse.execute("CREATE SCHEMA raw_data")
        self.warehouse.execute("CREATE TABLE raw_data.rows (id bigint, n bigint CHECK (n < 100))")
        rows = [{"id": number, "n": number if number % 40 else 1000 + number} for number in range(1, 101)]
        sink = self.warehouse.table("raw_data.rows")
        more = Rejected("no number", "a.csv:1", "x")
        assert self.land(sink, adding(rows, rejected=(more,))) == [Counts(101, 97, 0, 4)]
        assert len(self.read()) == 97
        reasons = [row["raw"] for row in self.read("raw_data.rows__rejected")]
        assert set(reasons) == {"x", '{"id":40,"n":1040}', '{"id":80,"n":1080}', '{"id":100,"n":100}'}

    def test_a_table_that_takes_nothing_is_refused_as_a_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("penstock.stores.warehouse.landing._MOST_PROBES", 20)
        self.warehouse.execute("CREATE SCHEMA raw_data")
        self.warehouse.execute("CREATE TABLE raw_data.rows (id bigint, n bigint CHECK (n < 0))")
        sink = self.warehouse.table("raw_data.rows")
        with pytest.raises(SchemaRefused, match="most of"):
            self.land(sink, adding(pa.table({"id": range(30), "n": range(30)})))
        with sink.open("pipe") as landing:
            assert (landing.position, landing.counts) == (None, Counts())

    def test_changes_without_keys_are_refused(self) -> None:
        with pytest.raises(SchemaRefused, match="no keys"):
            self.land(self.warehouse.table("raw_data.rows"), batch(Part(table_of([{"id": 1}]), "", "delete")))
        with pytest.raises(SchemaRefused, match="no column 'key'"):
            self.land(self.warehouse.table("raw_data.rows", mode="merge", keys=["key"]), adding([{"id": 1}]))

    def test_texts_that_no_database_keeps_are_kept_in_quarantine(self) -> None:
        sink = self.warehouse.table("raw_data.rows")
        bad = Rejected("bad \ud800", "x\0y", "\0")
        assert self.land(sink, batch(rejected=(bad,))) == [Counts(1, 0, 0, 1)]
        (found,) = self.read("raw_data.rows__rejected")
        assert (found["reason"], found["where"], found["raw"], found["pipe"]) == (
            "bad \\ud800",
            "x\\x00y",
            "\\x00",
            "pipe",
        )
        assert found["at"] is not None

    def test_long_names_stay_apart(self) -> None:
        one, two = "t" * 60 + "one", "t" * 60 + "two"
        for name in (one, two):
            self.land(self.warehouse.table(("raw_data", name)), batch(rejected=(Rejected("r", "w", name),)))
        kept = [name for name in self._tables() if name.endswith("__rejected")]
        assert len(kept) == 2

    def test_keys_are_spelled_as_the_rows_spell_them(self) -> None:
        self.warehouse.execute("CREATE SCHEMA raw_data")
        self.warehouse.execute("CREATE TABLE raw_data.rows (id bigint, n bigint)")
        if self.warehouse.place.namespace.startswith("postgres"):
            return  # to PostgreSQL these are other columns
        for mode in ("merge", "replace"):
            sink = self.warehouse.table("raw_data.rows", mode=mode, keys=["ID"])
            self.land(sink, adding([{"ID": 1, "N": 1}, {"ID": 2, "N": 2}]), pipe=mode)
            self.land(sink, batch(Part(table_of([{"ID": 1}]), "", "delete"), number=2, last=True), pipe=mode)
            assert self.read() == [{"id": 2, "n": 2}]

    def test_every_mistake_in_the_arguments_is_told_at_once(self) -> None:
        with pytest.raises(ConfigurationError) as told:
            self.warehouse.table("rows", mode="merg", keys=["id", "id"], schema="loose", changed_at="x")  # type: ignore[arg-type]
        assert all(word in str(told.value) for word in ("merg", "loose", "different names", "changed_at"))
        with pytest.raises(ConfigurationError, match="needs keys"):
            self.warehouse.table("rows", mode="history")
        with pytest.raises(ConfigurationError, match="no name"):
            self.warehouse.table("a.b.c")


class HistoryDuties(Duties):
    """Versions, and when they were true."""

    def history(self, changed_at: str | None = "at") -> Any:
        return self.warehouse.table("raw_data.rows", mode="history", keys=["id"], changed_at=changed_at)

    def versions(self) -> list[tuple[Any, ...]]:
        names = ("id", "n", "valid_from", "valid_to", "is_current")
        rows = self.read(order_by=["id", "valid_from"])
        assert all(row["is_current"] == (row["valid_to"] is None) for row in rows)
        return [tuple(row[name] for name in names)[:4] for row in rows]

    def test_versions_follow_each_other(self) -> None:
        rows = [{"id": 1, "n": 1, "at": at(1)}, {"id": 1, "n": 2, "at": at(3)}, {"id": 2, "n": 9, "at": at(2)}]
        sink = self.history()
        assert self.land(sink, adding(rows), adding([{"id": 1, "n": 3, "at": at(5)}], 2)) == [
            Counts(3, 3),
            Counts(1, 1),
        ]
        assert self.versions() == [
            (1, 1, at(1), at(3)),
            (1, 2, at(3), at(5)),
            (1, 3, at(5), None),
            (2, 9, at(2), None),
        ]

    def test_late_ones_are_put_where_they_belong(self) -> None:
        sink = self.history()
        self.land(sink, adding([{"id": 1, "n": 1, "at": at(1)}, {"id": 1, "n": 5, "at": at(5)}]))
        self.land(sink, adding([{"id": 1, "n": 3, "at": at(3)}, {"id": 1, "n": 0, "at": at(0)}], 2))
        assert self.versions() == [
            (1, 0, at(0), at(1)),
            (1, 1, at(1), at(3)),
            (1, 3, at(3), at(5)),
            (1, 5, at(5), None),
        ]

    def test_a_deletion_ends_a_version_late_or_not(self) -> None:
        sink = self.history()
        self.land(sink, adding([{"id": 1, "n": 1, "at": at(1)}, {"id": 1, "n": 5, "at": at(5)}]))
        gone = [{"id": 1, "at": at(3)}, {"id": 1, "at": at(8)}]
        for number, one in enumerate(gone, 2):
            self.land(sink, batch(Part(table_of([one]), "", "delete"), number=number))
        assert self.versions() == [(1, 1, at(1), at(3)), (1, 5, at(5), at(8))]
        self.land(sink, adding([{"id": 1, "n": 9, "at": at(9)}], 4))
        assert self.versions()[-1] == (1, 9, at(9), None)

    def test_what_says_the_same_is_no_new_version(self) -> None:
        sink = self.history()
        rows = [{"id": 1, "n": 1, "at": at(1)}]
        self.land(sink, adding(rows))
        found = self.versions()
        assert self.land(sink, adding(rows, 2)) == [Counts(1, 1)]
        assert self.versions() == found

    def test_without_a_time_the_commit_is_the_time(self) -> None:
        sink = self.history(None)
        self.land(sink, adding([{"id": 1, "n": 1}, {"id": 2, "n": 1}]), adding([{"id": 1, "n": 2}], 2))
        self.land(sink, adding([{"id": 1, "n": 2}], 3), batch(Part(table_of([{"id": 2}]), "", "delete"), number=4))
        found = self.versions()
        assert [(row[0], row[1]) for row in found] == [(1, 1), (1, 2), (2, 1)]
        assert found[0][3] == found[1][2]
        assert found[1][3] is None
        assert found[2][3] > found[2][2]

    def test_columns_that_a_change_does_not_have_stay(self) -> None:
        sink = self.history()
        self.land(sink, adding([{"id": 1, "n": 1, "essay": "long", "at": at(1)}]))
        self.land(sink, batch(Part(table_of([{"id": 1, "n": 2, "at": at(2)}]), "", "upsert"), number=2))
        assert [(row["n"], row["essay"]) for row in self.read(order_by=["valid_from"])] == [(1, "long"), (2, "long")]

    def test_a_row_that_does_not_say_when_is_rejected(self) -> None:
        sink = self.history()
        rows = [{"id": 1, "n": 1, "at": at(1)}, {"id": 2, "n": 1, "at": None}]
        assert self.land(sink, adding(rows)) == [Counts(2, 1, 0, 1)]
        assert "at, which says when it changed" in self.read("raw_data.rows__rejected")[0]["reason"]
        with pytest.raises(SchemaRefused, match="when they changed"):
            self.land(sink, adding([{"id": 1, "n": 1}], 2))
        with pytest.raises(SchemaRefused, match="valid_to"):
            self.land(sink, adding([{"id": 1, "valid_to": 1, "at": at(1)}], 2))

    def test_truncation_ends_everything(self) -> None:
        sink = self.history()
        self.land(sink, adding([{"id": 1, "n": 1, "at": at(1)}, {"id": 2, "n": 1, "at": at(1)}]))
        self.land(sink, batch(Part(table_of([{"id": 0}]).slice(0, 0), "", "truncate"), number=2))
        assert all(row[3] is not None for row in self.versions())

    @pytest.mark.parametrize("seed", range(2))
    def test_any_order_gives_the_versions_that_a_simple_model_gives(self, seed: int) -> None:
        dice = random.Random(seed)
        times = dice.sample(range(100), 24)
        events = [(dice.randrange(3), time, dice.choice(["upsert", "upsert", "delete"])) for time in times]
        rows = [{"id": key, "n": dice.randrange(3), "at": at(time)} for key, time, _ in events]
        sink, place, number = self.history(), 0, 0
        while place < len(rows):
            size, number = dice.randrange(1, 6), number + 1
            parts = []
            for one, (_, _, how) in zip(rows[place : place + size], events[place : place + size], strict=True):
                parts.append(Part(table_of([one]), "", how))
            self.land(sink, batch(*parts, number=number))
            place += size
        assert _intervals(self.versions()) == _intervals(_modelled(rows, [how for _, _, how in events]))


def _modelled(rows: Sequence[Row], hows: Sequence[str]) -> list[tuple[Any, ...]]:
    """Versions, by keeping for each key what happened when; a deletion that finds no version is forgotten."""
    lines: dict[Any, dict[Any, Any]] = {}
    for row, how in zip(rows, hows, strict=True):
        line = lines.setdefault(row["id"], {})
        line[row["at"]] = row["n"] if how == "upsert" else None
        before = None
        for time in sorted(line):
            value = line[time]
            if value is None and before is None:
                del line[time]
            before = value
    found = []
    for key, line in lines.items():
        times = sorted(line)
        for since, until in zip(times, [*times[1:], None], strict=True):
            if line[since] is not None:
                found.append((key, line[since], since, until))
    return found


def _intervals(versions: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Versions that say the same and follow each other are one."""
    joined: list[tuple[Any, ...]] = []
    for key, value, since, until in sorted(versions, key=lambda one: (one[0], one[2])):
        if joined and joined[-1][:2] == (key, value) and joined[-1][3] == since:
            joined[-1] = (key, value, joined[-1][2], until)
        else:
            joined.append((key, value, since, until))
    return joined
