"""Values on their way to Snowflake and back.

A staging table has only four types, which Parquet and Snowflake understand alike: text, NUMBER(19,0), FLOAT, BOOLEAN.
Everything else goes as text, in the forms that Snowflake's documentation names, and is cast when it is used.
"""

from __future__ import annotations

import datetime
import decimal
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.extras import LateExtra
from penstock.core.sqltext import quoted
from penstock.stores.warehouse.columns import Column, is_text

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    from penstock.core.rows.arrow import pa, pc

_parquet: Any = LateExtra("pyarrow.parquet", "data")
_FIXED, _DECIMAL = 0, re.compile(r"NUMBER\((\d+),(\d+)\)")
_SIMPLE: dict[str, Any] = {
    "BOOLEAN": lambda: pa.bool_(),
    "FLOAT": lambda: pa.float64(),
    "DATE": lambda: pa.date32(),
    "TIME": lambda: pa.time64("us"),
    "TIMESTAMP_NTZ": lambda: pa.timestamp("us"),
    "TIMESTAMP_TZ": lambda: pa.timestamp("us", "UTC"),
    "TIMESTAMP_LTZ": lambda: pa.timestamp("us", "UTC"),
    "BINARY": lambda: pa.binary(),
    "VARCHAR": lambda: pa.string(),
}
_BY_CODE: dict[int, Any] = {
    1: _SIMPLE["FLOAT"],
    3: _SIMPLE["DATE"],
    4: _SIMPLE["TIMESTAMP_NTZ"],
    6: _SIMPLE["TIMESTAMP_LTZ"],
    7: _SIMPLE["TIMESTAMP_TZ"],
    8: _SIMPLE["TIMESTAMP_NTZ"],
    11: _SIMPLE["BINARY"],
    12: _SIMPLE["TIME"],
    13: _SIMPLE["BOOLEAN"],
}
"""The connector's numbers for types."""


def column_of(name: str, sql: str, nullable: bool) -> Column:
    """A column by the type that Snowflake shows."""
    name = spelled(name)
    if digits := _DECIMAL.fullmatch(sql):
        precision, scale = int(digits[1]), int(digits[2])
        kind = pa.int64() if (precision, scale) == (19, 0) else pa.decimal128(precision, scale)
        return Column(name, sql, kind, "plain", nullable)
    base = sql.partition("(")[0]
    if base in ("VARIANT", "OBJECT", "ARRAY"):
        return Column(name, "VARIANT" if base == "VARIANT" else sql, pa.string(), "json", nullable)
    if made := _SIMPLE.get(base):
        return Column(name, sql, made(), "plain", nullable)
    return Column(name, sql, pa.string(), "text", nullable)


def spelled(name: str) -> str:
    """A name as Penstock writes it: Snowflake shows it in capitals."""
    return name.lower() if name == name.upper() else name


def staging(column: Column) -> str:
    """The type of a column of a staging table."""
    t = pa.types
    if t.is_boolean(column.kind):
        return "BOOLEAN"
    if t.is_integer(column.kind):
        return "NUMBER(19,0)"
    return "FLOAT" if t.is_floating(column.kind) else "VARCHAR"


def expression(short: str, column: Column) -> str:
    """What makes the value of a column of that of its staging table."""
    name = quoted(column.name)
    if column.form == "json":
        return f"PARSE_JSON({short}) AS {name}"
    if pa.types.is_binary(column.kind):
        return f"TO_BINARY({short}, 'HEX') AS {name}"
    if staging(column) == "VARCHAR" and not (is_text(column.kind) and column.form == "plain"):
        return f"CAST({short} AS {column.sql}) AS {name}"
    return f"{short} AS {name}"


def file_of(rows: pa.Table, columns: Sequence[Column], names: Sequence[str], path: Path) -> None:
    """Write rows, which have the columns' kinds, to a Parquet file."""
    arrays = [_told(rows.column(column.name), column.kind) for column in columns]
    _parquet.write_table(pa.table(arrays, names=list(names)), path)


def _told(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    t = pa.types
    if t.is_binary(kind):
        return pa.chunked_array([[None if one is None else one.hex() for one in values.to_pylist()]], pa.string())
    if t.is_timestamp(kind) and kind.tz:
        plain = values.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us")).cast(pa.string())
        return pc.binary_join_element_wise(plain, "+00:00", "")
    if t.is_boolean(kind) or t.is_integer(kind) or t.is_floating(kind) or t.is_string(kind):
        return values
    return values.cast(pa.string())


def bound(value: Any) -> Any:
    """A value that stands for a `$1`: what is no number and no truth goes as text."""
    if value is None or isinstance(value, (str, bool, float)):
        return value
    if isinstance(value, int):
        return value if -(1 << 63) <= value < 1 << 63 else str(value)
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            return value.isoformat(" ")
        return value.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(" ") + "+00:00"
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return format(value, "f") if isinstance(value, decimal.Decimal) else str(value)


def schema_of(description: Sequence[Any]) -> pa.Schema:
    """The columns of an answer."""
    return pa.schema([(spelled(str(one[0])), _kind(one)) for one in description])


def _kind(described: Any) -> pa.DataType:
    code, precision, scale = described[1], described[4], described[5]
    if code == _FIXED:
        whole = not scale and (precision is None or precision <= 19)
        return pa.int64() if whole else pa.decimal128(precision or 38, scale or 0)
    return _BY_CODE[code]() if code in _BY_CODE else pa.string()


def batch_of(rows: Sequence[Any], schema: pa.Schema) -> pa.RecordBatch:
    """Rows of an answer, as Arrow."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [
        pa.array([None if value is None else _plain(value) for value in column], field.type)
        for field, column in zip(schema, columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, bytearray) else value
