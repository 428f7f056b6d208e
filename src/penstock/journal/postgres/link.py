"""One connection to PostgreSQL that is made when first needed, made again when lost, and never waited for forever.

Statements go through libpq itself (psycopg's `pq` layer): an append is one exchange, and every exchange has a deadline.
"""

from __future__ import annotations

import os
import select
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from penstock.core.errors import JournalUnavailable, PenstockError, WrongProcess
from penstock.core.extras import require
from penstock.journal.postgres.failures import Lost, Refused, opening_error, unavailable

if TYPE_CHECKING:
    import psycopg
    from psycopg.pq import ExecStatus
    from psycopg.pq.abc import PGconn, PGresult
else:
    psycopg = require("psycopg", "postgres")
    ExecStatus = psycopg.pq.ExecStatus

T = TypeVar("T")

_FINE = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK, ExecStatus.EMPTY_QUERY})
_TRANSIENT = frozenset({"40001", "40P01", "0A000", "26000"})
"""Worth another try: serialization, deadlock; a plan or a prepared statement that a change of the tables took away."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_CLOSE_WAITS_SECONDS = 3.0
_FRAMES = 150
_READERS: dict[int, Callable[[bytes], Any]] = {
    16: lambda value: value == b"\1",
    17: bytes,
    20: lambda value: int.from_bytes(value, "big", signed=True),
    21: lambda value: int.from_bytes(value, "big", signed=True),
    23: lambda value: int.from_bytes(value, "big", signed=True),
    701: lambda value: struct.unpack("!d", value)[0],
}


def _make_room(frames: int) -> None:
    """See that there is room on the stack: a connection that is half made when it is full could not be closed.

    Raises:
        RecursionError: there is not.
    """
    if frames:
        _make_room(frames - 1)


class Statement(NamedTuple):
    """A statement that is prepared once for each name; all values are binary."""

    name: Any
    sql: Callable[[], str]
    values: Sequence[bytes | None]


class Session:
    """A live connection. Every call ends by its deadline."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._pgconn: PGconn = connection.pgconn
        self._poll = select.poll()
        self._poll.register(self._pgconn.socket, select.POLLIN)
        self._prepared: dict[Any, bytes] = {}

    def execute(self, name: Any, sql: Callable[[], str], values: Sequence[bytes | None], deadline: float) -> int:
        """Execute a statement that is prepared once for each name; all values are binary.

        Returns:
            How many rows it wrote or returned.
        """
        prepared = self._prepare(name, sql, deadline)
        result = self._exchange(
            lambda: self._pgconn.send_query_prepared(prepared, values, [1] * len(values), 1), deadline
        )
        return result.command_tuples or 0

    def execute_all(self, statements: Sequence[Statement], deadline: float) -> list[int]:
        """Execute statements in one exchange; where no transaction was begun, they are one: all or nothing.

        Returns:
            How many rows each wrote or returned.

        Raises:
            Refused: one of them was refused; its `place` tells which.
        """
        prepared = [self._prepare(each.name, each.sql, deadline) for each in statements]
        counts, failed = [], None
        self._pgconn.enter_pipeline_mode()
        try:
            for name, (_, _, values) in zip(prepared, statements, strict=True):
                self._pgconn.send_query_prepared(name, values, [1] * len(values), 1)
            self._pgconn.pipeline_sync()
            self._flush(deadline)
            for place in range(len(statements)):
                result = self._latest(deadline)
                counts.append(result.command_tuples or 0)
                if result.status not in _FINE and failed is None:
                    failed = Refused.by(result, place)
            self._latest(deadline)  # of the synchronization
            self._pgconn.exit_pipeline_mode()
        except psycopg.Error as error:
            raise Lost(str(error)) from error
        if failed is not None:
            raise failed
        return counts

    def _prepare(self, name: Any, sql: Callable[[], str], deadline: float) -> bytes:
        prepared = self._prepared.get(name)
        if prepared is None:
            made = prepared = b"s%d" % len(self._prepared)
            self._exchange(lambda: self._pgconn.send_prepare(made, sql().encode()), deadline)
            self._prepared[name] = prepared
        return prepared

    def query(self, sql: str, parameters: Sequence[Any], deadline: float) -> PGresult:
        """Execute a statement with `?` for its parameters."""
        parts = sql.split("?")
        numbered = "".join(f"{part}${number}" for number, part in enumerate(parts[:-1], start=1)) + parts[-1]
        values: list[bytes | None] = []
        formats = []
        for parameter in parameters:
            binary = isinstance(parameter, (str, bytes))
            value = parameter.encode() if isinstance(parameter, str) else parameter
            values.append(value if value is None or binary else str(value).encode())
            formats.append(1 if binary else 0)
        return self._exchange(
            lambda: self._pgconn.send_query_params(numbered.encode(), values, None, formats, 1), deadline
        )

    def script(self, sql: str, deadline: float) -> None:
        """Execute several statements without parameters."""
        self._exchange(lambda: self._pgconn.send_query(sql.encode()), deadline)

    @contextmanager
    def transaction(self, deadline: float) -> Iterator[None]:
        """Several statements, all or nothing."""
        self.script("BEGIN", deadline)
        try:
            yield
        except Lost:
            raise
        except Exception:
            self.script("ROLLBACK", deadline)
            raise
        self.script("COMMIT", deadline)

    def _exchange(self, send: Callable[[], None], deadline: float) -> PGresult:
        try:
            send()
            self._flush(deadline)
            result = self._latest(deadline)
        except psycopg.Error as error:
            raise Lost(str(error)) from error
        if result.status not in _FINE:
            raise Refused.by(result)
        return result

    def _flush(self, deadline: float) -> None:
        while self._pgconn.flush():
            self._wait(deadline, select.POLLIN | select.POLLOUT)
            self._pgconn.consume_input()

    def _latest(self, deadline: float) -> PGresult:
        """The answer to what was sent: of several, the first that is no success, or else the last."""
        pgconn = self._pgconn
        found: PGresult | None = None
        while True:
            while pgconn.is_busy():
                self._wait(deadline, select.POLLIN)
                pgconn.consume_input()
            latest = pgconn.get_result()
            if latest is None:
                break
            if found is None or found.status in _FINE:
                found = latest
            if latest.status == ExecStatus.PIPELINE_SYNC:  # nothing follows it
                break
        if found is None:
            raise Lost("the connection gave no answer")
        return found

    def _wait(self, deadline: float, events: int) -> None:
        left = deadline - time.monotonic()
        if events != select.POLLIN:
            self._poll.modify(self._pgconn.socket, events)
        try:
            if left <= 0 or not self._poll.poll(left * 1000):
                raise Lost("the server did not answer in time")
        finally:
            if events != select.POLLIN:
                self._poll.modify(self._pgconn.socket, select.POLLIN)

    def close(self) -> None:
        """Let go of the connection."""
        with suppress(psycopg.Error):
            self._connection.close()


def rows_of(result: PGresult) -> list[tuple[Any, ...]]:
    """The rows of a result in Python's types."""
    fields = range(result.nfields)
    readers = [_READERS.get(result.ftype(field), bytes.decode) for field in fields]
    value_of = result.get_value
    rows = []
    for row in range(result.ntuples):
        values = [value_of(row, field) for field in fields]
        rows.append(tuple(None if v is None else read(v) for read, v in zip(readers, values, strict=True)))
    return rows


class Link:
    """A session for one thread at a time, with another when it is lost.

    Args:
        connect: makes a connection within the seconds given.
        prepare: what a new session needs first.
        place: names the server in messages.
        outage_seconds: how long one use may take, lost connections included.
    """

    def __init__(
        self,
        connect: Callable[[float], psycopg.Connection[Any]],
        prepare: Callable[[Session, float], None],
        place: str,
        outage_seconds: float,
    ) -> None:
        self._connect = connect
        self._prepare = prepare
        self._place = place
        self._outage = outage_seconds
        self._lock = threading.RLock()
        self._session: Session | None = None
        self._spoiled: Session | None = None
        self._pid = os.getpid()
        self._closed = False

    def open(self, patient: bool) -> None:
        """Connect for the first time: a mistake in the address is told at once, and a server that starts is awaited.

        Args:
            patient: the address is known to be right; wait for a server that is away, too.

        Raises:
            ConfigurationError, JournalUnavailable: with what to do.
        """
        self.use(lambda session, deadline, lost: None, opening=not patient)

    def use(self, work: Callable[[Session, float, bool], T], *, opening: bool = False, limit: float | None = None) -> T:
        """Do something with the session; when the connection is lost, do it again with another.

        Args:
            work: gets the session, the deadline, and whether an earlier try may have been carried out.
            opening: tell at once when the server cannot be reached.
            limit: another time limit than the outage's, in seconds.

        Raises:
            JournalUnavailable: the time is up.
        """
        if self._pid != os.getpid():
            raise WrongProcess()
        seconds = self._outage if limit is None else limit
        deadline = time.monotonic() + seconds
        try:  # from before the lock is taken: a signal may come between the taking and whatever follows
            if not self._lock.acquire(timeout=seconds):
                raise unavailable(self._place, seconds, "another thread is still waiting for it")
            return self._tries(work, deadline, seconds, opening)
        except BaseException as error:
            mine = self._lock._is_owned()  # type: ignore[attr-defined]
            if mine and not isinstance(error, (Refused, PenstockError)):
                self._discard()
            raise
        finally:
            if self._lock._is_owned():  # type: ignore[attr-defined] # no function around it: the stack may be full
                self._lock.release()

    def _tries(self, work: Callable[[Session, float, bool], T], deadline: float, seconds: float, opening: bool) -> T:
        lost = False
        pause = _FIRST_PAUSE
        while True:
            if self._closed:
                raise JournalUnavailable("This journal was closed.", hint="open it again")
            try:
                session = self._session
                if session is None:
                    session = self._connected(deadline, opening)
                return work(session, deadline, lost)
            except Lost as error:
                lost = True
                reason = str(error)
            except Refused as error:
                if error.sqlstate not in _TRANSIENT:
                    raise
                reason = str(error)
            self._discard()
            left = deadline - time.monotonic()
            if left <= 0:
                raise unavailable(self._place, seconds, reason)
            time.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _connected(self, deadline: float, opening: bool) -> Session:
        _make_room(_FRAMES)
        self._discard()
        try:
            session = Session(self._connect(max(deadline - time.monotonic(), 1.0)))
        except psycopg.OperationalError as error:
            if opening:
                refusal = opening_error(self._place, str(error))
                if refusal is not None:
                    raise refusal from error
            raise Lost(str(error)) from error
        try:
            self._prepare(session, deadline)
        except BaseException:
            session.close()
            raise
        self._session = session
        return session

    def _discard(self) -> None:
        """Never use the session again, and close it: now, or before the next one is made if the stack is full now."""
        if self._session is not None:
            self._spoiled, self._session = self._session, None
        if self._spoiled is not None:
            self._spoiled.close()
            self._spoiled = None

    def close(self) -> None:
        """Let go of the connection, for good."""
        if self._pid != os.getpid():
            return
        self._closed = True
        if self._lock.acquire(
            timeout=_CLOSE_WAITS_SECONDS
        ):  # else a thread is waiting for the server, and sees it soon
            self._discard()
            self._lock.release()
