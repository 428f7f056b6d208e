"""The journal in PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from penstock.core.errors import JournalError, SequenceConflict
from penstock.core.events import Append, Record, stored_name
from penstock.core.extras import LateModule
from penstock.core.model import LogLine
from penstock.core.ports import Joined, Watch
from penstock.journal.access import Execute
from penstock.journal.claims import CLAIMABLE
from penstock.journal.postgres import server
from penstock.journal.postgres.failures import Refused, journal_error
from penstock.journal.postgres.link import Link, Session, Statement, rows_of
from penstock.journal.postgres.once import Once
from penstock.journal.postgres.statements import (
    CHANNEL,
    PLACES,
    VISIBLE,
    Batch,
    Clean,
    Part,
    append_sql,
    batches,
    body_of,
    log_arrays,
    parts_of,
    write_logs_sql,
)
from penstock.journal.postgres.watch import NotifyWatch
from penstock.journal.sql import CURSOR, TABLES, SqlJournal, log_row, move_cursor_sql
from penstock.journal.text import encodable_records, indexable_values, storable, storable_lines, storable_values
from penstock.journal.versions import HEAD, POSTGRES_SCHEMA

T = TypeVar("T")

_joined: Any = LateModule("penstock.journal.postgres.joined")
_UNIQUE = "23505"
_NOT_STORABLE = ("22021", "54000")
_VACUUM_SECONDS = 3600.0
_WATCH_SECONDS = 2.0


class PostgresJournal(SqlJournal):
    """A journal in the schema `penstock` of a database; the tables are made when missing.

    Writes go over one connection and reads over another; both are made again when lost. An append is one statement.

    Args:
        url: postgresql://user:password@host:port/database, or any other connection string of libpq.
        outage_seconds: how long to wait for a server that is away (restart, failover) before giving up.
        patient: wait for it also when opening, where the address is known to be right.

    Raises:
        ConfigurationError: the address, the user or the database is wrong.
        JournalUnavailable: nothing answers there.
        JournalOutdated, JournalTooNew, JournalCorrupt: the database is not touched.
    """

    kind = "postgresql"
    remote = True
    lateral = True
    visible = VISIBLE
    moment_sql = "SELECT pg_current_snapshot()::text"  # positions are not committed in their order
    ref_test = "strpos(body::text, '\"ref\"') > 0"

    def __init__(self, url: str, *, outage_seconds: float = 60.0, patient: bool = False) -> None:
        parameters = server.address(url)
        self.location = server.place_of(parameters)
        self.outage_seconds = outage_seconds

        def connect(seconds: float) -> Any:
            return server.connect(parameters, seconds, outage_seconds)

        self._connect = connect

        self._writer = Link(connect, self._prepare_writer, self.location, outage_seconds)
        self._reader = Link(connect, self._prepare_reader, self.location, outage_seconds)
        self._guarded(lambda: self._writer.open(patient))
        self._steps: Any = None
        self._joining = threading.Lock()

    def _prepare_writer(self, session: Session, deadline: float) -> None:
        self._prepare_reader(session, deadline)
        session.script("SET plan_cache_mode = force_generic_plan", deadline)
        server.ensure_tables(session, self.location, deadline)

    def _prepare_reader(self, session: Session, deadline: float) -> None:
        session.script(server.settings_sql(self.outage_seconds), deadline)

    def _guarded(self, work: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        """Translate refusals; text that cannot be stored is made storable, and then it is done `again`."""
        try:
            return work()
        except UnicodeEncodeError:
            if again is None:
                raise
        except Refused as error:
            if again is None or error.sqlstate not in _NOT_STORABLE:
                raise journal_error(error, self.location) from error
        return self._guarded(again)

    def append(self, stream: str, expected_seq: int, records: Sequence[Record], logs: Sequence[LogLine] = ()) -> None:
        """See `Journal.append`."""
        if not records:
            self.write_logs(logs)
            return
        _check_number(len(records))

        def write(item: Append, logs: Sequence[LogLine], clean: Clean = _as_it_is) -> None:
            self._append([item], [Part((item.stream,), batch) for batch in batches(*item, logs, clean)])

        item = Append(stream, expected_seq, records)
        self._guarded(lambda: write(item, logs), lambda: write(_storable(item), storable_lines(logs), indexable_values))

    def commit(self, appends: Sequence[Append], cursor: tuple[str, int, int] | None = None) -> None:
        """See `Journal.commit`."""

        def write(appends: Sequence[Append], clean: Clean = _as_it_is) -> None:
            self._append(appends, _parts(appends, clean), cursor)

        told = [item for item in appends if item.records]
        self._guarded(lambda: write(told), lambda: write(list(map(_storable, told)), indexable_values))

    def _append(
        self,
        items: Sequence[Append],
        parts: Sequence[Part],
        cursor: tuple[str, int, int] | None = None,
        then: Sequence[tuple[str, Sequence[Any]]] = (),
        exact: bool = False,
    ) -> None:
        def work(session: Session, deadline: float, lost: bool) -> None:
            begin = all(item.expected_seq == 0 for item in items)
            other = _append_parts(session, parts, begin, cursor, deadline, then, exact)
            if other is None or (lost and _are_there(session, items, cursor, deadline)):
                return
            if other == _CURSOR:
                raise SequenceConflict(f"The cursor {cursor and cursor[0]!r} was moved by somebody else.")
            if other == _ROW:
                raise SequenceConflict("Somebody else was faster.")
            raise SequenceConflict(f"{other} is not where it was expected any more.", stream=other)

        self._writer.use(work)

    def _append_with(
        self, items: Sequence[Append], statements: Sequence[tuple[str, Sequence[Any]]], *, exact: bool = False
    ) -> None:
        stored = [_storable(item) for item in items if item.records]
        self._guarded(lambda: self._append(stored, _parts(stored, indexable_values), None, statements, exact))

    def _replacing(self, told: Sequence[Append], statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """With a VACUUM of the table, which is small: what was there has left the database's own files as well."""
        super()._replacing(told, statements)
        with suppress(JournalError):  # what was asked for is done
            self._write([("VACUUM connections", ())])

    def join(self) -> Joined:
        """See `Journal.join`."""
        with self._joining:
            if self._steps is None:
                self._steps = _joined.Pool(self._connect, self._writer, self.outage_seconds, _batches_of)
        made: Joined = _joined.JoinedTransaction(self._steps)
        return made

    def _exclusively(self, lock: str, work: Callable[[Execute], T]) -> T:
        once = Once(lock, work)
        return self._guarded(lambda: self._writer.use(once))

    def _claims(self, run_ids: Sequence[str], at: int, body: str, before: int) -> tuple[str, Sequence[Any]]:
        sql = (
            "INSERT INTO events (position, stream, seq, type, version, at, body) SELECT "
            f"(pg_current_xact_id()::text::int8 << {PLACES}) + CAST(? AS BIGINT) + row_number() OVER () - 1, id, "
            "(SELECT max(seq) FROM events WHERE stream = runs.id) + 1, 'RunClaimed', 1, CAST(? AS BIGINT), "
            f"CAST(? AS JSON) FROM runs WHERE id IN ({', '.join('?' * len(run_ids))}) AND {CLAIMABLE}"
        )
        return sql, (before, at, body, *run_ids)

    def watch(self) -> Watch:
        """See `Journal.watch`."""
        return NotifyWatch(partial(self._connect, _WATCH_SECONDS))

    def _wake(self) -> None:
        self._fetch(f"SELECT pg_notify('{CHANNEL}', '')")

    def _fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        def fetch(values: Sequence[Any]) -> list[Any]:
            return self._reader.use(lambda session, deadline, _: rows_of(session.query(sql, values, deadline)))

        return self._guarded(lambda: fetch(parameters), lambda: fetch(storable_values(parameters)))

    def _write(self, statements: Iterable[tuple[str, Sequence[Any]]]) -> list[int]:
        todo = [(sql, storable_values(values)) for sql, values in statements]

        def work(session: Session, deadline: float, lost: bool) -> list[int]:
            if len(todo) == 1:
                return [session.query(*todo[0], deadline).command_tuples or 0]
            with session.transaction(deadline):
                return [session.query(sql, values, deadline).command_tuples or 0 for sql, values in todo]

        return self._guarded(lambda: self._writer.use(work))

    def move_cursor(self, name: str, expected: int, position: int) -> bool:
        """See `Journal.move_cursor`."""

        def work(session: Session, deadline: float, lost: bool) -> bool:
            sql, values = move_cursor_sql(name, expected, position)
            if session.query(sql, values, deadline).command_tuples:
                return True
            found = rows_of(session.query(CURSOR, (name,), deadline)) if lost else []
            return bool(found) and found[0][0] == position

        return self._guarded(lambda: self._writer.use(work))

    def write_logs(self, lines: Sequence[LogLine]) -> None:
        """See `Journal.write_logs`."""
        if not lines:
            return

        def write(some: Sequence[LogLine]) -> None:
            values = log_arrays(some)

            def work(session: Session, deadline: float, lost: bool) -> None:
                if not (lost and _are_newest(session, some, deadline)):
                    session.execute("logs", write_logs_sql, values, deadline)

            self._writer.use(work)

        self._guarded(lambda: write(lines), lambda: write(storable_lines(lines)))

    def _delete_statements(self, run_id: str) -> list[tuple[str, Sequence[Any]]]:
        """Appends under way end before the lock is granted, and later ones find their predecessor gone."""
        lock = "LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE"
        return [(lock, ()), *super()._delete_statements(run_id)]

    def status(self) -> Mapping[str, Any]:
        """See `Journal.status`."""
        size = (
            "SELECT sum(pg_total_relation_size(oid))::int8 FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace = ?::text::regnamespace"
        )
        return {**super().status(), "layout": HEAD, "bytes": self._fetch(size, (POSTGRES_SCHEMA,))[0][0]}

    def vacuum(self) -> None:
        """See `Journal.vacuum`. PostgreSQL keeps most of the space for what comes next, and locks nobody out."""

        def work(session: Session, deadline: float, lost: bool) -> None:
            session.script("SET statement_timeout = 0", deadline)
            for table in TABLES:
                session.script(f"VACUUM (ANALYZE) {table}", deadline)
            session.script(server.settings_sql(self.outage_seconds), deadline)

        self._guarded(lambda: self._reader.use(work, limit=_VACUUM_SECONDS))

    def close(self) -> None:
        """See `Journal.close`."""
        self._writer.close()
        self._reader.close()
        if self._steps is not None:
            self._steps.close()


def _batches_of(item: Append, logs: Sequence[LogLine]) -> Iterator[Batch]:
    """What an append is made of, text made storable from the start: there is no second try."""
    return batches(*_storable(item), storable_lines(logs), indexable_values)


def _parts(appends: Sequence[Append], clean: Clean) -> list[Part]:
    """The statements of several appends in one transaction."""
    _check_number(sum(len(item.records) for item in appends))
    return list(parts_of(appends, clean))


def _as_it_is(columns: Sequence[str], values: Any) -> Any:
    return values


def _storable(item: Append) -> Append:
    return Append(storable(item.stream), item.expected_seq, encodable_records(item.records))


def _check_number(records: int) -> None:
    if records > 1 << PLACES:
        raise JournalError(f"{records:,} records are too many for one commit.")


def _append_parts(
    session: Session,
    parts: Sequence[Part],
    begin: bool,
    cursor: tuple[str, int, int] | None,
    deadline: float,
    then: Sequence[tuple[str, Sequence[Any]]],
    exact: bool,
) -> str | None:
    """Write all of it. The stream whose last record is another than expected, if there is one: nothing was written."""
    try:
        if cursor is None and not then and (len(parts) == 1 or begin):
            _execute(session, parts, deadline)
            return None
        with session.transaction(deadline):
            if cursor is not None and not session.query(*move_cursor_sql(*cursor), deadline).command_tuples:
                raise _Elsewhere((_CURSOR,))
            _execute(session, parts, deadline)
            for sql, parameters in then:
                if session.query(sql, parameters, deadline).command_tuples != 1 and exact:
                    raise _Elsewhere((_ROW,))
        return None
    except _Elsewhere as found:
        return found.streams[0] if len(found.streams) == 1 else _which(session, found.streams, deadline)
    except Refused as error:
        if error.sqlstate == _UNIQUE:
            return _ROW
        raise


def _execute(session: Session, parts: Sequence[Part], deadline: float) -> None:
    """Append in one exchange.

    Raises:
        _Elsewhere: the last record of a stream is another than expected.
    """
    statements = [Statement(shape, partial(append_sql, shape), values) for _, (shape, values) in parts]
    try:
        if len(statements) == 1:
            counts = [session.execute(*statements[0], deadline)]
        else:
            counts = session.execute_all(statements, deadline) if statements else []
    except Refused as error:
        if error.sqlstate == _UNIQUE:
            raise _Elsewhere(parts[error.place].streams) from error
        raise
    for part, count in zip(parts, counts, strict=True):
        if not count:
            raise _Elsewhere(part.streams)


def _which(session: Session, streams: Sequence[str], deadline: float) -> str:
    """The first of these streams that was begun by somebody else."""
    marks = ", ".join("?" * len(streams))
    sql = f"SELECT stream FROM events WHERE seq = 1 AND stream IN ({marks})"
    begun = {stream for (stream,) in rows_of(session.query(sql, streams, deadline))}
    return next((stream for stream in streams if stream in begun), _ROW)


_CURSOR, _ROW = "(cursor)", "(row)"


class _Elsewhere(Exception):
    """The last record of one of these streams, or the cursor, is another."""

    def __init__(self, streams: tuple[str, ...]) -> None:
        super().__init__(*streams)
        self.streams = streams


def _are_there(session: Session, items: Sequence[Append], cursor: tuple[str, int, int] | None, deadline: float) -> bool:
    """The commit whose answer was lost had been carried out: these very records follow."""
    if not items:
        found = rows_of(session.query(CURSOR, (cursor[0],), deadline)) if cursor else []
        return bool(found) and cursor is not None and found[0][0] == cursor[2]
    stream, after, records = items[0]
    sql = "SELECT type, version, at, body::text, data FROM events WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?"
    found = rows_of(session.query(sql, (stream, after, len(records)), deadline))
    ours = [(*stored_name(event), event.at, body_of(event).decode(), data) for event, data in records]
    return found == ours


def _are_newest(session: Session, lines: Sequence[LogLine], deadline: float) -> bool:
    """The log lines whose answer was lost had been committed: they are the newest ones of the last line's run."""
    run_id = lines[-1].run_id
    ours = [log_row(line) for line in lines if line.run_id == run_id]
    sql = "SELECT run_id, key, at, level, logger, message FROM logs WHERE run_id = ? ORDER BY id DESC LIMIT ?"
    return rows_of(session.query(sql, (run_id, len(ours)), deadline))[::-1] == ours
