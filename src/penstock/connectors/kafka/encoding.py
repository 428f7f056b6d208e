"""Rows made into the values and keys of messages."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.connectors.kafka.driver import fastavro, pl
from penstock.connectors.kafka.registry import FRAME, SchemaRegistry
from penstock.core.errors import SchemaRefused

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    from penstock.core.rows.arrow import pa, pc


def json_values(rows: pa.Table) -> list[bytes]:
    """Each row as a JSON object.

    Moments, dates and times are ISO 8601 (moments with a zone in UTC), decimals text, bytes base64, maps objects. NaN
    and infinity, which JSON does not have, are null.
    """
    if not rows.num_rows or not rows.num_columns:
        return [b"{}"] * rows.num_rows
    plain = pa.table([_plain(column) for column in rows.columns], names=rows.column_names)
    if any(map(_has_map, plain.schema.types)):
        return list(map(msgspec.json.encode, map(_mapped(plain.schema), plain.to_pylist())))
    stream = io.BytesIO()
    pl.from_arrow(plain).write_ndjson(stream)
    return stream.getvalue().rstrip(b"\n").split(b"\n")


def text_values(column: pa.ChunkedArray) -> list[bytes | None]:
    """Each value as text, as it would be in JSON, without quotes; None where there is none."""
    plain = _plain(column)
    if pa.types.is_nested(plain.type):
        return [None if one is None else msgspec.json.encode(one) for one in plain.to_pylist()]
    if not pa.types.is_string(plain.type):
        plain = plain.cast(pa.string())
    found: list[bytes | None] = plain.cast(pa.binary()).to_pylist()
    return found


def _plain(values: Any) -> Any:
    """The same with nothing in it but what JSON has, and maps."""
    if isinstance(values, pa.ChunkedArray):
        done = [_plain(chunk) for chunk in values.chunks]
        return pa.chunked_array(done, type=done[0].type if done else _plain(pa.nulls(0, values.type)).type)
    kind, t = values.type, pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(values.storage)
    if t.is_dictionary(kind):
        return _plain(values.dictionary_decode())
    if t.is_floating(kind):
        return pc.if_else(pc.is_finite(values), values, pa.scalar(None, kind))
    if t.is_timestamp(kind):
        utc = values.cast(pa.timestamp(kind.unit, "UTC")) if kind.tz else values
        return pc.utf8_replace_slice(utc.cast(pa.string()), 10, 11, "T")
    if t.is_duration(kind):
        return values.cast(pa.int64())
    if t.is_date(kind) or t.is_time(kind) or t.is_decimal(kind):
        return values.cast(pa.string())
    if t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind) or t.is_binary_view(kind):
        told = (None if one is None else base64.b64encode(one).decode() for one in values.to_pylist())
        return pa.array(told, pa.string())
    if t.is_struct(kind):
        parts = [_plain(pc.struct_field(values, [at])) for at in range(kind.num_fields)]
        return pa.StructArray.from_arrays(parts, [field.name for field in kind], mask=values.is_null())
    if t.is_map(kind):
        whole = values.take(pa.arange(0, len(values)))  # a slice has offsets that begin elsewhere
        keys = _plain(whole.keys).cast(pa.string())
        return pa.MapArray.from_arrays(whole.offsets, keys, _plain(whole.items), mask=whole.is_null())
    if t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind):
        return _plain_list(values)
    if t.is_large_string(kind) or t.is_string_view(kind):
        return values.cast(pa.string())
    return values


def _plain_list(values: pa.Array) -> pa.Array:
    lengths = pc.fill_null(pc.list_value_length(values), 0).cast(pa.int64())
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths)]).cast(pa.int32())
    return pa.ListArray.from_arrays(offsets, _plain(values.flatten()), mask=values.is_null())


def _has_map(kind: pa.DataType) -> bool:
    return bool(pa.types.is_map(kind)) or any(_has_map(kind.field(at).type) for at in range(kind.num_fields))


def _mapped(schema: pa.Schema) -> Callable[[Any], Any]:
    """What makes lists of pairs into objects."""

    def change(value: Any, kind: pa.DataType) -> Any:
        if value is None or not _has_map(kind):
            return value
        if pa.types.is_map(kind):
            return {key: change(one, kind.item_type) for key, one in value}
        if pa.types.is_struct(kind):
            return {field.name: change(value[field.name], field.type) for field in kind}
        return [change(one, kind.value_type) for one in value]

    return lambda row: {field.name: change(row[field.name], field.type) for field in schema}


class AvroWriter:
    """Writes rows as Avro with the id of their schema before them, as Confluent's serializers do.

    Args:
        registry: where schemas are registered.
        subject: under which name.
    """

    def __init__(self, registry: SchemaRegistry, subject: str) -> None:
        self._registry, self._subject = registry, subject
        self._known: dict[Any, tuple[bytes, Any]] = {}

    def values(self, rows: pa.Table) -> list[bytes]:
        """Each row as a record.

        Raises:
            SchemaRefused: a column is of a type that Avro does not have, or has a name that it does not allow.
        """
        head, schema = self._schema(rows.schema)
        found = []
        for row in rows.to_pylist():
            stream = io.BytesIO()
            stream.write(head)
            fastavro.schemaless_writer(stream, schema, row)
            found.append(stream.getvalue())
        return found

    def _schema(self, schema: pa.Schema) -> tuple[bytes, Any]:
        if schema not in self._known:
            told = {"type": "record", "name": "row", "fields": [_field(field) for field in schema]}
            parsed = fastavro.parse_schema(told)
            number = self._registry.register(self._subject, json.dumps(told))
            self._known[schema] = (b"\x00" + number.to_bytes(FRAME - 1, "big"), parsed)
        return self._known[schema]


def _field(field: pa.Field) -> dict[str, Any]:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", field.name):
        raise SchemaRefused(
            f"Avro has no field of the name {field.name!r}.", hint="rename the column: letters, digits and underscores"
        )
    return {"name": field.name, "type": ["null", _avro(field.type, field.name)], "default": None}


def _avro(kind: pa.DataType, path: str) -> Any:
    t = pa.types
    if t.is_uint64(kind):
        raise SchemaRefused(f"{path}: Avro has no place for {kind}.", hint="cast it to int64 or to text")
    for is_one, word in _AVRO:
        if getattr(t, is_one)(kind):
            return word
    if t.is_timestamp(kind):
        unit = "millis" if kind.unit in ("s", "ms") else "micros"
        return {"type": "long", "logicalType": f"{'timestamp' if kind.tz else 'local-timestamp'}-{unit}"}
    if t.is_decimal(kind):
        return {"type": "bytes", "logicalType": "decimal", "precision": kind.precision, "scale": kind.scale}
    if t.is_struct(kind):
        inner = [{**_field(one), "type": ["null", _avro(one.type, f"{path}_{one.name}")]} for one in kind]
        return {"type": "record", "name": path, "fields": inner}
    if t.is_list(kind) or t.is_large_list(kind):
        return {"type": "array", "items": ["null", _avro(kind.value_type, f"{path}_item")]}
    raise SchemaRefused(f"{path}: {kind} has no counterpart in Avro.", hint="write value='json', or leave it out")


_AVRO: Sequence[tuple[str, Any]] = (
    ("is_null", "string"),
    ("is_boolean", "boolean"),
    ("is_int64", "long"),
    ("is_uint32", "long"),
    ("is_integer", "int"),
    ("is_float32", "float"),
    ("is_float64", "double"),
    ("is_string", "string"),
    ("is_large_string", "string"),
    ("is_binary", "bytes"),
    ("is_large_binary", "bytes"),
    ("is_date", {"type": "int", "logicalType": "date"}),
)
