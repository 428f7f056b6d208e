"""Datasets: what is on record of them, whatever writes and reads them, and what is done with them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock import flow, task
from penstock.app import Penstock, Settings
from penstock.core.datasets import DatasetRead, DatasetWritten
from penstock.core.errors import ConfigurationError, DatasetNotFound
from penstock.core.ports import Journal
from penstock.data import Dataset, ingest, put
from penstock.journal.memory import MemoryJournal
from penstock.stores.lake import Lake
from penstock.task_runners import ProcessPoolTaskRunner
from penstock.testing import MemorySource

ROWS: list[dict[str, Any]] = [{"id": number, "name": f"n{number}"} for number in range(1, 5)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    app = Penstock(Settings(home=str(tmp_path / "home"), log_console=False), journal=MemoryJournal())
    with app.activate():
        yield app.journal


def told(journal: Journal, kind: type[Any]) -> list[Any]:
    return [stored.event for stored in journal.read(0, 10_000) if isinstance(stored.event, kind)]


ADDRESSES = ["lake:raw/orders", "duckdb:shop.duckdb#raw_data.orders", "orders.parquet"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_is_written_is_read_again_and_both_are_on_record(project: Path, journal: Journal, address: str) -> None:
    orders = Dataset("orders", address, description="Orders as they came.", owner="sales", tags=["raw"])
    assert not orders.exists()
    done = orders.write(ROWS)
    assert (done.counts.read, done.counts.landed) == (4, 4)
    assert orders.exists()
    assert sorted(orders.read().to_pylist(), key=lambda row: row["id"]) == ROWS
    assert sorted(orders.read(["name"]).to_pylist(), key=str) == [{"name": row["name"]} for row in ROWS]
    assert orders.read(limit=2).num_rows == 2
    (known,) = journal.datasets()
    assert (known.name, known.landed, known.rejected) == ("orders", 4, 0)
    assert known.columns == {"id": "int64", "name": "string"}
    assert known.spec == {"description": "Orders as they came.", "owner": "sales", "tags": ["raw"]}
    assert known.place == str(orders.place)
    assert [event.rows for event in told(journal, DatasetRead)] == [4, 4, 2]
    assert told(journal, DatasetRead)[1].columns == ("name",)
    with pytest.raises(ConfigurationError, match="'nme'"):
        orders.read(["nme"])


def test_columns_are_on_record_when_they_change(project: Path, journal: Journal) -> None:
    orders = Dataset("orders", "lake:raw/orders")
    orders.write(ROWS)
    orders.write(ROWS)
    orders.write([{"id": 9, "name": "n9", "city": "Ulm"}])
    assert [event.columns for event in told(journal, DatasetWritten)] == [
        {"id": "int64", "name": "string"},
        None,
        {"id": "int64", "name": "string", "city": "string"},
    ]
    versions = [event.data_version for event in told(journal, DatasetWritten)]
    assert versions[-1] == orders.history(1)[0].version
    assert [orders.read(version=version).num_rows for version in versions] == [4, 8, 9]


def test_a_version_is_read_as_it_was(project: Path, journal: Journal) -> None:
    orders = Dataset("orders", "lake:raw/orders", keys="id")
    first = orders.write(ROWS)
    orders.write([{"id": 1, "name": "other"}, {"id": 8, "name": "new"}])
    assert orders.read(where="id IN (1, 8)").sort_by("id").to_pylist() == [
        {"id": 1, "name": "other"},
        {"id": 8, "name": "new"},
    ]
    assert orders.read(version=first.version).sort_by("id").to_pylist() == ROWS
    assert orders.count() == 5
    with pytest.raises(DatasetNotFound):
        orders.read(version=99)
    with pytest.raises(ConfigurationError, match="it is a number"):
        orders.read(version="latest")


@pytest.mark.parametrize("address", ADDRESSES[1:])
def test_what_has_no_versions_says_so(project: Path, journal: Journal, address: str) -> None:
    orders = Dataset("orders", address)
    orders.write(ROWS)
    for ask in (lambda: orders.read(version=1), orders.history, orders.compact, orders.vacuum):
        with pytest.raises(ConfigurationError, match=r"orders"):
            ask()


def test_rows_without_the_declared_columns_are_rejected(project: Path, journal: Journal) -> None:
    orders = Dataset("orders", "lake:raw/orders", columns={"id": "int64", "day": "date", "amount": "decimal(10, 2)"})
    rows = [
        {"id": 1, "day": "2026-01-31", "amount": "1.50"},
        {"id": "x", "day": "2026-01-31", "amount": "1"},
        {"id": 3, "day": "31.1.2026", "amount": "much"},
        {"id": 4, "day": "2026-01-31", "amount": "2", "city": "Ulm"},
    ]
    done = orders.write([{name: None if value is None else str(value) for name, value in row.items()} for row in rows])
    assert (done.counts.landed, done.counts.rejected) == (1, 3)
    assert [str(field.type) for field in orders.schema()] == ["int64", "date32[day]", "decimal128(10, 2)"]
    reasons = [row["reason"] for row in orders.rejected().to_pylist()]
    assert [reason.partition(":")[0] for reason in reasons] == ["id", "day", "city"]
    assert "amount: 'much'" in reasons[1]
    with pytest.raises(ConfigurationError, match="no type"):
        Dataset("b", "lake:raw/b", columns={"id": "whole number"}).write(rows)


@pytest.mark.parametrize("bad", ["", " orders", 7])
def test_a_name_that_is_none(bad: Any) -> None:
    with pytest.raises(ConfigurationError, match="no name of a dataset"):
        Dataset(bad, "lake:raw/orders")


def test_a_table_has_its_own_options(project: Path, journal: Journal) -> None:
    from penstock.stores.lake import LakeTable

    table = LakeTable(Lake("elsewhere"), "raw/orders", {"mode": "merge", "keys": ["id"]})
    with pytest.raises(ConfigurationError, match="options of its own"):
        Dataset("orders", table, keys="id")
    orders = Dataset("orders", table)
    orders.write(ROWS)
    orders.write(ROWS)
    assert orders.count() == 4


def test_a_dataset_is_the_end_of_a_pipe(project: Path, journal: Journal) -> None:
    source = MemorySource(ROWS, rows=2)
    ingest(source, Dataset("orders", "lake:raw/orders"), name="first")
    (written,) = told(journal, DatasetWritten)
    assert (written.read, written.landed, written.pipe) == (4, 4, "first")
    assert written.inputs == (str(source.place),)
    (read,) = told(journal, DatasetRead)
    assert (read.place, read.rows) == (str(source.place), 4)
    ingest(source, Dataset("orders", "lake:raw/orders"), name="first")
    assert len(told(journal, DatasetWritten)) == 1, "nothing came"


def test_a_pipe_that_breaks_tells_what_had_landed(project: Path, journal: Journal) -> None:
    class Breaking(MemorySource):
        def batches(self, position: Any) -> Any:
            for number, batch in enumerate(super().batches(position)):
                if number == 1:
                    raise OSError("the cable is cut")
                yield batch

    with pytest.raises(OSError, match="cable"):
        ingest(Breaking(ROWS, rows=1), Dataset("orders", "lake:raw/orders"))
    assert [event.landed for event in told(journal, DatasetWritten)] == [1]


def test_in_a_run_plain_sinks_are_on_record_too(project: Path, journal: Journal) -> None:
    lake = Lake("lake")

    @task
    def load() -> int:
        ingest(MemorySource(ROWS), lake.table("raw/orders"))
        return put(ROWS, lake.table("raw/copies")).counts.landed

    @flow
    def nightly() -> int:
        return load()

    put(ROWS, lake.table("raw/before"))  # outside of any run: nobody asked for a record
    assert nightly() == 4
    written = told(journal, DatasetWritten)
    assert [Path(event.path).name for event in written] == ["orders", "copies"]
    (run,) = {event.run for event in written}
    assert journal.run(run) is not None
    assert {event.step for event in written} == {"load#1"}
    assert {known.written_by for known in journal.datasets() if known.written_at} == {run}


@task
def load_in_a_process(folder: str) -> int:
    done = ingest(MemorySource(ROWS), Dataset("orders", f"lake:{folder}#raw/orders"))
    return done.counts.landed


@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def nightly_in_processes(folder: str) -> int:
    return load_in_a_process.submit(folder).result()


def test_what_a_process_of_a_task_writes_is_on_record(project: Path, journal: Journal) -> None:
    assert nightly_in_processes(str(project / "lake")) == 4
    (written,) = told(journal, DatasetWritten)
    assert written.landed == 4
    assert written.step == "load_in_a_process#1"
    assert journal.run(written.run) is not None
    assert journal.datasets("orders")[0].written_by == written.run


def test_a_step_that_is_executed_again_is_on_record_once(project: Path, journal: Journal) -> None:
    orders = Dataset("orders", "lake:raw/orders")
    tries = []

    @task(retries=1)
    def load() -> int:
        tries.append(1)
        done = orders.write(ROWS)
        if len(tries) == 1:
            raise OSError("after the rows have landed")
        return done.counts.landed

    @flow
    def nightly() -> int:
        return load()

    assert nightly() == 4
    assert len(tries) == 2
    assert orders.count() == 4
    assert len(told(journal, DatasetWritten)) == 1


def test_a_name_can_move(project: Path, journal: Journal) -> None:
    Dataset("orders", "lake:raw/orders").write(ROWS)
    Dataset("orders", "lake:raw/orders2").write(ROWS)
    assert [(one.declared, Path(one.path).name) for one in journal.datasets()] == [(False, "orders"), (True, "orders2")]
    Dataset("sales", "lake:raw/orders2").declare()
    assert [one.name for one in journal.datasets("sales")] == ["sales"]
    assert journal.datasets("orders") == []


def test_no_password_is_on_record(project: Path, journal: Journal) -> None:
    from penstock.core.addresses import without_secrets

    for url, plain in (
        ("postgresql://me:s3cret@host:5432/shop#a.b", "postgresql://me@host:5432/shop#a.b"),
        ("postgresql://me:a@b:c@host/shop", "postgresql://me@host/shop"),
        ("postgresql://host:5432/shop?password=s3cret&x=1", "postgresql://host:5432/shop?password=&x=1"),
        ("https://api.example/orders?api_key=abc", "https://api.example/orders?api_key="),
        ("postgresql://me@host/shop", "postgresql://me@host/shop"),
        ("lake:raw/orders", "lake:raw/orders"),
    ):
        assert without_secrets(url) == plain


def test_options_are_for_reading_too_and_secrets_of_them_on_no_record(project: Path, journal: Journal) -> None:
    options = {"delimiter": ";", "storage.secret_access_key": "s3cret", "storage.endpoint": "http://127.0.0.1:1"}
    orders = Dataset("orders", "orders.csv", options={"delimiter": ";"})
    (project / "orders.csv").write_text("id;name\n1;a\n")
    assert orders.read().to_pylist() == [{"id": 1, "name": "a"}]
    orders.write([{"id": 2, "name": "b;c"}])
    assert (project / "orders.csv").read_text() == '"id";"name"\n2;"b;c"\n'
    assert orders.read().to_pylist() == [{"id": 2, "name": "b;c"}]
    assert journal.datasets("orders")[0].spec["options"] == {"delimiter": ";"}
    told = Dataset("other", "orders.csv", options=options).spec["options"]
    assert told == {"delimiter": ";", "storage.endpoint": "http://127.0.0.1:1"}


def test_what_is_read_is_the_version_on_record(project: Path, journal: Journal) -> None:
    orders = Dataset("orders", "lake:raw/orders")
    orders.write(ROWS)
    orders.write(ROWS)
    orders.read()
    orders.read(version=orders.history()[1].version)
    first, second = (int(event.data_version) for event in told(journal, DatasetRead))
    assert first == second + 1 == int(orders.history(1)[0].version)


def test_compact_and_vacuum(project: Path, journal: Journal) -> None:
    orders = Dataset("orders", "lake:raw/orders")
    for row in ROWS:
        orders.write([row])
    assert orders.compact() == "4 files became 1"
    assert orders.vacuum() == []
    with pytest.raises(ConfigurationError, match="force"):
        orders.vacuum(timedelta(0))
    assert orders.count() == 4
