"""Rejected records, as Parquet files beside the table."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from penstock.core.errors import DataError
from penstock.core.extras import require
from penstock.core.ports.data import Rejected
from penstock.stores.lake.delta import Table
from penstock.stores.lake.pipes import BESIDE, Attempt, Pipe, tries
from penstock.stores.lake.states import Pile, State

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_LONGEST_RAW = 100_000


def columns() -> pa.Schema:
    """What is kept of a rejected record."""
    text = ("reason", "where", "raw", "table", "pipe")
    return pa.schema([*(pa.field(name, pa.string()) for name in text), pa.field("at", pa.timestamp("us", "UTC"))])


def encoded(rows: pa.Table) -> bytes:
    """A table as a Parquet file."""
    made = io.BytesIO()
    require("pyarrow.parquet", "data").write_table(rows, made, compression="zstd")
    return made.getvalue()


def decoded(data: bytes) -> Any:
    """A Parquet file, to be read."""
    return require("pyarrow.parquet", "data").ParquetFile(io.BytesIO(data))


def keep(pipe: Pipe, attempt: Attempt, rejected: Sequence[Rejected]) -> Pile:
    """Write rejected records; the pile of files with theirs."""
    pile = pipe.state.rejected
    if not rejected:
        return pile
    name = attempt.put(f"{attempt.number}.rejected.parquet", encoded(_rows(pipe.state.pipe, rejected)))

    def fold(above: str, names: list[str], height: int) -> None:
        if height == 1:  # the last of them is this attempt's own file, and so read back from the store too
            arrow = require("pyarrow", "data")
            attempt.put(above, encoded(arrow.concat_tables(decoded(pipe.read(one)).read() for one in names)))
            attempt.obsolete.extend(names)
        else:
            attempt.put(above, "\n".join(names).encode())

    return pile.add(name, fold)


def _rows(pipe: str, rejected: Sequence[Rejected]) -> pa.Table:
    at = datetime.now(UTC)
    plain = [
        {
            "reason": _text(one.reason),
            "where": _text(one.where),
            "raw": _text(one.raw if len(one.raw) <= _LONGEST_RAW else f"{one.raw[:_LONGEST_RAW]}…"),
            "table": _text(one.table),
            "pipe": _text(pipe),
            "at": at,
        }
        for one in rejected
    ]
    return pa.Table.from_pylist(plain, schema=columns())


def _text(text: str) -> str:
    """What UTF-8 cannot say is escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def batches(table: Table) -> Iterator[pa.RecordBatch]:
    """Everything in the quarantine of a table, pipe by pipe."""
    for folder in table.storage.folders(f"{table.path}/{BESIDE}"):
        yield from _of_pipe(table, folder)


def _of_pipe(table: Table, folder: str) -> Iterator[pa.RecordBatch]:
    done = 0
    for _ in tries(f"The quarantine of {table.path}"):
        pipe = Pipe(table, "")
        pipe.folder, pipe.app = folder, f"penstock/{folder.rsplit('/', 1)[1]}"
        state: State = pipe.peek()
        try:
            skipped = 0
            for name in state.rejected.files(pipe.listed, 2):
                for found in decoded(pipe.read(name)).iter_batches():
                    skipped += found.num_rows
                    if skipped > done:  # files are folded meanwhile, and the order of rows stays
                        yield found.slice(max(found.num_rows - (skipped - done), 0))
                        done = skipped
        except DataError:
            if pipe.peek().rejected == state.rejected:
                raise
            continue
        return
