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
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from penstock.core.events import Append, Record
from penstock.core.model import LogLine
from penstock.core.ports import Joined, Journal

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


_READS = frozenset(
    {
        *("load", "read", "head", "last_seq", "cursor", "requested", "run", "find", "runs", "flows"),
        *("task_runs", "runs_of", "run_keys", "run_counts", "news", "glance"),
        *("logs", "refs", "status", "vacuum", "close", "watch", "next_due", "lost_runs", "held_runs", "due_schedules"),
        *(
            "next_schedule",
            "deployments",
            "pools",
            "workers",
            "limits",
            "tickets",
            "cached",
            "cache_entries",
            "artifacts",
        ),
        "automations",
        *("read_back", "settled", "remembered", "owed_actions"),
        *("backfills", "connections", "credentials", "audit", "bookmark", "datasets", "workflows", "count_workflows"),
        *("ended_before", "families", "needed_from", "purged_partitions", "refs_of", "unused", "identity"),
    }
)


def _passed_on(name: str) -> Callable[..., Any]:
    """A method that asks the real journal: reads at any time, writes one after the other."""

    def read(self: FaultyJournal, *args: Any, **options: Any) -> Any:
        return getattr(self.journal, name)(*args, **options)

    def write(self: FaultyJournal, *args: Any, **options: Any) -> Any:
        with self._turn:
            return getattr(self.journal, name)(*args, **options)

    return read if name in _READS else write


if TYPE_CHECKING:
    from penstock.journal.memory import MemoryJournal as PassingJournal
else:
    PassingJournal = type(
        "PassingJournal", (Journal,), {name: _passed_on(name) for name in Journal.__abstractmethods__}
    )


class FaultyJournal(PassingJournal):
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

    def append(self, stream: str, expected_seq: int, records: Sequence[Record], logs: Sequence[LogLine] = ()) -> None:
        """See `Journal.append`."""
        self._written(len(records), lambda: self.journal.append(stream, expected_seq, records, logs))

    def commit(self, appends: Sequence[Append], cursor: tuple[str, int, int] | None = None) -> None:
        """See `Journal.commit`; it counts as one append."""
        self._written(sum(len(item.records) for item in appends), lambda: self.journal.commit(appends, cursor))

    def join(self) -> Joined:
        """See `Journal.join`; its append counts too."""
        return FaultyJoined(self, self.journal.join())

    def _written(self, records: int, write: Callable[[], None]) -> None:
        if self.slow_seconds:
            time.sleep(self.slow_seconds)
        with self._turn:
            self.appends += 1
            self.records += records
            fault = self.fault if self.fault is not None and self.fault.at == self.appends else None
            if fault is not None and fault.when == "before":
                fault.strike()
            write()
            if fault is not None and fault.when == "after":
                fault.strike()


class FaultyJoined(Joined):
    """A step's own transaction in a journal with a fault."""

    def __init__(self, journal: FaultyJournal, joined: Joined) -> None:
        self._journal = journal
        self._joined = joined

    def block(self) -> AbstractContextManager[Any]:
        """See `Joined.block`."""
        return self._joined.block()

    def append(self, stream: str, expected_seq: int, records: Sequence[Record], logs: Sequence[LogLine] = ()) -> None:
        """See `Joined.append`."""
        self._journal._written(len(records), lambda: self._joined.append(stream, expected_seq, records, logs))

    def undo(self) -> None:
        """See `Joined.undo`."""
        self._joined.undo()
