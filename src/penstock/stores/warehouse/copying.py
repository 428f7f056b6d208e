"""Rows in PostgreSQL's binary COPY format, made column by column.

The format: a row is the number of its fields (two bytes), then each field as its length (four bytes, -1 for null) and
its value, all numbers with the highest byte first. See "COPY" and the `_recv` functions in PostgreSQL's documentation
and source; `numeric` is a sign, a weight and digits to the base of 10,000.
"""

from __future__ import annotations

import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from penstock.stores.warehouse.columns import Column, is_list, is_text

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    from penstock.core.rows.arrow import pa, pc

HEADER = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_DAYS_TO_2000 = 10_957
_MICROSECONDS_TO_2000 = 946_684_800_000_000
_ROWS, _BYTES = 16_384, 32 << 20
_OF_ELEMENT = {
    "boolean": 16,
    "bytea": 17,
    "bigint": 20,
    "smallint": 21,
    "integer": 23,
    "text": 25,
    "real": 700,
    "double precision": 701,
    "date": 1082,
    "time without time zone": 1083,
    "timestamp without time zone": 1114,
    "timestamp with time zone": 1184,
    "uuid": 2950,
}
"""The numbers (OIDs) by which PostgreSQL knows the types that a list may be of."""


def copied(rows: pa.Table, columns: Sequence[Column]) -> Iterator[bytes]:
    """The rows in pieces of some megabytes."""
    yield HEADER
    each = max(1, min(_ROWS, rows.num_rows * _BYTES // max(rows.nbytes, 1)))
    count = pa.scalar(len(columns).to_bytes(2, "big"), pa.binary())
    for start in range(0, rows.num_rows, each):
        some = rows.slice(start, each)
        if not columns:
            yield b"\0\0" * some.num_rows
            continue
        arrays = [some.column(column.name).combine_chunks() for column in columns]
        fields = [_field(_whole(values), column.sql) for values, column in zip(arrays, columns, strict=True)]
        yield _bytes_of(pc.binary_join_element_wise(count, *fields, _text(b"")))
    yield TRAILER


def has_binary(sql: str) -> bool:
    """Lists of this type can be copied."""
    return sql in _OF_ELEMENT


def _whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values


def _text(value: bytes) -> pa.Scalar:
    return pa.scalar(value, pa.binary())


def _field(values: pa.Array, sql: str) -> pa.Array:
    """Length and value of each; without nulls."""
    if pa.types.is_null(values.type):
        return pa.array([_NULL] * len(values), pa.binary())
    filled = values.is_valid() if values.null_count else None
    made = _list(values, sql) if is_list(values.type) else _value(values, sql)
    return made if filled is None else pc.if_else(filled, made, _text(_NULL))


def _value(values: pa.Array, sql: str) -> pa.Array:
    kinds, kind = pa.types, values.type
    if is_text(kind):
        if sql == "uuid":
            return _uuids(values)
        text = values.cast(pa.string()).cast(pa.binary())
        return _sized(pc.binary_join_element_wise(_text(b"\1"), text, _text(b"")) if sql == "jsonb" else text)
    if kinds.is_binary(kind) or kinds.is_large_binary(kind):
        return _sized(values.cast(pa.binary()))
    if kinds.is_decimal(kind):
        return _numbers(values)
    if kinds.is_boolean(kind):
        return _fixed(values.cast(pa.uint8()), 1)
    if kinds.is_date(kind):
        return _fixed(pc.subtract(values.cast(pa.date32()).cast(pa.int32()), pa.scalar(_DAYS_TO_2000, pa.int32())), 4)
    if kinds.is_timestamp(kind):
        return _fixed(pc.subtract(values.cast(pa.int64()), _MICROSECONDS_TO_2000), 8)
    if kinds.is_duration(kind):
        return _fixed(values.cast(pa.int64()), 8, more=8)
    return _fixed(values, kind.bit_width // 8)


def _fixed(values: pa.Array, width: int, more: int = 0) -> pa.Array:
    """Numbers with their lengths, and so many zero bytes after each."""
    count, step = len(values), 4 + width + more
    start = values.offset * width
    data = memoryview(values.buffers()[1])[start : start + count * width]
    made = bytearray(step * count)
    made[3::step] = bytes([width + more]) * count
    for place in range(width):
        made[4 + place :: step] = data[width - 1 - place :: width]
    return _cut(made, step, count)


def _cut(data: bytearray | bytes, width: int, count: int) -> pa.Array:
    """Bytes cut into values of one width."""
    offsets = array.array("i", range(0, width * (count + 1), width))
    return pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def _sized(values: pa.Array) -> pa.Array:
    """Bytes with their lengths before them."""
    return pc.binary_join_element_wise(_highest_first(pc.binary_length(values)), values, _text(b""))


def _highest_first(numbers: pa.Array) -> pa.Array:
    """The four or two bytes of each number."""
    numbers = numbers.fill_null(0)
    width, count = numbers.type.bit_width // 8, len(numbers)
    start = numbers.offset * width
    data = memoryview(numbers.buffers()[1])[start : start + count * width]
    made = bytearray(width * count)
    for place in range(width):
        made[place::width] = data[width - 1 - place :: width]
    return _cut(made, width, count)


def _uuids(values: pa.Array) -> pa.Array:
    digits = pc.replace_substring(values.fill_null("0" * 32), "-", "")
    return _sized(_cut(bytes.fromhex(_bytes_of(digits.cast(pa.binary())).decode()), 16, len(values)))


def _numbers(values: pa.Array) -> pa.Array:
    """Decimals: all with the same number of digits; the server strips those that say nothing."""
    scale, precision = values.type.scale, values.type.precision
    whole = pa.decimal128(38, 0) if values.type.bit_width == 128 else pa.decimal256(76, 0)
    values = values.fill_null(0)
    unscaled = pa.Array.from_buffers(whole, len(values), values.buffers(), offset=values.offset).cast(pa.string())
    negative = pc.starts_with(unscaled, "-")
    after = -(-scale // 4)
    groups = -(-(precision - scale) // 4) + after
    digits = pc.binary_join_element_wise(pc.replace_substring(unscaled, "-", ""), "0" * (4 * after - scale), "")
    digits = pc.utf8_lpad(digits, 4 * groups, "0")
    parts = [
        _highest_first(pc.utf8_slice_codeunits(digits, 4 * group, 4 * group + 4).cast(pa.int16()))
        for group in range(groups)
    ]

    def short(number: int) -> bytes:
        return number.to_bytes(2, "big", signed=True)

    size, begin = (8 + 2 * groups).to_bytes(4, "big"), short(groups) + short(groups - after - 1)
    signs = pc.if_else(negative, _text(b"\x40\0"), _text(b"\0\0"))
    return pc.binary_join_element_wise(_text(size + begin), signs, _text(short(scale)), *parts, _text(b""))


def _list(values: pa.Array, sql: str) -> pa.Array:
    """Lists of one dimension: how many of these, whether there are nulls, the type, how many values, from which on."""
    element = sql.removesuffix("[]")
    values = values.cast(pa.list_(values.type.value_type))
    inner = values.values
    fields = _field(inner, element)
    offsets = values.offsets
    lists = pa.ListArray.from_arrays(offsets, fields)
    joined = pc.binary_join(lists, _text(b""))
    lengths = pc.list_value_length(values).fill_null(0)
    kind = b"\0\0\0\1" + _OF_ELEMENT[element].to_bytes(4, "big")
    one = _text(b"\0\0\0\1")
    full = pc.binary_join_element_wise(one, _text(kind), _highest_first(lengths), one, joined, _text(b""))
    empty = _text(b"\0" * 8 + _OF_ELEMENT[element].to_bytes(4, "big"))
    return _sized(pc.if_else(pc.equal(lengths, 0), empty, full))


def _bytes_of(values: pa.Array) -> bytes:
    """All values one after the other."""
    offsets, data = values.buffers()[1:]
    if data is None:
        return b""
    ends = memoryview(offsets).cast("B").cast("i")
    return bytes(memoryview(data)[ends[values.offset] : ends[values.offset + len(values)]])
