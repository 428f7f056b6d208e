"""Suites of Great Expectations in and out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from penstock.quality import BadRules, DataValidator, Rule
from penstock.quality.gx import export_suite, import_suite

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


def test_great_expectations_itself_says_the_same() -> None:
    gx = pytest.importorskip("great_expectations")
    context = gx.get_context(mode="ephemeral")
    suite, _ = export_suite(rules_of(RULES))
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("orders")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": FRAME})
    ours = DataValidator(RULES).validate_dataset(FRAME)
    for expectation, result in zip(suite["expectations"], ours.results, strict=True):
        (theirs,) = batch.validate(gx.ExpectationSuite(name="one", expectations=[expectation])).results
        assert (result.rule.title, result.good) == (result.rule.title, theirs.success)
