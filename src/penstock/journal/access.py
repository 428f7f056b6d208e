"""The primitives over which the journals in SQL share their queries. SQL here uses `?` for placeholders."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from penstock.core.events import Record, RunCreated, RunPaused
from penstock.core.ports import Journal

T = TypeVar("T")
_WAKES = frozenset(
    {
        *("RunRescheduled", "RunAnswered", "RunCancelRequested", "RunReleased", "DeadlineMissed", "Happened"),
        *("RunCompleted", "RunFailed", "RunCrashed", "RunCancelled"),
        *("DeploymentDeclared", "DeploymentResumed", "PoolDeclared", "QueueDeclared", "QueueDeleted", "PoolDeleted"),
        *("LimitDeclared", "LimitDeleted", "AutomationDeclared", "BackfillCreated"),
    }
)
"""Stored names: the classes of plans are loaded late."""


def slices(items: Sequence[str]) -> Iterator[tuple[Sequence[str], str]]:
    """Slices that fit into one statement, with their placeholders."""
    for start in range(0, len(items), 500):
        some = items[start : start + 500]
        yield some, ", ".join("?" * len(some))


def wakes(records: Sequence[Record]) -> bool:
    """Whether somebody may wait for one of these: a run is due, answered, to be stopped, or gives its slots back."""
    for event, _ in records:
        if event.stored in _WAKES:
            return True
        kind = type(event)
        if kind is RunCreated and event.due_at is not None:  # type: ignore[attr-defined]
            return True
        if kind is RunPaused and not event.held:  # type: ignore[attr-defined]
            return True
    return False


class Execute(Protocol):
    """Executes a statement inside a transaction, and gives its rows."""

    def __call__(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """SQL with `?` for its values."""


class Changed(Exception):
    """What a transaction was going to change has been changed by somebody else; it is done again."""


class SqlCore(Journal):
    """What everything else of a journal in SQL is made of."""

    @abstractmethod
    def _fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Rows of a query, as sequences."""

    @abstractmethod
    def _write(self, statements: Iterable[tuple[str, Sequence[Any]]]) -> list[int]:
        """Execute in one transaction; the row counts."""

    @abstractmethod
    def _exclusively(self, lock: str, work: Callable[[Execute], T]) -> T:
        """Do this work in one transaction, alone among those with the same lock; again if it raises `Changed`."""

    @abstractmethod
    def _claims(self, run_ids: Sequence[str], at: int, body: str, before: int) -> tuple[str, Sequence[Any]]:
        """The statement that appends a RunClaimed event to each of these runs that can be claimed.

        Args:
            run_ids: the runs.
            at: the event's time.
            body: the event.
            before: how many events the transaction has written so far.
        """

    @abstractmethod
    def _wake(self) -> None:
        """Wake those who watch."""

    def _wake_for(self, records: Sequence[Record]) -> None:
        """Wake those who watch, where they may wait for one of these."""
        if wakes(records):
            self._wake()

    kept = "1 = 1"
    """What tells an event from a mark that only the journal itself needs."""
