"""Rows written in Influx's line protocol, column by column.

    measurement,tag=value,tag=value field=value,field=value time

Nothing here looks at a row by itself, except to tell what is wrong with one that cannot be written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from penstock.core.errors import SchemaRefused
from penstock.core.rows import Misfit
from penstock.core.rows.casting import fit

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    from penstock.core.rows.arrow import pa, pc

UNITS = ("s", "ms", "us", "ns")
_INT64 = 1 << 63
# What is read differently by different servers: a backslash before what could be escaped, or at the end.
_DOUBTFUL = r"\\([,= \\]|$)"
_BREAKS = "[\n\r]"


class Lines(NamedTuple):
    """Points as text.

    Attributes:
        lines: one for each row that can be written, in their order.
        places: the places of these rows among those that were given.
        misfits: the others.
    """

    lines: pa.Array
    places: list[int]
    misfits: list[Misfit]


def encode(
    rows: pa.Table,
    *,
    measurement: str,
    time: str,
    unit: str,
    tags: Sequence[str] = (),
    fields: Sequence[str] | None = None,
    named_by: str | None = None,
) -> Lines:
    """Write each row as a point.

    Integers stay integers (`1i`), other numbers and decimals are floats, text is text; dates and moments are text in
    ISO 8601. A null, NaN or infinite value is left out of its point, for the protocol has none. Columns that are
    neither tags nor fields nor the time are not written.

    Args:
        rows: the points; their time is a moment, text that reads as one, or a number in the unit.
        measurement: the measurement of all points.
        time: the column of their time.
        unit: `s`, `ms`, `us` or `ns`: finer parts of a moment are cut off.
        tags: columns that tell series apart; their order does not matter.
        fields: columns with values; None takes all others.
        named_by: the column with the measurement of each point, instead of one for all.

    Raises:
        SchemaRefused: a column is missing, or of a type that has no counterpart.
    """
    wrong: dict[int, list[str]] = {}
    names = list(fields) if fields is not None else _others(rows, (*tags, time, named_by))
    _refuse_missing(rows, (time, *tags, *(fields or ()), *([named_by] if named_by else ())))
    head = _head(rows, measurement, sorted(tags), named_by, wrong)
    values = _values(rows, names, wrong)
    at = _times(_column(rows, time), time, unit, wrong)
    lines = pc.binary_join_element_wise(head, values, at, " ")
    if wrong:
        places = [place for place in range(rows.num_rows) if place not in wrong]
        misfits = [Misfit(place, "; ".join(wrong[place])) for place in sorted(wrong)]
        return Lines(lines.take(pa.array(places, pa.int64())), places, misfits)
    return Lines(lines, list(range(rows.num_rows)), [])


def joined(lines: pa.Array) -> bytes:
    """All lines as one text."""
    if not len(lines):
        return b""
    whole = pa.LargeListArray.from_arrays(pa.array([0, len(lines)], pa.int64()), lines.cast(pa.large_string()))
    text: bytes = pc.binary_join(whole, pa.scalar("\n", pa.large_string()))[0].as_buffer().to_pybytes()
    return text


def _strung(parts: Sequence[pa.Array | pa.Scalar]) -> pa.Array:
    """The parts of each row one after another; those that are null say nothing."""
    return pc.binary_join_element_wise(*parts, "", null_handling="replace", null_replacement="")


def _others(rows: pa.Table, taken: Sequence[str | None]) -> list[str]:
    return [name for name in rows.column_names if name not in taken]


def _refuse_missing(rows: pa.Table, wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in rows.column_names]
    if missing:
        raise SchemaRefused(
            f"The rows have no column {', '.join(map(repr, missing))}; they have {', '.join(rows.column_names)}.",
            hint="name the columns in time=, tags= and fields= as they are called in the rows",
        )


def _column(rows: pa.Table, name: str) -> pa.Array:
    found = rows.column(name).combine_chunks()
    return pa.concat_arrays(found.chunks) if isinstance(found, pa.ChunkedArray) else found


def _fitted(values: pa.Array, kind: pa.DataType) -> tuple[pa.Array, list[int]]:
    found = fit(pa.chunked_array([values]), kind)
    return found.values.chunk(0), found.misfits


def _head(
    rows: pa.Table, measurement: str, tags: Sequence[str], named_by: str | None, wrong: dict[int, list[str]]
) -> pa.Array:
    """`measurement,tag=value,tag=value` of each row; tags that are null or empty are left out."""
    if named_by is None:
        parts = [pa.scalar(escaped_measurement(measurement))]
    else:
        parts = [_names(_column(rows, named_by), named_by, wrong)]
    for tag in tags:
        parts.append(_tag(_column(rows, tag), tag, wrong))
    if all(isinstance(part, pa.Scalar) for part in parts):
        return pa.repeat(parts[0], rows.num_rows)
    return _strung(parts)


def escaped_measurement(name: str) -> str:
    """The name of a measurement as it is written."""
    return name.replace(",", "\\,").replace(" ", "\\ ")


def _names(column: pa.Array, name: str, wrong: dict[int, list[str]]) -> pa.Array:
    text = _text(column, name)
    _note(wrong, pc.or_(pc.is_null(text), pc.equal(pc.fill_null(text, ""), "")), f"{name}: names no measurement")
    done = _each_once(text, lambda one: pc.replace_substring_regex(one, r"([, ])", r"\\\1"))
    doubtful = _each_once(text, lambda one: pc.match_substring_regex(one, rf"{_DOUBTFUL}|{_BREAKS}|^[#_]"))
    _note(wrong, doubtful, f"{name}: names a measurement that cannot be written so that every server reads the same")
    return pc.fill_null(done, "")


def _tag(column: pa.Array, name: str, wrong: dict[int, list[str]]) -> pa.Array:
    text = _text(column, name)
    prefix = f",{_escaped_key(name)}="
    doubtful = _each_once(text, lambda one: pc.match_substring_regex(one, f"{_DOUBTFUL}|{_BREAKS}"))
    _note(wrong, doubtful, f"{name}: a line break, or a backslash where it would escape something, cannot be in a tag")

    def write(one: pa.Array) -> pa.Array:
        marked = pc.replace_substring_regex(one, r"([,= ])", r"\\\1")
        return pc.binary_join_element_wise(prefix, pc.if_else(pc.equal(one, ""), None, marked), "")

    return _each_once(text, write)


def _escaped_key(name: str) -> str:
    """The name of a tag or a field as it is written.

    Raises:
        SchemaRefused: it cannot be written.
    """
    if not name or "\n" in name or "\r" in name or name.endswith("\\"):
        raise SchemaRefused(f"The column {name!r} has no name that the line protocol could carry.", hint="rename it")
    return name.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _each_once(values: pa.Array, change: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Change each distinct value once: there are few of them among many."""
    encoded = values.dictionary_encode()
    return change(encoded.dictionary).take(encoded.indices)


def _text(column: pa.Array, name: str) -> pa.Array:
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        raise SchemaRefused(f"{name}: {column.type} cannot be a tag.", hint="make it text, or leave it out of tags=")
    return _fitted(column, pa.string())[0]


def _values(rows: pa.Table, names: Sequence[str], wrong: dict[int, list[str]]) -> pa.Array:
    """`field=value,...` of each row; a row without any cannot be a point."""
    parts = [_field(_column(rows, name), name, wrong) for name in names]
    if not parts:
        raise SchemaRefused("The rows have no column for a field.", hint="a point needs a value besides time and tags")
    done = pc.utf8_slice_codeunits(_strung(parts), 1)
    _note(wrong, pc.equal(done, ""), f"no value in {', '.join(names)}: a point needs one")
    return done


def _field(column: pa.Array, name: str, wrong: dict[int, list[str]]) -> pa.Array:
    kind, t = column.type, pa.types
    key = f",{_escaped_key(name)}="
    if t.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if t.is_null(kind):
        return pa.nulls(len(column), pa.string())
    if t.is_uint64(kind):
        large = pc.greater(column, pa.scalar(_INT64 - 1, pa.uint64()))
        _note(wrong, pc.fill_null(large, False), f"{name}: is larger than a 64-bit integer with a sign")
    if t.is_integer(kind):
        return pc.binary_join_element_wise(key, column.cast(pa.string()), "i", "")
    if t.is_floating(kind):
        finite = pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
        return pc.binary_join_element_wise(key, finite.cast(pa.string()), "")
    if t.is_boolean(kind) or t.is_decimal(kind):
        return pc.binary_join_element_wise(key, column.cast(pa.string()), "")
    if t.is_nested(kind) or t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind):
        raise SchemaRefused(
            f"{name}: {kind} has no counterpart in the line protocol.", hint="leave it out with fields="
        )
    text, _ = _fitted(column, pa.string())
    quoted = pc.replace_substring_regex(text, r'(["\\])', r"\\\1")
    return pc.binary_join_element_wise(f'{key}"', quoted, '"', "")


def _times(column: pa.Array, name: str, unit: str, wrong: dict[int, list[str]]) -> pa.Array:
    kind, t = column.type, pa.types
    if t.is_floating(kind) or t.is_boolean(kind) or t.is_nested(kind) or t.is_time(kind) or t.is_duration(kind):
        raise SchemaRefused(f"{name}: {kind} is no time.", hint=f"a moment, or a whole number of {unit}")
    _note(wrong, pc.is_null(column), f"{name}: a point needs a time")
    if not t.is_integer(kind):
        if not t.is_temporal(kind):
            moments, misfits = _fitted(column, pa.timestamp("ns" if unit == "ns" else "us", "UTC"))
            for place in misfits:
                wrong.setdefault(place, []).append(f"{name}: {column[place].as_py()!r} is no time")
            column = moments
        column = _moments(column, name, unit, wrong)
    return pc.fill_null(column.cast(pa.string()), "")


def _moments(column: pa.Array, name: str, unit: str, wrong: dict[int, list[str]]) -> pa.Array:
    """Moments as numbers. Those of before 1970 are cut downwards too, as time goes."""
    zone = getattr(column.type, "tz", None)
    try:
        if pa.types.is_timestamp(column.type) and UNITS.index(column.type.unit) > UNITS.index(unit):
            words: Mapping[str, str] = {"s": "second", "ms": "millisecond", "us": "microsecond"}
            column = pc.floor_temporal(column, unit=words[unit])
        return column.cast(pa.timestamp(unit, zone)).cast(pa.int64())
    except pa.ArrowInvalid:
        fitting, misfits = _fitted(column, pa.timestamp(unit, zone))
        for place in misfits:
            wrong.setdefault(place, []).append(f"{name}: {column[place]} is too far away for {unit}")
        return fitting.cast(pa.int64())


def _note(wrong: dict[int, list[str]], mask: pa.Array, why: str) -> None:
    for place in _true(mask):
        wrong.setdefault(place, []).append(why)


def _true(mask: pa.Array) -> list[int]:
    if not pc.any(mask).as_py():
        return []
    found: list[int] = pc.indices_nonzero(pc.fill_null(mask, False)).to_pylist()
    return found
