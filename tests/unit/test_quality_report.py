"""What a report says, and how it is shown."""

from __future__ import annotations

import json
import math
import pickle
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import polars as pl
import pytest

from penstock.core.errors import DataError
from penstock.quality import DataValidationError, DataValidator, ValidationReport

ORDERS = pl.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "amount": [5.0, -1.0, math.nan, None],
        "status": ["paid", "open", "<b>lost</b>", "paid"],
        "at": [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4)],
    }
)
RULES: list[dict[str, Any]] = [
    {"rule": "column_exists", "column": "id"},
    {"rule": "between", "column": "amount", "min": 0, "name": "no <negative> amounts"},
    {"rule": "in_set", "column": "status", "values": ["paid", "open"], "severity": "warning"},
    {"rule": "not_null", "column": "customer", "severity": "info"},
    {"rule": "mean", "column": "id", "min": 2, "max": 3},
]


def report_of(**options: Any) -> ValidationReport:
    return DataValidator({"name": "orders", "keys": "id", "rules": RULES}).validate_dataset(ORDERS, **options)


def test_what_it_says() -> None:
    report = report_of()
    assert not report.passed
    assert report.summary() == "orders: 2 of 5 rules passed on 4 rows, 2 of the others only warn"
    assert [each.told() for each in report.broken] == [
        "no <negative> amounts: 2 of 3 rows do not follow it",
        "in_set(status, values=['paid', 'open']): 1 of 4 rows do not follow it",
        "not_null(customer): could not be checked: there is no column customer",
    ]
    assert [each.rule.severity for each in report.failing("warning")] == ["error", "warning"]
    assert report.results[1].fraction == 2 / 3
    statistics = {each.name: each for each in report.statistics}
    assert (statistics["id"].minimum, statistics["id"].maximum, statistics["id"].mean) == (1, 4, 2.5)
    assert (statistics["amount"].nulls, statistics["status"].minimum) == (1, None)


def test_as_json() -> None:
    told = json.loads(report_of().to_json())
    assert (told["name"], told["passed"], told["rows"], told["columns"]) == ("orders", False, 4, 4)
    assert [each["verdict"] for each in told["results"]] == ["passed", "failed", "failed", "error", "passed"]
    assert told["results"][1]["samples"] == [
        {"row": 1, "key": {"id": 2}, "values": {"amount": -1.0}},
        {"row": 2, "key": {"id": 3}, "values": {"amount": None}},
    ]
    assert told["results"][4]["observed"] == 2.5
    assert told["results"][1]["rule"] == RULES[1]


def test_any_value_can_be_told_in_json() -> None:
    frame = pl.DataFrame(
        {"x": [1, 2], "d": [Decimal("1.5"), None], "b": [b"\xff", b""], "l": [[1], []], "t": [timedelta(1), None]}
    )
    rules = [{"rule": "expression", "sql": "x < 0"}, {"rule": "between", "column": "t", "max": timedelta(seconds=5)}]
    report = DataValidator({"keys": frame.columns, "rules": rules}).validate_dataset(frame)
    told = json.loads(report.to_json())
    assert told["results"][0]["samples"][0]["key"]["d"] == "1.5"
    assert "1.5" in report.to_html()


class Page(HTMLParser):
    """What a browser would see of a page, and ask for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.asked: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.asked += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        if tag not in ("meta", "circle", "rect", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("circle", "rect"):
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_needs_nothing_from_outside() -> None:
    page = report_of().to_html()
    seen = Page(page)
    assert seen.open == []
    assert seen.asked == []
    assert "script" not in seen.tags
    assert not re.search(r"url\(|@import|https?:", page)
    assert "prefers-color-scheme:dark" in page
    text = " ".join(seen.words)
    for wanted in (
        "no <negative> amounts",
        "<b>lost</b>",
        "2 of 3 rows do not follow it",
        "there is no column customer",
    ):
        assert wanted in text
    assert "<b>lost</b>" not in page
    assert text.index("no <negative> amounts") < text.index("in_set(status") < text.index("column_exists(id)")


def test_a_page_is_written(tmp_path: Any) -> None:
    written = report_of().write_html(tmp_path / "report.html")
    assert Page(written.read_text()).open == []


def test_fail_fast_ends_with_the_first_error() -> None:
    report = report_of(fail_fast=True)
    assert [each.verdict for each in report.results] == ["passed", "failed", "skipped", "skipped", "skipped"]


def test_fail_fast_reads_nothing_where_a_column_is_missing() -> None:
    rules = [{"rule": "not_null", "column": "id"}, {"rule": "column_exists", "column": "nope"}]

    def never(piece: pl.DataFrame) -> pl.DataFrame:
        raise AssertionError("it was read")

    frame = ORDERS.lazy().map_batches(never, schema=ORDERS.schema, streamable=True)
    report = DataValidator(rules).validate_dataset(frame, fail_fast=True)
    assert [each.verdict for each in report.results] == ["skipped", "failed"]
    assert report.rows is None


def test_code_that_wants_good_data_gets_an_error_with_the_report_inside() -> None:
    with pytest.raises(DataValidationError, match="no <negative> amounts: 2 of 3 rows") as raised:
        DataValidator(RULES).check(ORDERS)
    assert isinstance(raised.value, DataError)
    assert raised.value.report.results[1].failed == 2
    again = pickle.loads(pickle.dumps(raised.value))
    assert again.report.as_dict().keys() == raised.value.report.as_dict().keys()
    assert [each.told() for each in again.report.results] == [each.told() for each in raised.value.report.results]
    assert DataValidator(RULES[:1]).check(ORDERS).passed


def test_freshness() -> None:
    now = datetime.now(UTC)
    frame = pl.DataFrame({"at": [now - timedelta(hours=5), now - timedelta(hours=2), None], "day": [now.date()] * 3})
    rules = [{"rule": "fresh", "column": "at", "max_age": age} for age in ("3h", "90min")]
    late, text = frame.with_columns(at=pl.col("at") - timedelta(days=400)), frame.cast(pl.String)
    validator = DataValidator(rules)
    assert [each.good for each in validator.validate_dataset(frame).results] == [True, False]
    assert [each.good for each in validator.validate_dataset(late).results] == [False, False]
    assert [each.good for each in validator.validate_dataset(text).results] == [True, False]
    assert DataValidator([{"rule": "fresh", "column": "day", "max_age": "2d"}]).validate_dataset(frame).passed


def test_rules_on_names_and_types() -> None:
    rules: list[tuple[dict[str, Any], bool]] = [
        ({"rule": "column_exists", "column": "amount", "position": 1}, True),
        ({"rule": "column_exists", "column": "amount", "position": 2}, False),
        ({"rule": "columns_match", "columns": ["amount", "id", "at", "status"]}, True),
        ({"rule": "columns_match", "columns": ["amount", "id", "at", "status"], "ordered": True}, False),
        ({"rule": "columns_match", "columns": ["id", "status"], "ordered": True, "exact": False}, True),
        ({"rule": "columns_match", "columns": ["id", "status"]}, False),
        ({"rule": "column_count", "min": 4, "max": 4}, True),
        ({"rule": "type", "column": "id", "types": ["text", "integer"]}, True),
        ({"rule": "type", "column": "id", "types": "int32"}, False),
        ({"rule": "type", "column": "at", "types": "datetime"}, True),
    ]
    report = DataValidator([rule for rule, _ in rules]).validate_dataset(ORDERS)
    assert [each.good for each in report.results] == [good for _, good in rules]
    assert report.results[3].reason == "another order: id, amount, status, at"
    assert report.results[8].reason == "id is int64"


def test_quantiles_and_the_most_common() -> None:
    frame = pl.DataFrame({"x": list(range(101)), "t": ["a"] * 60 + ["b"] * 41})
    rules: list[dict[str, Any]] = [
        {"rule": "quantiles", "column": "x", "quantiles": [0.1, 0.9], "ranges": [[9, 11], [None, 90]]},
        {"rule": "quantiles", "column": "x", "quantiles": [0.1, 0.9], "ranges": [[9, 11], [91, None]]},
        {"rule": "most_common_in_set", "column": "t", "values": ["a"]},
        {"rule": "most_common_in_set", "column": "t", "values": ["b"]},
        {"rule": "stdev", "column": "x", "min": 29.3, "max": 29.31},
        {"rule": "null_fraction", "column": "x", "max": 0},
    ]
    report = DataValidator(rules).validate_dataset(frame)
    assert [each.good for each in report.results] == [True, False, True, False, True, True]
    assert report.results[1].reason == "0.9: 90"


def test_a_rule_is_coloured_by_its_verdict() -> None:
    page = report_of().to_html()
    classes = re.findall(r'<div class="rule (\w+) as-(\w+)">', page)
    assert classes == [
        ("failed", "error"),
        ("failed", "warning"),
        ("error", "info"),
        ("passed", "error"),
        ("passed", "error"),
    ]
