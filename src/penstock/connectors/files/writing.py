"""Rows written to a file in one of the formats."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Any, Literal

import msgspec

from penstock.core.extras import require
from penstock.core.rows import fit

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

ExportFormat = Literal["csv", "tsv", "json", "ndjson", "parquet"]
Packing = Literal["gzip", "zstd", "none"]


def write(
    path: str,
    tables: Iterable[pa.Table],
    schema: pa.Schema,
    *,
    format: ExportFormat,
    packing: Packing = "none",
    delimiter: str = ",",
) -> int:
    """Write rows to a new file, and see that they are on the disk.

    Args:
        path: the file.
        tables: with the columns of the schema.
        schema: of all of them.
        format: of the file.
        packing: compression of a text format; Parquet has its own.
        delimiter: between the fields of CSV.

    Returns:
        Its size in bytes.
    """
    with open(path, "wb") as file:
        if format == "parquet":
            _parquet(file, tables, schema)
        else:
            stream: Any = file
            if packing != "none":
                stream = pa.CompressedOutputStream(pa.PythonFile(file, mode="w"), packing)
            if format in ("json", "ndjson"):
                _json(stream, tables, format)
            else:
                _csv(stream, tables, schema, "\t" if format == "tsv" else delimiter)
            if stream is not file:
                stream.close()
        if not file.closed:
            file.flush()
            os.fsync(file.fileno())
    return os.stat(path).st_size


def _parquet(file: IO[bytes], tables: Iterable[pa.Table], schema: pa.Schema) -> None:
    with require("pyarrow.parquet", "data").ParquetWriter(file, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)


def _csv(stream: Any, tables: Iterable[pa.Table], schema: pa.Schema, delimiter: str) -> None:
    """Text is quoted, so that a text that is empty is told from nothing."""
    csv = require("pyarrow.csv", "data")
    flat = pa.schema([pa.field(field.name, _flat(field.type)) for field in schema])
    options = csv.WriteOptions(delimiter=delimiter)
    with csv.CSVWriter(stream, flat, write_options=options) as writer:
        for table in tables:
            writer.write_table(pa.table([_as(table.column(f.name), f.type) for f in flat], flat))


def _flat(kind: pa.DataType) -> pa.DataType:
    """The type in which CSV has it: itself, or text."""
    t = pa.types
    plain = t.is_integer(kind) or t.is_floating(kind) or t.is_boolean(kind) or t.is_date(kind) or t.is_timestamp(kind)
    return kind if plain else pa.string()


def _as(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if values.type == kind:
        return values
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        return pa.chunked_array([pa.array([_base64(value) for value in values.to_pylist()], pa.string())])
    return fit(values, kind).values


def _base64(value: bytes | None) -> str | None:
    import base64

    return None if value is None else base64.b64encode(value).decode()


def _json(stream: Any, tables: Iterable[pa.Table], format: ExportFormat) -> None:
    """Moments as ISO 8601, decimals as text, bytes as Base64; what is no number in JSON is null."""
    encoder = msgspec.json.Encoder()
    array, first = format == "json", True
    if array:
        stream.write(b"[")
    for table in tables:
        for batch in table.to_batches(max_chunksize=10_000):
            lines = [encoder.encode(row) for row in batch.to_pylist()]
            if array:
                stream.write((b"\n" if first else b",\n") + b",\n".join(lines))
            elif lines:
                stream.write(b"\n".join(lines) + b"\n")
            first = False
    if array:
        stream.write(b"\n]\n")
