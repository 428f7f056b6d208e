"""The changes of a block as they are, one row for each: the log itself, to be kept.

| column | is |
|---|---|
| `op` | `read` (it was there when the copy was made), `insert`, `update`, `delete` or `truncate` |
| `lsn` | where in the log its transaction was committed; of a `read`, where the copy was made |
| `seq` | its number in the transaction, or in the copy; `(lsn, seq)` is the order of the changes |
| `committed` | when; of a `read`, when the copy was begun |
| `xid` | the number of the transaction; null of a `read` |
| `before` | the row before: all of it with REPLICA IDENTITY FULL, else only its key, where that has changed |
| `after` | the row after the change |
| `unchanged` | columns that are null in `after` because they are large and did not change |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.connectors.cdc.blocks import DELETE, INSERT, UPDATE, Rows, Segment, Transaction
from penstock.connectors.cdc.merging import Merged, rejections
from penstock.connectors.postgres.copying import converted
from penstock.connectors.postgres.fields import UNCHANGED, Field
from penstock.connectors.postgres.types import Column
from penstock.core.extras import require
from penstock.core.ports.data import Part

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

    np = require("numpy", "data")

EPOCH = 946_684_800_000_000
"""PostgreSQL counts microseconds from the year 2000."""
_NAMES = {INSERT: "insert", UPDATE: "update", DELETE: "delete"}


def schema_of(columns: Sequence[Column]) -> Any:
    """The columns of the log of a table."""
    row = pa.struct([pa.field(column.name, column.kind.arrow) for column in columns])
    return pa.schema(
        [
            pa.field("op", pa.string()),
            pa.field("lsn", pa.int64()),
            pa.field("seq", pa.int64()),
            pa.field("committed", pa.timestamp("us", "UTC")),
            pa.field("xid", pa.int64()),
            pa.field("before", row),
            pa.field("after", row),
            pa.field("unchanged", pa.list_(pa.string())),
        ]
    )


def log(segment: Segment, table: str) -> Merged:
    """A segment's changes, one row for each."""
    before, after = segment.tuples()
    columns, rows = segment.relation.columns, segment.rows
    count = len(rows)
    found = Merged()
    good = np.ones(count, bool)
    sides = []
    for some in (before, after):
        fields = [_spread(field, some, count) for field in some.fields]
        arrays, bad = converted(columns, fields, copied=False)
        new = {row: why for row, why in bad.items() if good[row]}
        found.rejected += rejections(segment.relation, fields, new, table)
        good[list(new)] = False
        there = np.zeros(count, bool)
        there[some.changes] = True
        inner = [pa.field(column.name, column.kind.arrow) for column in columns]
        sides.append(pa.StructArray.from_arrays(arrays, fields=inner, mask=pa.array(~there)))
    commit, time, number = segment.block.transactions(rows)
    arrays = [
        pa.array([_NAMES[int(kind)] for kind in segment.kinds], pa.string()),
        pa.array(commit, pa.int64()),
        pa.array(segment.block.counted(rows), pa.int64()),
        pa.array(time + EPOCH, pa.int64()).cast(pa.timestamp("us", "UTC")),
        pa.array(number, pa.int64()),
        *sides,
        _unchanged(columns, [_spread(field, after, count) for field in after.fields]),
    ]
    made = pa.Table.from_arrays(arrays, schema=schema_of(columns))
    if good.any():
        found.parts.append(Part(made if good.all() else made.filter(pa.array(good)), table))
    return found


def emptied(columns: Sequence[Column], transaction: Transaction | None, seq: int, table: str, lsn: int) -> Part:
    """The row that says that a table was emptied."""
    row = {
        "op": "truncate",
        "lsn": transaction.commit if transaction else lsn,
        "seq": seq,
        "committed": None,
        "xid": transaction.number if transaction else None,
    }
    made = pa.Table.from_pylist([row], schema=schema_of(columns))
    if transaction:
        moment = pa.array([transaction.time + EPOCH], pa.int64()).cast(pa.timestamp("us", "UTC"))
        made = made.set_column(3, made.schema.field(3), moment)
    return Part(made, table)


def read(rows: Any, columns: Sequence[Column], table: str, lsn: int, first: int, moment: int) -> Part:
    """Rows of a copy as `read`."""
    count = rows.num_rows
    schema = schema_of(columns)
    inner = schema.field("after").type
    whole = pa.StructArray.from_arrays([column.combine_chunks() for column in rows.columns], fields=list(inner))
    arrays = [
        pa.repeat(pa.scalar("read"), count),
        pa.repeat(pa.scalar(lsn, pa.int64()), count),
        pa.array(np.arange(first, first + count), pa.int64()),
        pa.repeat(pa.scalar(moment, pa.int64()), count).cast(pa.timestamp("us", "UTC")),
        pa.nulls(count, pa.int64()),
        pa.nulls(count, inner),
        whole,
        pa.nulls(count, pa.list_(pa.string())),
    ]
    return Part(pa.Table.from_arrays(arrays, schema=schema), table)


def _spread(field: Field, rows: Rows, count: int) -> Field:
    """A column for all changes; null where there is no such row."""
    starts, sizes = np.zeros(count, np.int64), np.full(count, -1, np.int64)
    starts[rows.changes], sizes[rows.changes] = field.starts, field.sizes
    return Field(field.buffer, starts, sizes)


def _unchanged(columns: Sequence[Column], fields: Sequence[Field]) -> Any:
    left = np.stack([field.sizes == UNCHANGED for field in fields])
    if not left.any():
        return pa.nulls(left.shape[1], pa.list_(pa.string()))
    names = [[column.name for column, out in zip(columns, row, strict=True) if out] or None for row in left.T]
    return pa.array(names, pa.list_(pa.string()))
