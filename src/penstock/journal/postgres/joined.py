"""A step's own transaction in the journal's database, which the record of the step's end is appended in.

The step writes first and the record comes last, so that nobody waits for the run's stream while the step is at work.
Between the append and the commit there is nothing but the answer of the server.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.core.errors import PenstockError, SequenceConflict, StepTransactionFailed
from penstock.core.events import Append, Record
from penstock.core.extras import require
from penstock.core.model import LogLine
from penstock.core.ports import Joined
from penstock.journal.postgres.failures import Lost, Refused
from penstock.journal.postgres.link import Link, Session, rows_of
from penstock.journal.postgres.statements import JOINED_POSITION, MOST_JOINED, POSITION, Batch, Shape, append_sql
from penstock.journal.versions import POSTGRES_SCHEMA

if TYPE_CHECKING:
    import psycopg
    from psycopg.pq import TransactionStatus
else:
    psycopg = require("psycopg", "postgres")
    TransactionStatus = psycopg.pq.TransactionStatus

_UNIQUE = "23505"
_KEPT_OPEN = 8
_FROZEN = "10s"
"""A process that stands still between the append and the commit must not keep the run from everybody else."""
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_SETTINGS = (
    f"SET LOCAL ROLE NONE; SET LOCAL search_path = {POSTGRES_SCHEMA}, pg_temp; "
    f"SET LOCAL idle_in_transaction_session_timeout = '{_FROZEN}'"
)
_STAMP = "SELECT transaction_timestamp()::text"
_HINT = "what it wrote is not there, and the step has failed; with retries=... it is tried again"
Batches = Callable[[Append, Sequence[LogLine]], Iterator[Batch]]


class Pool:
    """Connections for steps, used by one step at a time and again by the next.

    Args:
        connect: makes a connection within the seconds given.
        writer: asks what became of a transaction.
        outage_seconds: how long a server may be away.
        batches: what an append is made of.
    """

    def __init__(self, connect: Callable[[float], Any], writer: Link, outage_seconds: float, batches: Batches) -> None:
        self._connect = connect
        self.writer = writer
        self.outage_seconds = outage_seconds
        self.batches = batches
        self._idle: list[psycopg.Connection[Any]] = []
        self._pid = os.getpid()
        self._closed = False

    def take(self) -> psycopg.Connection[Any]:
        """A connection that nobody else uses, as if it were new."""
        if self._pid != os.getpid():
            self._pid, self._idle = os.getpid(), []
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._opened()
            try:
                connection.execute("DISCARD ALL")
            except psycopg.Error:
                connection.close()
            else:
                return connection

    def _opened(self) -> psycopg.Connection[Any]:
        try:
            made: psycopg.Connection[Any] = self._connect(self.outage_seconds)
        except psycopg.Error as error:
            raise StepTransactionFailed(f"The step cannot write to the journal's database: {error}") from error
        return made

    def give(self, connection: psycopg.Connection[Any]) -> None:
        """The step has ended."""
        idle = connection.pgconn.transaction_status == TransactionStatus.IDLE
        if idle and len(self._idle) < _KEPT_OPEN and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Let go of all that nobody uses."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()


class JoinedTransaction(Joined):
    """See `Joined`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        connection = pool.take()
        try:
            connection.execute(_BEGIN)
            self._begun = connection.execute(_STAMP).fetchone()
        except BaseException:
            connection.close()
            raise
        for name in ("commit", "rollback", "close"):
            setattr(connection, name, partial(_refuse, name))
        self._connection: psycopg.Connection[Any] | None = connection

    @contextmanager
    def block(self) -> Iterator[psycopg.Connection[Any]]:
        """See `Joined.block`."""
        connection = self._connection
        if connection is None:
            raise StepTransactionFailed("The transaction of this step has ended.", hint="use it inside the step only")
        with connection.transaction():
            yield connection

    def append(self, stream: str, expected_seq: int, records: Sequence[Record], logs: Sequence[LogLine] = ()) -> None:
        """See `Joined.append`."""
        connection = self._connection
        if connection is None:
            raise StepTransactionFailed("The transaction of this step has ended already.")
        deadline = time.monotonic() + self._pool.outage_seconds
        session = Session(connection)
        try:
            number = self._checked(connection, session, deadline)
            self._write(session, stream, expected_seq, records, logs, deadline)
        except Lost as error:
            raise self._failed(f"the connection was lost ({error})") from error
        except Refused as error:
            raise self._failed(f"{error} ({error.sqlstate})") from error
        self._commit(session, number, deadline)
        if self._connection is None:  # it was lost, after the commit
            return
        self._connection = None
        for name in ("commit", "rollback", "close"):
            delattr(connection, name)
        self._pool.give(connection)

    def _checked(self, connection: psycopg.Connection[Any], session: Session, deadline: float) -> str:
        """The transaction's number, if it is the one that was begun, and sound."""
        status = connection.pgconn.transaction_status
        if status == TransactionStatus.INERROR:
            raise self._failed("a statement failed outside the block that would have undone it")
        if status != TransactionStatus.INTRANS:
            raise self._failed("it was ended inside the step, or its connection was lost")
        session.script(_SETTINGS, deadline)
        stamp, number = rows_of(session.query(f"{_STAMP}, pg_current_xact_id()::text", (), deadline))[0]
        if (stamp,) != self._begun:
            raise self._failed("it was ended inside the step, and another one begun")
        return str(number)

    def _write(
        self,
        session: Session,
        stream: str,
        expected_seq: int,
        records: Sequence[Record],
        logs: Sequence[LogLine],
        deadline: float,
    ) -> None:
        session.script("SAVEPOINT penstock_end", deadline)
        for start in range(0, len(records), MOST_JOINED):
            part = Append(stream, expected_seq + start, records[start : start + MOST_JOINED])
            rest = logs if start + MOST_JOINED >= len(records) else ()
            for shape, values in self._pool.batches(part, rest):
                if not self._put(session, shape, values, deadline):
                    session.script("ROLLBACK TO penstock_end", deadline)
                    raise SequenceConflict(f"{stream} is not at record {expected_seq} any more.", stream=stream)

    @staticmethod
    def _put(session: Session, shape: Shape, values: Sequence[bytes | None], deadline: float) -> bool:
        def sql() -> str:
            return append_sql(shape).replace(POSITION, JOINED_POSITION)

        try:
            return session.execute(shape, sql, values, deadline) > 0
        except Refused as error:
            if error.sqlstate != _UNIQUE:
                raise
            return False

    def _commit(self, session: Session, number: str, deadline: float) -> None:
        try:
            session.script("COMMIT", deadline)
        except Refused as error:
            raise self._failed(f"{error} ({error.sqlstate})") from error
        except Lost as error:
            self._end()
            if self._became(number) != "committed":
                raise self._failed(f"the connection was lost ({error})") from error

    def _became(self, number: str) -> str:
        """What became of a transaction whose commit nobody answered; only the server knows."""
        sql = "SELECT pg_xact_status(CAST(CAST(? AS TEXT) AS XID8))"

        def ask(session: Session, deadline: float, lost: bool) -> str:
            became = str(rows_of(session.query(sql, (number,), deadline))[0][0])
            if became == "in progress":
                raise Lost("the transaction is still under way")
            return became

        return self._pool.writer.use(ask)

    def _failed(self, why: str) -> StepTransactionFailed:
        self._end()
        return StepTransactionFailed(
            f"What the step wrote in the journal's database was rolled back: {why}.", hint=_HINT
        )

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            delattr(connection, "close")
            with suppress(psycopg.Error):
                connection.close()

    def undo(self) -> None:
        """See `Joined.undo`. The server rolls back what a connection leaves open."""
        self._end()


def _refuse(name: str) -> None:
    raise PenstockError(
        f"{name}() is not for a step: its transaction is committed with the record of its end.",
        hint="return from the task to commit, raise to roll back; a block that raises undoes what was done in it",
    )
