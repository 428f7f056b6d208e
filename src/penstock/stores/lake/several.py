"""Several tables of the lake as one sink.

Delta has no transactions over several tables. So each table has the batch's order in its own commit, and the position
is committed after them, to a small table of its own. Killed in between, the batch is read again, and the tables that
have it already leave it out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from penstock.core.errors import ConfigurationError, SchemaRefused
from penstock.core.ports.data import Batch, Counts, Landed, Landing, Part, Place, Position, Rejected, Sink
from penstock.stores.lake.delta import Table
from penstock.stores.lake.landing import Done, Share, Writer, forget
from penstock.stores.lake.options import TableOptions, folder_name
from penstock.stores.lake.pipes import BESIDE, Pipe
from penstock.stores.lake.storage import Storage


class TablesSink(Sink):
    """See `Lake.tables`."""

    def __init__(
        self,
        storage: Storage,
        prefix: str,
        options: TableOptions,
        *,
        keys: Mapping[str, Sequence[str]] | None = None,
        table: str = "",
    ) -> None:
        self._storage = storage
        self._prefix = prefix.rstrip("/")
        self._options = options
        self._keys = keys
        self.table = table

    def __repr__(self) -> str:
        return f"<{self._options.mode} into tables of {self.place}>"

    @property
    def place(self) -> Place:
        """See `Sink.place`."""
        return self._storage.place(self._prefix)

    def options_of(self, table: str) -> TableOptions:
        """Those of one table."""
        if self._keys is None:
            return self._options
        keys = tuple(self._keys.get(table, ()))
        return replace(self._options, keys=keys, mode="merge" if keys else "append")

    def name_of(self, table: str) -> str:
        """The name of a part's table.

        Raises:
            SchemaRefused: the part names none, and there is none for such parts.
        """
        if not (table or self.table):
            raise SchemaRefused(
                f"The source has rows that name no table, and {self.place} holds several.",
                hint="lake.tables(..., table=NAME) says where they go; lake.table(...) is for sources of one table",
            )
        return table or self.table

    def opened(self, table: str, pipe: str) -> Pipe:
        """A pipe's end in one of the tables."""
        made = Table.made(self._storage, f"{self._prefix}/{folder_name(table)}")
        made.level = self._options.compression_level
        found = Pipe(made, pipe)
        found.open()
        return found

    def ledger(self, pipe: str) -> Pipe:
        """Where the position is."""
        found = Pipe(Table.made(self._storage, f"{self._prefix}/{BESIDE}"), pipe)
        found.open()
        return found

    def open(self, pipe: str) -> TablesLanding:
        """See `Sink.open`."""
        return TablesLanding(self, self.ledger(pipe), pipe)

    def forget(self, pipe: str) -> None:
        """See `Sink.forget`."""
        if Table.find(self._storage, f"{self._prefix}/{BESIDE}") is None:
            return
        ledger = self.ledger(pipe)
        tables = ledger.state.tables
        forget(ledger)
        for name in tables:
            forget(self.opened(name, pipe))


class TablesLanding(Landing):
    """A pipe's end in several tables."""

    def __init__(self, sink: TablesSink, ledger: Pipe, pipe: str) -> None:
        self._sink = sink
        self._pipe = pipe
        self._ledger = Writer(ledger, TableOptions(compact_every=0, keep_versions=100))
        self._writers: dict[str, Writer] = {}
        for name in ledger.state.tables:
            self._writer(name)
        self.position: Position | None = ledger.state.there
        self.counts = ledger.state.counts

    def _writer(self, table: str) -> Writer:
        if table not in self._writers:
            opened = self._sink.opened(table, self._pipe)
            self._writers[table] = Writer(opened, self._sink.options_of(table))
        return self._writers[table]

    def land(self, batch: Batch) -> Landed:
        """See `Landing.land`."""
        if not (batch.parts or batch.rejected or batch.superseded) and batch.position == self.position:
            return Landed(Counts(), version=str(self._ledger.table.version))
        if batch.order is None:
            raise ConfigurationError(
                "The source numbers no batches (Batch.order), and a lake keeps several tables in step by that number.",
                hint="give each table a pipe of its own, into lake.table(...)",
            )
        shares = self._shares(batch)
        if set(shares) - set(self._writers):  # a table that somebody makes who was replaced would come to light late
            self._ledger.touch()
        done = {name: self._write(name, share) for name, share in shares.items()}
        loose = () if self._sink.table else tuple(one for one in batch.rejected if not one.table)
        counts = sum((one.counts for one in done.values()), Counts())
        self._ledger.write(Share(batch, (), loose, tables=tuple(sorted(self._writers)), counted=counts))
        self._ledger.tidy()
        state = self._ledger.pipe.state
        self.position, self.counts = state.there, state.counts
        counts = state.last
        columns = {f"{name}.{column}": kind for name, one in done.items() for column, kind in one.columns.items()}
        return Landed(counts, version=str(self._ledger.table.version), columns=columns)

    def _shares(self, batch: Batch) -> dict[str, Share]:
        parts: dict[str, list[Part]] = {}
        rejected: dict[str, list[Rejected]] = {}
        for part in batch.parts:
            parts.setdefault(self._sink.name_of(part.table), []).append(part)
        for one in batch.rejected:
            if one.table or self._sink.table:
                rejected.setdefault(self._sink.name_of(one.table), []).append(one)
        return {
            name: Share(batch, tuple(parts.get(name, ())), tuple(rejected.get(name, ())), whole=False)
            for name in {**parts, **rejected}
        }

    def _write(self, name: str, share: Share) -> Done:
        writer = self._writer(name)
        state, order = writer.pipe.state, share.batch.order
        assert order is not None
        if state.order is not None and state.order >= order:
            return Done(state.last)  # committed before, when the position was not
        done = writer.write(share)
        writer.tidy()
        return done

    def close(self) -> None:
        """See `Landing.close`."""
