"""Every rule says what plain Python over the same rows says."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.quality_reference import CHECKS, STATISTICS, Row, failing_rows

from penstock.quality import KINDS, DataValidator, Rule
from penstock.quality.running.repeats import GROUPS

WHOLE = st.integers(-4, 4) | st.integers(-(2**63), 2**63 - 1)
REAL = st.floats(-4, 4, width=16) | st.floats()
TEXT = st.text("ab1%_. é", max_size=4)
LINES = st.text("ab%_.\n", max_size=4)
DAYS = st.sampled_from(["2026-01-31", "2026-02-30", "31/01/2026", "2026-1-1", "", "20260131"])
DOCUMENTS = st.sampled_from(["{}", '{"a": 1}', "[1,", "null", "NaN", "1", "a", "", '"é"', "{'a': 1}"])
ORDER = {
    "i": WHOLE,
    "j": WHOLE,
    "f": REAL,
    "g": REAL,
    "t": TEXT,
    "u": LINES,
    "d": DAYS,
    "k": DOCUMENTS,
    "b": st.booleans(),
}
TYPES = {"i": pl.Int64, "j": pl.Int64, "f": pl.Float64, "g": pl.Float64, "b": pl.Boolean}
SCHEMA = {name: TYPES.get(name, pl.String) for name in ORDER}
ROWS = st.lists(st.fixed_dictionaries({name: st.none() | values for name, values in ORDER.items()}), max_size=12)
BOOLEANS = st.booleans()


def bounds(values: Any) -> Any:
    """min, max, or both, strict or not."""
    ends = st.tuples(values, values).map(lambda pair: {"min": min(pair), "max": max(pair)})
    one = values.map(lambda value: {"min": value}) | values.map(lambda value: {"max": value})
    strict = st.fixed_dictionaries({}, optional={"strict_min": BOOLEANS, "strict_max": BOOLEANS})
    return st.tuples(ends | one, strict).map(lambda pair: {**pair[0], **pair[1]})


def rules(kind: str, columns: Any, **arguments: Any) -> Any:
    return st.builds(
        lambda named, made: {"rule": kind, "columns": list(named), **made}, columns, st.fixed_dictionaries(arguments)
    )


def of(*names: str) -> Any:
    return st.sampled_from([(name,) for name in names])


NUMBER = st.integers(-5, 5) | st.floats(-5, 5, width=16) | st.integers(-(2**53), 2**53)
PATTERNS = st.sampled_from(["a", "^a", "b$", "[0-9]", "^$", "a.b", "(a|b){2}"])
LIKES = st.text("ab%_.1", max_size=4).filter(bool)
PAIRS = st.sampled_from([("i", "j"), ("f", "g"), ("t", "u")])
MANY = st.sampled_from([("i", "j"), ("t", "u"), ("i", "t"), ("f", "g"), ("t", "u", "d"), ("i", "f", "t")])
ALIKE = st.sampled_from([("i", "j"), ("t", "u"), ("f", "g"), ("t", "u", "d")])
PAIR_NULLS = st.sampled_from(["both_values_are_missing", "either_value_is_missing", "neither"])
ROW_NULLS = st.sampled_from(["all_values_are_missing", "any_value_is_missing", "never"])
EVERYTHING = of(*ORDER)
WRITTEN: dict[str, Any] = {
    "not_null": rules("not_null", EVERYTHING),
    "null": rules("null", EVERYTHING),
    "finite": rules("finite", of("i", "f")),
    "between": st.tuples(of("i", "f", "g"), bounds(NUMBER)).map(
        lambda made: {"rule": "between", "columns": list(made[0]), **made[1]}
    )
    | bounds(TEXT).map(lambda made: {"rule": "between", "column": "t", **made}),
    "in_set": rules("in_set", of("i", "f"), values=st.lists(NUMBER, max_size=4))
    | rules("in_set", of("t", "u"), values=st.lists(TEXT, max_size=4)),
    "not_in_set": rules("not_in_set", of("i", "f"), values=st.lists(NUMBER, max_size=4))
    | rules("not_in_set", of("t"), values=st.lists(TEXT, max_size=4)),
    "matches": rules(
        "matches", of("t"), pattern=st.lists(PATTERNS, min_size=1, max_size=3), match_on=st.sampled_from(["any", "all"])
    ),
    "not_matches": rules("not_matches", of("t"), pattern=st.lists(PATTERNS, min_size=1, max_size=2)),
    "like": rules(
        "like", of("t", "u"), pattern=st.lists(LIKES, min_size=1, max_size=3), match_on=st.sampled_from(["any", "all"])
    ),
    "not_like": rules("not_like", of("t"), pattern=st.lists(LIKES, min_size=1, max_size=2)),
    "length": rules("length", of("t", "d"), min=st.integers(0, 2), max=st.integers(2, 4))
    | rules("length", of("t"), equals=st.integers(0, 4)),
    "unique": rules("unique", EVERYTHING),
    "increasing": rules("increasing", of("i", "t", "j"), strictly=BOOLEANS),
    "decreasing": rules("decreasing", of("i", "t", "j"), strictly=BOOLEANS),
    "date_format": rules("date_format", of("d"), format=st.sampled_from(["%Y-%m-%d", "%d/%m/%Y", "%Y%m%d"])),
    "json": rules("json", of("k")),
    "equal": rules("equal", PAIRS, ignore_row_if=PAIR_NULLS),
    "greater": rules("greater", PAIRS, ignore_row_if=PAIR_NULLS, or_equal=BOOLEANS),
    "pair_in_set": rules(
        "pair_in_set",
        st.just(("i", "j")),
        values=st.lists(st.tuples(st.none() | st.integers(-4, 4), st.integers(-4, 4)).map(list), max_size=4),
        ignore_row_if=PAIR_NULLS,
    ),
    "unique_together": rules("unique_together", MANY, ignore_row_if=ROW_NULLS),
    "unique_within_row": rules("unique_within_row", ALIKE, ignore_row_if=ROW_NULLS),
    "sum_equals": rules("sum_equals", st.just(("h", "l")), total=st.integers(-3, 3), ignore_row_if=ROW_NULLS),
}
SMALL = st.none() | st.integers(-2, 2)


def frame_of(rows: list[Row], schema: dict[str, Any]) -> pl.LazyFrame:
    return pl.DataFrame(rows, schema=schema, strict=True).lazy()


def test_every_rule_on_rows_is_compared() -> None:
    on_rows = {name for name, kind in KINDS.items() if kind.level == "row"}
    elsewhere = {"parses_as", "json_schema", "references", "expression"}
    assert on_rows - elsewhere == set(CHECKS) == set(WRITTEN)


@pytest.mark.parametrize("kind", sorted(WRITTEN))
@given(data=st.data())
def test_a_rule_finds_the_rows_that_plain_python_finds(kind: str, data: st.DataObject) -> None:
    rows = data.draw(ROWS)
    for row in rows:
        row |= {"h": data.draw(SMALL), "l": data.draw(SMALL)}
    entry = data.draw(WRITTEN[kind])
    entry["mostly"] = data.draw(st.sampled_from([1.0, 0.9, 0.75, 0.5, 0.0]))
    with_condition = data.draw(BOOLEANS)
    if with_condition:
        entry["where"] = "b"
    validator = DataValidator({"rules": [entry], "samples": 100})
    rule = validator.validation_rules[0]
    failing, ignored = failing_rows(rule, rows, (lambda row: row["b"] is True) if with_condition else None)
    looked_at = sum(row["b"] is True for row in rows) if with_condition else len(rows)
    report = validator.validate_dataset(frame_of(rows, {**SCHEMA, "h": pl.Int64, "l": pl.Int64}), statistics=False)
    (found,) = report.results
    assert found.verdict in ("passed", "failed"), found.reason
    checked = looked_at - len(ignored)
    assert (found.checked, found.failed, found.nulls) == (checked, len(failing), len(ignored))
    assert {sample.row for sample in found.samples} == failing
    assert found.good == (not failing or (checked - len(failing)) / checked >= rule.mostly)


@pytest.mark.parametrize("kind", sorted(STATISTICS))
@given(values=st.lists(st.none() | st.integers(-(2**40), 2**40), max_size=12), data=st.data())
def test_a_statistic_is_that_of_plain_python(kind: str, values: list[int | None], data: st.DataObject) -> None:
    filled = [value for value in values if value is not None]
    wanted = STATISTICS[kind](filled) if filled else None
    rule = {"rule": kind, "column": "x", "min": data.draw(st.integers(-5, 5))}
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.Int64)})
    (found,) = DataValidator([rule]).validate_dataset(frame, statistics=False).results
    if kind in ("sum", "distinct_count") and not filled:
        assert found.observed == 0
    elif wanted is None:
        assert (found.verdict, found.reason) == ("failed", "there are no values")
    else:
        assert found.observed == pytest.approx(wanted, rel=1e-12)
        assert found.good == (found.observed >= rule["min"])


@given(st.lists(st.none() | st.integers(0, 5), max_size=20), st.lists(st.integers(0, 6), max_size=5, unique=True))
def test_sets_of_distinct_values(values: list[int | None], wanted: list[int]) -> None:
    found = set(values) - {None}
    kinds = {
        "distinct_in_set": found <= set(wanted),
        "distinct_contains": set(wanted) <= found,
        "distinct_equals": found == set(wanted),
    }
    validator = DataValidator([{"rule": kind, "column": "x", "values": wanted} for kind in kinds])
    report = validator.validate_dataset(pl.DataFrame({"x": pl.Series(values, dtype=pl.Int8)}))
    assert {each.rule.kind: each.good for each in report.results} == kinds


def test_rules_that_share_a_column_do_not_disturb_each_other() -> None:
    frame = pl.DataFrame({"x": [1, 2, None, 2, 9], "y": ["a", "b", "c", "d", "e"]})
    report = DataValidator(
        [
            {"rule": "between", "column": "x", "min": 1, "max": 3},
            {"rule": "between", "column": "x", "min": 0, "max": 10},
            {"rule": "unique", "column": "x"},
            {"rule": "unique", "column": "y"},
            {"rule": "in_set", "column": "x", "values": [1, 2]},
            {"rule": "not_null", "columns": ["x", "y"]},
            {"rule": "unique", "column": "x", "where": "y <> 'd'"},
        ]
    ).validate_dataset(frame)
    assert [each.failed for each in report.results] == [1, 0, 2, 0, 1, 1, 0, 0]
    assert [each.nulls for each in report.results] == [1, 1, 1, 0, 1, 0, 0, 1]


def test_many_repeated_values_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.quality.running.repeats.GROUPS", 50)
    monkeypatch.setattr("penstock.quality.running.distinct.LISTED", 10)
    assert GROUPS > 50
    values = [f"v{place % 300}" for place in range(500)]
    rules = [{"rule": "unique", "column": "t"}, {"rule": "unique", "column": "i"}]
    frame = pl.DataFrame({"t": values, "i": [int(value[1:]) for value in values]})
    report = DataValidator({"rules": rules, "samples": 5}).validate_dataset(frame)
    assert [each.failed for each in report.results] == [400, 400]
    assert all(len(each.samples) == 5 for each in report.results)


def test_nothing_is_near_enough_to_be_equal() -> None:
    big = 2**53
    frame = pl.DataFrame({"i": [big, big + 1], "f": [0.1 + 0.2, 0.3]})
    report = DataValidator(
        [
            {"rule": "between", "column": "i", "max": big},
            {"rule": "in_set", "column": "i", "values": [big]},
            {"rule": "unique", "column": "i"},
            {"rule": "unique", "column": "f"},
            {"rule": "sum", "column": "i", "min": 2 * big + 1, "max": 2 * big + 1},
        ]
    ).validate_dataset(frame)
    assert [each.failed for each in report.results[:4]] == [1, 1, 0, 0]
    assert report.results[4].good


def test_a_sum_does_not_overflow() -> None:
    frame = pl.DataFrame({"i": [2**63 - 1, 2**63 - 1]})
    (found,) = (
        DataValidator([{"rule": "sum", "column": "i", "min": 2**64 - 2, "max": 2**64 - 2}])
        .validate_dataset(frame)
        .results
    )
    assert found.observed == 2**64 - 2
    assert found.good


def test_nan_is_no_null_and_within_no_bounds() -> None:
    frame = pl.DataFrame({"f": [1.0, math.nan, math.inf, None]})
    kinds = ["not_null", "finite"]
    rules: list[Any] = [{"rule": kind, "column": "f"} for kind in kinds]
    rules += [{"rule": "between", "column": "f", "min": 0}, {"rule": "between", "column": "f", "max": 5}]
    report = DataValidator(rules).validate_dataset(frame)
    assert [each.failed for each in report.results] == [1, 2, 1, 2]
    assert isinstance(report.results[0].rule, Rule)


def test_in_many_pieces_as_in_one(tmp_path: Path) -> None:
    """Files of many row groups, read by several threads, against Polars in memory."""
    rows = 400_000
    number = pl.int_range(rows, eager=True)
    frame = pl.DataFrame(
        {
            "id": number,
            "text": ("t" + (number * 7919 % 390_001).cast(pl.String)),
            "real": (number * 31 % 395_003) / 7,
            "few": ("f" + (number % 5).cast(pl.String)).cast(pl.Categorical),
            "mixed": pl.Series([None if place % 9 == 0 else place * 17 % 350_003 for place in range(rows)]),
            "waves": (number % 50_000) + number // 50_000,
        }
    )
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=20_000)
    columns = [["id"], ["text"], ["real"], ["few"], ["mixed"], ["few", "mixed"], ["text", "real"]]
    rules: list[Any] = [
        {"rule": "unique" if len(each) == 1 else "unique_together", "columns": each} for each in columns
    ]
    rules += [{"rule": "increasing", "column": "waves"}, {"rule": "increasing", "column": "id", "strictly": True}]
    wanted = [
        frame.filter(~pl.all_horizontal(pl.col(each).is_null())).select(pl.struct(each).is_duplicated().sum()).item()
        for each in columns
    ]
    wanted += [frame.select((pl.col("waves").diff() < 0).sum()).item(), 0]
    report = DataValidator({"rules": rules, "samples": 3}).validate_dataset(tmp_path / "rows.parquet")
    assert [each.failed for each in report.results] == wanted
    assert wanted[0] == 0 < min(wanted[1:6])
    first = frame.with_row_index().filter(pl.col("waves").diff() < 0)["index"].to_list()[:3]
    assert [sample.row for sample in report.results[7].samples] == first
