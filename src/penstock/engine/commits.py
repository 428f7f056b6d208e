"""Commits that share a transaction: one thread leads, and writes what all have queued; the others wait for the word."""

from __future__ import annotations

import threading
from abc import abstractmethod
from typing import Any

from penstock.core.events import Record

WAITING, WRITTEN = 0, 1

Entry = list[Any]
"""A record, what has become of it (WAITING, WRITTEN, or an exception), the key of the step that ends with it (or
None), and whatever `_write` adds."""


class SharedCommits:
    """The queue, and who leads."""

    def __init__(self) -> None:
        self._queue: list[Entry] = []
        self._mutex = threading.Lock()
        self._written = threading.Condition(self._mutex)
        self._leading = False
        self._followers = 0

    @abstractmethod
    def _write(self, batch: list[Entry]) -> None:
        """Write these in one transaction. Those that it has not marked otherwise are WRITTEN when it returns."""

    def _commit(self, record: Record, key: str | None) -> None:
        """Commit a step's record. With the key of a running step, it runs no more afterwards."""
        entry: Entry = [record, WAITING, key]
        with self._mutex:
            self._queue.append(entry)
            try:
                while entry[1] is WAITING:
                    if self._leading:
                        self._follow()
                    else:
                        self._lead()
            except BaseException:
                self._queue = [other for other in self._queue if other is not entry]
                raise
        if entry[1] is not WRITTEN:
            raise entry[1]

    def _follow(self) -> None:
        """Wait until whoever leads has written."""
        self._followers += 1
        try:
            self._written.wait()
        finally:
            self._followers -= 1

    def _lead(self) -> None:
        """Append what is queued, for everybody. The mutex is held on entry and exit, and not meanwhile."""
        batch = [*self._queue]
        self._queue.clear()
        self._leading = True
        outcome: Any = WRITTEN
        self._mutex.release()
        try:
            self._write(batch)
        except BaseException as error:
            outcome = error
        finally:
            self._mutex.acquire()
            for entry in batch:
                if entry[1] is WAITING:
                    entry[1] = outcome
            self._leading = False
            if self._followers:
                self._written.notify_all()

    def wake_followers(self) -> None:
        """For those whom nobody woke: whoever led may have come to the end of the stack."""
        if self._followers and not self._leading:
            with self._mutex:
                self._written.notify_all()
