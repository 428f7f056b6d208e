"""The changes of tables in PostgreSQL as a source."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from penstock.connectors.cdc.database import Database
from penstock.connectors.cdc.decoding import prefix_of
from penstock.connectors.cdc.options import Options, WhenLost, default_slot, titled
from penstock.connectors.cdc.position import Where, parsed
from penstock.connectors.cdc.reading import Reading
from penstock.connectors.cdc.slots import LOOK_AGAIN_SECONDS, Lag, Patience, Watch
from penstock.connectors.cdc.stream import Link, Stream
from penstock.connectors.postgres.link import Address, qualified
from penstock.core.errors import ConfigurationError, PenstockError, SourceChanged
from penstock.core.extras import require
from penstock.core.ports.data import Batch, Place, Position, Size, Source

if TYPE_CHECKING:
    import psycopg
else:
    psycopg = require("psycopg", "postgres")

_log = logging.getLogger("penstock.cdc")


class PostgresChanges(Source):
    """Tables of a PostgreSQL database, and every change of them from then on.

    The tables are copied first, and then the server's log is read (logical replication, `pgoutput`). A batch has whole
    transactions, and of each row the last change at most; what comes out is the tables as they were at one moment after
    another. The server keeps its log until the sink has committed what was read of it.

    Args:
        url: `postgresql://user:password@host:5432/database`. The user needs REPLICATION, and SELECT on the tables.
        tables: `schema.table`, several of them. One that is added later is copied then.
        slot: the name of the replication slot, `penstock_` and the name of the database when left out. Each pipe needs
            one of its own, and so do databases of one server. It is made when there is none.
        publication: the name of the publication; that of the slot when left out. It is made when there is none.
        follow: wait for more, for ever; otherwise what was committed up to now is read.
        as_changes: hand out the changes themselves, one row for each (`op`, `lsn`, `seq`, `committed`, `xid`, `before`,
            `after`, `unchanged`), to be added to a table.
        copy: copy what is in the tables first; otherwise only what changes from now on is read.
        keys: columns that tell the rows of a table apart, for tables with REPLICA IDENTITY FULL and no primary key.
        names: the names of the tables in the sink. By default they have those from here; a single one is the table that
            the sink was made for.
        types: what to read columns as, such as `{"public.orders.total": "numeric(20, 4)"}` or `"text"`.
        create_publication: False refuses to make a publication.
        when_lost: what to do when the slot has lost changes: `refuse` to go on (SourceChanged), or empty the tables and
            `copy` them again.
        batch_rows: how many changes make a batch; and rows, of a copy.
        batch_bytes: how many bytes do.
        batch_seconds: a batch is made of what has come in this time.
        whole_rows: a transaction of more changes is handed out in several batches.
        whole_bytes: so is one of more bytes.
        outage_seconds: how long the server may be away before this gives up.
        copy_seconds: how long one snapshot is used for copying before another one is taken.
        warn_bytes: log that the server may keep for the slot before a warning is logged; another one comes when it has
            doubled, and when the server is about to remove it.

    Raises:
        ConfigurationError: some of this cannot be; every mistake is told.
    """

    def __init__(
        self,
        url: str,
        tables: Sequence[str],
        *,
        slot: str | None = None,
        publication: str | None = None,
        follow: bool = False,
        as_changes: bool = False,
        copy: bool = True,
        keys: Mapping[str, Sequence[str]] | None = None,
        names: Mapping[str, str] | None = None,
        types: Mapping[str, str] | None = None,
        create_publication: bool = True,
        when_lost: WhenLost = "refuse",
        batch_rows: int = 50_000,
        batch_bytes: int = 16_000_000,
        batch_seconds: float = 0.2,
        whole_rows: int = 1_000_000,
        whole_bytes: int = 100_000_000,
        outage_seconds: float = 60.0,
        copy_seconds: float = 1800.0,
        warn_bytes: int = 1_000_000_000,
    ) -> None:
        self._address = Address(url)
        self._options = Options(
            tables=(tables,) if isinstance(tables, str) else tuple(tables),
            slot=slot or default_slot(self._address.database),
            publication=publication or slot or default_slot(self._address.database),
            follow=follow,
            as_changes=as_changes,
            copy=copy,
            create_publication=create_publication,
            keys=titled(keys or {}),
            names=names or {},
            types=types or {},
            when_lost=when_lost,
            batch_rows=batch_rows,
            batch_bytes=batch_bytes,
            batch_seconds=batch_seconds,
            whole_rows=whole_rows,
            whole_bytes=whole_bytes,
            outage_seconds=outage_seconds,
            copy_seconds=copy_seconds,
            warn_bytes=warn_bytes,
        )
        self._options.check()
        self._database = Database(self._address, self._options)
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self._landed: int | None = None
        self._waiting: deque[tuple[int, float]] | None = None
        self._watch = Watch(self._options.warn_bytes)

    def __repr__(self) -> str:
        return f"PostgresChanges({str(self._address)!r}, {list(self._options.tables)!r}, slot={self._options.slot!r})"

    @property
    def place(self) -> Place:
        """See `Source.place`."""
        titles = [".".join(qualified(table)) for table in self._options.tables]
        return self._address.place(titles[0] if len(titles) == 1 else f"{{{','.join(titles)}}}")

    def batches(self, position: Position | None) -> Iterator[Batch]:
        """See `Source.batches`."""
        where, bound = self._begin(position)
        reading = Reading(self._database, where, bound, lambda: self._landed, self._streams)
        batches = self._watched(reading)
        if self._options.follow:
            yield from batches
            return
        held = Batch((), where.position, last=True, order=where.order)
        for batch in batches:
            if batch.position != held.position or batch.parts:
                if held.parts or held.rejected or held.position != where.position:
                    yield held
                held = batch
        yield Batch(
            held.parts, held.position, held.rejected, held.superseded, last=True, order=held.order, size=held.size
        )

    def _watched(self, reading: Reading) -> Iterator[Batch]:
        """Remember when what is handed out was committed."""
        with self._lock:
            self._waiting = deque()
        for batch in reading.batches():
            if reading.oldest is not None and batch.read:
                with self._lock:
                    self._waiting.append((reading.where.order, reading.oldest))
            if self._watch.due:
                with suppress(PenstockError):  # it is the reading itself that tells what is wrong with the server
                    self._watch.look(self._options.slot, self.lag())
            yield batch

    def _begin(self, position: Position | None) -> tuple[Where, int | None]:
        """Where to go on, and where to stop."""
        database = self._database
        where = None if position is None else Where.of(position)
        self._landed = None
        with self._address.translated():
            database.check()
            tables = database.tables()
            session = database.session()
            try:
                patience = Patience(self._options.slot, "until the slot is made")
                while (usable := database.slot.check(session, where)) is None:
                    patience.turn()
                    database.flush()
                    time.sleep(LOOK_AGAIN_SECONDS)
            except SourceChanged:
                if self._options.when_lost == "refuse":
                    raise
                where, usable = None, False
                _log.warning("the slot %s has lost changes: the tables are copied again", self._options.slot)
            again = position is not None and where is None
            system = self._system()
            if where is not None and where.system != system and self._options.when_lost == "copy":
                where, again = None, True
            if not usable or again:
                database.slot.drop(session)
                patience = Patience(self._options.slot, "to make its slot")
                for _ in database.slot.create():
                    patience.turn()
                    database.flush()
            if where is None:
                where = Where(system, self._confirmed(), copied=() if self._options.copy else tuple(tables))
            where = where.only(tables)
            new = {title: again for title in tables if title not in where.copied and title not in where.copying}
            return where.again(new), None if self._options.follow else database.now()

    def _system(self) -> str:
        link = Link(self._address)
        try:
            return link.identify()
        finally:
            link.close()

    def _confirmed(self) -> int:
        sql = "SELECT (confirmed_flush_lsn - '0/0')::int8 FROM pg_replication_slots WHERE slot_name = %s"
        row = self._database.session().execute(sql, [self._options.slot]).fetchone()
        return int(row[0]) if row else 0

    def landed(self, position: Position) -> None:
        """See `Source.landed`: the server may forget its log up to here."""
        lsn = parsed(position["lsn"])
        with self._lock:
            while self._waiting and self._waiting[0][0] <= position["order"]:
                self._waiting.popleft()
            if self._landed is not None and lsn <= self._landed:
                return
            self._landed = lsn
            if self._stream is not None:
                return
            self._advance(lsn)

    def _advance(self, lsn: int) -> None:
        """Tell the server while nothing is streamed. It is told again with the next batch if that fails."""
        try:
            with self._address.connect() as connection:
                self._database.slot.advance(connection, lsn)
        except (PenstockError, psycopg.Error) as error:
            _log.warning("the slot %s was not told what has landed: %s", self._options.slot, error)

    def _streams(self, stream: Stream | None) -> None:
        """A stream was opened, which tells the server from now on; or it was closed, and has told all it knew."""
        with self._lock:
            former, self._stream = self._stream, stream
            if stream is None and former is not None and self._landed is not None and former.told != self._landed:
                self._advance(self._landed)

    def size(self, position: Position | None) -> Size:
        """See `Source.size`: the size of the tables to be copied, or of the log to be read."""
        if self._options.follow:
            return Size()
        where = None if position is None else Where.of(position)
        with self._address.translated():
            size = self._database.size(where, [qualified(table) for table in self._options.tables])
        return Size(bytes=size or None)

    def lag(self) -> Lag:
        """How far the sink is behind the server; asks the server.

        Raises:
            SourceChanged: there is no slot (any more).
        """
        with self._lock:
            oldest = None if self._waiting is None else self._waiting[0][1] if self._waiting else 0.0
        with self._address.connect() as connection, self._address.translated():
            lag = self._database.slot.lag(connection, oldest)
        if lag is None:
            raise SourceChanged(f"There is no replication slot {self._options.slot}.")
        return lag

    def copy_again(self, *tables: str) -> None:
        """Have tables emptied and copied again by whoever reads from the slot, now or the next time.

        The wish goes through the log itself, so that it comes after all changes that were committed before.

        Raises:
            ConfigurationError: a table is none of those that are followed.
        """
        titles = [".".join(qualified(table)) for table in tables]
        known = [".".join(qualified(table)) for table in self._options.tables]
        if wrong := [title for title in titles if title not in known] or not titles:
            raise ConfigurationError(f"{wrong if titles else 'Nothing'} is to be copied again.", hint=f"one of {known}")
        with self._address.connect() as connection, self._address.translated():
            connection.execute(
                "SELECT pg_logical_emit_message(true, %s, %s)", (prefix_of(self._options.slot), json.dumps(titles))
            )

    def drop(self) -> None:
        """Do away with the slot and the publication. The server keeps its log for a slot as long as it exists."""
        with self._address.connect() as connection, self._address.translated():
            self._database.slot.drop(connection)
            connection.execute(f'DROP PUBLICATION IF EXISTS "{self._options.publication}"')

    def close(self) -> None:
        """See `Source.close`."""
        self._database.close()
