"""Repairs: what each does, what it refuses, and that doing it twice changes nothing more."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from penstock.quality import REPAIRS, BadRules, Repair
from penstock.quality.rules import read_repairs
from penstock.quality.steps.repairing import mended

TEXTS = ["", " a ", "A", "b\t", "ß", "İ", "1", "-2.5", "true", "2026-01-31", "31.01.2026", "2026-01-31T10:00", "x  y"]


def done(values: list[Any], /, **repair: Any) -> tuple[list[Any], Any]:
    frame = pl.DataFrame({"x": pl.Series(values, strict=False)})
    column = {} if "columns" in repair else {"column": "x"}
    made = mended(frame, read_repairs([{**column, **repair}]))
    (result,) = made.results
    return (made.frame["x"].to_list(), result)


CASES = [
    ("trim", [" a", "b\n", None, ""], {}, ["a", "b", None, ""], 2),
    ("trim", [" a", " \t", ""], {"empty_to_null": True}, ["a", None, None], 3),
    ("case", ["Ada", "ß", None], {"to": "upper"}, ["ADA", "SS", None], 2),
    ("replace", ["a-b--c", "d"], {"pattern": "-+", "by": " "}, ["a b c", "d"], 1),
    ("replace", ["007", "70"], {"pattern": "^0+", "by": ""}, ["7", "70"], 1),
    ("map", ["y", "n", None, "?"], {"values": {"y": "yes", "n": "no"}}, ["yes", "no", None, "?"], 2),
    ("map", [1, 2, 9], {"values": {"9": 0}}, [1, 2, 0], 1),
    ("map", [1, 2, 9], {"values": [[9, None]]}, [1, 2, None], 1),
    ("cast", ["1", " 2", None], {"to": "integer"}, ["1", " 2", None], 0),
    ("cast", ["1", "-2", None], {"to": "integer"}, [1, -2, None], 2),
    ("cast", ["1", "x"], {"to": "number", "invalid": "null"}, [1.0, None], 2),
    ("cast", [1.0, 2.0, None], {"to": "integer"}, [1, 2, None], 2),
    ("cast", [1.5, 2.0], {"to": "integer"}, [1.5, 2.0], 0),
    ("cast", [float("nan")], {"to": "integer"}, None, 0),
    ("cast", ["True", "false"], {"to": "boolean"}, [True, False], 2),
    ("cast", [1, 0, None], {"to": "boolean"}, [True, False, None], 2),
    ("cast", [1, 2], {"to": "text"}, ["1", "2"], 2),
    ("cast", ["2026-01-31"], {"to": "date"}, [date(2026, 1, 31)], 1),
    ("cast", ["2026-01-31T10:00:00Z"], {"to": "datetime"}, [datetime(2026, 1, 31, 10, tzinfo=UTC)], 1),
    ("parse_dates", ["31.01.2026", "2026-02-01", None], {"formats": ["%d.%m.%Y", "%Y-%m-%d"]},
     [date(2026, 1, 31), date(2026, 2, 1), None], 2),
    ("parse_dates", ["31.01.2026 10:30", "01.02.2026"], {"formats": ["%d.%m.%Y %H:%M", "%d.%m.%Y"]},
     [datetime(2026, 1, 31, 10, 30), datetime(2026, 2, 1)], 2),
    ("parse_dates", ["31.02.2026"], {"formats": "%d.%m.%Y"}, ["31.02.2026"], 0),
    ("fill", [None, 1, None], {"value": 0}, [0, 1, 0], 2),
    ("fill", [None, 1, None], {"how": "forward"}, [None, 1, 1], 1),
    ("fill", [None, 1.0, 3.0], {"how": "mean"}, [2.0, 1.0, 3.0], 1),
    ("fill", [None, 1.0, float("inf")], {"how": "backward"}, [1.0, 1.0, float("inf")], 1),
    ("clip", [-5, 5, None, 50], {"min": 0, "max": 10}, [0, 5, None, 10], 2),
    ("clip", [float("inf"), float("-inf")], {"min": 0.5, "max": 10}, [10.0, 0.5], 2),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "values", "options", "wanted", "changed"), CASES)
def test_what_a_repair_does(kind: str, values: list[Any], options: dict[str, Any], wanted: Any, changed: int) -> None:
    found, result = done(values, repair=kind, **options)
    if wanted is not None:
        assert found == wanted
    assert result.changed == changed
    assert result.nulls_after == sum(value is None for value in found) or not changed
    if changed:
        assert result.samples[0].before != result.samples[0].after or kind == "cast"
        assert result.told().endswith(f"{changed} value{'s' if changed > 1 else ''} of x changed")
    assert {each[0] for each in CASES} | {"drop_duplicates"} == set(REPAIRS)


def test_nan_is_no_number_to_clip() -> None:
    found, result = done([float("nan"), 5.0], repair="clip", max=1)
    assert found[0] != found[0]
    assert found[1] == 1.0
    assert result.changed == 1


def test_duplicates() -> None:
    frame = pl.DataFrame({"id": [1, 2, 1, None, None], "n": [0.0, 1.0, -0.0, float("nan"), float("nan")]})
    first = mended(frame, read_repairs([{"repair": "drop_duplicates"}]))
    assert first.rows is not None
    assert (first.rows.to_list(), first.results[0].removed) == ([0, 1, 3], 2)
    last = mended(frame, read_repairs([{"repair": "drop_duplicates", "columns": ["id"], "keep": "last"}]))
    assert last.rows is not None
    assert last.rows.to_list() == [1, 2, 4]
    both = mended(
        frame,
        read_repairs([{"repair": "drop_duplicates", "keep": "last"}, {"repair": "clip", "column": "id", "max": 0}]),
    )
    assert [each.row for each in both.results[1].samples] == [1, 2], "samples tell the places of the rows as given"


def test_text_columns_are_meant_where_none_is_named() -> None:
    frame = pl.DataFrame({"a": [" x"], "n": [1], "b": ["y "]})
    made = mended(frame, read_repairs(["trim"]))
    assert made.frame.row(0) == ("x", 1, "y")
    assert [each.column for each in made.results] == ["a", "b"]


@pytest.mark.parametrize(
    ("repair", "reason"),
    [
        ({"repair": "trim", "column": "gone"}, "there is no column gone"),
        ({"repair": "trim", "column": "n"}, "n is int64, and no text"),
        ({"repair": "clip", "column": "t", "min": 0}, "t is text, and no number"),
        ({"repair": "fill", "column": "t", "how": "mean"}, "only numbers have a mean"),
        ({"repair": "fill", "column": "n", "value": "x"}, "cannot be compared with 'x'"),
        ({"repair": "map", "column": "n", "values": {"x": 1}}, "is no number"),
        ({"repair": "replace", "column": "t", "pattern": "(", "by": ""}, "regex parse error"),
        ({"repair": "replace", "column": "t", "pattern": "a", "by": "aa"}, "doing it again would change more"),
        ({"repair": "replace", "column": "t", "pattern": "^0", "by": ""}, "doing it again would change more"),
        ({"repair": "cast", "column": "t", "to": "integer"}, "values cannot be, such as 'a'"),
        ({"repair": "drop_duplicates", "columns": ["gone"]}, "there is no column gone"),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(repair: dict[str, Any], reason: str) -> None:
    frame = pl.DataFrame({"n": [1, 2], "t": ["a", "007"]})
    made = mended(frame, read_repairs([repair]))
    assert_frame_equal(made.frame, frame)
    (result,) = made.results
    assert reason in result.reason
    assert "nothing was done" in result.told()


@pytest.mark.parametrize(
    ("entry", "mistake"),
    [
        ({"repair": "trimm"}, "did you mean trim?"),
        ({"column": "a"}, "which repair?"),
        (7, "is not a mapping"),
        ({"repair": "case", "column": "a"}, "case needs to"),
        ({"repair": "case", "to": "upper"}, "case needs columns"),
        ({"repair": "clip", "column": "a"}, "needs min or max"),
        ({"repair": "clip", "column": "a", "min": 2, "max": 1}, "min is greater than max"),
        ({"repair": "fill", "column": "a", "value": 1, "how": "mean"}, "one of them"),
        ({"repair": "map", "column": "a", "values": {"a": "b", "b": "c"}}, "write the last value"),
        ({"repair": "map", "column": "a", "values": []}, "such as {old: new}"),
        ({"repair": "trim", "severity": "error"}, "trim takes no severity"),
    ],
)
def test_repairs_that_cannot_be(entry: Any, mistake: str) -> None:
    with pytest.raises(BadRules, match="mistake") as caught:
        read_repairs([entry, {"repair": "nothing"}])
    assert mistake in str(caught.value)
    assert len(caught.value.mistakes) == 2, "all mistakes are told at once"


def test_repairs_are_written_as_they_are_read() -> None:
    given = [{"repair": "clip", "columns": ["a"], "min": 0}, {"repair": "trim"}]
    repairs = read_repairs(given)
    assert [each.as_config() for each in repairs] == given
    assert read_repairs(repairs) == repairs
    assert Repair("clip", ("a",), {"min": 0}).title == "clip(a, min=0)"


ONES = st.sampled_from(
    [
        {"repair": "trim"},
        {"repair": "trim", "empty_to_null": True},
        {"repair": "case", "to": "lower"},
        {"repair": "case", "to": "upper"},
        {"repair": "replace", "pattern": "[ab]+", "by": "c"},
        {"repair": "replace", "pattern": "c", "by": "cc"},
        {"repair": "map", "values": {"a": "b", "A": "b", "1": "1"}},
        {"repair": "map", "values": [[1, 2], [None, 3]]},
        *({"repair": "cast", "to": to} for to in ("integer", "number", "text", "boolean", "date", "datetime")),
        *(
            {"repair": "cast", "to": to, "invalid": "null"}
            for to in ("integer", "number", "boolean", "date", "datetime")
        ),
        {"repair": "parse_dates", "formats": ["%d.%m.%Y", "%Y-%m-%dT%H:%M"], "invalid": "null"},
        {"repair": "fill", "value": 1},
        {"repair": "fill", "value": "z"},
        *({"repair": "fill", "how": how} for how in ("forward", "backward", "mean", "median")),
        {"repair": "clip", "min": -1, "max": 1.5},
        {"repair": "clip", "max": 3},
        {"repair": "drop_duplicates"},
        {"repair": "drop_duplicates", "keep": "last"},
    ]
)
COLUMNS = st.one_of(
    st.lists(st.none() | st.sampled_from(TEXTS) | st.text(max_size=4), max_size=8).map(
        lambda values: pl.Series("x", values, dtype=pl.String)
    ),
    st.lists(st.none() | st.integers(-5, 5), max_size=8).map(lambda values: pl.Series("x", values, dtype=pl.Int64)),
    st.lists(st.none() | st.floats(width=32), max_size=8).map(lambda values: pl.Series("x", values, dtype=pl.Float64)),
    st.lists(st.none() | st.booleans(), max_size=4).map(lambda values: pl.Series("x", values, dtype=pl.Boolean)),
    st.lists(st.none() | st.dates(), max_size=4).map(lambda values: pl.Series("x", values, dtype=pl.Date)),
    st.integers(0, 4).map(lambda count: pl.Series("x", [None] * count, dtype=pl.Null)),
)


@given(ONES, COLUMNS)
def test_doing_it_again_changes_nothing_more(repair: dict[str, Any], column: pl.Series) -> None:
    given_to = repair if repair["repair"] == "drop_duplicates" else {**repair, "column": "x"}
    frame = column.to_frame()
    once = mended(frame, read_repairs([given_to]))
    twice = mended(once.frame, read_repairs([given_to]))
    assert_frame_equal(twice.frame, once.frame)
    (result,) = twice.results
    assert not result.removed
    assert not result.changed
    assert once.frame.height == frame.height - once.results[0].removed
