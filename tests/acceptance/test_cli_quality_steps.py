"""`penstock quality history`, `quarantined` and `retry`, from outside."""

from __future__ import annotations

import pytest
from tests.acceptance.cli_lab import Cli

from penstock.quality.steps.quarantine import Quarantine

pytestmark = pytest.mark.acceptance

PIPELINE = """
from penstock import flow, task
from penstock.data import Dataset
from penstock.quality import Checks, validated

ROWS = [{"id": 1, "amount": 5.0}, {"id": 2, "amount": -1.0}, {"id": 3, "amount": -2.0}]
clean = Dataset("clean", "lake:processed/clean")
orders = Dataset("orders", "lake:raw/orders", checks=Checks("rules.yaml", "quarantine"))


@task
@validated("rules.yaml", on_failure="quarantine", dataset=clean)
def load() -> list[dict]:
    return ROWS


@flow
def nightly() -> None:
    clean.write(load())
    orders.write(ROWS)
"""
RULES = "rules: [{rule: between, column: amount, min: 0, name: not negative}]\n"
SOME = "rules: [{rule: between, column: amount, min: -1}, {rule: row_count, min: 1}]\n"
FIXED = RULES + "repairs: [{repair: clip, column: amount, min: 0}]\n"


ODD = """
from penstock import flow
from penstock.quality import check


@flow
def odd() -> None:
    check([{"n": -1}], [{"rule": "between", "column": "n", "min": 0}], on_failure="quarantine", dataset="odd")
"""


@pytest.fixture
def project(cli: Cli) -> Cli:
    for name, text in {"pipeline.py": PIPELINE, "rules.yaml": RULES, "some.yaml": SOME, "fixed.yaml": FIXED}.items():
        (cli.folder / name).write_text(text)
    cli.run("run", "pipeline.py:nightly", "-q")
    return cli


def test_nothing_yet(cli: Cli) -> None:
    assert cli.run("quality", "history").out == "No checks are on record.\n"
    assert cli.run("quality", "history", "orders").out == "No checks of orders are on record.\n"
    assert cli.run("quality", "quarantined").out == "Nothing is in quarantine.\n"
    assert cli.json("quality", "quarantined") == {"quarantined": [], "rejected": []}
    (cli.folder / "rules.yaml").write_text(RULES)
    told = cli.run("quality", "retry", "orders", "--rules", "rules.yaml", code=2).err
    assert "Nothing of 'orders' is in quarantine" in told


def test_what_checks_have_found(project: Cli) -> None:
    checks = project.json("quality", "history")["checks"]
    assert [(each["dataset"], each["passed"], each["quarantined"]) for each in checks] == [
        ("orders", False, 2),
        ("clean", False, 2),
    ]
    assert project.json("quality", "history", "clean")["checks"] == checks[1:]
    assert len(project.json("quality", "history", "--limit", 1)["checks"]) == 1
    told = project.run("quality", "history").out
    assert told.count("not negative") == 2
    events = project.json("events", "list", "--type", "CheckFailed")["events"]
    assert {event["flow"] for event in events} == {"nightly"}
    listed = project.run("events", "list").out
    assert "DatasetWritten" in listed
    assert "CheckFailed" in listed


def test_rows_wait_and_land_after_a_fix(project: Cli) -> None:
    waiting = project.json("quality", "quarantined")
    assert [(each["dataset"], each["rows"], each["rules"]) for each in waiting["quarantined"]] == [
        ("clean", 2, {"not negative": 2})
    ]
    assert waiting["rejected"] == [{"dataset": "orders", "rows": 2}]
    assert "4 rows in quarantine" in project.run("quality", "quarantined").out
    for name in ("clean", "orders"):
        told = project.run("quality", "retry", name, "--rules", "some.yaml", code=1).out
        assert "Passed over, as it is not about single rows: row_count(min=1)" in told
        assert f"{name}: 1 row landed, 1 stay in quarantine" in told
        done = project.json("quality", "retry", name, "--rules", "fixed.yaml")
        assert done == {"dataset": name, "landed": 1, "rejected": 0, "waiting": 0, "left_out": []}
        rows = project.json("dataset", "preview", name)["rows"]
        assert sorted((row["id"], row["amount"]) for row in rows) == [(1, 5.0), (2, -1.0), (3, 0.0)]
    assert project.run("quality", "quarantined").out == "Nothing is in quarantine.\n"


def test_what_cannot_be_looked_at_is_told(project: Cli) -> None:
    with Quarantine(project.home / "quarantine").alone():
        told = project.run("quality", "quarantined")
    assert "2 rows in quarantine" in told.out
    assert "What orders has rejected is not known: Another process takes rows out" in told.err


def test_rows_that_are_for_nothing_that_is_known(cli: Cli) -> None:
    (cli.folder / "odd.py").write_text(ODD)
    cli.run("run", "odd.py:odd", "-q")
    (cli.folder / "all.yaml").write_text("rules: [{rule: not_null, column: n}]\n")
    told = cli.run("quality", "retry", "odd", "-r", "all.yaml", code=2).err
    assert "say it: --to DATASET" in told
    assert cli.json("quality", "retry", "odd", "-r", "all.yaml", "--to", "lake:raw/odd")["landed"] == 1
    (cli.folder / "odd.yaml").write_text("rules: [{rule: nothing}]\n")
    told = cli.run("quality", "retry", "odd", "-r", "odd.yaml", "--to", "lake:raw/odd", code=2).err
    assert "there is no rule 'nothing'" in told
    assert "Traceback" not in told
