"""Suites of Great Expectations in and out."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from penstock.quality import BadRules, DataValidator, Rule, ValidationReport
from penstock.quality.gx import export_suite, import_suite, run_with_gx

RULES: list[dict[str, Any]] = [
    {"rule": "column_exists", "column": "id"},
    {"rule": "columns_match", "columns": ["id", "name", "amount", "other"]},
    {"rule": "columns_match", "columns": ["name", "id", "amount", "other"], "ordered": True},
    {"rule": "column_count", "min": 1, "max": 3},
    {"rule": "column_count", "equals": 4},
    {"rule": "row_count", "min": 5},
    {"rule": "row_count", "equals": 5, "severity": "warning"},
    {"rule": "not_null", "column": "name", "mostly": 0.8},
    {"rule": "not_null", "column": "name"},
    {"rule": "null", "column": "name"},
    {"rule": "between", "column": "amount", "min": 0, "max": 40, "strict_max": True},
    {"rule": "between", "column": "amount", "min": 0, "max": 41},
    {"rule": "in_set", "column": "name", "values": ["Ada", "Bob"], "mostly": 0.5},
    {"rule": "not_in_set", "column": "name", "values": ["Eve"]},
    {"rule": "matches", "column": "name", "pattern": "^[A-Z]"},
    {"rule": "matches", "column": "name", "pattern": ["^A", "b$"], "match_on": "any"},
    {"rule": "not_matches", "column": "name", "pattern": "v"},
    {"rule": "not_matches", "column": "name", "pattern": ["x", "y"]},
    {"rule": "length", "column": "name", "min": 3, "max": 3},
    {"rule": "length", "column": "name", "equals": 4},
    {"rule": "unique", "column": "id"},
    {"rule": "unique", "column": "name"},
    {"rule": "equal", "columns": ["amount", "other"]},
    {"rule": "greater", "columns": ["amount", "other"], "or_equal": True, "ignore_row_if": "either_value_is_missing"},
    {"rule": "unique_together", "columns": ["name", "amount"]},
    {"rule": "unique_within_row", "columns": ["amount", "other"]},
    {"rule": "minimum", "column": "amount", "min": -3},
    {"rule": "maximum", "column": "amount", "max": 39},
    {"rule": "mean", "column": "amount", "min": 10, "max": 20},
    {"rule": "median", "column": "amount", "min": 10, "max": 11},
    {"rule": "stdev", "column": "amount", "max": 30},
    {"rule": "sum", "column": "amount", "min": 60},
    {"rule": "distinct_count", "column": "name", "min": 3, "max": 3},
    {"rule": "quantiles", "column": "id", "quantiles": [0.5], "ranges": [[3, 3]], "interpolation": "nearest"},
    {"rule": "distinct_in_set", "column": "name", "values": ["Ada", "Bob"]},
    {"rule": "distinct_contains", "column": "name", "values": ["Ada", "Bob"]},
    {"rule": "distinct_equals", "column": "name", "values": ["Ada", "Bob", "Eve"]},
    {"rule": "most_common_in_set", "column": "name", "values": ["Ada"]},
    {"rule": "kl_divergence", "column": "name", "weights": {"Ada": 0.5, "Bob": 0.25, "Eve": 0.25}, "max": 0.1},
]
FRAME = pd.DataFrame(
    {
        "id": [1, 2, 3, 4, 5],
        "name": ["Ada", "Bob", "Ada", "Eve", None],
        "amount": [1.5, 40.5, -3.0, 10.5, None],
        "other": [1.0, 40.5, None, 12.0, None],
    }
)
ALONE = [
    {"rule": "finite", "column": "a"},
    {"rule": "not_null", "column": "a", "where": "b > 1"},
    {"rule": "fresh", "column": "a", "max_age": "1d"},
]


def rules_of(written: list[dict[str, Any]]) -> tuple[Rule, ...]:
    return DataValidator(written).validation_rules


def test_there_and_back() -> None:
    rules = rules_of(RULES)
    suite, left_out = export_suite(rules, "orders")
    assert left_out == []
    again = import_suite(json.dumps(suite))
    assert again.left_out == ()
    assert [rule.as_config() for rule in again.rules] == [rule.as_config() for rule in rules]
    assert (suite["name"], suite["expectations"][6]["severity"]) == ("orders", "warning")


@pytest.mark.parametrize("written", ALONE, ids=lambda written: written["rule"])
def test_what_has_no_expectation_is_told(written: dict[str, Any]) -> None:
    suite, left_out = export_suite(rules_of([written]))
    assert suite["expectations"] == []
    assert len(left_out) == 1


def test_a_suite_of_a_file_as_it_was_written_by_an_older_release(tmp_path: Path) -> None:
    entries = [
        {
            "expectation_type": "expect_column_values_to_be_between",
            "kwargs": {"column": "a", "min_value": 1, "max_value": None},
        },
        {"expectation_type": "expect_column_to_be_lucky", "kwargs": {"column": "a"}},
        {
            "expectation_type": "expect_column_values_to_be_between",
            "kwargs": {"column": "a", "min_value": 3, "max_value": 1},
        },
    ]
    (tmp_path / "suite.json").write_text(json.dumps({"expectation_suite_name": "old", "expectations": entries}))
    found = import_suite(tmp_path / "suite.json")
    assert [rule.as_config() for rule in found.rules] == [{"rule": "between", "column": "a", "min": 1}]
    assert [name for name, _ in found.left_out] == [entries[1]["expectation_type"], entries[2]["expectation_type"]]
    assert found.left_out[1][1] == "min is greater than max"


@pytest.mark.parametrize("suite", [{}, {"expectations": 3}, "[]"], ids=["empty", "number", "list"])
def test_what_is_no_suite(suite: Any) -> None:
    with pytest.raises(BadRules, match="has no list of expectations"):
        import_suite(suite)


gx_itself = pytest.mark.skipif(
    importlib.util.find_spec("great_expectations") is None and os.environ.get("PENSTOCK_REQUIRE_SERVICES") != "1",
    reason="Great Expectations is not installed: pip install 'penstock[gx]'",
)


@pytest.fixture(scope="module")
def by_gx() -> ValidationReport:
    return run_with_gx(rules_of(RULES), FRAME, name="orders")


@gx_itself
def test_great_expectations_itself_says_the_same(by_gx: ValidationReport) -> None:
    ours = DataValidator(RULES).validate_dataset(FRAME)
    assert (by_gx.name, by_gx.rows, by_gx.columns) == ("orders", 5, 4)
    assert [each.told() for each in by_gx.results if each.verdict == "error"] == []
    for mine, theirs in zip(ours.results, by_gx.results, strict=True):
        assert (mine.rule, mine.verdict) == (theirs.rule, theirs.verdict)
        if mine.rule.kind not in ("not_null", "null") and None not in (mine.failed, theirs.failed):
            assert (mine.failed, mine.checked, mine.nulls or 0) == (theirs.failed, theirs.checked, theirs.nulls or 0)
        if theirs.samples and mine.samples:
            assert {each.row for each in mine.samples} == {each.row for each in theirs.samples}
            assert mine.samples[0].values == theirs.samples[0].values


@gx_itself
def test_what_great_expectations_cannot_check(tmp_path: Path) -> None:
    rules = rules_of([*ALONE, {"rule": "between", "column": "nope", "min": 0}, RULES[8]])
    found = run_with_gx(rules, FRAME).results
    assert [each.verdict for each in found] == ["error", "error", "error", "error", "failed"]
    assert found[1].reason == "Great Expectations has no expectation for it: a condition in SQL"
    assert "nope" in found[3].reason


@gx_itself
def test_a_suite_run_by_great_expectations_over_a_file(tmp_path: Path) -> None:
    pd.DataFrame(FRAME).to_csv(tmp_path / "orders.csv", index=False)
    suite = {
        "name": "orders",
        "expectations": [
            {"type": "expect_column_values_to_be_between", "kwargs": {"column": "amount", "min_value": 0}},
            {"type": "expect_column_pair_cramers_phi_value_to_be_less_than", "kwargs": {"column_A": "id"}},
            {"type": "expect_column_to_be_lucky", "kwargs": {"column": "id"}},
            {"expectation_type": "expect_table_row_count_to_equal", "kwargs": {"value": 5}},
        ],
    }
    (tmp_path / "suite.json").write_text(json.dumps(suite))
    report = run_with_gx(tmp_path / "suite.json", tmp_path / "orders.csv")
    assert [each.verdict for each in report.results] == ["failed", "error", "error", "passed"]
    assert [each.rule.kind for each in report.results][:3] == [
        "between", "expect_column_pair_cramers_phi_value_to_be_less_than", "expect_column_to_be_lucky",
    ]  # fmt: skip
    assert (report.results[0].failed, report.results[0].samples[0].values) == (1, {"amount": -3.0})
    assert "<html" in report.to_html()
    assert json.loads(report.to_json())["results"][0]["failed"] == 1
