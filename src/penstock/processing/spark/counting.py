"""What executors do: lines of access logs as counts, a chunk at a time, by the reader that `LogAnalyzer` has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from penstock.processing.logs.access_blocks import Reader
from penstock.processing.logs.access_counts import Part, count_block
from penstock.processing.logs.blocks import PAD, Block
from penstock.processing.logs.extras import pa

CHUNK = 16 << 20
"""Bytes that are looked at together."""

COLUMNS = {
    "what": "string",
    "minute": "bigint",
    "status": "bigint",
    "path": "binary",
    "n": "bigint",
    "refused": "bigint",
    "failed": "bigint",
    "bytes": "bigint",
}
"""Of `minute` rows: requests and bytes by minute (since 1970) and status; of `path` rows: by path; of `lines`,
`malformed` and `skipped` rows: how many lines."""

_KINDS = {"string": "utf8", "bigint": "int64", "binary": "binary"}


def counted(batches: Iterable[Any]) -> Iterator[Any]:
    """Record batches of lines, as bytes in one column, made into counts that are to be added up."""
    reader = Reader()
    for text in _chunks(batches):
        buffer = bytearray(len(text) + 2 * PAD)
        buffer[PAD : PAD + len(text)] = text
        yield from _rows(count_block(Block(buffer, PAD, PAD + len(text)), reader))


def _chunks(batches: Iterable[Any]) -> Iterator[bytes]:
    """Whole lines, each with its end."""
    waiting, size = list[bytes](), 0
    for batch in batches:
        text = b"".join(line + b"\n" for line in batch.column(0).to_pylist())
        waiting.append(text)
        size += len(text)
        if size >= CHUNK:
            yield b"".join(waiting)
            waiting, size = [], 0
    if size:
        yield b"".join(waiting)


def _rows(part: Part) -> Iterator[Any]:
    accounts = {"lines": part.lines, "malformed": len(part.malformed), "skipped": part.blank}
    yield _batch({"what": list(accounts), "n": list(accounts.values())}, len(accounts))
    for what, table in (("minute", part.tables.get("minutes")), ("path", part.tables.get("paths"))):
        if table is not None and table.num_rows:
            columns = {name: table.column(name).combine_chunks() for name in table.column_names if name in COLUMNS}
            yield _batch({"what": [what] * table.num_rows, **columns}, table.num_rows)


def _batch(given: dict[str, Any], rows: int) -> Any:
    """A record batch with all columns; those that are not given are null."""
    arrays = []
    for name, kind in COLUMNS.items():
        wanted = getattr(pa, _KINDS[kind])()
        values = given.get(name)
        if values is None:
            arrays.append(pa.nulls(rows, wanted))
        else:
            arrays.append(pa.array(values, wanted) if isinstance(values, list) else values.cast(wanted))
    return pa.RecordBatch.from_arrays(arrays, names=list(COLUMNS))
