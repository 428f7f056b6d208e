from __future__ import annotations

import datetime
import decimal
import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.line_protocol_oracle import Point, read

from penstock.core.errors import SchemaRefused
from penstock.stores.timeseries.line_protocol import encode, joined

UTC = datetime.UTC
AT = datetime.datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=UTC)


def points(rows: pa.Table, **options: Any) -> list[Point]:
    found = encode(rows, **{"measurement": "m", "time": "ts", "unit": "us"} | options)
    return read(joined(found.lines).decode())


def refused(rows: pa.Table, **options: Any) -> dict[int, str]:
    found = encode(rows, **{"measurement": "m", "time": "ts", "unit": "us"} | options)
    assert len(found.lines) + len(found.misfits) == rows.num_rows
    assert sorted([*found.places, *(one.row for one in found.misfits)]) == list(range(rows.num_rows))
    return dict(found.misfits)


def test_every_type_of_field_has_its_form() -> None:
    rows = pa.table(
        {
            "ts": [AT],
            "whole": pa.array([-(1 << 63)], pa.int64()),
            "byte": pa.array([255], pa.uint8()),
            "half": [0.1 + 0.2],
            "single": pa.array([0.1], pa.float32()),
            "large": [1e300],
            "truth": [True],
            "text": ['say "hi" \\ \n ✓'],
            "day": [datetime.date(1969, 7, 20)],
            "price": [decimal.Decimal("19.99")],
            "kind": pa.array(["a"]).dictionary_encode(),
        }
    )
    assert points(rows) == [
        Point(
            "m",
            {},
            {
                "whole": -(1 << 63),
                "byte": 255,
                "half": 0.1 + 0.2,
                "single": 0.1,
                "large": 1e300,
                "truth": True,
                "text": 'say "hi" \\ \n ✓',
                "day": "1969-07-20",
                "price": 19.99,
                "kind": "a",
            },
            1709208000123456,
        )
    ]


texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["", " ", ",", "=", "\\", "\\,", "a\\", "\\\\", '"', "a b", "\n", "\r", "a=b,c d", "\\n"]
)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            texts | st.none(),
            texts | st.none(),
            texts | st.none(),
            st.integers(-(1 << 63), (1 << 63) - 1) | st.none(),
            st.floats() | st.none(),
            st.booleans() | st.none(),
            st.integers(-(1 << 63), (1 << 63) - 1),
        ),
        max_size=8,
    )
)
def test_what_is_written_reads_as_it_was(cells: list[tuple[Any, ...]]) -> None:
    names = ["tag", "a tag, of=sorts", "text", "whole", "half", "truth", "ts"]
    kinds = [pa.string(), pa.string(), pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.int64()]
    columns = [pa.array([row[at] for row in cells], kind) for at, kind in enumerate(kinds)]
    rows = pa.table(columns, names=names)
    bad = refused(rows, tags=names[:2])
    expected = []
    for row in (row for at, row in enumerate(rows.to_pylist()) if at not in bad):
        tags = {name: row[name] for name in names[:2] if row[name]}
        fields = {name: row[name] for name in names[2:6] if row[name] is not None}
        fields = {name: value for name, value in fields.items() if not isinstance(value, float) or math.isfinite(value)}
        expected.append(Point("m", tags, fields, row["ts"]))
    assert points(rows, tags=names[:2]) == expected
    for at, why in bad.items():
        row = rows.slice(at, 1).to_pylist()[0]
        told = [row[name] for name in names[:2] if row[name]]
        assert any("\n" in tag or "\r" in tag or "\\" in tag for tag in told) or "no value" in why


@settings(max_examples=40)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12))
def test_names_of_measurements_and_fields(name: str) -> None:
    rows = pa.table({"ts": [1, 2], "name": [name, "plain"], "v": [1.5, 2.5]})
    found = encode(rows, measurement="", time="ts", unit="us", fields=["v"], named_by="name")
    if found.misfits:
        assert found.places == [1]
        assert "\\" in name or "\n" in name or "\r" in name or name[0] in "#_"
    else:
        assert [one.measurement for one in read(joined(found.lines).decode())] == [name, "plain"]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("s", 1709208000), ("ms", 1709208000123), ("us", 1709208000123456), ("ns", 1709208000123456000)],
)
def test_moments_are_cut_to_the_precision(unit: str, expected: int) -> None:
    for column in ([AT], [AT.isoformat()], [AT.astimezone(datetime.timezone(datetime.timedelta(hours=5)))]):
        assert [one.time for one in points(pa.table({"ts": column, "v": [1]}), unit=unit)] == [expected]
    naive = pa.table({"ts": [AT.replace(tzinfo=None)], "v": [1]})
    assert [one.time for one in points(naive, unit=unit)] == [expected]


def test_moments_before_1970_are_cut_downwards() -> None:
    rows = pa.table({"ts": [datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)], "v": [1]})
    assert [one.time for one in points(rows, unit="s")] == [-1]


def test_times_that_are_none_are_told() -> None:
    rows = pa.table({"ts": ["2024-01-01T00:00:00Z", "yesterday", None, "2024-01-02"], "v": [1, 2, 3, 4]})
    bad = refused(rows)
    assert list(bad) == [1, 2]
    assert "yesterday" in bad[1]
    assert "needs a time" in bad[2]
    far = pa.table({"ts": [AT, datetime.datetime(9999, 1, 1, tzinfo=UTC)], "v": [1, 2]})
    assert "too far away" in refused(far, unit="ns")[1]


def test_a_point_needs_a_value() -> None:
    rows = pa.table({"ts": [1, 2, 3], "v": [None, math.nan, 1.0], "w": pa.nulls(3)})
    assert list(refused(rows)) == [0, 1]
    assert [one.fields for one in points(rows)] == [{"v": 1.0}]


def test_integers_beyond_64_bits_with_a_sign_are_refused_one_by_one() -> None:
    rows = pa.table({"ts": [1, 2], "v": pa.array([(1 << 63) - 1, 1 << 63], pa.uint64())})
    assert "larger" in refused(rows)[1]
    assert [one.fields["v"] for one in points(rows)] == [(1 << 63) - 1]


@pytest.mark.parametrize(
    ("rows", "options", "told"),
    [
        ({"v": [1]}, {}, "no column 'ts'"),
        ({"ts": [1]}, {}, "no column for a field"),
        ({"ts": [1], "v": [[1]]}, {}, "v: list"),
        ({"ts": [1], "v": [b"x"]}, {}, "v: binary"),
        ({"ts": [1.5], "v": [1]}, {}, "ts: double is no time"),
        ({"ts": [1], "v": [1], "t": [{"a": 1}]}, {"tags": ["t"]}, "t: struct"),
        ({"ts": [1], "v\n": [1]}, {}, "no name"),
    ],
)
def test_columns_that_cannot_be_written(rows: dict[str, Any], options: dict[str, Any], told: str) -> None:
    with pytest.raises(SchemaRefused, match=told):
        points(pa.table(rows), **options)


def test_columns_in_chunks_and_no_rows_at_all() -> None:
    rows = pa.table({"ts": pa.chunked_array([[1], [2, 3]]), "v": pa.chunked_array([[1, 2], [3]])})
    assert [(one.time, one.fields["v"]) for one in points(rows)] == [(1, 1), (2, 2), (3, 3)]
    assert points(rows.slice(0, 0)) == []
