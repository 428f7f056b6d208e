"""What Avro's types are in Arrow, and what becomes of decoded values that Arrow does not take as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.core.rows.casting import json_text

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

AvroSchema: TypeAlias = Any
Convert: TypeAlias = Callable[[Any], Any]

_LOGICAL: Mapping[str, Callable[[], pa.DataType]] = {
    "date": lambda: pa.date32(),
    "time-millis": lambda: pa.time32("ms"),
    "time-micros": lambda: pa.time64("us"),
    "timestamp-millis": lambda: pa.timestamp("ms", "UTC"),
    "timestamp-micros": lambda: pa.timestamp("us", "UTC"),
    "local-timestamp-millis": lambda: pa.timestamp("ms"),
    "local-timestamp-micros": lambda: pa.timestamp("us"),
    "uuid": lambda: pa.string(),
}
_PLAIN: Mapping[str, Callable[[], pa.DataType]] = {
    "null": lambda: pa.null(),
    "boolean": lambda: pa.bool_(),
    "int": lambda: pa.int32(),
    "long": lambda: pa.int64(),
    "float": lambda: pa.float32(),
    "double": lambda: pa.float64(),
    "bytes": lambda: pa.binary(),
    "string": lambda: pa.string(),
    "enum": lambda: pa.string(),
}
_QUICK = frozenset({"boolean", "int", "long", "float", "double", "string"})
_QUICK_LOGICAL = frozenset({"date", "timestamp-millis", "timestamp-micros"})


class Types:
    """Arrow types and conversions for one schema, as `fastavro.parse_schema` gives it.

    Unions of several types, and what contains itself, are text: JSON.

    Args:
        schema: the parsed schema.
        named: the named types in it.
    """

    def __init__(self, schema: AvroSchema, named: Mapping[str, AvroSchema]) -> None:
        self._named = named
        self.schema = schema
        self.arrow = self._arrow(schema, ())
        self.convert = self._convert(schema, ())
        self.quick = self._quick(schema, set())

    def _resolved(self, schema: AvroSchema) -> tuple[str, AvroSchema, str]:
        """The type's word, the schema, and its name where it has one."""
        if isinstance(schema, str) and schema in self._named:
            schema = self._named[schema]
        if isinstance(schema, str):
            return schema, {}, ""
        if isinstance(schema, list):
            return "union", schema, ""
        inner = schema["type"]
        if isinstance(inner, (dict, list)) or inner in self._named:
            return self._resolved(inner)
        return inner, schema, schema.get("name", "")

    def _arrow(self, schema: AvroSchema, within: tuple[str, ...]) -> pa.DataType:
        word, schema, name = self._resolved(schema)
        if name and name in within:
            return pa.string()
        within = (*within, name) if name else within
        if word == "union":
            branches = [branch for branch in schema if branch != "null"]
            return self._arrow(branches[0], within) if len(branches) == 1 else pa.string() if branches else pa.null()
        if word == "record":
            return pa.struct([pa.field(one["name"], self._arrow(one["type"], within)) for one in schema["fields"]])
        if word == "array":
            return pa.list_(self._arrow(schema["items"], within))
        if word == "map":
            return pa.map_(pa.string(), self._arrow(schema["values"], within))
        return _scalar(word, schema)

    def _convert(self, schema: AvroSchema, within: tuple[str, ...]) -> Convert | None:
        """What to do to decoded values so that Arrow takes them; None where it does."""
        word, schema, name = self._resolved(schema)
        if name and name in within:
            return _json
        within = (*within, name) if name else within
        if word == "union":
            branches = [branch for branch in schema if branch != "null"]
            return self._convert(branches[0], within) if len(branches) == 1 else _json if branches else None
        if word == "record":
            inner = {one["name"]: self._convert(one["type"], within) for one in schema["fields"]}
            changed = {field: change for field, change in inner.items() if change is not None}
            return _fields(changed) if changed else None
        if word == "array":
            change = self._convert(schema["items"], within)
            return None if change is None else _items(change)
        if word == "map":
            return _pairs(self._convert(schema["values"], within))
        return _text if schema and schema.get("logicalType") == "uuid" else None

    def _quick(self, schema: AvroSchema, seen: set[str]) -> bool:
        """Polars reads it, and reads it right."""
        if isinstance(schema, str):
            return schema in _QUICK
        if isinstance(schema, list):
            others = [branch for branch in schema if branch != "null"]
            return len(schema) == 2 and len(others) == 1 and self._quick(others[0], seen)
        word, logical = schema["type"], schema.get("logicalType")
        if isinstance(word, (dict, list)):
            return self._quick(word, seen)
        if logical is not None:
            return logical in _QUICK_LOGICAL and word in ("int", "long")
        if word == "array":
            return self._quick(schema["items"], seen)
        if word == "record" and schema["name"] not in seen:
            seen.add(schema["name"])
            return bool(schema["fields"]) and all(self._quick(one["type"], seen) for one in schema["fields"])
        return word in _QUICK


def _scalar(word: str, schema: AvroSchema) -> pa.DataType:
    logical = schema.get("logicalType") if schema else None
    if logical == "decimal" and word in ("bytes", "fixed"):
        precision, scale = int(schema["precision"]), int(schema.get("scale", 0))
        return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    if word == "fixed":
        return pa.string() if logical == "uuid" else pa.binary(int(schema["size"]))
    if isinstance(logical, str) and logical in _LOGICAL and word in ("int", "long", "string"):
        return _LOGICAL[logical]()
    return _PLAIN[word]()


def _json(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else json_text(value)


def _text(value: Any) -> Any:
    return None if value is None else str(value)


def _fields(changed: Mapping[str, Convert]) -> Convert:
    def convert(value: Any) -> Any:
        if value is None:
            return None
        return value | {field: change(value[field]) for field, change in changed.items()}

    return convert


def _items(change: Convert) -> Convert:
    return lambda value: None if value is None else [change(one) for one in value]


def _pairs(change: Convert | None) -> Convert:
    def convert(value: Any) -> Any:
        if value is None:
            return None
        return list(value.items()) if change is None else [(key, change(one)) for key, one in value.items()]

    return convert
