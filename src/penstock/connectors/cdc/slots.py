"""The replication slot: the server's own memory of how far its changes have been taken."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.connectors.cdc.position import Where, parsed, shown
from penstock.connectors.cdc.stream import Link
from penstock.connectors.postgres.link import Address
from penstock.core.errors import ConfigurationError, SourceChanged
from penstock.core.extras import require

if TYPE_CHECKING:
    import psycopg
else:
    psycopg = require("psycopg", "postgres")

LOOK_SECONDS = 60.0
LOOK_AGAIN_SECONDS = 0.02
"""While a slot is being made."""
SLOW_SECONDS = 10.0
_log = logging.getLogger("penstock.cdc")
_STATE = """
SELECT plugin::text, database::text, active_pid, wal_status::text, confirmed_flush_lsn::text, restart_lsn::text,
       current_database()::text, (pg_current_wal_lsn() - coalesce(confirmed_flush_lsn, '0/0'))::int8,
       (pg_current_wal_lsn() - coalesce(restart_lsn, pg_current_wal_lsn()))::int8,
       extract(epoch FROM clock_timestamp())::float8
FROM pg_replication_slots WHERE slot_name = %s
"""
AGAIN = (
    'copy the tables again: give when_lost="copy" once (rows that are gone are deleted), or restart the pipe '
    "(restart=True) into an empty table"
)


@dataclass(frozen=True)
class Lag:
    """How far the reader is behind the server.

    Attributes:
        bytes: log that was written and has not been confirmed by the sink.
        held: log that the server keeps for this slot. It is more than `bytes`: a transaction is kept from its first
            change on.
        status: what PostgreSQL says of it: `reserved`, `extended`, `unreserved` (it will be gone soon), `lost`.
        seconds: how long ago the oldest change was committed that has been read here and has not landed; 0 where there
            is none, None where nothing is being read.
    """

    bytes: int
    held: int
    status: str
    seconds: float | None = None


class Patience:
    """Says, once, that something waits for others where it takes long.

    Args:
        slot: whose reader waits.
        what: what for, as it comes behind "waits".
    """

    def __init__(self, slot: str, what: str) -> None:
        self._slot, self._what = slot, what
        self._end: float | None = time.monotonic() + SLOW_SECONDS

    def turn(self) -> None:
        """It still waits."""
        if self._end is not None and time.monotonic() > self._end:
            self._end = None
            _log.warning("%s waits %s: see pg_stat_activity for old transactions", self._slot, self._what)


class Watch:
    """Warns of a slot for which the server keeps more and more of its log.

    Args:
        bytes: so many are too many; after a warning, twice as many as there were.
    """

    def __init__(self, bytes: int) -> None:
        self._bytes = self._next = bytes
        self._status = "reserved"
        self._looked = -LOOK_SECONDS

    @property
    def due(self) -> bool:
        """It is time to look again."""
        return time.monotonic() - self._looked >= LOOK_SECONDS

    def look(self, slot: str, lag: Lag) -> None:
        """Take note of how much there is."""
        self._looked = time.monotonic()
        told = f"the server keeps {lag.held / 1e6:,.0f} MB of its log for the slot {slot}"
        if lag.status == "unreserved" != self._status:
            _log.warning("%s, and is about to remove it: max_slot_wal_keep_size is too small for this pipe", told)
        elif lag.held >= self._next:
            _log.warning("%s: this pipe is slower than the changes, or a transaction has been open for long", told)
        if lag.held >= self._next:
            self._next = 2 * lag.held
        elif lag.held < self._bytes:
            self._next = self._bytes
        self._status = lag.status


class Slot:
    """A replication slot by its name."""

    def __init__(self, address: Address, name: str) -> None:
        self._address, self.name = address, name

    def lag(self, connection: psycopg.Connection[Any], oldest: float | None) -> Lag | None:
        """How much log waits; None where there is no slot.

        Args:
            connection: to ask.
            oldest: when the oldest change was committed that has not landed (seconds since 1970); 0 for none.
        """
        row = connection.execute(_STATE, [self.name]).fetchone()
        if row is None:
            return None
        seconds = oldest and max(0.0, row[9] - oldest)
        return Lag(max(0, row[7]), max(0, row[8]), row[3] or "lost", seconds)

    def check(self, connection: psycopg.Connection[Any], where: Where | None) -> bool | None:
        """Whether it is there, and has what comes after a position.

        Returns:
            False where there is none and none is needed yet, or where there is one that is of no use any more; None
            while it is still being made, be it for a process that has died meanwhile.

        Raises:
            ConfigurationError: it is another kind of slot.
            SourceChanged: the log after the position is gone.
        """
        row = connection.execute(_STATE, [self.name]).fetchone()
        if row is None:
            if where is not None:
                raise self._changed("was dropped")
            return False
        plugin, database, _, status, confirmed, _, here = row[:7]
        if confirmed is None and status != "lost" and database is not None:  # one without is of another kind
            return None
        if plugin != "pgoutput" or database != here:
            what = f"of the plugin {plugin}" if plugin != "pgoutput" else f"of the database {database}"
            raise ConfigurationError(f"The slot {self.name} is {what}.", hint="give another name: slot=...")
        if status == "lost":
            if where is not None:
                raise self._changed("was left behind: the server has removed the log that it needs")
            return False
        if where is not None and confirmed is not None and parsed(confirmed) > where.lsn:
            raise self._changed(
                f"has been read up to {confirmed} by somebody else, and this pipe only to {shown(where.lsn)}"
            )
        return True

    def _changed(self, what: str) -> SourceChanged:
        return SourceChanged(f"The replication slot {self.name} {what}: changes are missing.", hint=AGAIN)

    def create(self) -> Iterator[None]:
        """Make it; comes back from time to time while transactions run that began before."""
        link = Link(self._address)
        try:
            yield from link.ask(f'CREATE_REPLICATION_SLOT "{self.name}" LOGICAL pgoutput NOEXPORT_SNAPSHOT'.encode())
        finally:
            link.close()

    def advance(self, connection: psycopg.Connection[Any], lsn: int) -> None:
        """Tell the server, while nothing is streamed, how far everything has landed."""
        sql = (
            "SELECT pg_replication_slot_advance(slot_name, %s::pg_lsn) FROM pg_replication_slots "
            "WHERE slot_name = %s AND active_pid IS NULL AND confirmed_flush_lsn < %s::pg_lsn"
        )
        connection.execute(sql, (shown(lsn), self.name, shown(lsn)))

    def drop(self, connection: psycopg.Connection[Any]) -> None:
        """Do away with it, if it is there."""
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", [self.name]
        )


def check_system(where: Where, system: str) -> None:
    """See that the cluster is the one that a position is of.

    Raises:
        SourceChanged: it is another one.
    """
    if where.system != system:
        raise SourceChanged("The server is another one than the changes were read from before.", hint=AGAIN)
