"""`penstock sql`, as its user calls it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.acceptance.cli_lab import Cli

from penstock.data import put
from penstock.stores.lake import Lake
from penstock.stores.warehouse import Warehouse

pytestmark = pytest.mark.acceptance
ROWS = [{"id": n, "name": f"name {n}", "amount": n / 4} for n in range(1, 251)]
ON = "--on=duckdb:shop.duckdb"


@pytest.fixture
def cli(tmp_path: Path, penstock_home: Path) -> Cli:
    folder = tmp_path / "project"
    folder.mkdir()
    put(ROWS, Warehouse(folder / "shop.duckdb").table("raw_data.orders"))
    return Cli(folder, penstock_home)


@pytest.fixture
def lake(cli: Cli) -> Lake:
    lake = Lake(cli.folder / "lake")
    put(ROWS, lake.table("raw/orders"))
    put([{"id": 1, "of": 7}], lake.table("raw/shop/lines"))
    put([{"id": 1}], lake.table("processed/orders"))
    return lake


def piped(cli: Cli, text: str, *args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        cli.command(*args), cwd=cli.folder, env=cli.environ, input=text, capture_output=True, text=True, check=False
    )


def test_a_table_with_types_and_a_count(cli: Cli) -> None:
    told = cli.run("sql", "SELECT id, name FROM raw_data.orders ORDER BY id LIMIT 2", ON).out.splitlines()
    assert [line.split() for line in told[:4]] == [
        ["id", "name"],
        ["int64", "string"],
        ["1", "name", "1"],
        ["2", "name", "2"],
    ]
    assert told[4].startswith("2 rows · ")


def test_there_are_more_rows_than_are_shown(cli: Cli) -> None:
    told = cli.run("sql", "SELECT * FROM raw_data.orders", ON).out
    assert "the first 100 rows; there are more (--limit 0 shows all)" in told
    assert len(told.splitlines()) == 103
    assert "250 rows" in cli.run("sql", "SELECT * FROM raw_data.orders", ON, "--limit", 0).out
    assert "the first 7 rows" in cli.run("sql", "SELECT * FROM raw_data.orders", ON, "--limit", 7).out


def test_what_is_long_or_dangerous_is_shown_harmlessly(cli: Cli) -> None:
    told = cli.run("sql", "SELECT repeat('x', 500) AS long, chr(27) || '[2J' AS evil, NULL AS nothing", ON).out
    assert "x" * 59 + "…" in told
    assert "\x1b" not in told
    assert "\\x1b[2J" in told
    assert "null" in told


def test_formats(cli: Cli) -> None:
    odd = "CASE WHEN id = 1 THEN 'a|b\n\"c\"' END AS odd"
    sql = f"SELECT id, name, amount, {odd} FROM raw_data.orders WHERE id < 3 ORDER BY id"
    expected = [
        {"id": 1, "name": "name 1", "amount": 0.25, "odd": 'a|b\n"c"'},
        {"id": 2, "name": "name 2", "amount": 0.5, "odd": None},
    ]
    assert json.loads(cli.run("sql", sql, ON, "--format", "json").out) == expected
    assert [json.loads(line) for line in cli.run("sql", sql, ON, "--format=ndjson").out.splitlines()] == expected
    read = list(csv.DictReader(io.StringIO(cli.run("sql", sql, ON, "--format", "csv").out)))
    assert read[0] == {"id": "1", "name": "name 1", "amount": "0.25", "odd": 'a|b\n"c"'}
    markdown = cli.run("sql", sql, ON, "--format", "markdown").out.splitlines()
    assert markdown[1] == "| --- | --- | --- | --- |"
    assert markdown[2] == '| 1 | name 1 | 0.25 | a\\|b\\\\n"c" |'
    answer = cli.json("sql", sql, ON)
    assert answer["rows"] == expected
    assert answer["columns"][0] == {"name": "id", "type": "int64"}
    assert len(cli.run("sql", "SELECT * FROM raw_data.orders", ON, "--format=csv").out.splitlines()) == 251


def test_columns_of_one_name_are_told_apart(cli: Cli) -> None:
    answer = cli.json("sql", "SELECT 1 AS a, 2 AS a, 3 AS a_2", ON)
    assert list(answer["rows"][0].values()) == [1, 2, 3]


def test_into_files(cli: Cli) -> None:
    sql = "SELECT * FROM raw_data.orders ORDER BY id"
    cli.run("sql", sql, ON, "--output", "rows.parquet")
    assert pq.read_table(cli.folder / "rows.parquet").to_pylist() == ROWS
    cli.run("sql", sql, ON, "--output", "rows.csv")
    assert len((cli.folder / "rows.csv").read_text().splitlines()) == 251
    told = cli.json("sql", sql, ON, "--output", "rows.json", "--limit", 10)
    assert told["rows"] == 10
    assert json.loads((cli.folder / "rows.json").read_text()) == ROWS[:10]
    answer = cli.run("sql", "SELECT CAST(name AS integer) FROM raw_data.orders", ON, "--output", "rows.json", code=2)
    assert "Traceback" not in answer.err
    assert json.loads((cli.folder / "rows.json").read_text()) == ROWS[:10]
    assert not list(cli.folder.glob(".rows*"))
    assert "is not told by the name" in cli.run("sql", sql, ON, "--output", "rows.xyz", code=2).err


def test_values_are_no_part_of_the_query(cli: Cli) -> None:
    evil = "x' OR '1' = '1"
    assert cli.json("sql", "SELECT $1 AS told", ON, "--value", evil)["rows"] == [{"told": evil}]
    found = cli.json(
        "sql", "SELECT name FROM raw_data.orders WHERE id = $1 OR name = $2", ON, "--value=7", f"--value={evil}"
    )
    assert found["rows"] == [{"name": "name 7"}]


def test_from_a_file_and_from_standard_input(cli: Cli) -> None:
    (cli.folder / "q.sql").write_text("-- how many\nSELECT count(*) AS n FROM raw_data.orders;\n-- done\n")
    assert cli.json("sql", "--file", "q.sql", ON)["rows"] == [{"n": 250}]
    for arguments in (("sql", "-", ON), ("sql", ON)):
        assert "250" in piped(cli, "SELECT count(*) FROM raw_data.orders", *arguments).stdout
    assert "given twice" in cli.run("sql", "SELECT 1", "--file", "q.sql", ON, code=2).err
    assert "cannot be read" in cli.run("sql", "--file", "none.sql", ON, code=2).err
    assert "The query is empty" in cli.run("sql", "/* nothing */", ON, code=2).err


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM raw_data.orders",
        "/* SELECT */ insert into raw_data.orders (id) values (1)",
        "CREATE TABLE x AS SELECT 1",
        "COPY raw_data.orders TO 'stolen.csv'",
        "EXPLAIN ANALYZE DELETE FROM raw_data.orders",
    ],
)
def test_what_writes_is_refused(cli: Cli, sql: str) -> None:
    answer = cli.run("sql", sql, ON, code=2)
    assert "--write" in answer.err
    assert not (cli.folder / "stolen.csv").exists()
    assert cli.json("sql", "SELECT count(*) AS n FROM raw_data.orders", ON)["rows"] == [{"n": 250}]


def test_it_writes_when_it_is_told_to(cli: Cli) -> None:
    told = cli.run("sql", "DELETE FROM raw_data.orders WHERE id > $1", ON, "--write", "--value", "5").out
    assert told.startswith("245 rows written")
    assert cli.json("sql", "SELECT count(*) AS n FROM raw_data.orders", ON)["rows"] == [{"n": 5}]
    assert cli.json("sql", "SELECT count(*) AS n FROM raw_data.orders", ON, "--write")["rows"] == [{"n": 5}]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT 1; DELETE FROM raw_data.orders", "several statements"),
        ("SELECT nope FROM raw_data.orders", "nope"),
        ("SELEC 1", "SELEC"),
        ("SELECT * FROM raw_data.nothing", "nothing"),
    ],
)
def test_mistakes_are_told_in_a_few_lines(cli: Cli, sql: str, told: str) -> None:
    answer = cli.run("sql", sql, ON, code=2)
    assert told in answer.err
    assert "Traceback" not in answer.err
    assert len(answer.err.splitlines()) < 12
    assert "error" in cli.json("sql", sql, ON, code=2)


def test_a_warehouse_that_is_not_there_is_told_and_not_made(cli: Cli) -> None:
    for on in ("--on=duckdb:none.duckdb", "--on=duckdb:///none.duckdb", "--on=none.duckdb"):
        assert "There is no warehouse" in cli.run("sql", "SELECT 1", on, code=2).err
    assert "There is no warehouse" in cli.run("sql", "SELECT 1", code=2).err
    assert "no connection" in cli.run("sql", "SELECT 1", "--on=none", code=2).err
    assert not (cli.folder / "none.duckdb").exists()
    assert not (cli.home / "warehouse.duckdb").exists()
    put([{"n": 1}], Warehouse(cli.home / "warehouse.duckdb").table("raw_data.rows"))
    assert cli.json("sql", "SELECT n FROM raw_data.rows")["rows"] == [{"n": 1}]


def test_tables_of_a_lake(cli: Cli, lake: Lake) -> None:
    on = "--on=lake:lake"
    assert cli.json("sql", "SELECT count(*) AS n FROM raw.orders", on)["rows"] == [{"n": 250}]
    twice = 'SELECT count(*) AS n FROM raw.orders a JOIN "raw/orders" b USING (id) JOIN processed.orders c USING (id)'
    assert cli.json("sql", twice, on)["rows"] == [{"n": 1}]
    deep = 'SELECT of FROM "raw/shop/lines" UNION ALL SELECT of FROM raw."shop/lines"'
    assert cli.json("sql", deep, on)["rows"] == [{"of": 7}, {"of": 7}]
    named = "WITH orders AS (SELECT id FROM raw.orders WHERE amount > $1) SELECT max(id) AS id FROM orders"
    assert cli.json("sql", named, on, "--value", "60")["rows"] == [{"id": 250}]
    assert cli.json("sql", "SELECT 1 AS one", on)["rows"] == [{"one": 1}]


def test_only_tables_that_are_named_are_opened(cli: Cli, lake: Lake) -> None:
    for file in (cli.folder / "lake/raw/shop/lines/_delta_log").glob("*.json"):
        file.write_text("broken")
    assert cli.json("sql", "SELECT count(*) AS n FROM raw.orders", "--on=lake:lake")["rows"] == [{"n": 250}]


def test_mistakes_about_a_lake(cli: Cli, lake: Lake) -> None:
    answer = cli.run("sql", "SELECT * FROM raw.ordesr", "--on=lake:lake", code=2)
    assert "There is no table raw.ordesr in the lake" in answer.err
    assert "did you mean raw/orders?" in answer.err
    assert "not written in SQL" in cli.run("sql", "DELETE FROM raw.orders", "--on=lake:lake", "--write", code=2).err
    assert "There is no lake" in cli.run("sql", "SELECT 1", "--on=lake:none", code=2).err
    assert "Traceback" not in answer.err


@pytest.mark.integration
class TestPostgres:
    @pytest.fixture
    def on(self, postgres_url: str) -> str:
        with Warehouse(postgres_url) as warehouse:
            put(ROWS, warehouse.table("raw_data.orders"))
        return f"--on={postgres_url}"

    def rows(self, cli: Cli, on: str, sql: str, *more: str) -> Any:
        return cli.json("sql", sql, on, *more)["rows"]

    def test_it_is_asked(self, cli: Cli, on: str) -> None:
        found = self.rows(cli, on, "SELECT name FROM raw_data.orders WHERE id = $1", "--value=7")
        assert found == [{"name": "name 7"}]
        assert self.rows(cli, on, "EXPLAIN SELECT 1")
        assert "nope" in cli.run("sql", "SELECT nope FROM raw_data.orders", on, code=2).err

    @pytest.mark.parametrize(
        "sql",
        [
            "DELETE FROM raw_data.orders",
            "WITH gone AS (DELETE FROM raw_data.orders RETURNING *) SELECT * FROM gone",
            "EXPLAIN ANALYZE DELETE FROM raw_data.orders",
            "SELECT E'\\'; DELETE FROM raw_data.orders; --'",
        ],
    )
    def test_nothing_is_written(self, cli: Cli, on: str, sql: str) -> None:
        answer = cli.run("sql", sql, on, code=2)
        assert "Traceback" not in answer.err
        assert "--write" in answer.err or "several statements" in answer.err
        assert self.rows(cli, on, "SELECT count(*) AS n FROM raw_data.orders") == [{"n": 250}]

    def test_by_the_name_of_a_connection(self, cli: Cli, on: str) -> None:
        cli.environ["PENSTOCK_CONNECTION_SHOP"] = on.partition("=")[2]
        assert self.rows(cli, "--on=shop", "SELECT count(*) AS n FROM raw_data.orders") == [{"n": 250}]

    def test_it_writes_when_it_is_told_to(self, cli: Cli, on: str) -> None:
        assert cli.json("sql", "DELETE FROM raw_data.orders WHERE id > 5", on, "--write")["rows"] == 245
