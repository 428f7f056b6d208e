"""`penstock ingest`, as its user calls it: everything lands once, mistakes are told in a few lines."""

from __future__ import annotations

import csv
import json
import random
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.cli_lab import Cli

from penstock.stores.lake import Lake
from penstock.stores.warehouse import Warehouse

pytestmark = pytest.mark.acceptance


def write(file: Path, rows: Sequence[Sequence[Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows([["id", "name", "amount"], *rows])


@pytest.fixture
def cli(tmp_path: Path, penstock_home: Path) -> Cli:
    folder = tmp_path / "project"
    folder.mkdir()
    return Cli(folder, penstock_home)


def lake_ids(cli: Cli) -> list[int]:
    return sorted(Lake(cli.folder / "lake").read("raw/orders", columns=["id"]).read_all()["id"].to_pylist())


def test_files_into_the_lake_each_record_once(cli: Cli) -> None:
    write(cli.folder / "in" / "a.csv", [[1, "Ada", 1.5], [2, "Bob", 2.5]])
    told = cli.run("ingest", "in/*.csv", "lake:raw/orders").out
    assert "✓ 2 rows read · 2 landed · 0 rejected" in told
    assert cli.run("ingest", "in/*.csv", "lake:raw/orders").out.strip() == "✓ nothing new"
    write(cli.folder / "in" / "b.csv", [[3, "Cy", 3.5]])
    answer = cli.json("ingest", "in/*.csv", "lake:raw/orders")
    assert (answer["read"], answer["landed"], answer["superseded"], answer["rejected"]) == (1, 1, 0, 0)
    assert answer["pipe"]
    assert lake_ids(cli) == [1, 2, 3]


def test_one_row_for_each_key_in_the_warehouse(cli: Cli) -> None:
    write(cli.folder / "a.csv", [[1, "Ada", 1.5], [2, "Bob", 2.5], [1, "Ann", 9]])
    answer = cli.json("ingest", "a.csv", "duckdb:shop.duckdb#raw_data.orders", "--key", "id")
    assert (answer["read"], answer["landed"], answer["superseded"]) == (3, 2, 1)
    rows = Warehouse(cli.folder / "shop.duckdb").read("SELECT name FROM raw_data.orders ORDER BY id").to_pylist()
    assert [row["name"] for row in rows] == ["Ann", "Bob"]


def test_the_warehouse_of_the_project_is_read_and_written(cli: Cli) -> None:
    (cli.folder / "pyproject.toml").write_text('[tool.penstock]\nhome = "elsewhere"\n')
    del cli.environ["PENSTOCK_HOME"]
    write(cli.folder / "a.csv", [[1, "Ada", 1.5]])
    cli.run("ingest", "a.csv", "duckdb:#raw_data.orders")
    cli.run("ingest", "duckdb:elsewhere/warehouse.duckdb#raw_data.orders", "b.ndjson")
    assert json.loads((cli.folder / "b.ndjson").read_text()) == {"id": 1, "name": "Ada", "amount": 1.5}


def test_from_csv_to_parquet_and_back(cli: Cli) -> None:
    write(cli.folder / "a.csv", [[number, f"n{number}", number / 4] for number in range(50)])
    cli.run("ingest", "a.csv", "a.parquet", "--quiet")
    cli.run("ingest", "a.parquet", "b.ndjson", "--quiet")
    lines = (cli.folder / "b.ndjson").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == list(range(50))


def test_options_for_the_source(cli: Cli) -> None:
    (cli.folder / "a.csv").write_text("id;name\n1;a,b\n", encoding="utf-8")
    cli.run("ingest", "a.csv", "out.ndjson", "-f", "delimiter=;")
    assert json.loads((cli.folder / "out.ndjson").read_text()) == {"id": 1, "name": "a,b"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("a.csv", "nowhere:x"), "nowhere: is nothing to write to"),
        (("no.csv", "b.csv"), "There is no file or folder no.csv"),
        (("nowhere:x", "b.csv"), "nowhere: is nothing to read from"),
        (("lake:raw/orders", "b.csv"), "one can only write to it"),
        (("a.csv", "lake:"), "names no table"),
        (("a.csv", "duckdb:shop.duckdb"), "it stands behind a #"),
        (("", "b.csv"), "An address is empty"),
        (("a.csv", "b.csv", "-f", "delimiter"), "'delimiter' is no option"),
        (("a.csv", "b.csv", "-f", "delimter=;"), "did you mean delimiter?"),
        (("a.csv", "b.csv", "-f", "header=x", "-f", "header=y"), "given twice"),
        (("a.csv", "lake:raw/orders", "--mode", "mrege"), "merge"),
        (("a.csv", "b.csv", "--mode", "merge"), "mode"),
    ],
    ids=str,
)
def test_a_mistake_is_told_in_a_few_lines(cli: Cli, arguments: tuple[str, ...], told: str) -> None:
    write(cli.folder / "a.csv", [[1, "Ada", 1.5]])
    answer = cli.end(cli.start("ingest", *arguments))
    assert answer.code == 2
    assert told in answer.err
    assert "Traceback" not in answer.err
    assert len(answer.err.splitlines()) < 8


def test_killed_again_and_again_each_record_lands_once(cli: Cli) -> None:
    write(cli.folder / "a.csv", [[number, "x" * 90, number] for number in range(60_000)])
    chance = random.Random(7)
    command = ["ingest", "a.csv", "lake:raw/orders", "-f", "batch_bytes=100000", "--quiet"]
    for _ in range(4):
        process = cli.start(*command)
        until = time.monotonic() + chance.uniform(0.5, 2.5)
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        cli.end(process)
    cli.run(*command)
    assert lake_ids(cli) == list(range(60_000))


def test_told_to_stop_it_commits_and_ends(cli: Cli) -> None:
    write(cli.folder / "in" / "a.csv", [[1, "Ada", 1.5]])
    follow = ("--follow", "-f", "poll_seconds=0.1")
    process: subprocess.Popen[str] = cli.start("ingest", "in/*.csv", "lake:raw/orders", *follow)
    deadline = time.monotonic() + 60
    while not list((cli.folder / "lake" / "raw" / "orders").glob("*.parquet")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    answer = cli.end(process)
    assert answer.code == 0
    assert "1 row read · 1 landed" in answer.out
    assert lake_ids(cli) == [1]
