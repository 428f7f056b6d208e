"""Tables of a lake in a folder: the conformance suites, and what a lake can do besides."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from penstock.core.errors import ConfigurationError, DatasetNotFound, PipeTakenOver, SchemaRefused
from penstock.core.ports.data import Batch, Counts, Part, Place, Rejected, Sink
from penstock.stores.lake import Lake
from penstock.testing import ChangesConformance, MergeConformance, ReplaceConformance, SinkConformance
from penstock.testing.data_memory import table_of


def batch(rows: list[dict[str, Any]], number: int = 1, **more: Any) -> Batch:
    return Batch(parts=(Part(table_of(rows)),) if rows else (), position={"next": number}, order=number, **more)


def people(*ids: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": number, "name": f"Ada {number}", **more} for number in ids]


def rows_of(lake: Lake, name: str = "raw/rows", **options: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lake.read(name, **options).read_all().to_pylist()
    return sorted(rows, key=repr)


def ids(lake: Lake, name: str = "raw/rows", **options: Any) -> list[int]:
    return sorted(row["id"] for row in rows_of(lake, name, **options))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


class InTheLake:
    @pytest.fixture(autouse=True)
    def system(self, lake: Lake) -> None:
        self.lake = lake

    def make_sink(self, **options: Any) -> Sink:
        return self.lake.table("raw/rows", **options)

    def rows(self, table: str = "rows") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.lake.read(f"raw/{table}").read_all().to_pylist()
        return found

    def rejected(self, table: str = "rows") -> list[Rejected]:
        found = self.lake.rejected(f"raw/{table}").read_all().to_pylist()
        return [Rejected(row["reason"], row["where"], row["raw"], row["table"]) for row in found]


class TestTable(InTheLake, SinkConformance):
    pass


class TestMerging(InTheLake, MergeConformance):
    pass


class TestReplacing(InTheLake, ReplaceConformance):
    pass


class TestChanges(InTheLake, ChangesConformance):
    pass


class TestSeveral(InTheLake, ChangesConformance):
    several = True

    def make_sink(self, **options: Any) -> Sink:
        return self.lake.tables("raw/", keys=options.get("keys", ()), table="rows")


# ------------------------------------------------------------------------------------------------ several tables
def changes(order: int, *parts: Part, **more: Any) -> Batch:
    return Batch(parts=parts, position={"lsn": order}, order=order, **more)


def test_a_table_that_has_a_batch_already_leaves_it_out(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is gone after the first table's commit."""
    from penstock.stores.lake.landing import Writer

    both = changes(1, Part(table_of(people(1, 2)), "a"), Part(table_of(people(3)), "b"))
    plain = Writer.write

    def dies(self: Writer, share: Any) -> Any:
        if self.table.path == "raw/b":
            raise KeyboardInterrupt
        return plain(self, share)

    with monkeypatch.context() as patched:
        patched.setattr(Writer, "write", dies)
        with pytest.raises(KeyboardInterrupt), lake.tables("raw/").open("pipe") as landing:
            landing.land(both)
    assert ids(lake, "raw/a") == [1, 2]
    with lake.tables("raw/").open("pipe") as landing:
        assert landing.position is None
        assert landing.land(both).counts == Counts(3, 3)
        assert landing.counts == Counts(3, 3)
    assert (ids(lake, "raw/a"), ids(lake, "raw/b")) == ([1, 2], [3])


def test_the_source_may_know_the_keys_of_each_table(lake: Lake) -> None:
    with lake.tables("raw/").open("pipe") as landing:
        landing.land(changes(1, Part(table_of(people(1, 2)), "public.one")))
        landing.land(
            changes(
                2,
                Part(table_of(people(3)), "public.one"),
                Part(table_of(people(1, 3, city="Ulm")), "public.one", "upsert", ("id",)),
                Part(table_of([{"id": 2}]), "public.one", "delete", ("id",)),
            )
        )
        assert landing.counts == Counts(6, 5, 1, 0)
    assert [(row["id"], row["city"]) for row in rows_of(lake, "raw/public.one")] == [(1, "Ulm"), (3, "Ulm")]


def test_keys_that_may_be_null(lake: Lake) -> None:
    """A table elsewhere without a primary key: all its columns tell its rows apart."""
    key = ("a", "b")
    with lake.tables("raw/").open("pipe") as landing:
        landing.land(changes(1, Part(pa.table({"a": [1, 1], "b": [None, 2]}), "t", "upsert", key)))
        landing.land(changes(2, Part(pa.table({"a": [1], "b": pa.array([None], pa.int64())}), "t", "delete", key)))
    assert rows_of(lake, "raw/t") == [{"a": 1, "b": 2}]


def test_names_of_tables_elsewhere_are_only_names(lake: Lake) -> None:
    names = ["Order Items", "a/b", "..", "_hidden", "ünï", 'say "x"', "a~20~b"]
    with lake.tables("raw/").open("pipe") as landing:
        landing.land(changes(1, *(Part(table_of(people(at)), name) for at, name in enumerate(names))))
    assert len(lake.names()) == len(names)
    assert sorted(number for name in lake.names() for number in ids(lake, name)) == list(range(len(names)))


def test_rejected_records_of_several_tables(lake: Lake) -> None:
    told = (Rejected("bad", "a:1", "x", "a"), Rejected("nobody's", "b:1", "y"))
    with lake.tables("raw/").open("pipe") as landing:
        assert landing.land(changes(1, Part(table_of(people(1)), "a"), rejected=told, superseded=2)).counts == Counts(
            5, 1, 2, 2
        )
        assert landing.counts == Counts(5, 1, 2, 2)
    assert [row["reason"] for row in lake.rejected("raw/a").read_all().to_pylist()] == ["bad"]
    assert [row["reason"] for row in lake.rejected("raw/").read_all().to_pylist()] == ["nobody's"]


def test_a_source_of_several_tables_must_number_its_batches(lake: Lake) -> None:
    with lake.tables("raw/").open("pipe") as landing, pytest.raises(ConfigurationError, match="numbers no batches"):
        landing.land(Batch(parts=(Part(table_of(people(1)), "a"),), position={}))


def test_forgetting_several_tables(lake: Lake) -> None:
    sink = lake.tables("raw/")
    sink.forget("pipe")
    with sink.open("pipe") as landing:
        landing.land(changes(7, Part(table_of(people(1)), "a")))
    sink.forget("pipe")
    with sink.open("pipe") as landing:
        assert (landing.position, landing.counts) == (None, Counts())
        landing.land(changes(7, Part(table_of(people(2)), "a")))
    assert ids(lake, "raw/a") == [1, 2]


def test_records_for_another_table_are_refused(lake: Lake) -> None:
    with lake.table("raw/rows").open("pipe") as landing, pytest.raises(SchemaRefused, match=r"lake\.tables"):
        landing.land(changes(1, Part(table_of(people(1)), "elsewhere")))
    with lake.tables("raw/").open("pipe") as landing, pytest.raises(SchemaRefused, match="name no table"):
        landing.land(changes(1, Part(table_of(people(1)))))


# ------------------------------------------------------------------------------------------------ modes and columns
def test_overwrite_replaces_the_partitions_that_were_read(lake: Lake) -> None:
    days = [{"id": 1, "day": "mon"}, {"id": 2, "day": "tue"}, {"id": 3, "day": None}]
    sink = lake.table("raw/rows", mode="overwrite", partition_by="day")
    with sink.open("pipe") as landing:
        landing.land(batch(days, 1, last=True))
        landing.land(batch([{"id": 4, "day": "tue"}], 2))
        assert ids(lake) == [1, 2, 3]
        landing.land(batch([{"id": 5, "day": None, "new": True}], 3, last=True))
    assert [(row["id"], row["new"]) for row in rows_of(lake)] == [(1, None), (4, None), (5, True)]
    with sink.open("pipe") as landing:
        assert landing.position == {"next": 3}
        landing.land(batch([], 4, last=True))
    assert ids(lake) == [1, 4, 5]


def test_overwrite_without_partitions_keeps_the_columns(lake: Lake) -> None:
    sink = lake.table("raw/rows", mode="overwrite")
    with sink.open("pipe") as landing:
        landing.land(batch(people(1, city="Ulm"), 1, last=True))
        landing.land(batch(people(2), 2, last=True))
    assert rows_of(lake) == [{"id": 2, "name": "Ada 2", "city": None}]


def test_empty_text_is_no_partition(lake: Lake) -> None:
    rows = [{"id": 1, "amount": 1, "day": ""}, {"id": 2, "amount": 1, "day": "mon"}]
    with lake.table("raw/rows", partition_by="day").open("pipe") as landing:
        assert landing.land(batch(rows, 1)).counts == Counts(2, 1, 0, 1)
    rows = [
        {"id": 3, "amount": "x", "day": "a"},
        {"id": 4, "amount": 1, "day": ""},
        {"id": 5, "amount": 1, "day": None},
    ]
    with lake.table("raw/rows").open("pipe") as landing:
        assert landing.land(Batch(parts=tuple(Part(table_of([row])) for row in rows), position={})).counts == Counts(
            3, 1, 0, 2
        )
    assert ids(lake) == [2, 5]
    assert [row["reason"][:9] for row in lake.rejected("raw/rows").read_all().to_pylist()] == [
        "day: empt",
        "amount: '",
        "day: empt",
    ]


def test_replace_takes_other_columns_and_types(lake: Lake) -> None:
    for number, rows in enumerate([people(1), [{"id": "x", "n": 1}]]):
        with lake.table("raw/rows", mode="replace").open("pipe") as landing:
            landing.land(batch(rows, number, last=True))
    assert rows_of(lake) == [{"id": "x", "n": 1}]


def test_changes_cannot_replace_a_table(lake: Lake) -> None:
    sink = lake.table("raw/rows", mode="replace")
    with sink.open("pipe") as landing, pytest.raises(SchemaRefused, match="records only"):
        landing.land(changes(1, Part(table_of(people(1)), how="delete", key=("id",))))


def test_changes_need_keys(lake: Lake) -> None:
    with lake.table("raw/rows").open("pipe") as landing, pytest.raises(SchemaRefused, match="without a key"):
        landing.land(changes(1, Part(table_of(people(1)), how="upsert")))


def test_strict_refuses_what_evolve_adds(lake: Lake) -> None:
    with lake.table("raw/rows").open("pipe") as landing:
        assert landing.land(batch(people(1))).columns == {"id": "int64", "name": "string"}
        landed = landing.land(batch(people(2, city="Ulm", who={"a": 1}), 2))
        assert landed.columns == {"city": "string", "who": "struct<a: int64>"}
        assert landing.land(batch(people(3, who={"b": "x"}), 3)).columns == {"who": "struct<a: int64, b: string>"}
        assert landing.land(batch(people(4, who=None), 4)).columns == {}
    with lake.table("raw/rows", schema="strict").open("other") as landing:
        landing.land(batch(people(5)))
        with pytest.raises(SchemaRefused, match="planet"):
            landing.land(batch(people(6, planet="Mars"), 2))
    assert ids(lake) == [1, 2, 3, 4, 5]


def test_names_that_differ_in_case_only_are_one_column(lake: Lake) -> None:
    with lake.table("raw/rows").open("pipe") as landing:
        landing.land(batch([{"Id": 1}], 1))
        assert landing.land(batch([{"ID": 2}], 2)).columns == {}
        with pytest.raises(SchemaRefused, match="same name"):
            landing.land(batch([{"id": 3, "ID": 4}], 3))
    assert rows_of(lake) == [{"Id": 1}, {"Id": 2}]


@pytest.mark.parametrize("option", [{"mode": "merge", "keys": "nix"}, {"partition_by": "nix"}])
def test_a_column_that_the_table_needs_and_the_rows_do_not_have(lake: Lake, option: dict[str, Any]) -> None:
    with lake.table("raw/rows", **option).open("pipe") as landing, pytest.raises(SchemaRefused, match="nix"):
        landing.land(batch(people(1)))


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        (pa.uint64(), 2**64 - 1, 2**64 - 1),
        (pa.uint8(), 200, 200),
        (pa.float16(), 0.5, 0.5),
        (pa.time64("us"), datetime.time(1, 2, 3), "01:02:03.000000"),
        (pa.decimal256(50, 2), 1, "1.00"),
        (pa.dictionary(pa.int8(), pa.string()), "a", "a"),
        (pa.binary(3), b"abc", b"abc"),
        (pa.timestamp("ns"), 1_234_567_891, datetime.datetime(1970, 1, 1, 0, 0, 1, 234567)),
        (pa.list_(pa.uint8()), [255], [255]),
        (pa.string_view(), "a", "a"),
    ],
    ids=str,
)
def test_types_that_delta_does_not_have(lake: Lake, kind: pa.DataType, value: Any, kept: Any) -> None:
    with lake.table("raw/rows").open("pipe") as landing:
        rows = pa.table({"id": [1, 2], "x": pa.array([value, None], kind)})
        landed = landing.land(Batch(parts=(Part(rows),), position={}))
        assert landed.counts == Counts(2, 2)
    assert [row["x"] for row in rows_of(lake)] == [kept, None]


def test_a_column_of_nothing_waits_for_its_type(lake: Lake) -> None:
    with lake.table("raw/rows").open("pipe") as landing:
        landing.land(batch([{"id": 1, "later": None}], 1))
        assert landing.land(batch([{"id": 2, "later": 1.5}], 2)).columns == {"later": "double"}
    assert [row["later"] for row in rows_of(lake)] == [None, 1.5]


# ------------------------------------------------------------------------------------------------ pipes
def test_a_commit_whose_answer_was_lost_is_known_at_the_next_opening(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.core.errors import SinkUnavailable
    from penstock.stores.lake.delta import Table

    plain = Table.append

    def lost(self: Table, rows: Any, ticket: Any) -> None:
        plain(self, rows, ticket)
        raise SinkUnavailable("the line is dead")

    def away(self: Table) -> None:
        raise SinkUnavailable("the line is dead")

    with lake.table("raw/rows").open("pipe") as landing:
        landing.land(batch(people(1), 1))
        with monkeypatch.context() as patched:
            patched.setattr(Table, "append", lost)
            patched.setattr(Table, "refresh", away)
            with pytest.raises(SinkUnavailable, match="the line"):
                landing.land(batch(people(2), 2))
        with pytest.raises(SinkUnavailable, match="open the pipe again"):
            landing.land(batch(people(2), 2))
        with monkeypatch.context() as patched:
            patched.setattr(Table, "append", lost)
            with lake.table("raw/rows").open("pipe") as again:
                assert (again.position, again.counts) == ({"next": 2}, Counts(2, 2))
                assert again.land(batch(people(3), 3)).counts == Counts(1, 1)
    assert ids(lake) == [1, 2, 3]


def test_a_table_that_another_pipe_changes_meanwhile(lake: Lake) -> None:
    """New columns, a merge and a compaction come between; nothing is lost, and nobody is told."""
    merging = lake.table("raw/rows", mode="merge", keys="id")
    with lake.table("raw/rows").open("one") as one, merging.open("two") as two:
        one.land(batch(people(1), 1))
        two.land(batch(people(2, city="Ulm"), 1))
        one.land(batch(people(3), 2))
        two.land(batch(people(1, city="Bonn"), 2))
        lake.compact("raw/rows")
        one.land(batch(people(4, amount=1), 3))
        two.land(batch([{"id": 2, "amount": "x"}, {"id": 4, "amount": "2"}], 3))
    assert [(row["id"], row["city"], row["amount"]) for row in rows_of(lake)] == [
        (1, "Bonn", None),
        (2, "Ulm", None),
        (3, None, None),
        (4, None, 2),
    ]
    assert "amount" in lake.rejected("raw/rows").read_all().to_pylist()[0]["reason"]


def test_compaction_does_not_let_in_who_was_shut_out(lake: Lake) -> None:
    """It moves the table of the one that was replaced past the opening of the one that replaced it."""
    sink = lake.table("raw/rows", compact_every=2)
    with sink.open("pipe") as first:
        first.land(batch(people(1), 1))
        second = sink.open("pipe")
        first._writer.table.refresh()  # type: ignore[attr-defined]
        with pytest.raises(PipeTakenOver):
            first.land(batch(people(2), 2))
        second.land(batch(people(2), 2))
    assert ids(lake) == [1, 2]


def test_quarantine_files_are_folded(lake: Lake, tmp_path: Path) -> None:
    with lake.table("raw/rows").open("pipe") as landing:
        for number in range(150):
            landing.land(batch([], number, rejected=(Rejected(str(number), "w", "r"),)))
    found = [row["reason"] for row in lake.rejected("raw/rows").read_all().to_pylist()]
    assert found == [str(number) for number in range(150)]
    assert len(list((tmp_path / "lake").rglob("*.rejected.parquet*"))) == 150 - 128 + 2


def test_a_long_load_and_its_many_files(lake: Lake, tmp_path: Path) -> None:
    for most in (70, 140):
        with lake.table("raw/rows", mode="replace").open("pipe") as landing:
            start = landing.position["next"] if landing.position else 0
            for number in range(start, most):
                landing.land(batch(people(number), number + 1, last=number == 139))
    assert ids(lake) == list(range(140))
    assert not list((tmp_path / "lake").rglob("*.rows.parquet*"))


def test_places(lake: Lake, tmp_path: Path) -> None:
    assert lake.table("raw/rows").place == Place("file", str(tmp_path / "lake" / "raw" / "rows"))
    s3 = Lake("s3://bucket/some/where", secret_access_key="hush")
    assert s3.table("raw/rows").place == Place("s3://bucket", "some/where/raw/rows")
    assert "hush" not in repr(s3) + repr(s3.table("raw/rows")) + repr(s3._storage.access)


def test_all_mistakes_are_told_at_once(lake: Lake) -> None:
    with pytest.raises(ConfigurationError) as caught:
        lake.table("orders", mode="upsert", keys=["a", "a"], schema="maybe", compression_level=0)  # type: ignore[arg-type]
    for word in ("in no zone", "upsert", "keys", "maybe", "compression_level"):
        assert word in caught.value.message
    with pytest.raises(ConfigurationError) as caught:
        Lake("gs://bucket", endpoint="127.0.0.1", timeout_seconds=0, zones=["_x"])
    for word in ("gs://", "endpoint", "zones", "timeout_seconds"):
        assert word in caught.value.message
    with pytest.raises(ConfigurationError, match="password"):
        Lake("s3://me:hush@bucket/x")
    for name in ("raw/../x", "raw/", "raw/_x", "raw/a b", "raw"):
        with pytest.raises(ConfigurationError):
            lake.table(name)
    with pytest.raises(DatasetNotFound):
        lake.read("raw/rows")
