"""The default journal: one SQLite file in WAL mode, shared by any number of processes on one machine.

Every write begins with BEGIN IMMEDIATE, so that a writer waits for its turn instead of failing half-way. A commit
survives the death of the process; with `full` it is also fsynced and survives a power loss.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from penstock.core.errors import (
    JournalCorrupt,
    JournalError,
    JournalFull,
    JournalReadOnly,
    JournalUnavailable,
    SequenceConflict,
    WrongProcess,
)
from penstock.core.events import Event, Record, encode_event, stored_name
from penstock.core.model import LogLine
from penstock.journal.projections import PROJECTIONS, ordered, statement
from penstock.journal.sql import INSERT_EVENT, INSERT_LOG, SqlJournal, log_row
from penstock.journal.versions import HEAD, check_version, schema_sql

_SQL: dict[type[Event], tuple[str, Any]] = {}
for _kind, _projection in PROJECTIONS.items():
    _SQL[_kind] = (statement(_projection, "?"), _projection)

_open: weakref.WeakSet[SqliteJournal] = weakref.WeakSet()


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

    def __init__(self, path: Path, *, full: bool = False, wait_seconds: float = 60.0) -> None:
        self.path = path
        self.location = str(path)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        with _translated(path):
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
        fresh = not self.path.exists() or self.path.stat().st_size == 0
        if fresh:
            with self._creation_lock():
                return self._configured(full, wait_seconds)
        return self._configured(full, wait_seconds)

    def _configured(self, full: bool, wait_seconds: float) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=wait_seconds, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            self._prepare(connection, full)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection, full: bool) -> None:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and "alembic_version" not in tables:
            raise JournalCorrupt(f"{self.path} is a SQLite file, but not a Penstock journal. It was not touched.")
        if tables:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            check_version(row[0] if row else "(none)", self.location)
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
        connection.execute("PRAGMA cache_size = -16000")
        if not tables:
            connection.executescript(
                f"BEGIN IMMEDIATE; {schema_sql('sqlite')} INSERT INTO alembic_version VALUES ('{HEAD}'); COMMIT;"
            )

    @contextmanager
    def _creation_lock(self) -> Iterator[None]:
        with open(self.path.with_suffix(".lock"), "w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def append(
        self, run_id: str, expected_seq: int, records: Sequence[Record], logs: Sequence[LogLine] = ()
    ) -> None:
        """See `Journal.append`."""
        if self._pid != os.getpid():
            raise WrongProcess()
        execute = self._execute
        with self._lock:
            try:
                execute("BEGIN IMMEDIATE")
                try:
                    seq = expected_seq
                    for event, data in records:
                        seq += 1
                        name, version = stored_name(event)
                        execute(INSERT_EVENT, (run_id, seq, name, version, event.at, encode_event(event), data))
                        found = _SQL.get(type(event))
                        if found is not None:
                            sql, projection = found
                            execute(sql, ordered(projection, projection.values(run_id, event)))
                    if logs:
                        self._connection.executemany(INSERT_LOG, map(log_row, logs))
                    execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        execute("ROLLBACK")
                    raise
            except sqlite3.IntegrityError as error:
                raise SequenceConflict(f"Somebody else appended to run {run_id} after record {expected_seq}.") from error
            except (sqlite3.Error, sqlite3.Warning) as error:
                raise _error(error, self.path) from error

    def _fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        if self._pid != os.getpid():
            raise WrongProcess()
        with self._lock, _translated(self.path):
            return self._execute(sql, tuple(parameters)).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if self._pid != os.getpid():
            raise WrongProcess()
        with self._lock, _translated(self.path):
            self._execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._execute("ROLLBACK")
                raise

    def _write(self, statements: Iterable[tuple[str, Sequence[Any]]]) -> list[int]:
        with self._transaction() as connection:
            return [connection.execute(sql, tuple(parameters)).rowcount for sql, parameters in statements]

    def _write_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        with self._transaction() as connection:
            connection.executemany(sql, rows)

    def status(self) -> Mapping[str, Any]:
        """See `Journal.status`."""
        size = sum(p.stat().st_size for p in (self.path, Path(f"{self.path}-wal")) if p.exists())
        return {**super().status(), "layout": HEAD, "bytes": size}

    def check(self) -> list[str]:
        """What SQLite's own integrity check finds; empty when the file is sound."""
        return [row[0] for row in self._fetch("PRAGMA quick_check") if row[0] != "ok"]

    def vacuum(self) -> None:
        """See `Journal.vacuum`."""
        self._fetch("VACUUM")
        self._fetch("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """See `Journal.close`."""
        if self._pid == os.getpid():
            with self._lock:
                self._connection.close()


def _error(error: Exception, path: Path) -> JournalError:
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
    if "IOERR" in name:
        return JournalUnavailable(f"The disk that holds {path} failed to read or write ({text}, {name}).")
    return JournalError(f"SQLite refused ({name or type(error).__name__}): {text}")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _error(error, path) from error
    except PermissionError as error:
        raise JournalReadOnly(f"The journal {path} cannot be written ({error.strerror}).") from error
    except (FileExistsError, NotADirectoryError) as error:
        raise JournalReadOnly(f"{path.parent} is not a folder, so no journal can be in it.") from error
    except OSError as error:
        if error.errno == 28:
            raise JournalFull(f"The disk that holds {path} is full.") from error
        raise JournalReadOnly(f"The journal {path} cannot be written ({error.strerror}).") from error


def _leave_to_parent() -> None:
    """In a forked child: never touch the parent's connection (closing it would drop the parent's file locks)."""
    for journal in list(_open):
        journal._lock = threading.Lock()
        _inherited.append(journal._connection)


_inherited: list[sqlite3.Connection] = []
os.register_at_fork(after_in_child=_leave_to_parent)
