"""`penstock quality profile`, `suggest` and `drift`, from outside."""

from __future__ import annotations

import json

import pytest
from tests.acceptance.cli_lab import Cli

pytestmark = pytest.mark.acceptance


@pytest.fixture
def orders(cli: Cli) -> str:
    rows = "".join(f"{each},{'open' if each % 3 else 'paid'},{each % 10 / 4},\n" for each in range(1, 61))
    (cli.folder / "orders.csv").write_text(f"id,status,amount,note\n{rows}")
    later = "".join(f"{each},{'sent' if each % 2 else 'paid'},{each % 10},x\n" for each in range(1, 161))
    (cli.folder / "later.csv").write_text(f"id,status,amount,note\n{later}")
    return "orders.csv"


def test_a_profile_is_a_line_for_each_column(cli: Cli, orders: str) -> None:
    told = cli.run("quality", "profile", orders).out
    assert "✓ orders.csv: 60 rows, 4 columns" in told
    lines = {line.split()[0]: " ".join(line.split()) for line in told.splitlines() if line.strip()}
    assert lines["id"].startswith("id int64 0 % 60 all ")
    assert lines["id"].endswith("1 … 30.5 … 60")
    assert "open 66.7 %, paid 33.3 %" in lines["status"]
    assert lines["note"].endswith("nothing")
    assert "Keys" in lines
    quiet = cli.run("quality", "profile", orders, "-q").out
    assert quiet.strip() == "✓ orders.csv: 60 rows, 4 columns"


def test_for_programs_as_a_page_and_saved(cli: Cli, orders: str) -> None:
    told = cli.json("quality", "profile", orders, "--html", "page.html", "--out", "saved.json")
    assert [each["name"] for each in told["columns"]] == ["id", "status", "amount", "note"]
    assert told["keys"] == [{"column": "id", "proved": True}]
    page = (cli.folder / "page.html").read_text()
    assert "orders.csv" in page
    assert "<script" not in page
    again = cli.json("quality", "profile", "saved.json")
    assert again == told
    both = cli.json("quality", "profile", "saved.json", orders)
    assert (both["rows"], both["keys"]) == (120, [])


def test_rules_are_suggested_and_kept(cli: Cli, orders: str) -> None:
    told = cli.run("quality", "suggest", orders).out
    assert "  # all of 60 values are different\n  - {rule: unique, column: id}\n" in told
    cli.run("quality", "suggest", orders, "--out", "rules.yaml")
    assert (cli.folder / "rules.yaml").read_text() == told
    assert "rules passed" in cli.run("quality", "check", orders, "--rules", "rules.yaml").out
    cli.run("quality", "check", "later.csv", "--rules", "rules.yaml", code=1)
    cli.run("quality", "profile", orders, "--out", "saved.json")
    saved = cli.json("quality", "suggest", "saved.json")
    assert saved == cli.json("quality", "suggest", orders)
    assert {"rule", "reason"} == set(saved[0])


def test_drift(cli: Cli, orders: str) -> None:
    assert "✓ 0 of 4 columns drifted, from 60 rows to 60" in cli.run("quality", "drift", orders, orders).out
    told = cli.run("quality", "drift", orders, "later.csv", code=1).out
    assert "new categories, 50.0% of the values: sent" in told
    assert "100.0% → 0.0%" in told
    cli.run("quality", "profile", orders, "--out", "saved.json")
    report = cli.json("quality", "drift", "saved.json", "later.csv", code=1)
    assert {each["name"] for each in report["columns"] if each["drifted"]} >= {"status", "note", "amount"}
    limits = [f"--limit={name}=99" for name in ("psi", "ks", "js", "null_share", "categories", "outside")]
    cli.run("quality", "drift", orders, "later.csv", *limits)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("profile", "missing.csv"), "There is no file missing.csv"),
        (("profile", "broken.parquet"), "The data cannot be read"),
        (("profile", "broken.json"), "This is no saved profile"),
        (("profile", "orders.csv", "--out", "x.csv"), "no name for a saved profile"),
        (("profile", "orders.csv", "--out", "no/x.json"), "cannot be written"),
        (("profile", "orders.csv", "other.csv"), "tables with different columns"),
        (("suggest", "orders.csv", "--out", "x.json"), "no name for these rules"),
        (("suggest", "broken.json"), "This is no saved profile"),
        (("drift", "orders.csv", "missing.json"), "cannot be read"),
        (("drift", "orders.csv", "orders.csv", "--limit", "psi"), "is no limit"),
        (("drift", "orders.csv", "orders.csv", "--limit", "x=1"), "There is no limit 'x'"),
    ],
    ids=["file", "parquet", "json", "suffix", "folder", "columns", "yaml", "suggest", "drift", "number", "name"],
)
def test_mistakes_are_told_without_a_traceback(cli: Cli, orders: str, arguments: tuple[str, ...], told: str) -> None:
    (cli.folder / "broken.parquet").write_bytes(bytes(range(256)))
    (cli.folder / "broken.json").write_text(json.dumps({"format": "penstock", "version": 1}))
    (cli.folder / "other.csv").write_text("a\n1\n")
    answer = cli.run("quality", *arguments, code=2)
    assert told in answer.err
    assert "Traceback" not in answer.err


def test_a_terminal_is_not_taken_over_by_data(cli: Cli) -> None:
    (cli.folder / "odd.csv").write_text("a\x1b[31m,b\n" + "\x1b[31mred,x\n" * 30)
    for command in (("profile", "odd.csv"), ("suggest", "odd.csv"), ("drift", "odd.csv", "odd.csv")):
        assert "\x1b[31m" not in cli.run("quality", *command).out
