"""`penstock quality`, from outside."""

from __future__ import annotations

import importlib.util
import json

import pytest
from tests.acceptance.cli_lab import Cli
from tests.conftest import missing

pytestmark = pytest.mark.acceptance

RULES = """
keys: [id]
rules:
  - {rule: unique, column: id}
  - {rule: between, column: amount, min: 0, name: no negative amounts}
  - {rule: not_null, column: name, severity: warning}
"""
GOOD, BAD = "id,name,amount\n1,Ada,1.5\n2,Bob,2\n", "id,name,amount\n1,Ada,1.5\n2,,-2\n2,Eve,\n"


@pytest.fixture
def rules(cli: Cli) -> str:
    (cli.folder / "rules.yaml").write_text(RULES)
    (cli.folder / "good.csv").write_text(GOOD)
    (cli.folder / "bad.csv").write_text(BAD)
    return "rules.yaml"


def test_good_data(cli: Cli, rules: str) -> None:
    told = cli.run("quality", "check", "good.csv", "--rules", rules).out
    assert "✓ unique(id)  all of 2 rows" in told
    assert "✓ good.csv: 3 of 3 rules passed on 2 rows" in told


def test_bad_data(cli: Cli, rules: str) -> None:
    told = cli.run("quality", "check", "bad.csv", "-r", rules, code=1).out
    assert "✗ no negative amounts  1 of 2 rows do not follow it" in told
    assert "✗ not_null(name) (warning)  1 of 3 rows do not follow it" in told
    assert "✗ bad.csv: 0 of 3 rules passed on 3 rows, 1 of the others only warn" in told
    quiet = cli.run("quality", "check", "bad.csv", "-r", rules, "-q", code=1).out
    assert quiet.strip().splitlines() == ["✗ bad.csv: 0 of 3 rules passed on 3 rows, 1 of the others only warn"]


def test_for_programs(cli: Cli, rules: str) -> None:
    told = cli.json("quality", "check", "bad.csv", "--rules", rules, code=1)
    assert [each["verdict"] for each in told["results"]] == ["failed", "failed", "failed"]
    assert told["results"][1]["samples"] == [{"row": 1, "key": {"id": 2}, "values": {"amount": -2.0}}]


def test_a_page(cli: Cli, rules: str) -> None:
    cli.run("quality", "check", "bad.csv", "--rules", rules, "--html", "report.html", code=1)
    assert "no negative amounts" in (cli.folder / "report.html").read_text()
    cli.run("quality", "check", "good.csv", "--rules", rules, "--html", "no/report.html", code=2)


def test_what_is_a_failure_can_be_said(cli: Cli, rules: str) -> None:
    (cli.folder / "named.csv").write_text("id,name,amount\n1,,1\n")
    cli.run("quality", "check", "named.csv", "--rules", rules)
    cli.run("quality", "check", "named.csv", "--rules", rules, "--fail-on", "warning", code=1)
    assert (
        "no severity to fail on" in cli.run("quality", "check", "named.csv", "-r", rules, "--fail-on", "x", code=2).err
    )


def test_fail_fast(cli: Cli, rules: str) -> None:
    told = cli.json("quality", "check", "bad.csv", "--rules", rules, "--fail-fast", code=1)
    assert [each["verdict"] for each in told["results"]] == ["failed", "skipped", "skipped"]


def test_another_table(cli: Cli, rules: str) -> None:
    rule = {"rule": "references", "column": "id", "table": "known"}
    (cli.folder / "rules.json").write_text(json.dumps([rule]))
    arguments = ("quality", "check", "good.csv", "-r", "rules.json")
    assert cli.json(*arguments, "--table", "known=bad.csv")["passed"]
    assert cli.json(*arguments, code=1)["results"][0]["verdict"] == "error"
    assert "is no table" in cli.run(*arguments, "--table", "known", code=2).err


@pytest.mark.parametrize(
    ("file", "written", "told"),
    [
        ("missing.csv", RULES, "There is no file missing.csv"),
        ("good.csv", "rules: [{rule: nope}]", "rules[0].rule: there is no rule 'nope'"),
        ("good.csv", "rules: [", "1 mistake in the rules"),
        ("binary.parquet", RULES, "The data cannot be read"),
    ],
    ids=["no-file", "no-rule", "no-yaml", "no-parquet"],
)
def test_mistakes_are_told_without_a_traceback(cli: Cli, rules: str, file: str, written: str, told: str) -> None:
    (cli.folder / rules).write_text(written)
    (cli.folder / "binary.parquet").write_bytes(bytes(range(256)))
    answer = cli.run("quality", "check", file, "--rules", rules, code=2)
    assert told in answer.err
    assert "Traceback" not in answer.err


def test_rules_are_listed(cli: Cli) -> None:
    told = cli.run("quality", "rules").out
    assert "between" in told
    assert "from min to max" in told
    assert {"rule", "about", "columns", "arguments"} == set(cli.json("quality", "rules")[0])


def test_a_terminal_is_not_taken_over_by_data(cli: Cli, rules: str) -> None:
    (cli.folder / "odd.csv").write_text("id,name,amount\n1,\x1b[31mred,-1\n")
    (cli.folder / "odd.yaml").write_text("keys: [name]\nrules: [{rule: between, column: amount, min: 0}]\n")
    assert "\x1b[31mred" not in cli.run("quality", "check", "odd.csv", "-r", "odd.yaml", code=1).out


def test_tables_of_a_lake_and_a_warehouse(cli: Cli, rules: str) -> None:
    cli.run("ingest", "bad.csv", "lake:raw/orders")
    cli.run("ingest", "good.csv", "duckdb:shop.duckdb#raw.people")
    told = cli.run("quality", "check", "lake:raw/orders", "-r", rules, code=1).out
    assert "✗ orders: 0 of 3 rules passed on 3 rows, 1 of the others only warn" in told
    over = "rules:\n  - {rule: references, column: name, table: people}\n  - {rule: row_count_equals, table: people}\n"
    (cli.folder / "over.yaml").write_text(over)
    told = cli.run(
        *("quality", "check", "lake:raw/orders", "-r", "over.yaml"),
        *("--table", "people=duckdb:shop.duckdb#raw.people"),
        code=1,
    ).out
    assert "✗ references(name, table='people')  1 of 2 rows do not follow it" in told
    assert "✗ row_count_equals(table='people')" in told


DECLARED = """
from penstock import flow
from penstock.data import Dataset

@flow
def load():
    Dataset("orders", "lake:raw/orders").write([{"id": 1, "amount": 2.5}])
"""


def test_a_dataset_on_record(cli: Cli, rules: str) -> None:
    (cli.folder / "declared.py").write_text(DECLARED)
    cli.run("run", "declared.py:load")
    (cli.folder / "one.yaml").write_text("rules:\n  - {rule: unique, column: id}\n")
    assert "✓ orders: 1 of 1 rule passed on 1 row" in cli.run("quality", "check", "orders", "-r", "one.yaml").out
    told = cli.run("quality", "check", "nothing", "-r", "one.yaml", code=2)
    assert "There is neither a file nor a dataset 'nothing'." in told.err


SUITE = """{"expectations": [
  {"type": "expect_column_values_to_be_between", "kwargs": {"column": "amount", "min_value": 0}},
  {"type": "expect_column_to_be_lucky", "kwargs": {"column": "id"}}
]}"""


def test_a_suite_of_great_expectations(cli: Cli, rules: str) -> None:
    (cli.folder / "suite.json").write_text(SUITE)
    told = cli.run("quality", "check", "bad.csv", "-r", "suite.json", code=1)
    assert "✗ between(amount, min=0)  1 of 2 rows do not follow it" in told.out
    assert "Left out: expect_column_to_be_lucky: there is no rule for expect_column_to_be_lucky" in told.err
    cli.run("quality", "check", "bad.csv", "-r", "suite.json", "--engine", "soda", code=2)
    cli.run("quality", "check", "bad.csv", "-r", "suite.json", "--engine", "gx", "--fail-fast", code=2)


def test_great_expectations_itself(cli: Cli, rules: str) -> None:
    if importlib.util.find_spec("great_expectations") is None:
        missing("Great Expectations is not installed: pip install 'penstock[gx]'")
    told = cli.run("quality", "check", "bad.csv", "-r", rules, "--engine", "gx", code=1)
    assert "✗ no negative amounts  1 of 2 rows do not follow it" in told.out
    assert "✗ bad.csv: 0 of 3 rules passed on 3 rows, 1 of the others only warn" in told.out
    assert told.err == ""
