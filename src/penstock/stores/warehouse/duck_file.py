"""A DuckDB file, which one process may have open at a time.

It is open while something is committed or read, so that several processes can take turns. Whoever wants it next stands
in a queue (a file beside the database); without one, a process that commits batch after batch would find the door open
every time, and the others never. While a pipe is open the file stays open between two commits, as opening and closing
it takes longer than many a commit: until somebody stands in the queue, or nothing has come for a moment.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.core.errors import SinkUnavailable
from penstock.stores.warehouse.duck_session import duckdb, unavailable

try:
    _fcntl: Any = importlib.import_module("fcntl")
except ImportError:  # Windows: whoever comes first is let in
    _fcntl = None

_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.05
_LOOK_SECONDS = 0.02
_IDLE_SECONDS = 0.25
_LONGEST_SECONDS = 5.0  # what DuckDB keeps in memory of a file is let go of with it
_PATIENCE_SECONDS = 1.0
_LOCKED = re.compile(r"Could not set lock on file.*?(?:\(PID (\d+)\)|$)", re.DOTALL)


@dataclass(frozen=True)
class _Spare:
    """A connection that is kept between two commits."""

    connection: Any
    read_only: bool
    file: tuple[int, int]
    since: float


class DuckFile:
    """A database file, as all threads of this process share it.

    Attributes:
        path: where it is.
        writer: held by the thread that writes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._anew()

    def _anew(self) -> None:
        self.writer = threading.RLock()
        self._door = threading.Lock()
        self._inside = self._holds = 0
        self._opened = 0.0
        self._spare: _Spare | None = None
        self._watched = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Meanwhile the file may stay open between two uses."""
        with self._door:
            self._holds += 1
        try:
            yield
        finally:
            with self._door:
                self._holds -= 1
                if not self._holds:
                    self._let_go()

    @contextmanager
    def connection(self, seconds: float, *, read_only: bool) -> Iterator[Any]:
        """A connection, for one thread.

        Args:
            seconds: how long another process may have the file.
            read_only: nothing can be written.

        Raises:
            SinkUnavailable: it had it for longer, or the file cannot be used.
        """
        connection = self._enter(time.monotonic() + seconds, seconds, read_only)
        sound = False
        try:
            yield connection
            sound = True
        finally:
            self._leave(connection, read_only, sound)

    def _enter(self, deadline: float, seconds: float, read_only: bool) -> Any:
        with self._door:
            spare, self._spare = self._spare, None
            if spare is not None and (spare.read_only, spare.file) == (read_only, self._identity()):
                connection = spare.connection
            else:
                if spare is not None:
                    _close(spare.connection)
                connection = self._connect(deadline, seconds, read_only)
            self._inside += 1
            return connection

    def _connect(self, deadline: float, seconds: float, read_only: bool) -> Any:
        if self._inside:
            try:
                return duckdb.connect(str(self.path), read_only=read_only)
            except duckdb.Error as error:
                raise unavailable(self.path, error) from error
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._queue(deadline, seconds):
            connection = self._connected(deadline, seconds, read_only)
        self._opened = time.monotonic()
        return connection

    def _leave(self, connection: Any, read_only: bool, sound: bool) -> None:
        with self._door:
            self._inside -= 1
            now = time.monotonic()
            young = now - self._opened < _LONGEST_SECONDS
            if sound and young and self._holds and not self._inside and not self._wanted():
                self._spare = _Spare(connection, read_only, self._identity(), now)
                if not self._watched:
                    self._watched = True
                    threading.Thread(target=self._watch, name="penstock-duckdb", daemon=True).start()
            else:
                _close(connection)

    def _let_go(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            _close(spare.connection)

    def _watch(self) -> None:
        """Let go of the file when somebody stands in the queue, or when it is not used any more."""
        while True:
            time.sleep(_LOOK_SECONDS)
            with self._door:
                spare = self._spare
                if spare is not None and (time.monotonic() - spare.since > _IDLE_SECONDS or self._wanted()):
                    self._let_go()
                if self._spare is None and not self._inside:
                    self._watched = False
                    return

    def _identity(self) -> tuple[int, int]:
        """Which file it is: another one may have taken its place."""
        try:
            told = os.stat(self.path)
        except OSError:
            return (0, 0)
        return told.st_dev, told.st_ino

    def _wanted(self) -> bool:
        """Whether another process stands in the queue; where that cannot be told, one may."""
        if _fcntl is None:
            return True
        try:
            with open(f"{self.path}.queue", "ab") as file:
                _fcntl.flock(file, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
        except OSError:
            return True
        return False

    @contextmanager
    def _queue(self, deadline: float, seconds: float) -> Iterator[None]:
        """Be the next one to be let in."""
        if _fcntl is None:
            yield
            return
        with open(f"{self.path}.queue", "ab") as file:
            pause = _FIRST_PAUSE
            while True:
                try:
                    _fcntl.flock(file, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise self._in_use("another process", seconds) from None
                    time.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
            yield

    def _connected(self, deadline: float, seconds: float, read_only: bool) -> Any:
        """A connection, as soon as no other process has one."""
        pause = _FIRST_PAUSE
        while True:
            try:
                return duckdb.connect(str(self.path), read_only=read_only)
            except duckdb.IOException as error:
                locked = _LOCKED.search(str(error))
                if not locked:
                    raise unavailable(self.path, error) from error
                if time.monotonic() > deadline:
                    holder = f"the process {locked[1]}" if locked[1] else "another process"
                    raise self._in_use(holder, seconds) from None
            except duckdb.Error as error:
                raise unavailable(self.path, error) from error
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _in_use(self, holder: str, seconds: float) -> SinkUnavailable:
        return SinkUnavailable(
            f"{self.path} was in use by {holder} for {seconds:g} seconds; DuckDB lets in one process at a time.",
            hint="close the other program, allow more with timeout_seconds=..., or use PostgreSQL for many at once",
        )

    def let_go(self) -> None:
        """Close the file, unless it is in use."""
        if self._door.acquire(timeout=_PATIENCE_SECONDS):
            try:
                self._let_go()
            finally:
                self._door.release()

    def in_child(self) -> None:
        """Nothing of the parent's threads is here."""
        if self._spare is not None:  # made after the parent let go; closing it here would write in the parent's file
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._spare.connection))
        self._anew()


_files: dict[str, DuckFile] = {}
_files_lock = threading.Lock()


def file_at(path: Path) -> DuckFile:
    """The file, as all threads of this process share it."""
    with _files_lock:
        return _files.setdefault(str(path), DuckFile(path))


def _close(connection: Any) -> None:
    """Close it; what cannot be written now is in DuckDB's log, and is written when the file is opened next."""
    with suppress(duckdb.Error):
        connection.close()


def _let_go_of_all() -> None:
    for file in list(_files.values()):
        file.let_go()


def _in_child() -> None:
    global _files_lock
    _files_lock = threading.Lock()
    for file in list(_files.values()):
        file.in_child()


if hasattr(os, "register_at_fork"):
    # A child must not find a file open: it would take it for its own.
    os.register_at_fork(before=_let_go_of_all, after_in_child=_in_child)
atexit.register(_let_go_of_all)
