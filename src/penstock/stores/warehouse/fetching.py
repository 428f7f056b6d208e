"""What PostgreSQL answers, as Arrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from penstock.core.errors import DataError
from penstock.core.extras import require

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa
    from psycopg.types import string
else:
    from penstock.core.rows.arrow import pa

    psycopg = require("psycopg", "postgres")
    string = require("psycopg.types.string", "postgres")

_NUMERIC = 1700
_TELLING = ("explain", "show")
_AS_TEXT = ("json", "jsonb", "uuid")
"""What psycopg would make objects of that Arrow has no type for."""
_KINDS: dict[int, Any] = {
    16: lambda: pa.bool_(),
    17: lambda: pa.binary(),
    20: lambda: pa.int64(),
    21: lambda: pa.int16(),
    23: lambda: pa.int32(),
    700: lambda: pa.float32(),
    701: lambda: pa.float64(),
    1082: lambda: pa.date32(),
    1083: lambda: pa.time64("us"),
    1114: lambda: pa.timestamp("us"),
    1184: lambda: pa.timestamp("us", "UTC"),
    1186: lambda: pa.duration("us"),
    1000: lambda: pa.list_(pa.bool_()),
    1001: lambda: pa.list_(pa.binary()),
    1005: lambda: pa.list_(pa.int16()),
    1007: lambda: pa.list_(pa.int32()),
    1016: lambda: pa.list_(pa.int64()),
    1009: lambda: pa.list_(pa.string()),
    1021: lambda: pa.list_(pa.float32()),
    1022: lambda: pa.list_(pa.float64()),
    1182: lambda: pa.list_(pa.date32()),
    1183: lambda: pa.list_(pa.time64("us")),
    1115: lambda: pa.list_(pa.timestamp("us")),
    1185: lambda: pa.list_(pa.timestamp("us", "UTC")),
}


def batches(
    connection: psycopg.Connection[Any], sql: str, values: Sequence[Any], rows: int
) -> Iterator[pa.RecordBatch]:
    """The rows of a query, from a cursor that the server keeps for it."""
    with connection.transaction(), _cursor(connection, sql) as cursor:
        for kind in _AS_TEXT:
            cursor.adapters.register_loader(kind, string.TextLoader)
        cursor.execute(sql, values or None)
        if cursor.description is None:
            raise DataError("This statement gives no rows.", hint="execute() is for statements without an answer")
        described = cursor.description
        schema = pa.schema([(column.name, _kind(column)) for column in described])
        first = True
        while (found := cursor.fetchmany(rows)) or first:
            first = False
            columns = list(zip(*found, strict=True)) if found else [()] * len(described)
            arrays = [
                pa.array(_texts(column) if pa.types.is_string(field.type) else column, field.type)
                for field, column in zip(schema, columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cursor(connection: psycopg.Connection[Any], sql: str) -> Any:
    """One that the server keeps; it has none for statements that only tell something."""
    if sql.lstrip()[:7].lower().startswith(_TELLING):
        return psycopg.RawCursor(connection)
    return psycopg.RawServerCursor(connection, "penstock_read")


def _kind(column: Any) -> pa.DataType:
    if column.type_code == _NUMERIC and column.precision and column.precision <= 76:
        decimal = pa.decimal128 if column.precision <= 38 else pa.decimal256
        return decimal(column.precision, column.scale or 0)
    made = _KINDS.get(column.type_code)
    return made() if made else pa.string()


def _texts(values: Sequence[Any]) -> list[str | None]:
    return [value if value is None else str(value) for value in values]
