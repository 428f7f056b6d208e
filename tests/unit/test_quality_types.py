"""Columns of every type, rules over two tables, and conditions."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from penstock.quality import DataValidator, RuleResult

ROWS: list[dict[str, Any]] = [
    {"id": 1, "name": "Ada", "amount": 1.5},
    {"id": 2, "name": None, "amount": -2.0},
    {"id": 2, "name": "Eve", "amount": None},
]


def results(data: Any, *rules: dict[str, Any], **options: Any) -> list[RuleResult]:
    return list(DataValidator(list(rules)).validate_dataset(data, **options).results)


TYPES: dict[str, Any] = {
    "decimal": ([Decimal("1.10"), Decimal("2.00"), None], pl.Decimal(10, 2), {"min": 1.1, "max": 1.5}, 1),
    "unsigned": ([0, 2**64 - 1, None], pl.UInt64, {"min": -1, "max": 2**63}, 1),
    "datetime": ([datetime(2026, 1, 1, 12), datetime(2026, 2, 1), None], None, {"max": "2026-01-01T12:00"}, 1),
    "date": ([date(2026, 1, 1), date(2026, 2, 1), None], None, {"min": "2026-01-15"}, 1),
    "iso-text": (["2026-01-01", "2026-02-01", "soon", None], None, {"min": date(2026, 1, 15)}, 2),
    "category": (["a", "c", None], pl.Categorical, {"max": "b"}, 1),
    "duration": ([1000, 2000, None], pl.Duration("ms"), {"max": "1s"}, 1),
}


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_bounds_of_every_type(kind: str) -> None:
    values, dtype, limits, failed = TYPES[kind]
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype)})
    found = results(frame, {"rule": "between", "column": "x", **limits}, {"rule": "unique", "column": "x"})
    assert [(each.failed, each.nulls, each.reason) for each in found] == [(failed, 1, ""), (0, 1, "")]


def test_zones_are_not_mixed() -> None:
    frame = pl.DataFrame({"x": [datetime(2026, 1, 1, 12)]})
    zoned = frame.select(pl.col("x").dt.replace_time_zone("Europe/Berlin"))
    rule = {"rule": "between", "column": "x", "max": "2026-01-01T11:00+00:00"}
    assert results(frame, rule)[0].verdict == "error"
    assert results(zoned, rule)[0].good
    assert results(zoned, {"rule": "between", "column": "x", "max": "2026-01-01T11:59"})[0].failed == 1


def test_rules_over_two_tables() -> None:
    rules = [
        {"rule": "references", "column": "id", "table": "people"},
        {"rule": "references", "column": "name", "table": "people", "to": "called"},
        {"rule": "row_count_equals", "table": "people"},
        {"rule": "references", "column": "id", "table": "nobody"},
        {"rule": "references", "column": "id", "table": "people", "to": "called"},
    ]
    people = [{"id": 1, "called": "Ada"}, {"id": 3, "called": "Bob"}]
    found = results(ROWS, *rules, tables={"people": people})
    assert [each.verdict for each in found] == ["failed", "failed", "failed", "error", "error"]
    assert [each.failed for each in found[:2]] == [2, 1]
    assert found[2].observed == {"rows": 3, "people": 2}


def test_json_that_follows_a_schema() -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
    texts = ['{"a": 1}', '{"a": "x"}', "{}", "[", None]
    found = results(
        {"x": texts}, {"rule": "json_schema", "column": "x", "schema": schema}, {"rule": "json", "column": "x"}
    )
    assert [(each.failed, each.nulls) for each in found] == [(3, 1), (1, 1)]


def test_a_schema_fetches_nothing() -> None:
    rule = {"rule": "json_schema", "column": "x", "schema": {"$ref": "http://127.0.0.1:9/schema.json"}}
    (found,) = results({"x": ["{}"]}, rule)
    assert found.verdict == "error"


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("amount + 1", "is no condition"),
        ("1 = 1", "is not about each row"),
        ("MAX(amount) > 1", "is not about each row"),
        ("name + 1 > 2", "cannot be asked of this data"),
        ("nope > 2", "there is no column nope"),
    ],
)
def test_a_condition_is_about_each_row(sql: str, told: str) -> None:
    found = results(ROWS, {"rule": "expression", "sql": sql}, {"rule": "not_null", "column": "id", "where": sql})
    assert [each.verdict for each in found] == ["error", "error"]
    assert all(told in each.reason for each in found)


def test_a_condition() -> None:
    found = results(
        ROWS, {"rule": "expression", "sql": "amount > 0 OR name IS NULL"}, {"rule": "expression", "sql": "amount > 0"}
    )
    assert [(each.failed, each.nulls, each.checked) for each in found] == [(0, 1, 2), (1, 1, 2)]
    assert found[1].samples[0].values == {"amount": -2.0}


def test_categories_are_text() -> None:
    values = ["ab", "b", "ab", None]
    rules: list[dict[str, Any]] = [
        {"rule": "matches", "column": "x", "pattern": "^a"},
        {"rule": "like", "column": "x", "pattern": "a%"},
        {"rule": "length", "column": "x", "max": 1},
        {"rule": "in_set", "column": "x", "values": ["ab", "c"]},
        {"rule": "unique", "column": "x"},
        {"rule": "distinct_equals", "column": "x", "values": ["ab", "b"]},
        {"rule": "most_common_in_set", "column": "x", "values": ["ab"]},
    ]
    for kind in (pl.String, pl.Categorical, pl.Enum(["b", "ab"])):
        found = results(pl.DataFrame({"x": pl.Series(values, dtype=kind)}), *rules)
        assert [each.failed for each in found] == [1, 1, 2, 1, 2, None, None]
        assert [each.good for each in found[5:]] == [True, True]


def test_lists_have_lengths_and_can_be_unique() -> None:
    for kind in (pl.List(pl.Int8), pl.Array(pl.Int8, 2)):
        frame = pl.DataFrame({"x": pl.Series([[1, 2], [1, 2], [2, 1], None], dtype=kind)})
        found = results(frame, {"rule": "length", "column": "x", "max": 1}, {"rule": "unique", "column": "x"})
        assert [(each.failed, each.nulls) for each in found] == [(3, 1), (2, 1)]
