"""A journal in memory: for tests, and for flows whose record nobody needs. It is SQLite's, without a file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.core.ports import Watch
from penstock.journal.sqlite import SqliteJournal


class MemoryJournal(SqliteJournal):
    """Lost with the process."""

    kind = "memory"

    def __init__(self) -> None:
        self._watches: list[_MemoryWatch] = []
        super().__init__(Path(":memory:"))
        self.location = "memory"

    def _ensure_folder(self) -> None:
        pass

    def _connect(self, full: bool, wait_seconds: float) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, cached_statements=256)
        self._create(connection)
        return connection

    def watch(self) -> Watch:
        """See `Journal.watch`."""
        watch = _MemoryWatch(self._watches)
        return watch

    def _wake(self) -> None:
        for watch in list(self._watches):
            watch.wake()

    def status(self) -> Mapping[str, Any]:
        """See `Journal.status`."""
        return {**super().status(), "bytes": 0}


class _MemoryWatch(Watch):
    def __init__(self, watches: list[_MemoryWatch]) -> None:
        self._watches = watches
        self._event = threading.Event()
        watches.append(self)

    def wait(self, seconds: float) -> bool:
        """See `Watch.wait`."""
        if self not in self._watches:
            return False
        woken = self._event.wait(max(0.0, seconds))
        self._event.clear()
        return woken

    def wake(self) -> None:
        """See `Watch.wake`."""
        self._event.set()

    def close(self) -> None:
        """See `Watch.close`."""
        if self in self._watches:
            self._watches.remove(self)
