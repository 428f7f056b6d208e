"""Rows of a query through binary COPY, a chunk at a time, as tables of Arrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.connectors.postgres.fields import Buffer, Field, Numbers, of_copy
from penstock.connectors.postgres.types import Column
from penstock.core.extras import require

if TYPE_CHECKING:
    import numpy as np
    import psycopg
    import pyarrow as pa
    from psycopg.pq import ExecStatus
else:
    from penstock.core.rows.arrow import pa

    np, psycopg = require("numpy", "data"), require("psycopg", "postgres")
    ExecStatus = psycopg.pq.ExecStatus

_HEADER = 19
_END = b"\xff\xff"
_SHOWN = 500


@dataclass(frozen=True)
class Chunk:
    """Some rows.

    Attributes:
        fields: their values, by column.
        size: bytes that came for them.
        last: there are no more.
    """

    fields: list[Field]
    size: int
    last: bool

    def __len__(self) -> int:
        return len(self.fields[0]) if self.fields else 0


def chunks(connection: psycopg.Connection[Any], query: str, columns: int, *, rows: int, size: int) -> Iterator[Chunk]:
    """The rows of a query, in chunks of so many rows or bytes; the last chunk says so, and may be empty.

    Raises:
        psycopg.Error: as the server says.
    """
    pgconn = connection.pgconn
    result = pgconn.exec_(f"COPY ({query}) TO STDOUT (FORMAT binary)".encode())
    if result.status != ExecStatus.COPY_OUT:
        raise psycopg.errors.error_from_result(result)
    get = pgconn.get_copy_data
    found, sizes = bytearray(), list[int]()  # a list of the pieces themselves would be four times as slow
    skip = _HEADER
    while True:
        length, data = get(0)
        if length < 0:
            break
        if skip:
            data, length, skip = data[skip:], length - skip, 0
            if not length:
                continue
        if length == 2 and data == _END:
            continue
        if len(sizes) >= rows or len(found) >= size:
            yield _chunk(found, sizes, columns, last=False)
            found, sizes = bytearray(), []
        found += data
        sizes.append(length)
    end = pgconn.get_result()
    if end is not None and end.status != ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(end)
    while pgconn.get_result() is not None:
        pass
    yield _chunk(found, sizes, columns, last=True)


def _chunk(found: bytearray, sizes: list[int], columns: int, *, last: bool) -> Chunk:
    size = len(found)
    return Chunk(of_copy(Buffer(found), starts_of(sizes), columns), size, last)


def starts_of(sizes: list[int]) -> Numbers:
    """Where each of the pieces begins that were joined."""
    ends = np.cumsum(np.array(sizes, np.int64))
    return np.concatenate((np.zeros(1, np.int64), ends[:-1])) if len(sizes) else np.zeros(0, np.int64)


@dataclass(frozen=True)
class Made:
    """A table, and the rows that are not in it.

    Attributes:
        table: the rows whose values all fit.
        fits: which rows those are; None for all.
        bad: why the others do not, by row.
    """

    table: pa.Table
    fits: Any
    bad: dict[int, str]


def converted(columns: Sequence[Column], fields: Sequence[Field], *, copied: bool) -> tuple[list[Any], dict[int, str]]:
    """Columns of Arrow, and the rows whose values do not fit, with the reason."""
    arrays = []
    bad: dict[int, str] = {}
    for column, field in zip(columns, fields, strict=True):
        array, worse = column.of_copy(field) if copied else column.of_text(field)
        arrays.append(array)
        for row, why in worse.items():
            bad[row] = f"{bad[row]}; {column.name}: {why}" if row in bad else f"{column.name}: {why}"
    return arrays, bad


def made(columns: Sequence[Column], fields: Sequence[Field], *, copied: bool) -> Made:
    """A table of fields, as they came by COPY or in the replication stream."""
    arrays, bad = converted(columns, fields, copied=copied)
    schema = pa.schema([pa.field(column.name, column.kind.arrow) for column in columns])
    table = pa.Table.from_arrays(arrays, schema=schema)
    if not bad:
        return Made(table, None, bad)
    fits = np.ones(len(fields[0]), bool)
    fits[list(bad)] = False
    return Made(table.filter(pa.array(fits)), fits, bad)


def shown(columns: Sequence[Column], fields: Sequence[Field], row: int, *, copied: bool) -> str:
    """One row as text, cut where it is long, for the quarantine."""

    def value(column: Column, field: Field) -> str:
        if not copied or column.kind.unpack is None:
            return repr(field.value(row))
        return str(column.of_copy(field.take([row]))[0][0])

    text = ", ".join(f"{column.name}={value(column, field)}" for column, field in zip(columns, fields, strict=True))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
