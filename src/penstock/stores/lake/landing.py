"""One table of the lake as a sink."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from penstock.core.errors import PenstockError, SchemaRefused
from penstock.core.ports.data import Batch, Counts, Landed, Landing, Part, Place, Position, Rejected, Sink
from penstock.core.rows import conform
from penstock.stores.lake import spool, upkeep
from penstock.stores.lake.changes import Plan, clauses_of, matching, planned, source_of
from penstock.stores.lake.delta import Table, Ticket
from penstock.stores.lake.options import TableOptions
from penstock.stores.lake.pipes import Attempt, Pipe, Stale, tries
from penstock.stores.lake.quarantine import keep
from penstock.stores.lake.schemas import added, is_new
from penstock.stores.lake.states import Pile, State, encoded
from penstock.stores.lake.storage import Storage

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
_TRIM_EVERY = 100
_log = logging.getLogger("penstock.stores.lake")


@dataclass(frozen=True)
class Share:
    """What a table gets of a batch.

    Attributes:
        batch: the whole of it.
        parts: the table's.
        rejected: the table's.
        whole: this table keeps the position, and counts what the source has superseded.
        tables: see `State.tables`.
        counted: what became of records that other tables got.
    """

    batch: Batch
    parts: tuple[Part, ...]
    rejected: tuple[Rejected, ...]
    whole: bool = True
    tables: tuple[str, ...] = ()
    counted: Counts = field(default_factory=Counts)


@dataclass(frozen=True)
class Done:
    """What was committed: the counts of the share, and the columns that it added."""

    counts: Counts
    columns: Mapping[str, str] = field(default_factory=dict)


def until_done(pipe: Pipe, commit: Callable[[Attempt], T]) -> T:
    """Plan a commit again whenever another writer has changed the table."""
    for _ in tries(f"The table {pipe.table.path}"):
        try:
            return commit(pipe.attempt())
        except Stale:
            continue
    raise AssertionError  # `tries` ends with an error


class Writer:
    """Commits a pipe's shares to a table."""

    def __init__(self, pipe: Pipe, options: TableOptions) -> None:
        self.pipe = pipe
        self.options = options

    @property
    def table(self) -> Table:
        """The table."""
        return self.pipe.table

    def write(self, share: Share) -> Done:
        """Commit it; planned again whenever another writer has changed the table."""
        return until_done(self.pipe, lambda attempt: self._try(attempt, share))

    def touch(self) -> None:
        """Make sure that nobody has opened the pipe since."""
        until_done(self.pipe, lambda attempt: attempt.commit(self.pipe.state, self.table.touch))

    def _try(self, attempt: Attempt, share: Share) -> Done:
        before, state = self.table.schema, self.pipe.state
        swapping = self.options.swapping
        schema = spool.columns_of(state) if swapping and self.options.mode == "replace" else before
        options = self.options if is_new(before) else replace(self.options, partition_by=tuple(self.table.partition_by))
        plan = planned(share.parts, schema, options, self._where())
        rejected = keep(self.pipe, attempt, (*share.rejected, *plan.rejected))
        counts = plan.counts(share.batch if share.whole else None, len(share.rejected)) + share.counted
        after = replace(
            state,
            position=encoded(share.batch.position) if share.whole else None,
            counts=state.counts + counts,
            order=share.batch.order,
            last=counts,
            rejected=rejected,
            commits=state.commits + 1,
            tables=share.tables,
        )
        if swapping:
            after, write = self._swap(attempt, plan, after, share.batch.last)
        else:
            write = self._change(plan, before)
        attempt.commit(after, write)
        return Done(counts, {} if is_new(self.table.schema) else added(before, self.table.schema))

    def _where(self) -> str:
        position = self.pipe.state.position
        return f"{self.table.path} after {position[:200]}" if position else f"{self.table.path} from the beginning"

    def _change(self, plan: Plan, before: pa.Schema) -> Callable[[Ticket], None]:
        """The write that carries out a plan."""
        table, options = self.table, self.options
        if plan.kind == "nothing":
            return table.touch
        if is_new(before):
            rows = plan.all_rows()
            return lambda ticket: table.replace(rows, ticket, options.partition_by)
        if plan.kind == "overwrite" or (plan.kind == "merge" and table.empty):
            rows = plan.all_rows()
            return lambda ticket: table.overwrite(rows, ticket)
        if plan.kind == "merge":
            source, clauses = source_of(plan), clauses_of(plan, plan.schema)
            return lambda ticket: table.merge(source, matching(plan.keys, source), clauses, ticket)
        rows = plan.all_rows()
        return lambda ticket: table.append(rows, ticket)

    def _swap(self, attempt: Attempt, plan: Plan, after: State, last: bool) -> tuple[State, Callable[[Ticket], None]]:
        """Put rows aside, or put all of them in place."""
        before = self.pipe.state
        pile = before.spool
        if plan.fresh:
            attempt.obsolete.extend(spool.put_aside_before(self.pipe, pile))
            pile = Pile()
        rows = plan.all_rows()
        if not last:
            pile = spool.put_aside(self.pipe, attempt, rows, pile)
            after = replace(after, spool=pile, columns=_columns(plan), loading=True)
            return after, self.table.touch
        attempt.obsolete.extend(spool.put_aside_before(self.pipe, pile))
        position = None if self.options.mode == "replace" else after.position
        after = replace(after, position=position, spool=Pile(), columns="", loading=False)
        return after, self._swapped(plan.schema, pile, rows)

    def _swapped(self, columns: pa.Schema, pile: Pile, rows: pa.Table) -> Callable[[Ticket], None]:
        table, options, pipe = self.table, self.options, self.pipe
        if is_new(columns):  # there was nothing to read
            return table.touch if is_new(table.schema) else lambda ticket: table.overwrite(_none(table), ticket)
        if options.mode == "replace" or is_new(table.schema):
            return lambda ticket: table.replace(spool.stream(pipe, pile, rows, columns), ticket, options.partition_by)
        where = spool.partitions(pipe, pile, rows, table.partition_by) if table.partition_by else "true"
        if not where:
            return table.touch
        return lambda ticket: table.overwrite(spool.stream(pipe, pile, rows, columns), ticket, where)

    def tidy(self) -> None:
        """Keep the table quick to open and to read. What goes wrong here harms nobody."""
        commits, options = self.pipe.state.commits, self.options
        try:
            if options.compact_every and commits % options.compact_every == 0:
                upkeep.compact_small(self.table)
            if options.keep_versions and commits % _TRIM_EVERY == 0:
                upkeep.trim(self.table, options.keep_versions)
        except PenstockError as error:
            _log.warning("%s was not tidied up: %s", self.table.path, error.message)


def _columns(plan: Plan) -> str:
    return "" if is_new(plan.schema) else spool.told(plan.schema)


def _none(table: Table) -> pa.Table:
    return conform(table.schema.empty_table(), table.schema).rows


class TableSink(Sink):
    """See `Lake.table`."""

    def __init__(self, storage: Storage, path: str, options: TableOptions) -> None:
        self._storage = storage
        self._path = path
        self._options = options

    def __repr__(self) -> str:
        return f"<{self._options.mode} into {self.place}>"

    @property
    def place(self) -> Place:
        """See `Sink.place`."""
        return self._storage.place(self._path)

    def open(self, pipe: str) -> TableLanding:
        """See `Sink.open`."""
        return TableLanding(_opened(self._storage, self._path, pipe, self._options), self._options)

    def forget(self, pipe: str) -> None:
        """See `Sink.forget`."""
        if Table.find(self._storage, self._path) is None:
            return
        forget(_opened(self._storage, self._path, pipe, self._options))


def _opened(storage: Storage, path: str, pipe: str, options: TableOptions) -> Pipe:
    table = Table.made(storage, path)
    table.level = options.compression_level
    opened = Pipe(table, pipe)
    opened.open()
    return opened


def forget(pipe: Pipe) -> None:
    """Begin anew; what the pipe has put aside for a load goes away."""

    def commit(attempt: Attempt) -> None:
        attempt.obsolete.extend(spool.put_aside_before(pipe, pipe.state.spool))
        attempt.commit(pipe.state.begun_anew(), pipe.table.touch)

    until_done(pipe, commit)


class TableLanding(Landing):
    """A pipe's end in one table."""

    def __init__(self, pipe: Pipe, options: TableOptions) -> None:
        self._writer = Writer(pipe, options)
        self.position: Position | None = pipe.state.there
        self.counts = pipe.state.counts

    def land(self, batch: Batch) -> Landed:
        """See `Landing.land`."""
        table, state = self._writer.table, self._writer.pipe.state
        for name in {part.table for part in batch.parts} - {"", table.path, table.path.rsplit("/", 1)[1]}:
            raise SchemaRefused(
                f"The source has rows for the table {name!r}, and this sink is for {table.path} only.",
                hint="lake.tables(...) is for sources of several tables",
            )
        if not (batch.parts or batch.rejected or batch.superseded or batch.last) and batch.position == self.position:
            return Landed(Counts(), version=str(table.version))
        done = self._writer.write(Share(batch, batch.parts, batch.rejected, tables=state.tables))
        self.position, self.counts = self._writer.pipe.state.there, self._writer.pipe.state.counts
        version, written = str(table.version), table.written()
        self._writer.tidy()
        return Landed(done.counts, version=version, written=written, columns=done.columns)

    def close(self) -> None:
        """See `Landing.close`."""
