"""Faults on purpose: a journal that kills its process, or fails, at a chosen append.

The product has no hooks for this. A `FaultyJournal` stands around any journal, counts what is appended, and strikes
once:

    journal = FaultyJournal(SqliteJournal(path), Fault(at=3, when="before", strike=kill_process))
    with Penstock(settings, journal=journal).activate():
        nightly()

`before` is the moment between a side effect and its record; `after` is the moment when the record is on disk and
nobody has heard of it yet.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from penstock.core.events import Record, Stored
from penstock.core.model import FlowSummary, LogLine, Run, RunFilter, TaskRun
from penstock.core.ports import Journal

Strike = Callable[[], None]


def kill_process() -> None:
    """End this process as a power cut would: no handler, no `finally`, no flush."""
    os.kill(os.getpid(), signal.SIGKILL)


def stop_process() -> None:
    """Hold this process still until somebody sends it SIGCONT."""
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # to this thread: it must not go on a little further


def fail_with(error: BaseException) -> Strike:
    """Raise this exception: for `before`, nothing is written; for `after`, only the answer is lost."""

    def strike() -> None:
        raise error

    return strike


class Fault(msgspec.Struct, frozen=True):
    """When to strike, and how.

    Attributes:
        at: which append of this process, from 1.
        when: before the append reaches the journal, or after it is on disk.
        strike: what to do then.
    """

    at: int
    when: Literal["before", "after"] = "before"
    strike: Strike = kill_process


class FaultyJournal(Journal):
    """A journal with a fault.

    It makes one write at a time, so that a process which is stopped holds no lock of the database: that would only
    show that a database waits for its locks.

    Args:
        journal: the real one; everything is passed on to it.
        fault: None to count appends only.
        slow_seconds: how much longer each append takes, as on a distant database.

    Attributes:
        appends: how many appends were made so far (the one that is struck counts).
        records: how many records they held.
    """

    def __init__(self, journal: Journal, fault: Fault | None = None, *, slow_seconds: float = 0.0) -> None:
        self.journal = journal
        self.fault = fault
        self.slow_seconds = slow_seconds
        self.kind = journal.kind
        self.location = journal.location
        self.remote = journal.remote
        self.appends = 0
        self.records = 0
        self._turn = threading.Lock()

    def append(self, run_id: str, expected_seq: int, records: Sequence[Record], logs: Sequence[LogLine] = ()) -> None:
        """See `Journal.append`."""
        if self.slow_seconds:
            time.sleep(self.slow_seconds)
        with self._turn:
            self.appends += 1
            self.records += len(records)
            fault = self.fault if self.fault is not None and self.fault.at == self.appends else None
            if fault is not None and fault.when == "before":
                fault.strike()
            self.journal.append(run_id, expected_seq, records, logs)
            if fault is not None and fault.when == "after":
                fault.strike()

    def load(self, run_id: str, after: int = 0) -> Iterator[Stored]:
        """See `Journal.load`."""
        return self.journal.load(run_id, after)

    def read(self, after: int, limit: int = 1000) -> list[Stored]:
        """See `Journal.read`."""
        return self.journal.read(after, limit)

    def cursor(self, name: str) -> int:
        """See `Journal.cursor`."""
        return self.journal.cursor(name)

    def move_cursor(self, name: str, expected: int, position: int) -> bool:
        """See `Journal.move_cursor`."""
        with self._turn:
            return self.journal.move_cursor(name, expected, position)

    def extend_leases(self, run_ids: Sequence[str], owner: str, until: int) -> set[str]:
        """See `Journal.extend_leases`."""
        with self._turn:
            return self.journal.extend_leases(run_ids, owner, until)

    def cancel_requested(self, run_ids: Sequence[str]) -> set[str]:
        """See `Journal.cancel_requested`."""
        return self.journal.cancel_requested(run_ids)

    def run(self, run_id: str) -> Run | None:
        """See `Journal.run`."""
        return self.journal.run(run_id)

    def find(self, prefix: str, limit: int = 10) -> list[Run]:
        """See `Journal.find`."""
        return self.journal.find(prefix, limit)

    def runs(self, where: RunFilter) -> list[Run]:
        """See `Journal.runs`."""
        return self.journal.runs(where)

    def flows(self) -> list[FlowSummary]:
        """See `Journal.flows`."""
        return self.journal.flows()

    def task_runs(self, run_id: str) -> list[TaskRun]:
        """See `Journal.task_runs`."""
        return self.journal.task_runs(run_id)

    def write_logs(self, lines: Sequence[LogLine]) -> None:
        """See `Journal.write_logs`."""
        with self._turn:
            self.journal.write_logs(lines)

    def logs(self, run_id: str, key: str | None = None, after: int = 0, limit: int = 1000) -> list[LogLine]:
        """See `Journal.logs`."""
        return self.journal.logs(run_id, key, after, limit)

    def delete(self, run_ids: Sequence[str]) -> int:
        """See `Journal.delete`."""
        with self._turn:
            return self.journal.delete(run_ids)

    def refs(self) -> set[str]:
        """See `Journal.refs`."""
        return self.journal.refs()

    def status(self) -> Mapping[str, Any]:
        """See `Journal.status`."""
        return self.journal.status()

    def vacuum(self) -> None:
        """See `Journal.vacuum`."""
        self.journal.vacuum()

    def close(self) -> None:
        """See `Journal.close`."""
        self.journal.close()
