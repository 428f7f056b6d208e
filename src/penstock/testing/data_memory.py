"""A source and a sink in memory, for tests of pipes, and to say what a source and a sink do with the fewest words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penstock.core.errors import PipeTakenOver
from penstock.core.extras import require
from penstock.core.ports.data import Batch, Counts, Landed, Landing, Part, Place, Position, Rejected, Sink, Size, Source

if TYPE_CHECKING:
    import pyarrow as pa


class MemorySource(Source):
    """Hands out records from a list, which may grow.

    Args:
        records: what there is; a record that is a `Rejected` cannot land.
        rows: how many of them make a batch.
    """

    def __init__(self, records: Sequence[dict[str, Any] | Rejected], *, rows: int = 3) -> None:
        self.records = list(records)
        self.rows = rows
        self.told: Position | None = None

    @property
    def place(self) -> Place:
        """See `Source.place`."""
        return Place("memory", "records")

    def batches(self, position: Position | None) -> Iterator[Batch]:
        """See `Source.batches`."""
        start = position["next"] if position else 0
        last = False
        while not last:
            some = self.records[start : start + self.rows]
            start += len(some)
            last = start == len(self.records)
            good = [record for record in some if not isinstance(record, Rejected)]
            yield Batch(
                parts=(Part(table_of(good)),) if good else (),
                position={"next": start},
                rejected=tuple(record for record in some if isinstance(record, Rejected)),
                last=last,
                order=start,
            )

    def landed(self, position: Position) -> None:
        """See `Source.landed`."""
        self.told = position

    def size(self, position: Position | None) -> Size:
        """See `Source.size`."""
        return Size(rows=len(self.records) - (position["next"] if position else 0))


@dataclass
class Memory:
    """What several sinks share, as if it were a database.

    Attributes:
        tables: rows by table.
        rejected: the quarantine.
        pipes: position, counts and epoch of each pipe.
    """

    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    pipes: dict[str, tuple[str | None, Counts, int]] = field(default_factory=dict)


class MemorySink(Sink):
    """Keeps rows in a `Memory`.

    Args:
        memory: where; its own when left out.
        table: the table of parts that name none.
        keys: rows are merged by these columns; without any, they are added.
    """

    def __init__(self, memory: Memory | None = None, *, table: str = "rows", keys: Sequence[str] = ()) -> None:
        self.memory = memory or Memory()
        self.table = table
        self.keys = tuple(keys)

    @property
    def place(self) -> Place:
        """See `Sink.place`."""
        return Place("memory", self.table)

    def open(self, pipe: str) -> Landing:
        """See `Sink.open`."""
        return _MemoryLanding(self, pipe)

    def forget(self, pipe: str) -> None:
        """See `Sink.forget`."""
        self.memory.pipes.pop(pipe, None)


class _MemoryLanding(Landing):
    def __init__(self, sink: MemorySink, pipe: str) -> None:
        self._sink, self._pipe = sink, pipe
        position, self.counts, epoch = sink.memory.pipes.get(pipe, (None, Counts(), 0))
        self._epoch = epoch + 1
        sink.memory.pipes[pipe] = (position, self.counts, self._epoch)
        self.position = None if position is None else json.loads(position)

    def land(self, batch: Batch) -> Landed:
        """See `Landing.land`."""
        memory = self._sink.memory
        if memory.pipes.get(self._pipe, (None, None, None))[2] != self._epoch:
            raise PipeTakenOver()
        position = json.dumps(batch.position)  # whatever may fail comes before anything is changed
        landed = superseded = 0
        for part in batch.parts:
            rows = memory.tables.setdefault(part.table or self._sink.table, [])
            keys = self._sink.keys if part.how == "append" else part.key or self._sink.keys
            if part.how == "truncate":
                rows.clear()
                continue
            fresh = part.rows.to_pylist()
            landed += len(fresh)
            if part.how == "append" and keys:
                latest = {tuple(row[key] for key in keys): row for row in fresh}
                superseded += len(fresh) - len(latest)
                fresh = list(latest.values())
            if part.how == "append" and not keys:
                rows.extend(fresh)
                continue
            by_key = {tuple(row.get(key) for key in keys): row for row in rows}
            for row in fresh:
                key = tuple(row[key] for key in keys)
                if part.how == "delete":
                    by_key.pop(key, None)
                else:
                    by_key[key] = {**by_key.get(key, {}), **row}
            rows[:] = by_key.values()
        memory.rejected.extend(batch.rejected)
        counts = Counts(batch.read, landed - superseded, superseded + batch.superseded, len(batch.rejected))
        self.counts += counts
        self.position = batch.position
        memory.pipes[self._pipe] = (position, self.counts, self._epoch)
        return Landed(counts)

    def close(self) -> None:
        """See `Landing.close`."""


def table_of(rows: Sequence[dict[str, Any]], schema: pa.Schema | None = None) -> pa.Table:
    """An Arrow table of records that have the same columns."""
    arrow = require("pyarrow", "data")
    table: pa.Table = arrow.Table.from_pylist(list(rows), schema=schema)
    return table
