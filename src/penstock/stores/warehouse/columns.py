"""Columns of a table, and rows made to fit them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from penstock.core import typed
from penstock.core.rows import Misfit, conform
from penstock.core.rows.casting import fit
from penstock.core.sqltext import quoted

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    from penstock.core.rows.arrow import pa, pc

_ROW = "\0row"
_UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
_json = typed.json_decoder(msgspec.Raw)


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the database has it.

    Attributes:
        name: its name.
        sql: its type, as the database writes it.
        kind: what values are made before they are loaded.
        form: `plain`: the database takes values of that kind as they are; the others are loaded as text: JSON, a
            UUID, or something that only the database itself can make of a text.
        nullable: it may be empty.
    """

    name: str
    sql: str
    kind: pa.DataType
    form: Literal["plain", "json", "uuid", "text"] = "plain"
    nullable: bool = True

    @property
    def declared(self) -> str:
        """As a statement that makes a table takes it; without what else was said of it."""
        return f"{quoted(self.name)} {self.sql}"


class Shaped(NamedTuple):
    """Rows that fit, with the columns they have, and those that do not."""

    rows: pa.Table
    columns: list[Column]
    misfits: list[Misfit]


def is_uuid(kind: pa.DataType) -> bool:
    """Arrow's own type for UUIDs."""
    return getattr(kind, "extension_name", "") == "arrow.uuid"


def is_json(kind: pa.DataType) -> bool:
    """Arrow's own type for JSON, or values in which there are values."""
    if getattr(kind, "extension_name", "") == "arrow.json":
        return True
    kinds = pa.types
    if kinds.is_struct(kind) or kinds.is_map(kind):
        return True
    if is_list(kind):
        inner = kind.value_type
        return is_list(inner) or is_json(inner) or is_uuid(inner) or kinds.is_null(inner)
    return False


def is_list(kind: pa.DataType) -> bool:
    """A list of any sort."""
    kinds = pa.types
    return bool(kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind))


def is_text(kind: pa.DataType) -> bool:
    """A text of any sort."""
    kinds = pa.types
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def plain(rows: pa.Table) -> pa.Table:
    """The rows without what no database has: dictionaries, and UUIDs as bytes."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_dictionary(field.type):
            rows = rows.set_column(place, field.name, rows.column(place).cast(field.type.value_type))
        elif is_uuid(field.type):
            rows = rows.set_column(place, field.name, _uuid_texts(rows.column(place)))
    return rows


def shaped(rows: pa.Table, columns: Sequence[Column], keys: Sequence[str], no_nul: bool) -> Shaped:
    """Give rows the types of a table's columns; columns that the rows do not have are left out.

    Args:
        rows: without dictionaries; each of their columns is one of the table.
        columns: of the table.
        keys: columns that must not be empty.
        no_nul: the database takes no text with the character NUL in it.
    """
    have = [column for column in columns if column.name in rows.schema.names]
    fields = [pa.field(c.name, c.kind, nullable=c.nullable and c.name not in keys) for c in have]
    numbered = rows.append_column(_ROW, pa.arange(0, rows.num_rows))
    fitted = conform(numbered, pa.schema([*fields, pa.field(_ROW, pa.int64())]), missing="leave")
    reasons = {misfit.row: [misfit.reason] for misfit in fitted.misfits}
    done = fitted.rows
    bad: list[int] = []
    for column in have:
        values = done.column(column.name)
        for place, reason in _unfit(values, column, no_nul):
            bad.append(place)
            reasons.setdefault(done.column(_ROW)[place].as_py(), []).append(f"{column.name}: {reason}")
    if bad:
        every = pa.arange(0, done.num_rows)
        done = done.filter(pc.invert(pc.is_in(every, pa.array(bad, pa.int64()))))
    misfits = [Misfit(row, "; ".join(reasons[row])) for row in sorted(reasons)]
    return Shaped(done.drop_columns([_ROW]), have, misfits)


def _unfit(values: pa.ChunkedArray, column: Column, no_nul: bool) -> list[tuple[int, str]]:
    """Places of values that Arrow has no type for, and what is wrong with them."""
    if column.form == "json":
        return _places(values, _is_no_json, "is no JSON")
    if column.form == "uuid":
        return _places(values, lambda text: _UUID.fullmatch(text) is None, "is no UUID")
    if no_nul and is_text(column.kind) and pc.any(pc.match_substring(values, "\0")).as_py():
        return _places(values, lambda text: "\0" in text, "holds the character NUL, which the database cannot keep")
    return []


def _places(values: pa.ChunkedArray, wrong: Callable[[str], bool], why: str) -> list[tuple[int, str]]:
    texts = enumerate(values.to_pylist())
    return [(place, f"{text[:80]!r} {why}") for place, text in texts if text is not None and wrong(text)]


def _is_no_json(text: str) -> bool:
    try:
        _json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return True
    return False


def _uuid_texts(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Sixteen bytes each, as the usual text."""
    chunks = []
    for chunk in values.chunks:
        stored = chunk.storage.fill_null(b"\0" * 16)
        digits = bytes(stored.buffers()[1])[stored.offset * 16 : (stored.offset + len(stored)) * 16].hex()
        text = pa.array([digits[start : start + 32] for start in range(0, len(digits), 32)], pa.string())
        parts = [pc.utf8_slice_codeunits(text, *ends) for ends in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))]
        chunks.append(pc.if_else(chunk.is_valid(), pc.binary_join_element_wise(*parts, "-"), None))
    return pa.chunked_array(chunks, pa.string())


def last_of(rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """For each key its last row, in the order of the rows."""
    if rows.num_rows < 2:
        return rows
    numbered = rows.select(list(keys)).append_column(_ROW, pa.arange(0, rows.num_rows))
    last = numbered.group_by(list(keys)).aggregate([(_ROW, "max")]).column(f"{_ROW}_max")
    return rows if len(last) == rows.num_rows else rows.take(last.take(pc.sort_indices(last)))


def wider(kind: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The narrowest number that holds all values of two kinds; of an integer and a float, what both nearly are.

    Returns:
        None where there is none that a column of the first kind could become.
    """
    t = pa.types
    numbers = [t.is_integer(k) or t.is_floating(k) or t.is_decimal(k) for k in (kind, other)]
    if not all(numbers):
        return None
    if t.is_floating(kind) or t.is_floating(other):
        return None if t.is_decimal(kind) or t.is_decimal(other) else pa.float64()
    if t.is_integer(kind) and t.is_integer(other) and not t.is_uint64(kind) and not t.is_uint64(other):
        return max(_signed(kind), _signed(other), key=lambda each: each.bit_width)
    (left, right), (more_left, more_right) = _digits(kind), _digits(other)
    before, after = max(left, more_left), max(right, more_right)
    return pa.decimal128(before + after, after) if before + after <= 38 else None


def _signed(kind: pa.DataType) -> pa.DataType:
    if not pa.types.is_unsigned_integer(kind):
        return kind
    return {8: pa.int16(), 16: pa.int32(), 32: pa.int64()}[kind.bit_width]


def _digits(kind: pa.DataType) -> tuple[int, int]:
    """How many digits there are before and after the point."""
    if pa.types.is_decimal(kind):
        return kind.precision - kind.scale, kind.scale
    return {8: 3, 16: 5, 32: 10, 64: 20}[kind.bit_width], 0


def fits(values: pa.ChunkedArray, kind: pa.DataType) -> bool:
    """Every value can be made one of that kind."""
    return not fit(values, kind).misfits
