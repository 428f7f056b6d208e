"""The journal in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from penstock.core.errors import JournalError, SequenceConflict
from penstock.core.events import Record, stored_name
from penstock.core.model import LogLine
from penstock.journal.postgres import server
from penstock.journal.postgres.failures import Refused, journal_error
from penstock.journal.postgres.link import Link, Session, rows_of
from penstock.journal.postgres.statements import (
    PLACES,
    VISIBLE,
    Batch,
    append_sql,
    batches,
    body_of,
    log_arrays,
    write_logs_sql,
)
from penstock.journal.sql import CURSOR, TABLES, SqlJournal, log_row, move_cursor_sql
from penstock.journal.text import encodable_records, indexable_values, storable_lines, storable_values
from penstock.journal.versions import HEAD, POSTGRES_SCHEMA

T = TypeVar("T")

_UNIQUE = "23505"
_NOT_STORABLE = ("22021", "54000")
_VACUUM_SECONDS = 3600.0


class PostgresJournal(SqlJournal):
    """A journal in the schema `penstock` of a database; the tables are made when missing.

    Writes go over one connection and reads over another; both are made again when lost. An append is one statement.

    Args:
        url: postgresql://user:password@host:port/database, or any other connection string of libpq.
        outage_seconds: how long to wait for a server that is away (restart, failover) before giving up.

    Raises:
        ConfigurationError: the address, the user or the database is wrong.
        JournalUnavailable: nothing answers there.
        JournalOutdated, JournalTooNew, JournalCorrupt: the database is not touched.
    """

    kind = "postgresql"
    remote = True
    visible = VISIBLE
    ref_test = "strpos(body::text, '\"ref\"') > 0"

    def __init__(self, url: str, *, outage_seconds: float = 60.0) -> None:
        parameters = server.address(url)
        self.location = server.place_of(parameters)
        self.outage_seconds = outage_seconds

        def connect(seconds: float) -> Any:
            return server.connect(parameters, seconds, outage_seconds)

        self._writer = Link(connect, self._prepare_writer, self.location, outage_seconds)
        self._reader = Link(connect, self._prepare_reader, self.location, outage_seconds)
        self._guarded(self._writer.open)

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

    def append(self, run_id: str, expected_seq: int, records: Sequence[Record], logs: Sequence[LogLine] = ()) -> None:
        """See `Journal.append`."""
        if not records:
            self.write_logs(logs)
            return
        if len(records) > 1 << PLACES:
            raise JournalError(f"{len(records):,} records are too many for one append.")

        def plain() -> None:
            self._append(run_id, expected_seq, records, list(batches(run_id, expected_seq, records, logs)))

        def cleaned() -> None:
            clean = encodable_records(records)
            parts = batches(run_id, expected_seq, clean, storable_lines(logs), indexable_values)
            self._append(run_id, expected_seq, clean, list(parts))

        self._guarded(plain, cleaned)

    def _append(self, run_id: str, expected_seq: int, records: Sequence[Record], parts: list[Batch]) -> None:
        def work(session: Session, deadline: float, lost: bool) -> None:
            if not _append_parts(session, parts, deadline) and not (
                lost and _is_there(session, run_id, expected_seq, records, deadline)
            ):
                raise SequenceConflict(f"Run {run_id} is not at record {expected_seq} any more.")

        self._writer.use(work)

    def _fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        def fetch(values: Sequence[Any]) -> list[Any]:
            return self._reader.use(lambda session, deadline, _: rows_of(session.query(sql, values, deadline)))

        return self._guarded(lambda: fetch(parameters), lambda: fetch(storable_values(parameters)))

    def _write(self, statements: Iterable[tuple[str, Sequence[Any]]]) -> list[int]:
        todo = list(statements)

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


def _append_parts(session: Session, parts: list[Batch], deadline: float) -> bool:
    """False when the run's last record is another than expected; then nothing was written."""
    try:
        if len(parts) == 1:
            shape, values = parts[0]
            return session.execute(shape, partial(append_sql, shape), values, deadline) > 0
        with session.transaction(deadline):
            for shape, values in parts:
                if session.execute(shape, partial(append_sql, shape), values, deadline) == 0:
                    raise _Elsewhere
        return True
    except _Elsewhere:
        return False
    except Refused as error:
        if error.sqlstate == _UNIQUE:
            return False
        raise


class _Elsewhere(Exception):
    """The run's last record is another."""


def _is_there(session: Session, run_id: str, after: int, records: Sequence[Record], deadline: float) -> bool:
    """The append whose answer was lost had been committed: these very records follow."""
    sql = "SELECT type, version, at, body::text, data FROM events WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?"
    found = rows_of(session.query(sql, (run_id, after, len(records)), deadline))
    ours = [(*stored_name(event), event.at, body_of(event).decode(), data) for event, data in records]
    return found == ours


def _are_newest(session: Session, lines: Sequence[LogLine], deadline: float) -> bool:
    """The log lines whose answer was lost had been committed: they are the newest ones of the last line's run."""
    run_id = lines[-1].run_id
    ours = [log_row(line) for line in lines if line.run_id == run_id]
    sql = "SELECT run_id, key, at, level, logger, message FROM logs WHERE run_id = ? ORDER BY id DESC LIMIT ?"
    return rows_of(session.query(sql, (run_id, len(ours)), deadline))[::-1] == ours
