"""Checks in flows: stopped, warned, parted; what is on record, and what comes out of quarantine again."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import narwhals
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import flow, task
from penstock.app import Penstock, Settings
from penstock.core.datasets import CheckFailed, CheckPassed
from penstock.core.errors import BadData, ConfigurationError, SinkUnavailable
from penstock.core.ports import Journal
from penstock.data import Dataset
from penstock.journal.memory import MemoryJournal
from penstock.quality import BadRules, DataValidationError, DataValidator, check, validated
from penstock.quality.steps.quarantine import OWN, Quarantine
from penstock.task_runners import ProcessPoolTaskRunner

ROWS: list[dict[str, Any]] = [
    {"id": 1, "amount": 5.0, "city": "Ulm"},
    {"id": 2, "amount": -1.0, "city": "Bonn"},
    {"id": 2, "amount": None, "city": None},
    {"id": 4, "amount": 7.0, "city": "Bern"},
]
AMOUNT = {"rule": "between", "column": "amount", "min": 0}
UNIQUE = {"rule": "unique", "column": "id"}


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.chdir(tmp_path)
    app = Penstock(Settings(home=str(tmp_path / "home"), log_console=False), journal=MemoryJournal())
    with app.activate():
        yield app.journal


def told(journal: Journal, kind: type[Any]) -> list[Any]:
    return [stored.event for stored in journal.read(0, 10_000) if isinstance(stored.event, kind)]


def waiting() -> list[dict[str, Any]]:
    store = Quarantine()
    return [row for filed in store.waiting() for row in store.rows(filed).to_dicts()]


def ids(rows: Any) -> list[int]:
    if isinstance(rows, list):
        return [row["id"] for row in rows]
    if isinstance(rows, pl.LazyFrame):
        rows = rows.collect()
    return list(rows.column("id").to_pylist() if isinstance(rows, pa.Table | pa.RecordBatch) else rows["id"])


FRAMES = {
    "list": lambda: ROWS,
    "polars": lambda: pl.DataFrame(ROWS),
    "lazy": lambda: pl.DataFrame(ROWS).lazy(),
    "pandas": lambda: pd.DataFrame(ROWS, index=[10, 11, 12, 13]),
    "arrow": lambda: pa.Table.from_pylist(ROWS),
    "batch": lambda: pa.RecordBatch.from_pylist(ROWS),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_rows_are_parted_in_the_form_they_were_given(kind: str) -> None:
    rows = FRAMES[kind]()
    outcome = check(rows, [AMOUNT, UNIQUE])
    assert not outcome.passed
    assert outcome.rows is rows
    assert (ids(outcome.good), ids(outcome.bad)) == ([1, 4], [2, 2])
    assert type(outcome.good) is type(outcome.bad) is type(rows)
    repaired = check(rows, [AMOUNT], repairs=[{"repair": "clip", "column": "amount", "min": 0}])
    assert repaired.passed
    assert type(repaired.rows) is type(rows)
    assert ids(repaired.rows) == [1, 2, 2, 4]


def test_a_relation_becomes_an_arrow_table() -> None:
    relation = duckdb.sql("SELECT * FROM (VALUES (1, 5.0), (2, -1.0)) AS t(id, amount)")
    assert ids(check(relation, [AMOUNT]).good) == [1]


@pytest.mark.parametrize("on_failure", ["warn", "stop", "quarantine"])
def test_a_reader_can_be_read_once_and_its_rows_go_on(journal: Journal, on_failure: str) -> None:
    rows = pa.Table.from_pylist(ROWS[:1])
    reader = pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches())
    assert check(reader, [AMOUNT], on_failure=on_failure).rows.to_pylist() == ROWS[:1]


def test_a_frame_of_narwhals_becomes_what_it_is_made_of() -> None:
    assert isinstance(check(narwhals.from_native(FRAMES["polars"]()), [AMOUNT]).good, pl.DataFrame)


def test_pandas_keeps_its_index() -> None:
    assert list(check(FRAMES["pandas"](), [AMOUNT]).good.index) == [10, 12, 13]


def test_stop_raises_with_the_report(journal: Journal) -> None:
    with pytest.raises(DataValidationError) as caught:
        check(ROWS, [AMOUNT], on_failure="stop")
    assert caught.value.report.results[0].failed == 1
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.report.results[0].failed == 1
    assert told(journal, CheckFailed) == [], "outside of a run nothing is on record"


def test_a_step_that_is_stopped(journal: Journal) -> None:
    after = []

    @task
    @validated([AMOUNT, {**UNIQUE, "severity": "warning"}], dataset="orders")
    def load() -> list[dict[str, Any]]:
        return ROWS

    @flow
    def nightly() -> None:
        after.append(load())

    with pytest.raises(DataValidationError):
        nightly()
    assert after == []
    (event,) = told(journal, CheckFailed)
    assert (event.dataset, event.step, event.severity, event.done) == ("orders", "load#1", "error", "stop")
    assert (event.rows, event.good, event.quarantined, event.rules) == (4, 0, 0, 2)
    assert event.verdicts == {"between(amount, min=0)": "failed", "unique(id)": "failed"}
    assert event.failures == {"between(amount, min=0)": 1, "unique(id)": 2}
    assert "0 of 2 rules passed on 4 rows" in event.message
    assert event.run == journal.find("")[0].id


def test_a_step_that_only_warns(journal: Journal) -> None:
    @task
    @validated([{**AMOUNT, "severity": "warning"}], on_failure="stop")
    def load() -> list[dict[str, Any]]:
        return ROWS

    @task
    @validated([AMOUNT], on_failure="warn")
    def other() -> list[dict[str, Any]]:
        return ROWS

    @flow
    def nightly() -> int:
        return len(load()) + len(other())

    assert nightly() == 8
    assert [(event.dataset, event.severity) for event in told(journal, CheckFailed)] == [
        ("load", "warning"),
        ("other", "error"),
    ]
    lines = journal.logs(journal.find("")[0].id)
    assert [line.level for line in lines if "do not follow it" in line.message and "first" not in line.message][:2] == [
        logging.WARNING,
        logging.ERROR,
    ]


def test_rows_in_are_good_rows_and_those_in_quarantine(journal: Journal) -> None:
    @task
    @validated(
        [AMOUNT, UNIQUE],
        on_failure="quarantine",
        dataset="orders",
        repairs=[{"repair": "case", "column": "city", "to": "upper"}],
    )
    def load() -> list[dict[str, Any]]:
        return ROWS

    @flow
    def nightly() -> list[dict[str, Any]]:
        return load()

    good = nightly()
    assert [row["city"] for row in good] == ["ULM", "BERN"]
    (event,) = told(journal, CheckFailed)
    assert (event.rows, event.good, event.quarantined) == (4, 2, 2)
    assert event.repaired == {"case(city, to='upper')": 3}
    found = waiting()
    assert [(row["id"], row["_row"], row["_rules"]) for row in found] == [
        (2, 1, ["between(amount, min=0)", "unique(id)"]),
        (2, 2, ["unique(id)"]),
    ]
    assert {row["_step"] for row in found} == {"load#1"}
    assert {row["_run"] for row in found} == {event.run}


def test_a_step_that_is_executed_again_is_on_record_once(journal: Journal) -> None:
    tries = []

    @task(retries=2)
    @validated([AMOUNT], on_failure="quarantine")
    def load() -> list[dict[str, Any]]:
        return ROWS

    @task(retries=2)
    def all_of_it() -> int:
        found = check(ROWS, [AMOUNT, UNIQUE], on_failure="quarantine", dataset="orders").rows
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("again")
        return len(found)

    @flow
    def nightly() -> int:
        return all_of_it()

    assert nightly() == 2
    assert len(tries) == 3
    assert len(told(journal, CheckFailed)) == 1
    assert len(waiting()) == 2


def test_an_attempt_with_better_rows_takes_its_own_out_again(journal: Journal) -> None:
    tries: list[int] = []

    @task(retries=1)
    def load() -> int:
        tries.append(1)
        rows = ROWS if len(tries) == 1 else [ROWS[0]]
        kept = check(rows, [AMOUNT], on_failure="quarantine", dataset="orders").rows
        if len(tries) == 1:
            raise ValueError("again")
        return len(kept)

    @flow
    def nightly() -> int:
        return load()

    assert nightly() == 1
    assert waiting() == []
    assert len(told(journal, CheckPassed)) == 1


def test_flows_coroutines_and_other_processes(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("rules: [{rule: between, column: amount, min: 0}]")

    @task
    @validated("rules.yaml", on_failure="quarantine")
    async def load() -> list[dict[str, Any]]:
        await asyncio.sleep(0)
        return ROWS

    @flow
    @validated(Path("rules.yaml"), on_failure="warn", dataset="all of it")
    async def nightly() -> list[dict[str, Any]]:
        return await load()

    assert len(asyncio.run(nightly())) == 3
    assert [event.dataset for event in told(journal, CheckFailed)] == ["load"]
    assert [event.dataset for event in told(journal, CheckPassed)] == ["all of it"]


def _rows_elsewhere() -> list[dict[str, Any]]:
    return ROWS


def test_in_another_process(journal: Journal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    load = task(validated([AMOUNT], on_failure="quarantine", dataset="orders")(_rows_elsewhere))

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def nightly() -> int:
        return len(load.submit().result())

    assert nightly() == 3
    assert len(told(journal, CheckFailed)) == 1
    assert len(waiting()) == 1


def test_a_plain_call_outside_of_a_run(journal: Journal) -> None:
    @validated([AMOUNT], on_failure="quarantine")
    def load() -> list[dict[str, Any]]:
        """Loads."""
        return ROWS

    assert ids(load()) == [1, 2, 4]
    assert ids(load()) == [1, 2, 4]
    assert load.__doc__ == "Loads."
    assert len(waiting()) == 2, "each call by itself"
    assert journal.read(0, 10) == []


def test_rules_that_are_not_about_rows_cannot_part_them(journal: Journal) -> None:
    for rule in (
        {"rule": "row_count", "min": 9},
        {"rule": "not_null", "column": "gone"},
        {"rule": "column_exists", "column": "x"},
    ):
        with pytest.raises(DataValidationError):
            check(ROWS, [AMOUNT, rule], on_failure="quarantine")
        assert waiting() == []
        lenient = check(ROWS, [AMOUNT, {**rule, "severity": "warning"}], on_failure="quarantine")
        assert ids(lenient.rows) == [1, 2, 4]
        for filed in Quarantine().waiting():
            Path(filed.path).unlink()


def test_a_rule_that_is_mostly_kept_lets_its_rows_through(journal: Journal) -> None:
    outcome = check(ROWS, [{**AMOUNT, "mostly": 0.5}], on_failure="quarantine")
    assert len(outcome.rows) == 4
    assert outcome.quarantined == 0


def test_quarantine_in_a_dataset(journal: Journal) -> None:
    place = Dataset("bad orders", "lake:raw/bad_orders")

    @task
    def load() -> int:
        one = check(ROWS, [AMOUNT], on_failure="quarantine", quarantine=place, dataset="orders")
        two = check(ROWS, [AMOUNT], on_failure="quarantine", quarantine="lake:raw/bad_others", dataset="others")
        return len(one.rows) + len(two.rows)

    @flow
    def nightly() -> int:
        return load()

    assert nightly() == 6
    (row,) = place.read().to_pylist()
    assert (row["id"], row["_rules"], row["_step"]) == (2, ["between(amount, min=0)"], "load#1")
    assert Dataset("x", "lake:raw/bad_others").read().num_rows == 1
    assert waiting() == []
    with pytest.raises(ConfigurationError, match="no place for rows"):
        check(ROWS, [AMOUNT], on_failure="quarantine", quarantine=7)


def test_mistakes_are_told(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="on_failure='explode'"):
        validated([AMOUNT], on_failure="explode")(_rows_elsewhere)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="nothing goes there"):
        check(ROWS, [AMOUNT], quarantine="lake:x")
    with pytest.raises(BadRules):
        validated([{"rule": "nothing"}])(_rows_elsewhere)
    with pytest.raises(BadRules, match="there is none"):
        check(ROWS, [])
    with pytest.raises(ConfigurationError, match="below @task"):
        validated([AMOUNT])(task(_rows_elsewhere))
    with pytest.raises(BadRules, match="cannot be read"):
        validated("gone.yaml")(_rows_elsewhere)()
    with pytest.raises(BadData):
        validated([AMOUNT])(lambda: 7)()
    with pytest.raises(ConfigurationError, match="_rules"):
        check([{"amount": -1, "_rules": "x"}], [AMOUNT], on_failure="quarantine")
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    (home / "quarantine").write_text("no folder")
    with pytest.raises(SinkUnavailable, match="cannot be used"):
        check(ROWS, [AMOUNT], on_failure="quarantine")


def test_a_broken_file_in_quarantine_is_told(journal: Journal, tmp_path: Path) -> None:
    check(ROWS, [AMOUNT], on_failure="quarantine", dataset="orders")
    (filed,) = Quarantine().waiting("orders")
    Path(filed.path).write_bytes(b"no parquet")
    with pytest.raises(SinkUnavailable, match="cannot be used"):
        Quarantine().waiting()


@pytest.mark.parametrize("name", ["..", "a/b", "ü" * 300, "", "x\0y", "CON"])
def test_names_of_data_are_no_paths(journal: Journal, tmp_path: Path, name: str) -> None:
    check(ROWS, [AMOUNT], on_failure="quarantine", dataset=name)
    (filed,) = Quarantine().waiting()
    assert Path(filed.path).parent.parent == tmp_path / "home" / "quarantine"
    assert filed.dataset == (name or "data")


def test_frames_of_any_shape(journal: Journal) -> None:
    assert check(pl.DataFrame(), [{"rule": "row_count", "equals": 0}], on_failure="stop").passed
    assert check([], [{"rule": "row_count", "min": 0}]).rows == []
    nulls = pl.DataFrame({"amount": [None, None]})
    assert check(nulls, [AMOUNT], on_failure="quarantine").quarantined == 0
    assert check(nulls, [{"rule": "not_null", "column": "amount"}], on_failure="quarantine").quarantined == 2
    odd = pl.DataFrame({"amount": [float("nan"), float("inf"), -1.0, 1.0]})
    assert check(odd, [AMOUNT], on_failure="quarantine").rows["amount"].to_list() == [float("inf"), 1.0]
    wide = pl.DataFrame({f"c{place}": [1, -1] for place in range(5_000)})
    rules = [{"rule": "between", "column": f"c{place}", "min": 0} for place in range(0, 5_000, 25)]
    done = check(wide, rules, on_failure="quarantine", dataset="wide")
    assert (done.quarantined, done.rows.height, done.rows.width) == (1, 1, 5_000)


def test_very_many_rules_make_no_endless_event(journal: Journal) -> None:
    @flow
    def nightly() -> None:
        rules = [{"rule": "between", "column": "id", "max": 3, "name": f"rule {n}"} for n in range(700)]
        check(ROWS, [{"rule": "not_null", "column": "id"}, *rules], dataset="orders")

    nightly()
    (event,) = told(journal, CheckFailed)
    assert event.rules == 701
    assert len(event.verdicts) == len(event.failures) == 500
    assert set(event.verdicts.values()) == {"failed"}


KINDS = [
    AMOUNT, UNIQUE, {"rule": "not_null", "column": "amount"}, {"rule": "in_set", "column": "city", "values": ["a"]},
    {"rule": "unique_together", "columns": ["id", "city"]}, {"rule": "greater", "columns": ["amount", "id"]},
    {"rule": "increasing", "column": "id"}, {"rule": "expression", "sql": "amount < id"},
    {**UNIQUE, "where": "amount > 0"}, {**AMOUNT, "where": "city = 'a'"}, {"rule": "finite", "column": "amount"},
    {"rule": "unique", "column": "amount"},
    {"rule": "unique_together", "columns": ["amount", "city"], "where": "id > 1"},
]  # fmt: skip
FRAME = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(0, 4),
            "amount": st.none() | st.sampled_from([-1.0, 0.0, -0.0, 1.0, float("nan"), float("inf")]),
            "city": st.none() | st.sampled_from(["a", "b"]),
        }
    ),
    max_size=12,
)


@given(FRAME, st.lists(st.sampled_from(KINDS), min_size=1, max_size=4, unique_by=str))
def test_as_many_rows_are_bad_as_the_report_counts(rows: list[dict[str, Any]], rules: list[dict[str, Any]]) -> None:
    frame = pl.DataFrame(rows, schema={"id": pl.Int64, "amount": pl.Float64, "city": pl.String})
    for rule in rules:
        one = check(frame, [rule])
        (result,) = one.report.results
        assert one.bad.height == result.failed
    outcome = check(frame, rules)
    assert outcome.good.height + outcome.bad.height == frame.height
    lasting = [rule for rule in rules if rule["rule"] != "increasing"]
    assert not lasting or check(outcome.good, lasting).passed


def test_a_validator_may_be_shared(journal: Journal) -> None:
    validator = DataValidator(
        {"name": "orders", "rules": [AMOUNT], "repairs": [{"repair": "clip", "column": "amount", "min": 0}]}
    )
    assert check(ROWS, validator).passed
    unchanged = validator.validate_dataset(ROWS)
    assert not unchanged.passed, "validate_dataset changes no data"
    assert "repairs are for rows on their way" in unchanged.notes[0]
    page = check(ROWS, validator).report.to_html()
    assert "<h2>Repairs</h2>" in page
    assert "-1.0 → 0.0" in page
    assert check(ROWS, validator).report.as_dict()["repairs"][0]["changed"] == 1
    assert set(OWN) == {"_rules", "_row", "_run", "_step", "_at"}
