"""Rows that are there already land once for each step, and every kind of frame is taken."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas
import polars
import pyarrow as pa
import pytest

from penstock import Penstock, flow, task
from penstock.core.errors import ConfigurationError
from penstock.core.ports.data import Counts
from penstock.data import put
from penstock.stores.warehouse import Warehouse
from penstock.testing import MemorySink

ROWS = [{"id": 1, "name": "Ada"}, {"id": 2, "name": None}]


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        pa.Table.from_pylist(ROWS),
        pa.Table.from_pylist(ROWS).to_reader(),
        pa.RecordBatch.from_pylist(ROWS),
        polars.DataFrame(ROWS),
        pandas.DataFrame(ROWS),
    ],
    ids=lambda rows: f"{type(rows).__module__.partition('.')[0]} {type(rows).__name__}",
)
def test_every_kind_of_rows(rows: Any) -> None:
    sink = MemorySink()
    assert put(rows, sink).counts == Counts(2, 2)
    assert sink.memory.tables["rows"] == ROWS


@pytest.mark.parametrize("rows", [7, "text", [1, 2], [{"a": 1}, 2], object()], ids=lambda rows: type(rows).__name__)
def test_what_is_no_table(rows: Any) -> None:
    with pytest.raises(ConfigurationError):
        put(rows, MemorySink())


def test_nothing_is_a_table_too() -> None:
    sink = MemorySink()
    assert put([], sink).counts == Counts()


def test_outside_of_a_run_every_call_writes() -> None:
    sink = MemorySink()
    put(ROWS, sink)
    put(ROWS, sink)
    assert len(sink.memory.tables["rows"]) == 4


def test_in_a_step_that_is_executed_again_they_land_once(tmp_path: Path, penstock_home: Path) -> None:
    warehouse = Warehouse(tmp_path / "shop.duckdb")
    seen: list[Counts] = []

    @task(retries=2)
    def load(number: int) -> None:
        table = warehouse.table("raw_data.numbers")
        seen.append(put([{"id": number}], table).counts + put([{"id": -number}, {"id": 0}], table).counts)
        if len(seen) % 3:
            raise OSError("its process might as well have been killed here")

    @flow
    def numbers(first: int) -> None:
        load(first)
        load(first + 1)

    with Penstock().activate():
        numbers(1)
        numbers(10)
    assert seen == [Counts(3, 3)] * 12
    found = warehouse.read("SELECT id FROM raw_data.numbers ORDER BY id")
    assert found["id"].to_pylist() == [-11, -10, -2, -1, 0, 0, 0, 0, 1, 2, 10, 11]


def test_runs_that_write_through_one_pipe_at_once(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "shop.duckdb")

    def write(number: int) -> None:
        put([{"id": number}], warehouse.table("raw_data.numbers"), name="the same")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(8)))
    assert warehouse.read("SELECT id FROM raw_data.numbers ORDER BY id")["id"].to_pylist() == list(range(8))


def test_dictionaries_need_not_have_the_same_names() -> None:
    sink = MemorySink()
    put([{"a": 1}, {"b": "x"}, {"a": 2.5}], sink)
    assert sink.memory.tables["rows"] == [{"a": 1.0, "b": None}, {"a": None, "b": "x"}, {"a": 2.5, "b": None}]
