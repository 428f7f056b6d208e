"""Rules that are suggested: the data follows them, they are written as a file, and they find what is strange."""

from __future__ import annotations

import math
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.quality import DataValidator
from penstock.quality.profiles import Profile, profile, suggest
from penstock.quality.profiles.suggesting import outward

ODD = ["a@b.de", "2026-01-31", "n/a", "true", "1.5", "10.0.0.1", "AB-123", "x" * 60, "# no", "'", "1e999"]
TEXTS = st.text("aB1 -é\n\t\\.*", max_size=6) | st.sampled_from(ODD)
COLUMNS = (
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=20, max_size=60)
    | st.lists(st.integers(0, 9), min_size=20, max_size=60)
    | st.lists(st.floats(-100, 100) | st.floats(), min_size=20, max_size=60)
    | st.lists(st.none() | TEXTS, min_size=20, max_size=60)
    | st.lists(st.sampled_from(["paid", "open"]) | st.text(max_size=3), min_size=20, max_size=60)
    | st.lists(st.from_regex(r"[A-Z]{2}-[0-9]{1,3}", fullmatch=True), min_size=20, max_size=40)
    | st.lists(st.dates() | st.none(), min_size=20, max_size=40)
    | st.lists(st.datetimes(), min_size=20, max_size=40)
    | st.lists(st.booleans(), min_size=20, max_size=20)
)


def frame_of(columns: list[list[Any]]) -> pl.DataFrame:
    rows = min(map(len, columns))
    return pl.DataFrame({f"c{place}": values[:rows] for place, values in enumerate(columns)}, strict=False)


@settings(max_examples=80)
@given(st.lists(COLUMNS, min_size=1, max_size=3))
def test_data_follows_the_rules_that_its_profile_suggests(columns: list[list[Any]]) -> None:
    frame = frame_of(columns)
    saved = Profile.from_json(profile(frame).to_json())
    report = DataValidator(suggest(saved).to_yaml()).validate_dataset(frame)
    assert [each.told() for each in report.results if not each.good] == []


@settings(max_examples=20)
@given(st.lists(COLUMNS, min_size=1, max_size=2))
def test_nothing_is_left_out_when_rules_are_checked(columns: list[list[Any]]) -> None:
    frame = frame_of(columns)
    assert suggest(frame).to_yaml() == suggest(profile(frame)).to_yaml()


@given(st.integers(), st.integers())
def test_bounds_hold_whole_numbers(one: int, two: int) -> None:
    low, high = sorted((one, two))
    least, most = outward(low, high)
    assert isinstance(least, int)
    assert least <= low <= high <= most
    assert (least >= 0) == (low >= 0)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_bounds_hold_numbers(one: float, two: float) -> None:
    low, high = sorted((one, two))
    least, most = outward(low, high)
    if least is not None:
        assert math.isfinite(least)
        assert least <= low <= high <= most


def told(data: Any) -> dict[str, str]:
    return {each.rule.statement: each.reason for each in suggest(data).suggestions}


def test_a_table_of_orders() -> None:
    rows = [
        {
            "id": 100 + each,
            "sku": f"AB-{each % 900 + 100}",
            "status": ["paid", "open"][each % 2] if each != 7 else "piad",
            "mail": f"a{each}@b.de",
            "price": each % 50 / 4,
            "day": date(2026, 1, 1 + each % 28),
            "note": None if each == 3 else f"some words {'and more ' * (each % 5)}",
        }
        for each in range(200)
    ]
    found = told(rows)
    assert found["unique(id)"] == "all of 200 values are different"
    assert found["increasing(id, strictly=True)"] == "each value is more than the one before"
    assert found["between(id, min=80)"] == "values are from 100 to 299"
    assert found["matches(sku, pattern='^[A-Z]{2}-[0-9]{3}$')"] == "all values are like AA-999"
    assert found["in_set(status, values=['open', 'paid']) for 98 %"] == "99.5 % of the values are one of 2"
    assert found["between(price, min=0, max=14.0)"] == "values are from 0.0 to 12.25"
    assert found["not_null(note) for 98 %"] == "0.50% of the rows are without a value"
    assert found["between(day, min=2025-12-31)"] == "the first is 2026-01-01"
    assert "all values are of the kind: e-mail" in found.values()
    strange = [{**row, "sku": "AB-1", "price": -1.0, "mail": "nobody", "id": 100} for row in rows[:2]]
    failing = DataValidator(suggest(rows).rules).validate_dataset(strange).broken
    assert {"sku", "price", "mail", "id"} <= {each.rule.columns[0] for each in failing}


def test_words_for_nothing_and_white_space() -> None:
    values = [str(each) for each in range(30)] + ["N/A"] * 10 + [" 7"]
    found = told({"a": values})
    assert found["not_in_set(a, values=['N/A']) for 74 %"] == "24.39 % of the values stand for nothing: N/A"
    assert any(reason.endswith("begin or end with white space") for reason in found.values())


def test_uniqueness_is_proved_of_data_however_large_it_is() -> None:
    many = 40_000
    frame = pl.DataFrame({"a": [each * 7919 % many for each in range(many)]})
    assert "unique(a)" in told(frame)
    assert "unique(a)" not in told(profile(frame))
    assert "unique(a)" not in told(pl.concat([frame, frame.tail(1)]))


def test_little_is_said_of_little_data() -> None:
    assert list(told({"a": [1, 2], "b": ["x", None]})) == [
        "columns_match(a, b, exact=False)", "row_count(min=1)", "type(a, types='integer')", "not_null(a)",
        "type(b, types='text')",
    ]  # fmt: skip
    assert suggest(pl.DataFrame()).to_yaml() == "rules: []\n"
    assert list(told(pl.DataFrame({"a": ["x"] * 30}).rename({"a": ""}))) == ["row_count(min=1)"]


@pytest.mark.parametrize("name", ["a: b", "x # y", "line\nbreak", "\x1b[31m", "{", "é", "'", "null", "1"])
def test_names_that_need_care(name: str) -> None:
    data = {name: ["x y", "z"] * 20}
    report = DataValidator(suggest(data, name=name).to_yaml()).validate_dataset(data)
    assert report.passed
    assert report.results[-1].rule.columns == (name,)
    assert report.name == name


def test_not_finite() -> None:
    found = told({"a": [math.nan, math.inf, *map(float, range(40))]})
    assert not any(each.startswith(("between", "finite", "unique")) for each in found)


def test_moments_with_a_zone() -> None:
    moments = pl.Series([datetime(2026, 3, day, 12) for day in range(1, 29)]).dt.replace_time_zone("Europe/Berlin")
    assert told(pl.DataFrame({"at": moments}))["between(at, min=2026-02-28)"].startswith("the first is 2026-03-01")


def test_a_column_that_is_there_twice_has_no_rules_under_a_name_of_our_own(tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    path.write_text("a,a,b\n" + "".join(f"{row},{row * 2},x\n" for row in range(30)))
    for source in (str(path), profile(str(path))):
        found = suggest(source)
        assert {name for rule in found.rules for name in rule.columns} == {"a", "b"}
        assert "a_duplicated_0" not in found.to_yaml()


def test_one_row_is_one_row() -> None:
    text = suggest(pl.DataFrame({"a": [1]})).to_yaml()
    assert "# there is one row\n" in text
    assert "# the row has a value\n" in text
    assert "1 rows" not in text


def _lines(rows: int) -> pl.DataFrame:
    """Lines of orders: an order and a line tell one from another, and nothing else does."""
    number = pl.int_range(rows, eager=True)
    return pl.DataFrame(
        {
            "shop": number * 0,
            "order": number // 4,
            "line": number % 4,
            "price": number % 7 + 0.5,
            "article": (number % 11).cast(pl.String),
            "note": pl.Series([None, *["x"] * (rows - 1)]),
        }
    )


def test_a_pair_of_columns_that_tells_rows_apart() -> None:
    found = [each for each in suggest(_lines(400)).suggestions if each.rule.kind.startswith("unique")]
    assert [(each.rule.kind, each.rule.columns) for each in found] == [
        ("unique_together", ("order", "line")),
        ("unique_together", ("order", "article")),
    ]
    assert found[0].reason == "no two rows have the same order and line, and no column alone tells them apart"


def test_a_pair_that_tells_only_the_first_rows_apart_is_none() -> None:
    frame = pl.concat([_lines(60_000), _lines(60_000).tail(1)])
    assert not [each for each in suggest(frame).suggestions if each.rule.kind.startswith("unique")]


def test_where_a_column_tells_rows_apart_no_pair_is_looked_for() -> None:
    frame = _lines(400).with_row_index("id")
    found = [each.rule.columns for each in suggest(frame).suggestions if each.rule.kind.startswith("unique")]
    assert found == [("id",)]
