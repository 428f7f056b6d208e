"""`penstock dataset`, as its user calls it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.cli_lab import Cli

pytestmark = pytest.mark.acceptance


@pytest.fixture
def shop(cli: Cli) -> Cli:
    """A shop to change something in."""
    return opened(cli)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A shop that is only looked at, by all that do."""
    folder = tmp_path_factory.mktemp("shown")
    return opened(Cli(folder, folder / "penstock-home"))


def opened(cli: Cli) -> Cli:
    """A table of the lake and one of a warehouse, with a record that could not land."""
    with open(cli.folder / "orders.csv", "w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows([["id", "name", "amount"], [1, "Ada", 1.5], [2, "Bob", 2.5], [3, "Cy"]])
    cli.run("ingest", "orders.csv", "lake:raw/orders")
    cli.run("ingest", "orders.csv", "duckdb:shop.duckdb#raw_data.orders", "--key", "id")
    return cli


def named(cli: Cli) -> dict[str, Any]:
    return {Path(one["path"]).name: one for one in cli.json("dataset", "list")["datasets"]}


def test_nothing_is_on_record_yet(cli: Cli) -> None:
    assert "There are no datasets yet" in cli.run("dataset", "list").out
    assert cli.json("dataset", "list") == {"datasets": []}


def test_what_was_written_is_listed_and_shown(shown: Cli) -> None:
    assert {name: (one["landed"], one["rejected"]) for name, one in named(shown).items()} == {
        "orders": (2, 1),
        "raw_data.orders": (2, 1),
    }
    every = shown.json("dataset", "list", "--all")["datasets"]
    assert [Path(one["path"]).name for one in every if one["read_at"]] == ["orders.csv"]
    told = shown.json("dataset", "show", "lake:raw/orders")["dataset"]
    assert told["rows"] == 2
    assert [column["name"] for column in told["columns"]] == ["id", "name", "amount"]
    assert "2 rows" in shown.run("dataset", "show", "lake:raw/orders").out


def test_rows_are_shown(shown: Cli) -> None:
    place = named(shown)["raw_data.orders"]
    address = place["namespace"] + "/" + place["path"]
    rows = [{"id": 1, "name": "Ada", "amount": 1.5}, {"id": 2, "name": "Bob", "amount": 2.5}]
    for which in (address, "duckdb:shop.duckdb#raw_data.orders", "lake:raw/orders"):
        found = shown.json("dataset", "preview", which)["rows"]
        assert sorted(found, key=lambda row: row["id"]) == rows, which
    out = shown.run("dataset", "preview", "lake:raw/orders", "--rows", "1", "-c", "name").out
    assert "name" in out
    assert "1 row of 2" in out
    assert shown.json("dataset", "preview", "lake:raw/orders", "--where", "id = 2")["rows"] == rows[1:]
    (rejected,) = shown.json("dataset", "preview", "lake:raw/orders", "--rejected")["rows"]
    assert rejected["raw"] == "3,Cy"
    assert "There are no such rows" in shown.run("dataset", "preview", "lake:raw/orders", "--where", "id = 7").out


def test_how_it_became_what_it_is(shown: Cli) -> None:
    told = shown.json("dataset", "history", "lake:raw/orders")
    assert told["versions"][0]["version"] == named(shown)["orders"]["version"]
    (event,) = told["events"]
    assert (event["what"], event["landed"], event["rejected"]) == ("written", 2, 1)
    assert [Path(one).name for one in event["inputs"]] == ["orders.csv"]
    assert "written" in shown.run("dataset", "history", "lake:raw/orders").out
    (event,) = shown.json("dataset", "history", "duckdb:shop.duckdb#raw_data.orders")["events"]
    assert (event["what"], event["landed"], event["superseded"]) == ("written", 2, 0)


def test_files_are_made_fewer(shop: Cli) -> None:
    for number in range(4, 7):
        (shop.folder / f"more-{number}.csv").write_text(f"id,name,amount\n{number},Di,4.5\n", encoding="utf-8")
        shop.run("ingest", f"more-{number}.csv", "lake:raw/orders")
    assert "4 files became 1" in shop.run("dataset", "compact", "lake:raw/orders").out
    assert shop.json("dataset", "vacuum", "lake:raw/orders") == {
        "dataset": "lake:raw/orders",
        "deleted": True,
        "files": [],
    }
    told = shop.run("dataset", "vacuum", "lake:raw/orders", "--keep", "0s", "--force", "--dry-run").out
    assert "Would delete 4 files." in told
    assert "no length of time" in shop.run("dataset", "vacuum", "lake:raw/orders", "--keep", "long", code=2).err


def test_a_dataset_that_is_forgotten(shop: Cli) -> None:
    place = named(shop)["orders"]
    shop.run("dataset", "forget", f"{place['namespace']}/{place['path'].lstrip('/')}")
    assert list(named(shop)) == ["raw_data.orders"]
    assert len(shop.json("dataset", "preview", "lake:raw/orders")["rows"]) == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("show", "orders"), "There is no dataset 'orders' on record"),
        (("preview", "lake:raw/none"), "There is no table 'raw/none'"),
        (("preview", "lake:raw/orders", "-c", "nme"), "has no column 'nme'"),
        (("preview", "lake:raw/orders", "--version", "77"), "has no version 77"),
        (("preview", "nowhere:x"), "nowhere: is nothing"),
        (("compact", "duckdb:shop.duckdb#raw_data.orders"), "has nothing to compact"),
        (("vacuum", "orders.csv"), "has no old files"),
        (("forget", "lake:raw/none"), "There is no dataset"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_mistakes_are_told_in_a_few_lines(shown: Cli, arguments: tuple[str, ...], told: str) -> None:
    done = shown.run("dataset", *arguments, code=2)
    assert told in done.err
    assert "Traceback" not in done.err
