"""One reading of a database's changes: copies of tables, and the log, in turns.

Tables are copied from a snapshot that belongs to a place in the log. First the log is read up to that place, so that
what has been copied before, from an older snapshot, comes to be as it was there; then rows are copied on from where the
copy was left. So a copy may be broken off and taken up again at any time, and may be of one table while others are
followed; and there is only one way of doing it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.connectors.cdc import changelog
from penstock.connectors.cdc.blocks import Block, Transaction
from penstock.connectors.cdc.database import Database
from penstock.connectors.cdc.decoding import Decoder, emptied
from penstock.connectors.cdc.position import Copying, Where, shown
from penstock.connectors.cdc.relations import Table
from penstock.connectors.cdc.slots import AGAIN, Patience, check_system
from penstock.connectors.cdc.snapshots import Snapshot
from penstock.connectors.cdc.stream import Busy, Link, Stream
from penstock.connectors.postgres import copying
from penstock.connectors.postgres.fields import Field
from penstock.connectors.postgres.link import Lost, is_passing
from penstock.core.errors import SourceChanged, SourceUnavailable
from penstock.core.extras import require
from penstock.core.ports.data import Batch, Part, Rejected

if TYPE_CHECKING:
    import psycopg
else:
    psycopg = require("psycopg", "postgres")

_log = logging.getLogger("penstock.cdc")
_SEGMENT = 16 * 1024 * 1024
"""The log is kept in files of this size: a slot that moves less sets nothing free."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_GONE = (
    psycopg.errors.UndefinedObject,
    psycopg.errors.UndefinedFile,
    psycopg.errors.ObjectNotInPrerequisiteState,
)


class Reading:
    """Goes on from a position.

    Args:
        database: what is read.
        where: the position.
        bound: where the log ends for this reading; None where it goes on for ever.
        confirmed: gives how far everything has landed.
        streams: told of the stream that is open, and of None when it is closed.

    Attributes:
        where: what has been handed out.
        oldest: when the first transaction of the last batch was committed, in seconds since 1970; None for a copy.
    """

    def __init__(
        self,
        database: Database,
        where: Where,
        bound: int | None,
        confirmed: Callable[[], int | None],
        streams: Callable[[Stream | None], None],
    ) -> None:
        self._database, self._options, self._bound = database, database.options, bound
        self._confirmed, self._streams = confirmed, streams
        self.where = self._told = where
        self.oldest: float | None = None
        self._tables: dict[str, Table] = {}
        self._inside: Transaction | None = None
        self._before = 0
        self._failing: float | None = None

    def batches(self) -> Generator[Batch, None, None]:
        """Everything up to the bound, over outages of the server; while nothing comes, batches with nothing in them."""
        pause = _FIRST_PAUSE
        while True:
            try:
                done = yield from self._turn()
                if done:
                    return
                pause = _FIRST_PAUSE
            except (Lost, Busy, SourceUnavailable, psycopg.Error) as error:
                self._bear(error)
                deadline = time.monotonic() + pause
                while (left := deadline - time.monotonic()) > 0:
                    time.sleep(min(left, 0.5))
                    yield self._nothing()
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _bear(self, error: Exception) -> None:
        """Return where another try may help; raise what it comes to otherwise."""
        address, slot = self._database.address, self._options.slot
        if isinstance(error, _GONE):
            raise SourceChanged(f"{address} cannot go on with the slot {slot}: {error}", hint=AGAIN) from error
        if isinstance(error, psycopg.Error) and not is_passing(error):
            with address.translated():
                raise error
        now = time.monotonic()
        self._failing = self._failing or now
        if now - self._failing < self._options.outage_seconds:
            return
        if isinstance(error, SourceUnavailable):
            raise error
        if isinstance(error, Busy):
            raise SourceUnavailable(
                f"{address}: another process reads from the slot {slot} ({error}).",
                hint="stop it, or give each pipe a slot of its own",
            ) from error
        raise SourceUnavailable(
            f"{address} could not be used for {self._options.outage_seconds:g} s: {error}"
        ) from error

    def _turn(self) -> Generator[Batch, None, bool]:
        """A copy from one snapshot, or the log until something is to be copied; true when all is done."""
        if self.where.copying:
            yield from self._copy()
            return False
        if self._bound is not None and self.where.lsn >= self._bound:
            return True
        if not self._tables:
            self._tables = self._database.tables()
        yield from self._log(self._bound)
        return self._bound is not None and not self.where.copying

    # ------------------------------------------------------------------------------------------------ the log

    def _log(self, bound: int | None) -> Generator[Batch, None, None]:
        """The log up to a place, or until a table is to be copied."""
        stream = yield from self._opened()
        database = self._database
        decoder = Decoder(self._options, self._tables, database.types, database.fetch)
        self._inside, self._before = None, 0
        self._streams(stream)
        try:
            while not self.where.copying or bound is not None:
                messages, sizes = stream.read(bound)
                self._failing = None
                if messages:
                    yield from self._block(decoder, messages, sizes)
                elif stream.reached and bound is not None:
                    yield from self._moved(bound, least=_SEGMENT)
                    return
                else:
                    yield from self._moved(stream.end, least=1 if stream.asked else _SEGMENT)
                    yield self._nothing()
        finally:
            stream.close()
            self._streams(None)

    def _opened(self) -> Generator[Batch, None, Stream]:
        options = self._options
        link = Link(self._database.address)
        try:
            check_system(self.where, link.identify())
            stream = Stream(link, options.slot, options.publication, options.limits, self._confirmed)
            yield from self._patiently(stream.start(self.where.lsn), "to begin with the log")
        except BaseException:
            link.close()
            raise
        return stream

    def _moved(self, lsn: int, least: int) -> Generator[Batch, None, None]:
        """Nothing of ours was committed up to here; say so where it is far enough to set some of the log free."""
        if lsn - self.where.lsn >= least:
            self.where = self.where.at(lsn)
            yield self._batch()

    def _block(self, decoder: Decoder, messages: bytearray, sizes: list[int]) -> Generator[Batch, None, None]:
        """What a block of messages comes to."""
        skip = max(0, self.where.changes - self._before)
        block = Block(messages, sizes, self._inside, self._before, skip)
        first = block.first
        if self.where.commit and (first is None or first.commit != self.where.commit):
            raise SourceChanged(
                f"The transaction that was committed at {shown(self.where.commit)} is not in the log any more.",
                hint=AGAIN,
            )
        decoded = decoder.decode(block, self.where.skips)
        self.oldest = None if first is None else (first.time + changelog.EPOCH) / 1_000_000
        before = self.where
        if block.end:
            self._inside, self._before = None, 0
            self.where = before.at(block.end)
        else:
            self._inside, self._before = block.transaction(len(sizes) - 1), self._before + block.count
            if self._inside is not None and self._before > before.changes:
                self.where = before.within(self._inside.commit, self._before)
        if decoded.again:
            self.where = self.where.again(dict.fromkeys(decoded.again, True))
        if decoded.parts or decoded.rejected or decoded.superseded or decoded.again:
            yield self._batch(decoded.parts, decoded.rejected, decoded.superseded, block.size)
        elif self.where.lsn - self._told.lsn >= _SEGMENT:
            yield self._batch(size=block.size)
        else:
            self.where = replace(self.where, order=before.order)

    # ------------------------------------------------------------------------------------------------ copies

    def _copy(self) -> Generator[Batch, None, None]:
        """Rows of the tables that are to be copied, from one snapshot."""
        snapshot = Snapshot(self._database.address, self._options.slot)
        try:
            yield from self._patiently(snapshot.open(), "to copy tables", self._database.flush)
            check_system(self.where, snapshot.system)
            if snapshot.lsn < self.where.lsn:
                raise SourceChanged(f"The log of the server ends before {shown(self.where.lsn)}.", hint=AGAIN)
            self._tables = self._database.tables()
            if any(not self.where.skips(table) for table in self._tables):
                yield from self._log(snapshot.lsn)
            self.where = replace(self.where, lsn=snapshot.lsn, commit=0, changes=0)
            for number, title in enumerate(self.where.copying):
                if number and not self._fresh(snapshot):  # however long it took, some rows are copied
                    return
                if snapshot.hold(self._tables[title]):
                    yield from self._rows(snapshot, self._tables[title])
        finally:
            snapshot.close()

    def _fresh(self, snapshot: Snapshot) -> bool:
        """A snapshot keeps the server from cleaning up, so it is not used for ever; nor are there orders for ever."""
        return snapshot.seconds < self._options.copy_seconds and self.where.has_room(snapshot.lsn)

    def _rows(self, snapshot: Snapshot, table: Table) -> Generator[Batch, None, None]:
        """The rows of a table from where the copy was left."""
        copy = self.where.copying[table.title]
        options, width, seq = self._options, len(table.columns), 1
        name = options.name(table.title)
        for chunk in snapshot.rows(table, copy.after, rows=options.batch_rows, size=options.batch_bytes):
            self._failing = self.oldest = None
            fields, keys = chunk.fields[:width], chunk.fields[width:]
            rows = copying.made(table.columns, fields, copied=True)
            first = seq == 1 and copy.after is None
            parts = [self._empty(table, name, snapshot)] if first and copy.empty else []
            if rows.table.num_rows or (first and chunk.last):
                parts.append(self._part(rows.table, table, name, snapshot, seq))
            seq += len(chunk)
            after = None if chunk.last else tuple(str(key.value(-1)) for key in keys)
            self._copied(table, after, snapshot.lsn)
            rejected = [
                Rejected(
                    why,
                    f"{table.title} ({_named(table, keys, row)})",
                    copying.shown(table.columns, fields, row, copied=True),
                    name,
                )
                for row, why in sorted(rows.bad.items())
            ]
            yield self._batch(parts, rejected, size=chunk.size)
            if not chunk.last and table.key and not self._fresh(snapshot):
                return

    def _copied(self, table: Table, after: tuple[str, ...] | None, lsn: int) -> None:
        """Rows up to a key have been handed out. Without a key nobody knows which: a copy of those begins anew."""
        self.where = self.where.copied_on(table.title, after, lsn)
        if after is not None and not table.key:
            self.where = replace(self.where, copying={**self.where.copying, table.title: Copying(None, empty=True)})

    def _empty(self, table: Table, name: str, snapshot: Snapshot) -> Part:
        if self._options.as_changes:
            return changelog.emptied(table.columns, None, 0, name, snapshot.lsn)
        return emptied(table.columns, name)

    def _part(self, rows: Any, table: Table, name: str, snapshot: Snapshot, seq: int) -> Part:
        if self._options.as_changes:
            return changelog.read(rows, table.columns, name, snapshot.lsn, seq, snapshot.moment)
        return Part(rows, name, "upsert", table.key)

    # ------------------------------------------------------------------------------------------------ all of it

    def _patiently(
        self, waiting: Iterator[None], what: str, meanwhile: Callable[[], None] = lambda: None
    ) -> Generator[Batch, None, None]:
        """Go on with something that may have to wait for others; say so where it takes long."""
        patience = Patience(self._options.slot, what)
        for _ in waiting:
            patience.turn()
            meanwhile()
            yield self._nothing()

    def _batch(
        self,
        parts: list[Part] | None = None,
        rejected: list[Rejected] | None = None,
        superseded: int = 0,
        size: int = 0,
    ) -> Batch:
        self._told = where = self.where
        rejects = tuple(rejected or ())
        return Batch(tuple(parts or ()), where.position, rejects, superseded, order=where.order, size=size)

    def _nothing(self) -> Batch:
        return Batch((), self._told.position, order=self._told.order)


def _named(table: Table, keys: list[Field], row: int) -> str:
    return ", ".join(f"{name}={key.value(row)}" for name, key in zip(table.key, keys, strict=True))
