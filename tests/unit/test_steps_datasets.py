"""Checks that are declared on a dataset, and rows that come out of quarantine again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from penstock import flow, task
from penstock.app import Penstock, Settings
from penstock.core.datasets import CheckFailed, CheckPassed, DatasetWritten
from penstock.core.errors import ConfigurationError
from penstock.core.ports import Journal
from penstock.core.ports.data import Batch, Counts, Part
from penstock.data import Dataset, ingest
from penstock.journal.memory import MemoryJournal
from penstock.quality import BadRules, Checks, DataValidationError, check
from penstock.quality.steps.quarantine import Quarantine, this_writing
from penstock.quality.steps.retrying import PIPE, records_of, retry
from penstock.testing import MemorySource

ROWS: list[dict[str, Any]] = [
    {"id": 1, "amount": 5.0, "day": "2026-01-31"},
    {"id": 2, "amount": -1.0, "day": "2026-01-31"},
    {"id": 3, "amount": 0.5, "day": "2026-02-01"},
]
AMOUNT = {"rule": "between", "column": "amount", "min": 0}
FIXED = {"rules": [AMOUNT], "repairs": [{"repair": "clip", "column": "amount", "min": 0}]}
ADDRESSES = ["lake:raw/orders", "duckdb:shop.duckdb#raw_data.orders"]


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.chdir(tmp_path)
    app = Penstock(Settings(home=str(tmp_path / "home"), log_console=False), journal=MemoryJournal())
    with app.activate():
        yield app.journal


def told(journal: Journal, kind: type[Any]) -> list[Any]:
    return [stored.event for stored in journal.read(0, 10_000) if isinstance(stored.event, kind)]


def ids(dataset: Dataset) -> list[int]:
    return sorted(row["id"] for row in dataset.read().to_pylist())


@pytest.mark.parametrize("address", [*ADDRESSES, "orders.parquet"])
def test_rows_that_do_not_follow_the_rules_are_rejected_in_the_same_commit(journal: Journal, address: str) -> None:
    orders = Dataset("orders", address, checks=Checks([AMOUNT], "quarantine"))
    assert orders.write(ROWS).counts == Counts(3, 2, 0, 1)
    assert ids(orders) == [1, 3]
    (event,) = told(journal, CheckFailed)
    assert (event.dataset, event.rows, event.good, event.quarantined) == ("orders", 3, 2, 1)
    assert event.place == str(orders.place)
    assert told(journal, DatasetWritten)[-1].rejected == 1
    assert journal.datasets("orders")[0].spec["checks"] == "rules: quarantine"
    if address in ADDRESSES:
        (rejected,) = orders.rejected().to_pylist()
        assert rejected["reason"] == "does not follow between(amount, min=0)"


def test_a_gate_that_stops_lets_nothing_land(journal: Journal) -> None:
    orders = Dataset("orders", "lake:raw/orders", checks=Checks([AMOUNT]))
    with pytest.raises(DataValidationError):
        orders.write(ROWS)
    assert not orders.count()
    assert told(journal, CheckFailed)[0].good == 0
    assert orders.write(ROWS[:1]).counts.landed == 1
    assert len(told(journal, CheckPassed)) == 1
    whole = Dataset("others", "lake:raw/others", checks=Checks([{"rule": "row_count", "min": 9}], "quarantine"))
    with pytest.raises(DataValidationError):
        whole.write(ROWS)


def test_a_gate_that_warns_lets_everything_through(journal: Journal) -> None:
    orders = Dataset("orders", "lake:raw/orders", checks=Checks([AMOUNT], "warn"))
    assert orders.write(ROWS).counts == Counts(3, 3, 0, 0)
    assert told(journal, CheckFailed)[0].good == 3


def test_repairs_are_done_first_and_counts_balance(journal: Journal) -> None:
    repairs = [{"repair": "clip", "column": "amount", "min": 0}, {"repair": "drop_duplicates", "columns": ["day"]}]
    orders = Dataset("orders", "lake:raw/orders", checks=Checks([AMOUNT], repairs=repairs))
    assert orders.write(ROWS).counts == Counts(3, 2, 1, 0)
    assert ids(orders) == [1, 3]
    assert str(orders.schema().field("day").type) == "string"


def test_checks_see_the_columns_that_were_declared(journal: Journal) -> None:
    rules = Checks([AMOUNT, {"rule": "type", "column": "day", "types": ["date"]}], "quarantine")
    columns = {"id": "int64", "amount": "double", "day": "date"}
    orders = Dataset("orders", "lake:raw/orders", columns=columns, checks=rules)
    counts = orders.write([*ROWS, {"id": 9, "amount": 1.0, "day": "never"}]).counts
    assert counts == Counts(4, 2, 0, 2)


def test_a_step_lands_and_is_told_of_once(journal: Journal) -> None:
    orders = Dataset("orders", "lake:raw/orders", checks=Checks([AMOUNT], "quarantine"))
    tries = []

    @task(retries=1)
    def load() -> int:
        landed = orders.write(ROWS).counts.landed
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("again")
        return landed

    @flow
    def nightly() -> int:
        return load()

    assert nightly() == 2
    assert ids(orders) == [1, 3]
    assert len(told(journal, CheckFailed)) == 1
    assert orders.rejected().num_rows == 1


def test_every_batch_is_told_of_once_however_often_its_step_is_executed(journal: Journal) -> None:
    orders = Dataset("orders", "lake:raw/orders", checks=Checks([AMOUNT], "quarantine"))
    attempts = []

    @task(retries=2)
    def bring() -> None:
        attempts.append(1)
        with orders.open("pipe") as landing:
            begin = (landing.position or {}).get("batches", 0)
            for number in range(begin, 3):
                rows = pa.table({"id": [number], "amount": [-1.0]})
                landing.land(Batch((Part(rows),), {"batches": number + 1}, last=number == 2))
                if number + 1 == len(attempts) < 3:
                    raise OSError("killed after the commit")

    @flow
    def nightly() -> None:
        bring()

    nightly()
    assert len(attempts) == 3
    assert len(told(journal, CheckFailed)) == orders.rejected().num_rows == 3


def test_a_pipe_into_a_dataset_is_checked(journal: Journal) -> None:
    records = [{"id": number, "amount": float(5 - number)} for number in range(10)]
    orders = Dataset("orders", "lake:raw/orders", checks=Checks([AMOUNT], "quarantine"))
    counts = ingest(MemorySource(records, rows=3), orders).counts
    assert counts == Counts(10, 6, 0, 4)
    assert ids(orders) == [0, 1, 2, 3, 4, 5]
    assert sum(event.quarantined for event in told(journal, CheckFailed)) == 4


def test_checks_that_cannot_be(journal: Journal) -> None:
    with pytest.raises(BadRules):
        Checks([{"rule": "nothing"}])
    with pytest.raises(ConfigurationError, match="on_failure"):
        Checks([AMOUNT], "explode")  # type: ignore[arg-type]
    with pytest.raises(BadRules, match="cannot be read"):
        Dataset("orders", "lake:raw/orders", checks=Checks("gone.yaml")).write(ROWS)


def test_rules_stand_for_checks_that_stop(journal: Journal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("rules: [{rule: between, column: amount, min: 0}]")
    plugged = [metadata.EntryPoint("rules", "penstock.quality.steps.gates:Checks", "penstock.checks")]
    monkeypatch.setattr(metadata, "entry_points", lambda **wanted: plugged)
    orders = Dataset("orders", "lake:raw/orders", checks="rules.yaml")
    assert orders.spec["checks"] == "rules.yaml: stop"
    plugged.clear()
    with pytest.raises(ConfigurationError, match="No packages make checks of rules"):
        Dataset("orders", "lake:raw/orders", checks="rules.yaml")
    assert Dataset("orders", "lake:raw/orders", checks=Checks(Path("rules.yaml"))).spec["checks"] == "rules.yaml: stop"
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataValidationError):
        orders.write(ROWS)


@pytest.mark.parametrize("address", ADDRESSES)
def test_rejected_rows_land_when_they_follow_the_rules(journal: Journal, address: str) -> None:
    columns = {"id": "int64", "amount": "double", "day": "date"}
    orders = Dataset("orders", address, columns=columns, checks=Checks([AMOUNT], "quarantine"))
    orders.write([*ROWS, {"id": 4, "amount": -2.0, "day": "2026-02-03"}, {"id": 5, "amount": 1.0, "day": "never"}])
    plain = Dataset("orders", address)

    def again(rules: Any) -> tuple[int, int]:
        done = retry("orders", plain, rules, records=records_of(plain.table.rejected()), schema=plain.schema())
        return done.counts.landed, done.waiting

    assert again([AMOUNT]) == (0, 3)
    assert again({**FIXED, "rules": [AMOUNT, {"rule": "in_set", "column": "id", "values": [2]}]}) == (1, 2)
    assert again(FIXED) == (1, 1), "the day of the last one is none"
    assert again(FIXED) == (0, 1)
    assert ids(orders) == [1, 2, 3, 4]
    assert {row["amount"] for row in orders.read(where="id = 2 OR id = 4").to_pylist()} == {0.0}


@pytest.mark.parametrize(("address", "keys"), [(ADDRESSES[0], ""), (ADDRESSES[1], ""), ("lake:raw/others", "id")])
def test_rows_leave_the_quarantine_once(journal: Journal, address: str, keys: str) -> None:
    orders = Dataset("orders", address, keys=[keys] if keys else [])
    for _ in range(2):
        check(ROWS, [AMOUNT], on_failure="quarantine", dataset=orders)
    check([{"id": 7, "amount": -7.0, "day": None}], [AMOUNT], on_failure="quarantine", dataset="something else")
    store = Quarantine()
    assert [filed.target for filed in store.waiting("orders")] == [orders.table.address] * 2
    assert retry("orders", orders, [AMOUNT]).waiting == 2
    done = retry("orders", orders, {**FIXED, "rules": [AMOUNT, {"rule": "row_count", "min": 9}]})
    assert done.waiting == 0
    assert done.counts.read == 2
    assert done.left_out == ("row_count(min=9)",)
    assert set(ids(orders)) == {2}
    assert store.waiting("orders") == []
    assert len(store.waiting()) == 1
    assert retry("orders", orders, FIXED).counts == Counts()


def test_rows_that_come_back_when_a_step_is_executed_again_do_not_land_twice(journal: Journal) -> None:
    orders = Dataset("orders", "lake:raw/orders")
    tries = []

    @task(retries=1)
    def load() -> None:
        check(ROWS, [AMOUNT], on_failure="quarantine", dataset=orders)
        tries.append(1)
        if len(tries) == 1:
            assert retry("orders", orders, FIXED).counts.landed == 1
            raise ValueError("again")

    @flow
    def nightly() -> None:
        load()

    nightly()
    assert len(Quarantine().waiting("orders")) == 1
    assert retry("orders", orders, FIXED) == (Counts(), 0, ())
    assert ids(orders) == [2]
    assert Quarantine().waiting("orders") == []


def test_what_a_target_remembers_of_rows_is_short(journal: Journal) -> None:
    orders = Dataset("orders", "lake:raw/orders")
    rows = [{"id": number, "amount": -1.0 if number != 50 else -99.0, "day": None} for number in range(100)]
    check(rows, [AMOUNT], on_failure="quarantine", dataset=orders)
    landed = retry("orders", orders, [{**AMOUNT, "min": -1}])
    assert (landed.counts.landed, landed.waiting) == (99, 1)
    with orders.open(PIPE) as landing:
        assert [*(landing.position or {})["files"].values()] == [[[0, 49], [51, 99]]]
    assert retry("orders", orders, [{**AMOUNT, "min": -99}]).counts.landed == 1
    with orders.open(PIPE) as landing:
        assert [*(landing.position or {})["files"].values()] == [[[0, 99]]]
    assert ids(orders) == list(range(100))


def test_rows_that_a_check_puts_there_anew_meanwhile_stay(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is executed again while its rows are taken out: the file is another one by then."""
    orders = Dataset("orders", "lake:raw/orders")
    check(ROWS, [AMOUNT], on_failure="quarantine", dataset=orders)
    store = Quarantine()
    (filed,) = store.waiting("orders")
    rows = store.rows(filed)
    later = rows.with_columns(pl.lit("later").alias("note"), pl.col("_at") + pl.duration(seconds=1))
    monkeypatch.setattr(Quarantine, "_path", lambda *_: Path(filed.path))
    store.keep(later, this_writing(), "orders", "")
    store.leave(filed, rows.clear())
    assert [store.rows(each)["note"].to_list() for each in store.waiting("orders")] == [["later"] * rows.height]


def test_a_rule_that_cannot_be_checked_keeps_all_rows(journal: Journal) -> None:
    orders = Dataset("orders", "lake:raw/orders")
    check(ROWS, [AMOUNT], on_failure="quarantine", dataset=orders)
    assert retry("orders", orders, [{"rule": "not_null", "column": "gone"}]).waiting == 1


def test_only_one_takes_rows_out(journal: Journal) -> None:
    orders = Dataset("orders", "lake:raw/orders")
    check(ROWS, [AMOUNT], on_failure="quarantine", dataset=orders)
    inside, leave = threading.Event(), threading.Event()

    def holds() -> None:
        with Quarantine(home).alone():
            inside.set()
            leave.wait(30)

    home = Quarantine().folder
    thread = threading.Thread(target=holds)
    thread.start()
    assert inside.wait(30)
    try:
        with pytest.raises(ConfigurationError, match="Another process"):
            retry("orders", orders, FIXED)
    finally:
        leave.set()
        thread.join()
    assert retry("orders", orders, FIXED).counts.landed == 1
