"""Several processes and one DuckDB file, which lets in one at a time."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from penstock.core.errors import ConfigurationError, PipeTakenOver, SchemaRefused, SinkUnavailable
from penstock.core.ports.data import Batch, Counts, Part
from penstock.stores.warehouse import Warehouse
from penstock.stores.warehouse.duck_file import DuckFile, _Spare

HOLD = """
import sys, time, duckdb
while True:
    try:
        connection = duckdb.connect(sys.argv[1])
        break
    except duckdb.IOException as error:
        assert "Could not set lock" in str(error)
        time.sleep(0.01)
print("there", flush=True)
sys.stdin.read()
connection.close()
"""
LAND = """
import sys
import pyarrow as pa
from penstock.core.ports.data import Batch, Part
from penstock.stores.warehouse import Warehouse
name, path = sys.argv[1:]
print("there", flush=True)
sys.stdin.read()
with Warehouse(path).table("raw_data.rows").open(name) as landing:
    for number in range(6):
        rows = pa.table({"pipe": [name] * 10, "number": range(number * 10, number * 10 + 10)})
        landing.land(Batch((Part(rows),), {"next": number}))
print(landing.counts.landed)
"""


@contextmanager
def program(code: str, *args: str) -> Iterator[subprocess.Popen[str]]:
    """A process that says when it is there, and goes on when its input is closed."""
    command = [sys.executable, "-c", code, *args]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        yield process


def batch(number: int) -> Batch:
    return Batch((Part(pa.table({"id": [number]})),), {"next": number})


def test_a_file_that_another_process_has_is_waited_for_and_then_said_to_be_in_use(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    landing = Warehouse(path, timeout_seconds=0.2).table("raw_data.rows").open("pipe")
    with program(HOLD, str(path)) as process:
        with pytest.raises(SinkUnavailable, match=rf"in use by the process {process.pid}\b") as told:
            landing.land(batch(1))
        assert "one process at a time" in str(told.value)
        with pytest.raises(SinkUnavailable, match="opened again"):
            landing.land(batch(1))
        process.communicate()
    with Warehouse(path).table("raw_data.rows").open("pipe") as again:
        assert (again.position, again.counts) == (None, Counts())
        assert again.land(batch(1)).counts == Counts(1, 1)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is not let go of because nothing comes for a moment."""
    for name in ("_IDLE_SECONDS", "_LONGEST_SECONDS"):
        monkeypatch.setattr(f"penstock.stores.warehouse.duck_file.{name}", 60.0)


def opened(path: Path) -> bool:
    """Whether this process has a file open."""
    held = Path("/proc/self/fd")
    if not held.exists():
        pytest.skip("the files a process has open are told by Linux")
    return any(os.path.realpath(link) == os.path.realpath(path) for link in held.iterdir())


def test_a_file_is_let_go_of_when_no_commit_follows(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    with Warehouse(path).table("raw_data.rows").open("pipe") as landing:
        landing.land(batch(1))
        with program(HOLD, str(path)) as process:
            process.communicate()
        landing.land(batch(2))
        landing.land(batch(3))
    with duckdb.connect(path, read_only=True) as other:
        assert other.execute("SELECT sum(id) FROM raw_data.rows").fetchall() == [(6,)]


@pytest.mark.usefixtures("unhurried")
def test_a_file_stays_open_between_commits_and_not_behind_them(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    with Warehouse(path).table("raw_data.rows").open("pipe") as landing:
        landing.land(batch(1))
        assert opened(path)
    assert not opened(path)
    Warehouse(path).count("raw_data.rows")
    assert not opened(path)


def test_a_file_that_another_has_replaced_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    with Warehouse(path).table("raw_data.rows").open("pipe") as landing:
        landing.land(batch(1))
        path.unlink()
        with pytest.raises(PipeTakenOver):
            landing.land(batch(2))


@pytest.mark.usefixtures("unhurried")
def test_a_child_finds_the_file_closed(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    with Warehouse(path).table("raw_data.rows").open("pipe") as landing:
        landing.land(batch(1))
        child = os.fork()
        if not child:
            os._exit(3 if opened(path) else 0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        landing.land(batch(2))
        assert opened(path)


def test_processes_that_write_at_the_same_time_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    with program(LAND, "one", str(path)) as one, program(LAND, "two", str(path)) as two:
        for process in (one, two):
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
        assert [process.communicate()[0].split() for process in (one, two)] == [["60"], ["60"]]
    found = Warehouse(path).read("SELECT pipe, count(DISTINCT number) AS n FROM raw_data.rows GROUP BY 1 ORDER BY 1")
    assert found.to_pylist() == [{"pipe": "one", "n": 60}, {"pipe": "two", "n": 60}]


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.duckdb").write_text("this is no database at all" * 1000)
    with pytest.raises(SinkUnavailable, match=r"text\.duckdb"):
        Warehouse(tmp_path / "text.duckdb").table("raw_data.rows").open("pipe")
    with pytest.raises(ConfigurationError, match="in memory"):
        Warehouse("duckdb:///:memory:")
    with pytest.raises(ConfigurationError, match="no warehouse for mysql"):
        Warehouse("mysql://host/database")
    with pytest.raises(ConfigurationError, match="cannot tell the schema"):
        Warehouse(tmp_path / "Raw_Data.duckdb").table("orders")
    with pytest.raises(ConfigurationError, match="timeout_seconds"):
        Warehouse(tmp_path / "x.duckdb", timeout_seconds=0)


def test_urls_and_the_default_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, penstock_home: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Warehouse().place.namespace == f"duckdb://{penstock_home}/warehouse.duckdb"
    assert Warehouse("duckdb:///shop.duckdb").place == Warehouse(f"duckdb:///{tmp_path}/shop.duckdb").place
    assert str(Warehouse("shop.duckdb").table("orders").place) == f"duckdb://{tmp_path}/shop.duckdb/raw_data.orders"


def test_a_pipe_whose_register_is_gone_has_ended(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "shop.duckdb")
    with warehouse.table("raw_data.rows").open("pipe") as landing:
        warehouse.execute("DROP TABLE raw_data.penstock_pipes")
        with pytest.raises(PipeTakenOver):
            landing.land(batch(1))


def test_names_that_are_the_same_to_duckdb(tmp_path: Path) -> None:
    sink = Warehouse(tmp_path / "shop.duckdb").table("raw_data.rows")
    with sink.open("pipe") as landing:
        with pytest.raises(SchemaRefused, match="which is the same to DuckDB"):
            landing.land(Batch((Part(pa.table({"id": [1], "ID": [2]})),), {}))
        landing.land(Batch((Part(pa.table({"É": [1], "é": [2], "id": [3]})),), {}))
        landing.land(Batch((Part(pa.table({"ID": [4]})),), {}))


def test_a_child_does_not_close_a_connection_of_its_parent(tmp_path: Path) -> None:
    """One that a thread of the parent left open just before the fork, when all had been let go of."""
    closed = []

    class Connection:
        def __del__(self) -> None:
            closed.append(self)

    file = DuckFile(tmp_path / "shop.duckdb")
    file._spare = _Spare(Connection(), False, (0, 0), 0.0)
    file.in_child()
    gc.collect()
    assert file._spare is None
    assert not closed
