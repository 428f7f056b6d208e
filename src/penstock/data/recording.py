"""What is recorded of bringing data in: one event for what was read, and one for what was written."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from penstock.core.ports.data import Batch, Counts, Landed, Landing, Place, Sink
from penstock.core.ports.tables import Table
from penstock.engine import datasets

if TYPE_CHECKING:
    import pyarrow as pa

_EVERY_SECONDS = 60.0


class NamedSink(Sink):
    """A sink of which every writing is recorded, in runs and outside of them."""

    @property
    @abstractmethod
    def table(self) -> Table:
        """The table that is written."""

    @abstractmethod
    def declare(self) -> None:
        """Put on record what is said of it."""


class TableSink(NamedSink):
    """A table of which every writing is recorded, though it has no name."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._sink = table.sink()

    @property
    def table(self) -> Table:
        """See `NamedSink.table`."""
        return self._table

    @property
    def place(self) -> Place:
        """See `Sink.place`."""
        return self._sink.place

    def declare(self) -> None:
        """There is nothing to say."""

    def open(self, pipe: str) -> Landing:
        """See `Sink.open`."""
        return self._sink.open(pipe)

    def forget(self, pipe: str) -> None:
        """See `Sink.forget`."""
        self._sink.forget(pipe)


class Recording:
    """Gathers what is committed, and records it at the end; of what goes on and on, once a minute.

    Args:
        source: where rows come from, where that is one place.
        sink: where they go.
        pipe: its name.
        id: the same writing is recorded once.
    """

    def __init__(self, source: Place | None, sink: Sink, pipe: str, id: str = "") -> None:
        self._source = source
        self._sink = sink
        self._pipe = pipe
        self._id = id
        self._journal = datasets.journal_here() if isinstance(sink, NamedSink) else datasets.journal_of_run()
        if self._journal is not None and isinstance(sink, NamedSink):
            sink.declare()
        self._begin()

    def _begin(self) -> None:
        self._counts = Counts()
        self._size = 0
        self._commits = 0
        self._version = ""
        self._columns: Mapping[str, str] | None = None
        self._looked_at = 0
        self._nulls: Counter[str] = Counter()
        self._since = time.monotonic()

    def add(self, batch: Batch, landed: Landed) -> None:
        """This was committed."""
        if self._journal is None or not (batch.parts or batch.rejected):
            return
        self._commits += 1
        self._counts += landed.counts
        self._size += landed.written
        self._version = landed.version or self._version
        tables = {part.table for part in batch.parts}
        if len(tables) == 1 and batch.parts[-1].how in ("append", "upsert"):
            self._columns = {field.name: str(field.type) for field in batch.parts[-1].rows.schema}
            for part in batch.parts:
                self._look(part.rows)
        if time.monotonic() - self._since > _EVERY_SECONDS:
            self.tell()

    def _look(self, rows: pa.Table) -> None:
        self._looked_at += rows.num_rows
        for name, column in zip(rows.column_names, rows.columns, strict=True):
            if nulls := column.null_count:
                self._nulls[name] += nulls

    def tell(self) -> None:
        """Record what was committed since the last time."""
        if self._journal is None or not self._commits:
            return
        address, columns = "", self._columns
        if isinstance(self._sink, NamedSink):
            table = self._sink.table
            address = table.address
            if not table.bare:
                columns = {field.name: str(field.type) for field in table.schema()}
        if self._source is not None:
            datasets.read(self._journal, self._source, rows=self._counts.read)
        what = datasets.Written(
            counts=self._counts,
            version=self._version,
            size=self._size,
            pipe=self._pipe,
            id=self._id,
            address=address,
            columns=columns,
            looked_at=self._looked_at,
            nulls=self._nulls,
            inputs=() if self._source is None else (self._source,),
        )
        datasets.wrote(self._journal, self._sink.place, what)
        self._begin()
