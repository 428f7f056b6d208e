"""Values of PostgreSQL made into columns: from text, from the binary form, and what cannot be held."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.connectors.postgres import binary, text
from penstock.connectors.postgres.fields import NULL, UNCHANGED, Buffer, Field, of_copy, of_tuples
from penstock.connectors.postgres.link import qualified
from penstock.connectors.postgres.types import Types
from penstock.core.errors import ConfigurationError
from penstock.core.sqltext import quoted


def column(values: Sequence[bytes | None]) -> Field:
    """A field of these values, with other bytes between them."""
    data, starts, sizes = bytearray(b"junk"), [], []
    for value in values:
        starts.append(len(data))
        sizes.append(NULL if value is None else len(value))
        data += (value or b"") + b"#"
    return Field(Buffer(data), np.array(starts, np.int64), np.array(sizes, np.int64))


def shown(values: Sequence[str | None], read: text.Read) -> tuple[list[Any], dict[int, str]]:
    array, bad = read(pa.array(values, pa.string()))
    array.validate(full=True)
    return array.to_pylist(), dict(bad)


@given(st.lists(st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_texts_are_found_between_others(values: list[str | None]) -> None:
    field = column([None if value is None else value.encode() for value in values])
    assert field.text().to_pylist() == values
    backwards = field.take(np.arange(len(values))[::-1])
    assert backwards.text().to_pylist() == values[::-1]


@given(st.lists(st.lists(st.none() | st.binary(max_size=9), min_size=3, max_size=3), max_size=20))
def test_rows_of_copy_and_of_the_stream(rows: list[list[bytes | None]]) -> None:
    copied, streamed = bytearray(), bytearray()
    copied_at, streamed_at = [], []
    for row in rows:
        copied_at.append(len(copied))
        streamed_at.append(len(streamed))
        copied += struct.pack(">h", 3)
        streamed += struct.pack(">h", 3)
        for value in row:
            copied += struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value
            streamed += b"n" if value is None else b"t" + struct.pack(">i", len(value)) + value
    fields = of_copy(Buffer(copied), np.array(copied_at, np.int64), 3)
    assert [list(row) for row in zip(*(f.binary().to_pylist() for f in fields), strict=True)] == rows
    size = len(streamed)
    fields, ends = of_tuples(Buffer(streamed), np.array(streamed_at, np.int64), 3)
    assert [list(row) for row in zip(*(f.binary().to_pylist() for f in fields), strict=True)] == rows
    assert ends.tolist() == [*streamed_at[1:], size][: len(rows)]


def test_a_value_that_was_left_out_is_no_null() -> None:
    message = bytearray(struct.pack(">h", 3) + b"u" + b"n" + b"t" + struct.pack(">i", 1) + b"x")
    fields, _ = of_tuples(Buffer(message), np.zeros(1, np.int64), 3)
    assert [int(field.sizes[0]) for field in fields] == [UNCHANGED, NULL, 1]


@given(st.lists(st.none() | st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), min_size=1))
def test_moments(values: list[datetime | None]) -> None:
    texts = [None if value is None else value.isoformat(" ") for value in values]
    assert shown(texts, text.as_timestamp(None)) == (values, {})
    micros = [
        None if v is None else struct.pack(">q", (v - datetime(2000, 1, 1)) // timedelta(microseconds=1))
        for v in values
    ]
    array, bad = binary.timestamp(None)(column(micros))
    assert (array.to_pylist(), bad) == (values, {})


def test_moments_that_no_calendar_has() -> None:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)
    texts = ["infinity", None, "-infinity", "2024-01-01 00:00:00+00"]
    assert shown(texts, text.as_timestamp("UTC")) == ([last, None, first, datetime(2024, 1, 1, tzinfo=UTC)], {})
    assert shown(["infinity", "-infinity"], text.as_date)[0] == [date(9999, 12, 31), date(1, 1, 1)]
    ends = [struct.pack(">q", 2**63 - 1), struct.pack(">q", -(2**63))]
    assert binary.timestamp("UTC")(column(ends))[0].to_pylist() == [last, first]
    early, _ = text.as_timestamp(None)(pa.array(["0044-03-15 12:00:00 BC", "12024-03-15 12:00:00"]))
    expected = np.array(["-0043-03-15T12:00:00", "12024-03-15T12:00:00"], "datetime64[us]").astype(np.int64)
    assert early.cast(pa.int64()).to_pylist() == expected.tolist()
    late, bad = text.as_timestamp(None)(pa.array(["294276-12-31 23:59:59", "2024-01-01 00:00:00"]))
    assert (late[0].as_py(), list(bad)) == (None, [0])


@given(st.lists(st.none() | st.decimals(-(10**7), 10**7, allow_nan=False, places=2), min_size=1))
def test_decimals(values: list[Decimal | None]) -> None:
    assert shown([None if v is None else str(v) for v in values], text.as_decimal(12, 2)) == (values, {})


def test_numbers_that_a_decimal_cannot_hold() -> None:
    found, bad = shown(["1.50", "NaN", "Infinity", "123456.78", "1.234", None], text.as_decimal(5, 2))
    assert found == [Decimal("1.50"), None, None, None, None, None]
    assert sorted(bad) == [1, 2, 3, 4]
    assert bad[3] == "123456.78 is no number of 5 digits, 2 of them after the point"


def test_money_in_any_language() -> None:
    assert shown(["$1,234.56", "-$0.05", "($7.00)", None], text.as_money(2))[0] == [
        Decimal("1234.56"), Decimal("-0.05"), Decimal("-7.00"), None,
    ]  # fmt: skip
    assert shown(["¥1,234"], text.as_money(0))[0] == [Decimal(1234)]


@given(st.lists(st.none() | st.binary()))
def test_bytes(values: list[bytes | None]) -> None:
    assert shown([None if v is None else "\\x" + v.hex() for v in values], text.as_bytes) == (values, {})


def test_times() -> None:
    found, bad = shown(["12:30:00.5", "24:00:00", None], text.as_time)
    assert (found, list(bad)) == ([time(12, 30, 0, 500000), None, None], [1])
    array, bad2 = binary.time(column([struct.pack(">q", 86_400_000_000), struct.pack(">q", 1)]))
    assert list(bad2) == [0]
    assert array[1].as_py() == time(0, 0, 0, 1)


def array_text(values: list[str | None]) -> str:
    """As PostgreSQL shows an array of texts."""

    def one(value: str | None) -> str:
        if value is None:
            return "NULL"
        if value == "" or value.upper() == "NULL" or any(letter in '{}",\\ \t\n\r\v\f' for letter in value):
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return value

    return "{" + ",".join(map(one, values)) + "}"


_ELEMENTS = st.none() | st.sampled_from(["", "NULL", "null", 'a"b', "a,b", "{}", "\\", "x"]) | st.text('ab{},\\" N')


@settings(max_examples=200)
@given(st.lists(st.none() | st.lists(_ELEMENTS, max_size=4), max_size=6))
def test_arrays_of_texts(values: list[list[str | None] | None]) -> None:
    texts = [None if value is None else array_text(value) for value in values]
    assert shown(texts, text.as_list(text.as_text, pa.string())) == (values, {})


def test_arrays_that_are_no_lists() -> None:
    read = text.as_list(text.as_number(pa.int32()), pa.int32())
    found, bad = shown(["{1,2,NULL}", "{{1,2},{3,4}}", "[0:1]={1,2}", "{}", None], read)
    assert [found[row] for row in (0, 3, 4)] == [[1, 2, None], [], None]
    assert sorted(bad) == [1, 2]
    decimals = text.as_list(text.as_decimal(5, 1), pa.decimal128(5, 1))
    assert list(shown(["{1.5}", "{}", "{2.5,NaN}", "{3.5}"], decimals)[1]) == [2]


def test_types() -> None:
    types = Types(lambda: None, {"t.a": "Numeric ( 20 , 4 )", "t.b": "text"})  # type: ignore[arg-type,return-value]
    assert types.column("t", "a", 1700, -1).kind.arrow == pa.decimal128(20, 4)
    assert types.column("t", "b", 1184, -1).kind.arrow == pa.string()
    for modifier, kind in (
        (-1, pa.string()),
        ((10 << 16 | 2) + 4, pa.decimal128(10, 2)),
        ((3 << 16 | (-2 & 0x7FF)) + 4, pa.decimal128(5, 0)),
        ((2 << 16 | 5) + 4, pa.decimal128(5, 5)),
        ((50 << 16 | 2) + 4, pa.string()),
    ):
        assert types.kind(1700, modifier).arrow == kind
    with pytest.raises(ConfigurationError, match="cannot be read as"):
        Types(lambda: None, {"t.a": "numeric(40, 2)"})  # type: ignore[arg-type,return-value]


def test_names_of_tables() -> None:
    assert qualified("orders") == ("public", "orders")
    assert qualified('shop."Order ""lines""".x'[:-2]) == ("shop", 'Order "lines"')
    assert qualified('"a.b"."c.d"') == ("a.b", "c.d")
    assert quoted("a", 'b"c') == '"a"."b""c"'
    for wrong in ("", "a.b.c", "a.", ".a", '"a', 'a."b"c'):
        with pytest.raises(ConfigurationError, match="no name of a table"):
            qualified(wrong)
