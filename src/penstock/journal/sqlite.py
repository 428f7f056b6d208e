"""The default journal: one SQLite file in WAL mode, shared by any number of processes on one machine.

Every write begins with BEGIN IMMEDIATE, so that a writer waits for its turn instead of failing half-way. A commit
survives the death of the process; with `full` it is also fsynced and survives a power loss.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from penstock.core.errors import (
    JournalCorrupt,
    JournalError,
    JournalFull,
    JournalReadOnly,
    JournalUnavailable,
    SequenceConflict,
    WrongProcess,
)
from penstock.core.events import Append, Event, Record, UnknownEvent, encode_event, now_us, stored_name
from penstock.core.model import LogLine
from penstock.core.ports import Watch
from penstock.journal.access import Execute
from penstock.journal.claims import CLAIMABLE
from penstock.journal.projections import Projection, ordered, projections_of, statement
from penstock.journal.sql import INSERT_EVENT, INSERT_LOG, SqlJournal, log_row, move_cursor_sql
from penstock.journal.text import encodable_records, storable, storable_lines, storable_values
from penstock.journal.versions import HEAD, check_version, schema_sql
from penstock.journal.wakes import SocketWatch, wake_all

_SQL: dict[type[Event], tuple[tuple[str, Projection], ...]] = {}

_ONE_MORE_DELETED = (
    "INSERT INTO bookmarks (name, seq, saved_at, data) VALUES ('journal/deleted', 1, ?, x'') "
    "ON CONFLICT (name) DO UPDATE SET seq = bookmarks.seq + 1"
)
_TOMBSTONE = "RunDeleted"
_KNOWN_RUNS = 5000
_FORK_WAITS_SECONDS = 1.0
_CLOSE_WAITS_SECONDS = 3.0
_OTHERS_WAIT_MS = 500

T = TypeVar("T")

_open: weakref.WeakSet[SqliteJournal] = weakref.WeakSet()


def _statements(kind: type[Event]) -> tuple[tuple[str, Projection], ...]:
    found = tuple((statement(projection, "?"), projection) for projection in projections_of(kind))
    _SQL[kind] = found
    return found


class SqliteJournal(SqlJournal):
    """A journal file.

    Args:
        path: the file; it and its folder are made when missing.
        full: fsync every commit.
        wait_seconds: how long to wait for other writers.

    Raises:
        JournalCorrupt, JournalTooNew, JournalOutdated: the file is not touched.
        JournalReadOnly: the folder cannot be written.
    """

    kind = "sqlite"
    kept = f"type <> '{_TOMBSTONE}'"
    ref_test = "instr(body, CAST('\"ref\"' AS BLOB)) > 0"

    def __init__(self, path: Path, *, full: bool = False, wait_seconds: float = 60.0) -> None:
        self.path = path
        self.location = str(path)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._known: dict[str, int] = {}
        with translated(path):
            self._ensure_folder()
            self._connection = self._connect(full, wait_seconds)
        self._execute = self._connection.execute
        _open.add(self)

    def _ensure_folder(self) -> None:
        folder = self.path.parent
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if folder.name == ".penstock" and not ignore.exists():
            ignore.write_text("*\n")

    def _connect(self, full: bool, wait_seconds: float) -> sqlite3.Connection:
        check_header(self.path)
        connection = sqlite3.connect(
            self.path, timeout=wait_seconds, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            if not self._has_tables(connection):
                with self._creation_lock():
                    if not self._has_tables(connection):
                        self._create(connection)
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
            connection.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
            connection.execute("PRAGMA cache_size = -1000")  # others' commits empty it; in a worker it only fills
        except BaseException:
            connection.close()
            raise
        return connection

    def _has_tables(self, connection: sqlite3.Connection) -> bool:
        """Whether there is a journal; a file that is something else, or has another layout, is refused."""
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables:
            return False
        if "alembic_version" not in tables or "events" not in tables:
            raise JournalCorrupt(f"{self.path} is a SQLite file, but not a Penstock journal. It was not touched.")
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        check_version(row[0] if row else "(none)", self.location)
        return True

    def _create(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.executescript(
            f"BEGIN IMMEDIATE; {schema_sql('sqlite')} INSERT INTO alembic_version VALUES ('{HEAD}'); COMMIT;"
        )

    @contextmanager
    def _creation_lock(self) -> Iterator[None]:
        with open(self.path.with_suffix(".lock"), "w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def append(self, stream: str, expected_seq: int, records: Sequence[Record], logs: Sequence[LogLine] = ()) -> None:
        """See `Journal.append`."""
        try:
            self._append(stream, expected_seq, records, logs)
        except UnicodeEncodeError:
            clean = encodable_records(records)
            self._append(storable(stream), expected_seq, clean, storable_lines(logs), storable_values)
        self._wake_for(records)

    def _append(
        self,
        stream: str,
        expected_seq: int,
        records: Sequence[Record],
        logs: Sequence[LogLine],
        clean: Callable[[Any], Any] | None = None,
    ) -> None:
        if self._pid != os.getpid():
            raise WrongProcess()
        execute = self._execute
        with self._lock:
            try:
                if self._connection.in_transaction:  # a signal came between a statement and what undoes it
                    execute("ROLLBACK")
                try:
                    execute("BEGIN IMMEDIATE")
                    self._put(stream, expected_seq, records, clean)
                    if logs:
                        self._connection.executemany(INSERT_LOG, map(log_row, logs))
                    execute("COMMIT")
                except BaseException:
                    self._known.pop(stream, None)
                    if self._connection.in_transaction:
                        execute("ROLLBACK")
                    raise
            except (sqlite3.Error, sqlite3.Warning) as error:
                if getattr(error, "sqlite_errorname", "") == "SQLITE_CONSTRAINT_UNIQUE":
                    raise _conflict(stream, expected_seq) from error
                raise journal_error(error, self.path) from error

    def _put(self, stream: str, seq: int, records: Sequence[Record], clean: Callable[[Any], Any] | None) -> None:
        """The rows of an append, inside a transaction. Without records there is nothing to compare either."""
        if not records:
            return
        execute = self._execute
        if self._known.get(stream) != seq:
            self._check_last(stream, seq)
        for event, data in records:
            seq += 1
            kind = type(event)
            name, version = stored_name(event)
            body = encode_event(event if kind is not UnknownEvent else event.body)  # type: ignore[attr-defined]
            execute(INSERT_EVENT, (stream, seq, name, version, event.at, body, data))
            for sql, projection in _SQL.get(kind) or _statements(kind):
                for values in projection.rows(stream, event, data):
                    execute(sql, ordered(projection, values if clean is None else clean(values)))
        self._known[stream] = seq

    def commit(self, appends: Sequence[Append], cursor: tuple[str, int, int] | None = None) -> None:
        """See `Journal.commit`."""
        try:
            self._commit(appends, cursor, None)
        except UnicodeEncodeError:
            clean = [Append(storable(stream), seq, encodable_records(records)) for stream, seq, records in appends]
            self._commit(clean, cursor, storable_values)
        self._wake_for([record for item in appends for record in item.records])

    def _commit(
        self,
        appends: Sequence[Append],
        cursor: tuple[str, int, int] | None,
        clean: Callable[[Any], Any] | None,
        then: Sequence[tuple[str, Sequence[Any]]] = (),
        exact: bool = False,
    ) -> None:
        try:
            with self._transaction() as connection:
                if cursor is not None:
                    sql, values = move_cursor_sql(*cursor)
                    if connection.execute(sql, tuple(values)).rowcount != 1:
                        raise SequenceConflict(f"The cursor {cursor[0]!r} is not at {cursor[1]} any more.")
                for stream, seq, records in appends:
                    try:
                        self._put(stream, seq, records, clean)
                    except sqlite3.IntegrityError as error:
                        if error.sqlite_errorname != "SQLITE_CONSTRAINT_UNIQUE":
                            raise
                        raise _conflict(stream, seq) from error
                for sql, values in then:
                    if self._rows(sql, values).rowcount != 1 and exact:
                        raise SequenceConflict("Somebody else was faster.")
        except BaseException:
            self._known.clear()
            raise

    def _append_with(
        self, items: Sequence[Append], statements: Sequence[tuple[str, Sequence[Any]]], *, exact: bool = False
    ) -> None:
        self._commit(items, None, None, statements, exact)

    def _replacing(self, told: Sequence[Append], statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """With zeros in the place of what was there; in the write-ahead log too, unless others are busy reading it."""
        with self._set("secure_delete", 1):
            super()._replacing(told, statements)
        with self._set("busy_timeout", _OTHERS_WAIT_MS):
            self._fetch("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _set(self, setting: str, value: int) -> Iterator[None]:
        before = self._fetch(f"PRAGMA {setting}")[0][0]
        self._fetch(f"PRAGMA {setting} = {value}")
        try:
            yield
        finally:
            self._fetch(f"PRAGMA {setting} = {before}")

    def _check_last(self, stream: str, expected_seq: int) -> None:
        """The unique index refuses a number that is taken; this, one that lies ahead. Once for each run."""
        if len(self._known) > _KNOWN_RUNS:
            self._known.clear()
        if expected_seq == 0:
            self._execute("DELETE FROM events WHERE stream = ? AND type = ?", (stream, _TOMBSTONE))
        elif not self._execute("SELECT 1 FROM events WHERE stream = ? AND seq = ?", (stream, expected_seq)).fetchone():
            raise _conflict(stream, expected_seq)

    def _fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        if self._pid != os.getpid():
            raise WrongProcess()
        with self._lock, translated(self.path):
            return self._rows(sql, parameters).fetchall()

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._execute(sql, tuple(values))
        except UnicodeEncodeError:
            return self._execute(sql, storable_values(values))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if self._pid != os.getpid():
            raise WrongProcess()
        with self._lock, translated(self.path):
            if self._connection.in_transaction:
                self._execute("ROLLBACK")
            try:
                self._execute("BEGIN IMMEDIATE")
                yield self._connection
                self._execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._execute("ROLLBACK")
                raise

    def _write(self, statements: Iterable[tuple[str, Sequence[Any]]]) -> list[int]:
        with self._transaction():
            return [self._rows(sql, values).rowcount for sql, values in statements]

    def _exclusively(self, lock: str, work: Callable[[Execute], T]) -> T:
        with self._transaction():
            return work(lambda sql, values=(): self._rows(sql, values).fetchall())

    def _claims(self, run_ids: Sequence[str], at: int, body: str, before: int) -> tuple[str, Sequence[Any]]:
        sql = (
            "INSERT INTO events (stream, seq, type, version, at, body) SELECT id, "
            "(SELECT max(seq) FROM events WHERE stream = runs.id) + 1, 'RunClaimed', 1, ?, ? FROM runs "
            f"WHERE id IN ({', '.join('?' * len(run_ids))}) AND {CLAIMABLE}"
        )
        return sql, (at, body.encode(), *run_ids)

    def write_logs(self, lines: Sequence[LogLine]) -> None:
        """See `Journal.write_logs`."""
        if not lines:
            return
        try:
            with self._transaction() as connection:
                connection.executemany(INSERT_LOG, map(log_row, lines))
        except UnicodeEncodeError:
            self.write_logs(storable_lines(lines))

    def _delete_statements(self, run_id: str) -> list[tuple[str, Sequence[Any]]]:
        """With a tombstone in the place after the run's last record, where it is needed.

        It stops whoever still writes to the run, and where the newest event of all goes it keeps the positions from
        going back. Readers do not see it, and a run that is made anew under the same id removes it.
        """
        entomb = (
            "INSERT INTO events (stream, seq, type, version, at, body) SELECT stream, seq + 1, ?, 1, ?, ? FROM events "
            "WHERE stream = ? AND seq = (SELECT max(seq) FROM events WHERE stream = ?) AND type <> ? "
            "AND (position = (SELECT max(position) FROM events) "
            "OR NOT EXISTS (SELECT 1 FROM runs WHERE id = ? AND ended_at IS NOT NULL))"
        )
        at = now_us()
        values = (_TOMBSTONE, at, f'{{"at":{at}}}'.encode(), run_id, run_id, _TOMBSTONE, run_id)
        drop = ("DELETE FROM events WHERE stream = ? AND type <> ?", (run_id, _TOMBSTONE))
        others = [item for item in super()._delete_statements(run_id) if "FROM events" not in item[0]]
        return [(entomb, values), drop, (_ONE_MORE_DELETED, (at,)), *others]

    def watch(self) -> Watch:
        """See `Journal.watch`."""
        return SocketWatch(self.path)

    def _wake(self) -> None:
        wake_all(self.path)

    def status(self) -> Mapping[str, Any]:
        """See `Journal.status`."""
        size = sum(p.stat().st_size for p in (self.path, Path(f"{self.path}-wal")) if p.exists())
        return {**super().status(), "layout": HEAD, "bytes": size}

    def check(self) -> list[str]:
        """What SQLite's own integrity check finds; empty when the file is sound."""
        try:
            return [row[0] for row in self._fetch("PRAGMA quick_check") if row[0] != "ok"]
        except JournalCorrupt as error:
            return [error.message]

    def vacuum(self) -> None:
        """See `Journal.vacuum`."""
        self._fetch("VACUUM")
        self._fetch("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """See `Journal.close`."""
        if self._pid == os.getpid() and self._lock.acquire(timeout=_CLOSE_WAITS_SECONDS):
            self._connection.close()
            self._lock.release()


def check_header(path: Path) -> None:
    """Refuse what is no database: SQLite takes a file of a few bytes for an empty one, and overwrites it.

    Raises:
        JournalCorrupt: it was not touched.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(16)
    except FileNotFoundError:
        return
    if start and start != b"SQLite format 3\0":
        raise JournalCorrupt(f"{path} is not a journal. It was not touched.")


def _conflict(stream: str, expected_seq: int) -> SequenceConflict:
    return SequenceConflict(f"{stream} is not at record {expected_seq} any more.", stream=stream)


def _free(path: Path) -> int:
    try:
        found = os.statvfs(path.parent)
    except OSError:
        return 1 << 62
    return found.f_bavail * found.f_frsize


def journal_error(error: BaseException, path: Path) -> JournalError:
    """What SQLite said, in Penstock's words."""
    text = str(error)
    name = getattr(error, "sqlite_errorname", "") or ""
    if "FULL" in name or "full" in text:
        return JournalFull(f"The disk that holds {path} is full; what was recorded is safe.")
    if "READONLY" in name or "readonly" in text or "CANTOPEN" in name or "unable to open" in text:
        return JournalReadOnly(f"The journal {path} cannot be opened for writing ({text}).")
    if "CORRUPT" in name or "NOTADB" in name or "malformed" in text or "not a database" in text:
        return JournalCorrupt(f"{path} is damaged or not a journal ({text}). It was not touched.")
    if "BUSY" in name or "locked" in text:
        return JournalUnavailable(f"Other processes kept {path} locked for too long.")
    if "IOERR" in name and _free(path) < 65_536:
        return JournalFull(f"The disk that holds {path} is full; what was recorded is safe.")
    if "IOERR" in name:
        return JournalUnavailable(f"The disk that holds {path} failed to read or write ({text}, {name}).")
    if "closed database" in text:
        return JournalUnavailable("This journal was closed.", hint="open it again")
    return JournalError(f"SQLite refused ({name or type(error).__name__}): {text}")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Translate the errors of SQLite and of the file system."""
    try:
        yield
    except sqlite3.Error as error:
        raise journal_error(error, path) from error
    except PermissionError as error:
        raise JournalReadOnly(f"The journal {path} cannot be written ({error.strerror}).") from error
    except (FileExistsError, NotADirectoryError) as error:
        raise JournalReadOnly(f"{path.parent} is not a folder, so no journal can be in it.") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise JournalFull(f"The disk that holds {path} is full.") from error
        raise JournalReadOnly(f"The journal {path} cannot be written ({error.strerror}).") from error


_held: list[threading.Lock] = []
_inherited: list[sqlite3.Connection] = []


def _before_fork() -> None:
    """Fork between transactions: the child's copy of a half-written one must never be rolled back by its exit."""
    for journal in list(_open):
        if journal._lock.acquire(timeout=_FORK_WAITS_SECONDS):
            _held.append(journal._lock)


def _after_fork() -> None:
    while _held:
        _held.pop().release()


def _in_child() -> None:
    """Never touch the parent's connections: closing one would drop locks, or end the parent's journal file."""
    _held.clear()
    for journal in list(_open):
        journal._lock = threading.Lock()
        _inherited.append(journal._connection)


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
