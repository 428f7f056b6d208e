"""Values of one type made into values of another, where that changes nothing about them.

Arrow's safe cast is not safe enough: it makes a number a moment, cuts the time of day off a moment, turns a number too
large for a small float into infinity, and leaves out what a narrower struct has no place for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    from penstock.core.rows.arrow import pa, pc

_WITH_ZONE = r"[Tt ].*([Zz]|[+-]\d\d(:?\d\d)?)$"


class Fitted(NamedTuple):
    """A column that was cast.

    Attributes:
        values: as many as there were; null where one does not fit.
        misfits: the places of those that do not, ascending.
    """

    values: pa.ChunkedArray
    misfits: list[int]


def fit(values: pa.ChunkedArray, kind: pa.DataType) -> Fitted:
    """Cast a column, value by value where need be.

    Text becomes numbers, dates, moments and truth values (`true`, `false`, `0`, `1`) where it reads as one; a moment
    without a zone is one of UTC. Anything becomes text, nested values as JSON. Whole floats become integers, floats
    become decimals where the decimal reads back as the same float. Numbers become no moments, nor the reverse.
    """
    if values.type == kind:
        return Fitted(values, [])
    done: list[pa.Array] = []
    misfits: list[int] = []
    start = 0
    for chunk in values.chunks:
        fitting, bad = _fit_chunk(chunk, kind)
        done.append(fitting)
        misfits.extend(start + place for place in bad)
        start += len(chunk)
    return Fitted(pa.chunked_array(done, type=kind), misfits)


def _fit_chunk(values: pa.Array, kind: pa.DataType) -> tuple[pa.Array, list[int]]:
    if values.null_count == len(values):
        return pa.nulls(len(values), kind), []
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    try:
        return convert(values, kind), []
    except pa.ArrowException:
        bad = _unfit(values, kind)
    if len(bad) == len(values) - values.null_count:
        return pa.nulls(len(values), kind), bad
    kept = pa.arange(0, len(values))
    kept = pc.if_else(pc.is_in(kept, pa.array(bad, pa.int64())), None, kept)
    return convert(values.take(kept), kind), bad


def _unfit(values: pa.Array, kind: pa.DataType) -> list[int]:
    """Which values do not fit. Each distinct value is tried once, in halves of halves."""
    if pa.types.is_nested(values.type) or isinstance(values.type, pa.BaseExtensionType):
        filled = pc.indices_nonzero(values.is_valid()).to_pylist()
        present = values.drop_null()
        return [filled[place] for place in _bad(present, kind, 0, len(present))]
    encoded = values.dictionary_encode()
    distinct = encoded.dictionary
    bad = pa.array(list(_bad(distinct, kind, 0, len(distinct))), encoded.indices.type)
    found: list[int] = pc.indices_nonzero(pc.is_in(encoded.indices, bad)).to_pylist()
    return found


def _bad(values: pa.Array, kind: pa.DataType, start: int, stop: int) -> Iterator[int]:
    try:
        convert(values[start:stop], kind)
    except pa.ArrowException:
        if stop - start == 1:
            yield start
        else:
            middle = (start + stop) // 2
            yield from _bad(values, kind, start, middle)
            yield from _bad(values, kind, middle, stop)


def convert(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Cast all values.

    Raises:
        pyarrow.ArrowException: one of them does not fit, or none can.
    """
    source = values.type
    if source == kind:
        return values
    if pa.types.is_null(source):
        return pa.nulls(len(values), kind)
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, convert(values, kind.storage_type))
    if isinstance(source, pa.BaseExtensionType):
        return convert(values.storage, kind)
    if pa.types.is_dictionary(source):
        return convert(values.dictionary_decode(), kind)
    if pa.types.is_dictionary(kind):
        return convert(values, kind.value_type).dictionary_encode().cast(kind)
    return _way(source, kind)(values, kind)


def _way(source: pa.DataType, kind: pa.DataType) -> Callable[[pa.Array, pa.DataType], pa.Array]:
    """How values of one type become values of another."""
    t = pa.types
    if _is_text(source):
        return _moments if t.is_timestamp(kind) else _times if t.is_time(kind) else _plain
    if t.is_nested(source):
        return _as_json if _is_text(kind) else _narrowed if t.is_struct(source) and t.is_struct(kind) else _nested
    if _is_number(source):
        return _of_number(source, kind)
    if t.is_temporal(source) and (_is_number(kind) or t.is_time(kind) != t.is_time(source)) and not _is_text(kind):
        return _refused
    if t.is_timestamp(source) and t.is_date(kind):
        return _days
    return _plain


def _of_number(source: pa.DataType, kind: pa.DataType) -> Callable[[pa.Array, pa.DataType], pa.Array]:
    t = pa.types
    if t.is_temporal(kind):
        return _refused
    if t.is_boolean(kind):
        return _unchanged
    if t.is_decimal(kind):
        return _shortest if t.is_floating(source) else _through_widest
    if t.is_floating(kind) and t.is_floating(source) and kind.bit_width < source.bit_width:
        return _finite
    return _plain


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _plain(values: pa.Array, kind: pa.DataType) -> pa.Array:
    return values.cast(kind)


def _refused(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if values.null_count == len(values):
        return pa.nulls(len(values), kind)
    raise pa.ArrowInvalid(f"{values.type} is no {kind}")


def _unchanged(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Cast, and look whether the way back leads to the same values."""
    done = values.cast(kind)
    return _same(done, done.cast(values.type), values)


def _shortest(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """A decimal that, as text, reads as the same float: 19.99 is 19.99, and 1.125 is not 1.13."""
    done = values.cast(kind)
    return _same(done, done.cast(pa.string()).cast(values.type), values)


def _days(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """A moment is a day where it is midnight in its own zone."""
    local = pc.local_timestamp(values) if values.type.tz else values
    done = local.cast(kind)
    return _same(done, done.cast(local.type), local)


def _same(done: pa.Array, back: pa.Array, values: pa.Array) -> pa.Array:
    if pc.all(pc.equal(back, values)).as_py() is False:
        raise pa.ArrowInvalid(f"a value changes when it becomes {done.type}")
    return done


def _through_widest(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Arrow asks for room for the largest integer there is; the values themselves may need less."""
    if pa.types.is_decimal(values.type):
        return values.cast(kind)
    return values.cast(pa.decimal256(76, max(kind.scale, 0))).cast(kind)


def _finite(values: pa.Array, kind: pa.DataType) -> pa.Array:
    done = values.cast(kind)
    if pc.any(pc.and_(pc.is_inf(done), pc.is_finite(values)), skip_nulls=True).as_py():
        raise pa.ArrowInvalid(f"a value is too large for {kind}")
    return done


def _moments(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Text with and without a zone; without one it is UTC."""
    within = pa.timestamp(kind.unit, "UTC")
    for other in (pa.timestamp(kind.unit), within):  # all of them without one, or all of them with one: as mostly
        with suppress(pa.ArrowInvalid):
            return values.cast(other).cast(within).cast(kind)
    zoned = pc.match_substring_regex(values, _WITH_ZONE)
    with_zone = pc.if_else(zoned, values, None).cast(within)
    without = pc.if_else(zoned, None, values).cast(pa.timestamp(kind.unit)).cast(within)
    return pc.coalesce(with_zone, without).cast(kind)


def _times(values: pa.Array, kind: pa.DataType) -> pa.Array:
    text = values.cast(pa.string())
    return pc.binary_join_element_wise("1970-01-01", text, "T").cast(pa.timestamp(kind.unit)).cast(kind)


def _as_json(values: pa.Array, kind: pa.DataType) -> pa.Array:
    told = (None if value is None else json_text(value) for value in values.to_pylist())
    return pa.array(told, kind)


def _narrowed(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """A struct keeps every field that says something."""
    for name in {field.name for field in values.type} - {field.name for field in kind}:
        if pc.any(pc.is_valid(pc.struct_field(values, name))).as_py():
            raise pa.ArrowInvalid(f"{kind} has no field {name!r}")
    known = [field for field in kind if values.type.get_field_index(field.name) >= 0]
    parts = {field.name: convert(pc.struct_field(values, field.name), field.type) for field in known}
    columns = [parts.get(field.name, pa.nulls(len(values), field.type)) for field in kind]
    return pa.StructArray.from_arrays(columns, fields=list(kind), mask=values.is_null())


def _nested(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if "struct" in str(values.type) and values.type != kind:
        return pa.array(_same_keys(values.to_pylist(), kind), kind)
    return values.cast(kind)


def _same_keys(values: list[Any], kind: pa.DataType) -> list[Any]:
    """The values themselves, once it is sure that Arrow would leave out none of their fields."""
    made = pa.array(values, kind).to_pylist()
    if json_text(_without_nothing(made)) != json_text(_without_nothing(values)):
        raise pa.ArrowInvalid(f"a value changes when it becomes {kind}")
    return values


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nothing(inner) for key, inner in sorted(value.items()) if inner is not None}
    return [_without_nothing(inner) for inner in value] if isinstance(value, list) else value


def json_text(value: Any) -> str:
    """A nested value as JSON; what JSON does not know as the text that Python has for it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
