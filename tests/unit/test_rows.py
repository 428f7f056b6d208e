"""Rows as Arrow tables: casts that change nothing, rows that do not fit, types that are told from values."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import SchemaRefused
from penstock.core.rows import conform, fit, gather, kind_of, union

_UTC = dt.UTC
_DAY, _NOON = dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 12)


@pytest.mark.parametrize(
    ("values", "source", "kind", "fitting"),
    [
        (["1", "-2", "x", " 3", "", None], pa.string(), pa.int64(), [1, -2, None, None, None, None]),
        ([300, -129, 127, None], pa.int64(), pa.int8(), [None, None, 127, None]),
        ([1.0, 1.5, float("nan"), 1e20], pa.float64(), pa.int64(), [1, None, None, None]),
        ([1e300, 0.5, float("inf")], pa.float64(), pa.float32(), [None, 0.5, float("inf")]),
        ([1 << 60, (1 << 60) + 1, 7], pa.int64(), pa.float64(), [None, None, 7.0]),
        ([0, 1, 2], pa.int64(), pa.bool_(), [False, True, None]),
        (["true", "0", "yes"], pa.string(), pa.bool_(), [True, False, None]),
        ([7, 10**9], pa.int64(), pa.decimal128(5, 2), [Decimal("7.00"), None]),
        ([19.99, 1.125], pa.float64(), pa.decimal128(5, 2), [Decimal("19.99"), None]),
        (["1.50", "1.555"], pa.string(), pa.decimal128(5, 2), [Decimal("1.50"), None]),
        ([_DAY, _NOON], pa.timestamp("us"), pa.date32(), [_DAY.date(), None]),
        ([_NOON], pa.timestamp("us"), pa.time64("us"), [None]),
        ([1], pa.int64(), pa.timestamp("us"), [None]),
        ([_NOON], pa.timestamp("us"), pa.int64(), [None]),
        (
            ["2024-01-01T12:00:00Z", "2024-01-01 12:00", "2024-01-01T14:00+02:00", "noon"],
            pa.string(),
            pa.timestamp("us"),
            [_NOON, _NOON, _NOON, None],
        ),
        (["2024-01-01"], pa.string(), pa.timestamp("us", "UTC"), [_DAY.replace(tzinfo=_UTC)]),
        (["12:30", "25:00"], pa.string(), pa.time64("us"), [dt.time(12, 30), None]),
        ([b"ok", b"\xff"], pa.binary(), pa.string(), ["ok", None]),
        ([{"a": 1, "b": None}, {"a": 2, "b": 3}], None, pa.struct({"a": pa.int64()}), [{"a": 1}, None]),
        ([[{"a": 1, "b": 2}], [{"a": 3}]], None, pa.list_(pa.struct({"a": pa.int64()})), [None, [{"a": 3}]]),
        ([{"a": "1"}, {"a": "x"}], None, pa.struct({"a": pa.int64()}), [{"a": 1}, None]),
        ([{"a": [1]}, None], None, pa.string(), ['{"a":[1]}', None]),
        ([None, None], pa.null(), pa.list_(pa.string()), [None, None]),
        (["x"], pa.string(), pa.list_(pa.string()), [None]),
    ],
)
def test_a_cast_changes_nothing_or_is_refused(values: list[Any], source: Any, kind: Any, fitting: list[Any]) -> None:
    column = pa.array(values, source)
    whole = fit(pa.chunked_array([column]), kind)
    parts = fit(pa.chunked_array([column[:1], column[1:1], column[1:]]), kind)
    for fitted in (whole, parts):
        assert fitted.values.type == kind
        assert fitted.values.to_pylist() == fitting
        assert fitted.misfits == [row for row, value in enumerate(fitting) if value is None and values[row] is not None]


@settings(max_examples=40)
@given(st.lists(st.one_of(st.none(), st.text(max_size=5), st.integers(-(1 << 70), 1 << 70).map(str)), max_size=40))
def test_the_halving_finds_what_a_try_of_each_value_finds(values: list[str | None]) -> None:
    together = fit(pa.chunked_array([pa.array(values, pa.string())]), pa.int64())
    alone = [fit(pa.chunked_array([pa.array([value], pa.string())]), pa.int64()) for value in values]
    assert together.misfits == [row for row, one in enumerate(alone) if one.misfits]
    assert together.values.to_pylist() == [one.values[0].as_py() for one in alone]


def test_rows_that_fit_and_rows_that_do_not() -> None:
    rows = pa.table(
        {"id": ["1", "2", None, "4"], "at": ["2024-01-01", "soon", "x", None], "more": [None, None, "y", None]}
    )
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False), ("at", pa.date32()), ("city", pa.string())])
    done, misfits = conform(rows, schema)
    assert done.schema == schema
    assert done.to_pylist() == [
        {"id": 1, "at": dt.date(2024, 1, 1), "city": None},
        {"id": 4, "at": None, "city": None},
    ]
    assert [row for row, _ in misfits] == [1, 2]
    assert misfits[0].reason == "at: 'soon' does not fit date32[day]"
    for told in ("id: nothing there", "at: 'x' does not fit", "more: the table has no such column"):
        assert told in misfits[1].reason


def test_columns_that_are_missing_or_unknown_as_it_was_told() -> None:
    rows = pa.table({"id": [1], "more": ["x"]})
    schema = pa.schema({"id": pa.int64(), "city": pa.string()})
    assert conform(rows, schema, missing="leave", unknown="drop").rows.to_pylist() == [{"id": 1}]
    assert conform(rows, schema, unknown="drop").rows.to_pylist() == [{"id": 1, "city": None}]
    assert conform(pa.table({"x": [None, None]}), pa.schema([]), unknown="refuse").rows.num_rows == 2


def test_two_columns_of_one_name_are_refused() -> None:
    rows = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(SchemaRefused, match="a"):
        conform(rows, pa.schema({"a": pa.int64()}))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", "0"], pa.int64()),
        (["01", "2"], pa.string()),
        (["9223372036854775807"], pa.int64()),
        (["9223372036854775808"], pa.string()),
        (["1.5", "2", "1e5", "-.5"], pa.float64()),
        (["1.5", "NaN"], pa.string()),
        (["-"], pa.string()),
        (["True", "false"], pa.bool_()),
        (["2024-02-29", None], pa.date32()),
        (["2024-02-30"], pa.string()),
        (["2024-02-29 10:00", "2024-02-29T10:00:00.5"], pa.timestamp("us")),
        (["2024-02-29T10:00Z", "2024-02-29 10:00:00+01:00"], pa.timestamp("us", "UTC")),
        ([None], pa.string()),
        ([], pa.string()),
        (["1"] * 100 + ["x"], pa.string()),
    ],
)
def test_the_type_of_a_column_of_text(values: list[str | None], kind: pa.DataType) -> None:
    column = pa.chunked_array([pa.array(values, pa.string())])
    assert kind_of(column) == kind
    assert not fit(column, kind).misfits


def test_records_become_columns() -> None:
    rows, misfits = gather([{"a": 1}, {"b": "x", "a": 2.5}, {"c": [1]}, {"c": [], "d": {}}, {"e": 1}, {"e": "x"}])
    assert not misfits
    assert rows.schema == pa.schema(
        {"a": pa.float64(), "b": pa.string(), "c": pa.list_(pa.int64()), "d": pa.string(), "e": pa.string()}
    )
    assert rows["e"].to_pylist()[-2:] == ["1", "x"]
    assert rows["d"].to_pylist()[3] == "{}"


def test_records_of_known_columns() -> None:
    kinds = {"a": pa.int64(), "s": pa.struct({"x": pa.int64()})}
    records = [{"a": 1}, {"a": "2"}, {"a": "x"}, {"a": 1.5}, {"a": 1 << 70}, {"s": {"x": 1, "y": 2}}, {"s": {"x": 1}}]
    rows, misfits = gather(records, kinds)
    assert rows["a"].to_pylist() == [1, 2, None]
    assert [row for row, _ in misfits] == [2, 3, 4, 5]
    assert misfits[0].reason == "a: 'x' does not fit int64"


def test_numbers_that_a_float_would_change_stay_as_text() -> None:
    rows, _ = gather([{"a": (1 << 60) + 1}, {"a": 0.5}])
    assert rows["a"].to_pylist() == ["1152921504606846977", "0.5"]


def test_records_without_columns_are_rows_all_the_same() -> None:
    assert gather([{}, {}]).rows.num_rows == 2
    assert gather([]).rows.num_rows == 0


def test_the_union_of_schemas_takes_the_rows_of_all() -> None:
    one = pa.schema(
        [pa.field("id", pa.int32(), nullable=False), ("at", pa.date32()), ("s", pa.struct({"a": pa.int64()}))]
    )
    two = pa.schema(
        {"id": pa.int64(), "name": pa.string(), "at": pa.timestamp("us"), "s": pa.struct({"b": pa.string()})}
    )
    both = union([one, two, pa.schema({"id": pa.float64(), "name": pa.int64()})])
    assert both.field("id").type == pa.float64()
    assert both.field("name").type == pa.string()
    assert pa.types.is_timestamp(both.field("at").type)
    assert {field.name for field in both.field("s").type} == {"a", "b"}
    rows = pa.table({"id": pa.array([1], pa.int32()), "at": [dt.date(2024, 1, 1)], "s": [{"a": 1}]})
    assert not conform(rows, both).misfits
