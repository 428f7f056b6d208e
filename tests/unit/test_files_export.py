"""Exports: what can be seen is whole and committed, with the position of the source."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.connectors.files import FileExport, Files
from penstock.connectors.files import ledger as ledgers
from penstock.core.errors import ConfigurationError, PipeTakenOver, SchemaRefused, SinkUnavailable
from penstock.core.ports.data import Batch, Counts, Part, Rejected
from penstock.data.ingest import ingest
from penstock.testing.data_memory import Memory, MemorySink, MemorySource
from penstock.testing.data_sinks import ReplaceConformance, SinkConformance

FILES = ("csv", "tsv", "json", "ndjson", "parquet", "csv.gz", "ndjson.zst", "json.gz")


def rejected_of(path: Path) -> list[Rejected]:
    folder = Path(f"{path}.rejected")
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return [Rejected(**json.loads(line)) for file in files for line in file.read_text().splitlines()]


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


class TestParts(SinkConformance):
    @pytest.fixture(autouse=True)
    def system(self, tmp_path: Path) -> None:
        self.path = tmp_path / "out"

    def make_sink(self, **options: Any) -> FileExport:
        return FileExport(self.path, **{"mode": "append", **options})

    def rows(self, table: str = "rows") -> list[dict[str, Any]]:
        parts = [pq.read_table(part) for part in sorted(self.path.glob("part-*.parquet"))]
        return pa.concat_tables(parts, promote_options="default").to_pylist() if parts else []

    def rejected(self, table: str = "rows") -> list[Rejected]:
        return rejected_of(self.path)


class TestJsonParts(TestParts):
    kinds = ("id", "whole", "half", "truth", "text")

    def make_sink(self, **options: Any) -> FileExport:
        return FileExport(self.path, **{"mode": "append", "format": "ndjson", **options})

    def rows(self, table: str = "rows") -> list[dict[str, Any]]:
        lines = [line for part in sorted(self.path.glob("part-*")) for line in part.read_bytes().splitlines()]
        rows = [json.loads(line) for line in lines]
        names = dict.fromkeys(name for row in rows for name in row)
        return [{name: row.get(name) for name in names} for row in rows]


class TestReplaced(ReplaceConformance):
    @pytest.fixture(autouse=True)
    def system(self, tmp_path: Path) -> None:
        self.path = tmp_path / "rows.parquet"

    def make_sink(self, **options: Any) -> FileExport:
        return FileExport(self.path, **options)

    def rows(self, table: str = "rows") -> list[dict[str, Any]]:
        return pq.read_table(self.path).to_pylist()

    def rejected(self, table: str = "rows") -> list[Rejected]:
        return rejected_of(self.path)


def records(count: int) -> list[dict[str, Any]]:
    names = ("Ada", "", "a,b", 'say "hi"', "two\nlines", "ünï ✓", " spaces ")
    return [{"id": number, "name": names[number % len(names)], "share": number / 4} for number in range(count)]


@pytest.mark.parametrize("suffix", FILES)
def test_what_was_exported_reads_back_the_same(suffix: str, tmp_path: Path) -> None:
    path, memory = tmp_path / f"users.{suffix}", Memory()
    done = ingest(MemorySource(records(50), rows=7), FileExport(path), name="out")
    assert done.counts == Counts(50, 50)
    schema = {"id": "int64", "name": "string", "share": "float64"}
    ingest(Files(path, schema=schema), MemorySink(memory), name="in")
    assert memory.tables["rows"] == records(50)
    assert memory.rejected == []


def test_a_csv_is_one_that_others_read(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    ingest(MemorySource(records(7)), FileExport(path), name="out")
    with path.open(newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == [record["name"] for record in records(7)]


@pytest.mark.parametrize("suffix", ["json", "json.gz"])
def test_an_export_without_rows_is_a_file_all_the_same(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"none.{suffix}"
    ingest(MemorySource([]), FileExport(path), name="out")
    assert [list(batch.parts) for batch in Files(path).batches(None)] == [[]]


def test_values_that_a_text_format_does_not_have_become_text(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "data": [b"\xff"],
            "list": [[1, 2]],
            "who": [{"name": "Ada"}],
            "price": pa.array(["1.50"]).cast(pa.decimal128(5, 2)),
        }
    )
    for path in (tmp_path / "x.csv", tmp_path / "x.ndjson"):
        with FileExport(path).open("p") as landing:
            landing.land(Batch((Part(rows),), {"n": 1}, last=True))
    with (tmp_path / "x.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {"data": "/w==", "list": "[1,2]", "who": '{"name":"Ada"}', "price": "1.50"}
    told = json.loads((tmp_path / "x.ndjson").read_text())
    assert told == {"data": "/w==", "list": [1, 2], "who": {"name": "Ada"}, "price": "1.50"}


def test_a_reader_that_goes_by_the_manifest_sees_whole_parts_only(tmp_path: Path) -> None:
    out, memory = tmp_path / "out", Memory()
    ingest(MemorySource(records(10)), FileExport(out, mode="append"), name="out")
    (out / "part-00099.parquet").write_bytes(b"somebody else's")
    ingest(Files(out, manifest="manifest.json"), MemorySink(memory), name="in")
    assert sorted(row["id"] for row in memory.tables["rows"]) == list(range(10))
    assert memory.rejected == []


class _Killed(BaseException):
    pass


def _landing(sink: FileExport, batches: Iterable[Batch]) -> None:
    with sink.open("pipe") as landing:
        for batch in batches:
            if batch.position["next"] > (landing.position or {"next": 0})["next"]:
                landing.land(batch)


def _batches(count: int, *, last: bool) -> list[Batch]:
    made = []
    for number in range(count):
        bad = (Rejected("no", f"{number}", "raw"),) if number % 2 else ()
        rows = pa.table({"id": [2 * number, 2 * number + 1]})
        made.append(Batch((Part(rows),), {"next": number + 1}, bad, last=last and number == count - 1))
    return made


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_killed_before_any_step_each_record_lands_once(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rename and every removal is a moment to be killed at."""
    real = {name: getattr(os, name) for name in ("replace", "remove", "fsync")}
    step = killed_at = 0

    def dying(name: str) -> Any:
        def call(*args: Any) -> Any:
            nonlocal step
            step += 1
            if step == killed_at:
                raise _Killed
            return real[name](*args)

        return call

    for name in real:
        monkeypatch.setattr(ledgers.os, name, dying(name))
    for killed_at in range(1, 400):
        path = tmp_path / str(killed_at) / ("out" if mode == "append" else "rows.parquet")
        path.parent.mkdir()
        sink, step = FileExport(path, mode=mode), 0  # type: ignore[arg-type]
        try:
            _landing(sink, _batches(4, last=mode == "replace"))
            break
        except _Killed:
            step = 1 << 30
        seen = _ids(path)
        assert len(seen) == len(set(seen))
        with sink.open("pipe") as landing:
            done = landing.position
        if mode == "append":
            assert _ids(path) == list(range(2 * (done or {"next": 0})["next"]))
        else:
            assert _ids(path) in ([], list(range(8)))
        if mode == "append" or done is not None or not _ids(path):
            _landing(sink, _batches(4, last=mode == "replace"))
        assert _ids(path) == list(range(8))
        assert [one.where for one in rejected_of(path)] == ["1", "3"]
        assert visible(path.parent) == sorted({path.name, f"{path.name}.rejected"})
    else:
        pytest.fail("it never came to its end")
    assert killed_at > 10


def _ids(path: Path) -> list[int]:
    files = sorted(path.glob("part-*")) if path.is_dir() else [path] if path.exists() else []
    return [row for file in files for row in pq.read_table(file)["id"].to_pylist()]


def test_the_state_does_not_grow_with_what_has_landed(tmp_path: Path) -> None:
    sink = FileExport(tmp_path / "out", mode="append")
    sizes = []
    with sink.open("pipe") as landing:
        for batch in _batches(60, last=False):
            landing.land(batch)
            state = next((tmp_path / "out" / ".penstock").glob("*/state.json"))
            sizes.append(state.stat().st_size + (tmp_path / "out" / "manifest.json").stat().st_size)
    assert max(sizes) - sizes[0] < 30
    assert os.listdir(sink.ledger("pipe").folder) == ["state.json"]


def test_a_file_that_is_replaced_has_only_its_own_rejected_records(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for number in (1, 2):
        ingest(MemorySource([{"id": 1}, Rejected(f"bad {number}", "here", "raw")]), FileExport(path), name="p")
        assert [one.reason for one in rejected_of(path)] == [f"bad {number}"]
    ingest(MemorySource([{"id": 1}]), FileExport(path), name="p")
    assert rejected_of(path) == []
    assert visible(tmp_path) == ["rows.csv"]


def test_changes_are_refused(tmp_path: Path) -> None:
    rows = pa.table({"id": [1]})
    with FileExport(tmp_path / "x.csv").open("p") as landing:
        for part in (Part(rows, how="upsert"), Part(rows, table="other")):
            with pytest.raises(SchemaRefused, match="takes records"):
                landing.land(Batch((part,), {}))


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkUnavailable, match=r"Not a directory|File exists"):
        FileExport(tmp_path / "file" / "x.csv").open("p")


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = FileExport(tmp_path / "x.csv")
    with sink.open("p") as landing:
        landing.land(Batch((Part(pa.table({"id": [1]})),), {"n": 1}))
        real = os.fsync

        def full(handle: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(SinkUnavailable, match="the disk is full"):
            landing.land(Batch((Part(pa.table({"id": [2]})),), {"n": 2}))
        monkeypatch.setattr(os, "fsync", real)
    with sink.open("p") as landing:
        assert (landing.position, landing.counts) == ({"n": 1}, Counts(1, 1))
        landing.land(Batch((Part(pa.table({"id": [2]})),), {"n": 2}, last=True))
    assert (tmp_path / "x.csv").read_text() == '"id"\n1\n2\n'


def test_two_processes_on_one_pipe(tmp_path: Path) -> None:
    sink = FileExport(tmp_path / "out", mode="append")
    with sink.open("p") as first, sink.open("p"), pytest.raises(PipeTakenOver):
        first.land(_batches(1, last=False)[0])
    assert _ids(tmp_path / "out") == []


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as told:
        FileExport("x.docx", compression="rar")  # type: ignore[arg-type]
    assert "2 mistakes in FileExport" in told.value.message
    assert "format" in told.value.message
    assert "compression" in told.value.message
