"""Great Expectations' own test cases, answered by our rules."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.unit.gx_cases import Case, cases_in, frame_of

from penstock.core.errors import PenstockError
from penstock.quality import KINDS, DataValidator, RuleResult
from penstock.quality.gx import EXPECTATIONS, NOT_YET, NotTranslated, rule_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "quality.md"
FOLDER = Path(os.environ.get("PENSTOCK_TEST_DATA", ROOT.parent / "shared" / "data")) / "gx_test_definitions"
CASES = list(cases_in(FOLDER))
_NOTHING = "a rule that states nothing is a mistake here"
_MIXED = "a column of mixed types is text here, and a condition that takes it for numbers cannot be checked"
_FAMILIES = "that a number is compared with a text is told, instead of every row"
_ZONES = "`datetime` is with a zone or without"
_TWICE = "a column that is there twice is a mistake here"
DIFFERENT: dict[str, str] = {
    "expect_column_distinct_values_to_be_in_set-0-1-vacuously_true_universal_set": _NOTHING,
    "expect_column_stdev_to_be_between-0-1-vacuously_true": _NOTHING,
    "expect_column_value_lengths_to_be_between-0-5-negative_test_with_max_lt_min": "min above max is a mistake here",
    "expect_column_values_to_be_between-0-29-test_conditional_expectation_fails": _MIXED,
    "expect_column_values_to_be_in_set-0-10-test_conditional_expectation_passes": _MIXED,
    "expect_column_values_to_be_of_type-1-3-negative_pandas_datetime_with_timezone": _ZONES,
    "expect_column_pair_values_to_be_equal-0-0-trivial_case:_x__x": _TWICE,
    "expect_column_pair_values_to_be_in_set-0-0-basic_positive_test_without_nulls": _TWICE,
    "expect_column_pair_values_to_be_equal-0-1-basic_negative_example_compare_number_to_text": _FAMILIES,
    "expect_column_pair_values_to_be_equal-0-3-positive_example_with_mostly_compare_number_to_text": _FAMILIES,
    "expect_column_pair_values_to_be_equal-0-5-positive_example_with_mismatched_null_values_and_ignore_row_if__either_value_is_missing_compare_number_to_text": _FAMILIES,  # noqa: E501
}
"""Cases whose answer is another one here, and why."""
pytestmark = pytest.mark.skipif(not CASES, reason=f"no test cases of Great Expectations at {FOLDER}")


def reason_of(case: Case) -> str:
    """Why a case cannot be one of ours; empty where it is."""
    if case.elsewhere:
        return case.elsewhere
    if case.name in DIFFERENT:
        return DIFFERENT[case.name]
    if case.expectation in NOT_YET:
        return NOT_YET[case.expectation]
    try:
        rule_of(case.expectation, case.given)
    except NotTranslated as problem:
        return "" if case.refused else str(problem)
    except PenstockError:
        return ""
    return ""


OURS = [case for case in CASES if not reason_of(case)]


def answered(case: Case) -> RuleResult:
    rule = rule_of(case.expectation, case.given)
    validator = DataValidator({"rules": [rule], "samples": 1000})
    (found,) = validator.validate_dataset(frame_of(case), tables=case.tables).results
    return found


@pytest.mark.parametrize("case", OURS, ids=lambda case: case.name)
def test_our_answer_is_that_of_great_expectations(case: Case) -> None:
    if case.refused:
        try:
            found = answered(case)
        except (PenstockError, NotTranslated):
            return
        assert found.verdict == "error"
        return
    found = answered(case)
    assert found.verdict in ("passed", "failed"), found.reason
    if "success" in case.wanted:
        assert found.good == case.wanted["success"]
    if "unexpected_list" in case.wanted and found.failed is not None:
        values = [list(sample.values.values()) for sample in found.samples]
        assert [_plain(row) for row in values] == [_plain(each) for each in case.wanted["unexpected_list"]]
    if "unexpected_count" in case.wanted:
        assert found.failed == case.wanted["unexpected_count"]
    if "missing_count" in case.wanted and found.nulls is not None:
        assert found.nulls == case.wanted["missing_count"]
    if "element_count" in case.wanted and found.nulls is not None:
        assert (found.checked or 0) + found.nulls == case.wanted["element_count"]
    if isinstance(case.wanted.get("observed_value"), int | float) and not isinstance(found.observed, str | list | None):
        assert found.observed == pytest.approx(case.wanted["observed_value"], rel=max(case.tolerance, 1e-9))


def _plain(row: Any) -> list[str]:
    """A row of values as texts: numbers that are equal are the same."""
    values = list(row.values()) if isinstance(row, dict) else row if isinstance(row, list) else [row]
    return sorted(str(float(value)) if isinstance(value, int | float) else str(value) for value in values)


def told_of_cases() -> str:
    """The table of cases on the page about quality."""
    reasons = Counter(reason_of(case) for case in CASES)
    ours = reasons.pop("")
    lines = ["| cases | are |", "|---|---|", f"| {ours} of {len(CASES)} | answered alike, in the tests of Penstock |"]
    ordered = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    return "\n".join([*lines, *(f"| {number} | {reason} |" for reason, number in ordered)])


def test_the_page_lists_the_cases_that_are_left_out_and_why() -> None:
    assert told_of_cases() in PAGE.read_text()
    assert set(DIFFERENT) <= {case.name for case in CASES}


def test_every_expectation_that_has_cases_is_known() -> None:
    assert {case.expectation for case in CASES} <= {*EXPECTATIONS, *NOT_YET}


@pytest.mark.parametrize("name", EXPECTATIONS)
def test_an_expectation_leads_to_a_rule_that_is_there(name: str) -> None:
    made = EXPECTATIONS[name]
    assert f"| `{name}` | `{made.rule}` |" in PAGE.read_text()
    known = {argument.name for argument in KINDS[made.rule].arguments}
    assert {*made.arguments.values(), *made.fixed} <= known
