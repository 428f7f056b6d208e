"""Values on their way to BigQuery and back.

A staging table has only five types: STRING, INT64, FLOAT64, BOOL and BYTES, which Parquet and BigQuery understand
alike. Everything else goes as text, in BigQuery's canonical forms, and is cast when it is used.
"""

from __future__ import annotations

import datetime
import decimal
import io
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from penstock.core.extras import LateExtra
from penstock.stores.warehouse.columns import Column

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    from penstock.core.rows.arrow import pa, pc

_parquet: Any = LateExtra("pyarrow.parquet", "data")
_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
_KINDS: dict[str, Any] = {
    "INT64": lambda: pa.int64(),
    "FLOAT64": lambda: pa.float64(),
    "BOOL": lambda: pa.bool_(),
    "STRING": lambda: pa.string(),
    "BYTES": lambda: pa.binary(),
    "DATE": lambda: pa.date32(),
    "TIME": lambda: pa.time64("us"),
    "DATETIME": lambda: pa.timestamp("us"),
    "TIMESTAMP": lambda: pa.timestamp("us", "UTC"),
}


def base_of(sql: str) -> str:
    """A type without its parameters, which a CAST does not need."""
    return sql.partition("(")[0].strip()


def column_of(field: Any) -> Column:
    """A column by what BigQuery tells of it."""
    name, base = str(field.name), _NAMES.get(field.field_type, str(field.field_type))
    nullable = field.mode != "REQUIRED"
    if field.mode == "REPEATED" or base in ("RECORD", "STRUCT"):
        return Column(name, base, pa.string(), "text", nullable)
    if base == "JSON":
        return Column(name, base, pa.string(), "json", nullable)
    if base in ("NUMERIC", "BIGNUMERIC"):
        usual = (38, 9) if base == "NUMERIC" else (76, 38)
        precision, scale = (field.precision, field.scale or 0) if field.precision else usual
        made = pa.decimal128 if precision <= 38 else pa.decimal256
        sql = f"{base}({precision}, {scale})" if field.precision else base
        return Column(name, sql, made(precision, scale), "plain", nullable)
    if found := _KINDS.get(base):
        sql = f"{base}({field.max_length})" if field.max_length else base
        return Column(name, sql, found(), "plain", nullable)
    return Column(name, base, pa.string(), "text", nullable)


def staging(column: Column) -> str:
    """The type of a column of a staging table."""
    t = pa.types
    if t.is_boolean(column.kind):
        return "BOOL"
    if t.is_integer(column.kind):
        return "INT64"
    if t.is_binary(column.kind):
        return "BYTES"
    return "FLOAT64" if t.is_floating(column.kind) else "STRING"


def file_of(rows: pa.Table, columns: Sequence[Column], names: Sequence[str]) -> bytes:
    """Rows, which have the columns' kinds, as a Parquet file."""
    arrays = [_told(rows.column(column.name), column.kind) for column in columns]
    file = io.BytesIO()
    _parquet.write_table(pa.table(arrays, names=list(names)), file)
    return file.getvalue()


def _told(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    t = pa.types
    if t.is_timestamp(kind) and kind.tz:
        plain = values.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us")).cast(pa.string())
        return pc.binary_join_element_wise(plain, "+00:00", "")
    if t.is_boolean(kind) or t.is_integer(kind) or t.is_floating(kind) or t.is_binary(kind) or t.is_string(kind):
        return values
    return values.cast(pa.string())


def parameter(bigquery: Any, name: str, value: Any) -> Any:
    """A value that stands for a `$1`.

    Args:
        bigquery: the client's module.
        name: of the parameter.
        value: its value.
    """
    if isinstance(value, (dict, list, tuple)):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return bigquery.ScalarQueryParameter(name, _type_of(value), value if _type_of(value) != "STRING" else _text(value))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "BOOL"
    if isinstance(value, int):
        return "INT64" if -(1 << 63) <= value < 1 << 63 else "STRING"
    if isinstance(value, float):
        return "FLOAT64"
    if isinstance(value, (bytes, bytearray)):
        return "BYTES"
    if isinstance(value, datetime.datetime):
        return "TIMESTAMP" if value.tzinfo else "DATETIME"
    if isinstance(value, datetime.date):
        return "DATE"
    if isinstance(value, datetime.time):
        return "TIME"
    return "BIGNUMERIC" if isinstance(value, decimal.Decimal) else "STRING"


def batches(found: Any) -> Iterator[pa.RecordBatch]:
    """The pages of an answer, as Arrow: at least one of them, which may be empty."""
    fields = list(found.schema)
    schema = pa.schema([(field.name, _kind(field)) for field in fields])
    first = True
    for page in found.pages:
        rows = [tuple(row) for row in page]
        if rows:
            first = False
            yield _batch(rows, fields, schema)
    if first:
        yield _batch([], fields, schema)


def _batch(rows: Sequence[Any], fields: Sequence[Any], schema: pa.Schema) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(fields)
    arrays = [
        pa.array([_plain(value, field) for value in column], each.type)
        for field, each, column in zip(fields, schema, columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _kind(field: Any) -> pa.DataType:
    base = _NAMES.get(field.field_type, str(field.field_type))
    if base in ("RECORD", "STRUCT"):
        kind = pa.struct([(inner.name, _kind(inner)) for inner in field.fields])
    elif base in ("NUMERIC", "BIGNUMERIC"):
        kind = pa.decimal128(38, 9) if base == "NUMERIC" else pa.decimal256(76, 38)
    else:
        kind = _KINDS[base]() if base in _KINDS else pa.string()
    return pa.list_(kind) if field.mode == "REPEATED" else kind


def _plain(value: Any, field: Any, repeated: bool = True) -> Any:
    """A value as Arrow takes it: the client makes values of JSON, which is text here."""
    if value is None:
        return None
    if repeated and field.mode == "REPEATED":
        return [_plain(one, field, repeated=False) for one in value]
    base = _NAMES.get(field.field_type, str(field.field_type))
    if base in ("RECORD", "STRUCT"):
        return {inner.name: _plain(value[inner.name], inner) for inner in field.fields}
    if base == "JSON":
        return json.dumps(value, ensure_ascii=False)
    return value if base in _KINDS or base in ("NUMERIC", "BIGNUMERIC") else str(value)
