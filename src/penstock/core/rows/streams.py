"""Streams of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa


def first_rows(reader: pa.RecordBatchReader, limit: int | None) -> pa.RecordBatchReader:
    """The first rows of a stream, and no more of it is read than that; all of them where there is no limit."""
    if limit is None:
        return reader
    return pa.RecordBatchReader.from_batches(reader.schema, _first(reader, limit))


def _first(reader: Any, limit: int) -> Iterator[Any]:
    left = limit
    while left > 0:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        yield batch.slice(0, left)
        left -= batch.num_rows
