"""What is recorded of transactions, and of results that wait for them. See ADR 0012."""

from __future__ import annotations

from typing import ClassVar

from penstock.core.decisions import TaskState
from penstock.core.errors import InvalidTransition
from penstock.core.events import ErrorInfo, Event, Saved, TaskEvent

COMMIT, ROLLBACK = "commit", "rollback"
FOUND, OPEN = "found", "open"


class TransactionDecided(TaskEvent, frozen=True, omit_defaults=True, kw_only=True):
    """What becomes of a transaction, before any of its hooks is called. The step is the transaction itself.

    The record's data holds the exception for which it is rolled back, or the value that was found under its key.

    Attributes:
        verdict: commit or rollback; of one with a key, first of all found or open: whether there is a value.
        steps: what is committed.
        undone: what is rolled back; also of a commit, where the hook of a step refuses it.
        error: why it is rolled back.
        result: the value that was found.
    """

    stored: ClassVar[str] = "TransactionDecided"
    verdict: str
    steps: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    error: ErrorInfo | None = None
    result: Saved | None = None


class ResultCached(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Other runs may use this result, now that it is committed. The record's data holds it, where it is inline.

    Attributes:
        step: what made it: a step, or a transaction with a key.
    """

    stored: ClassVar[str] = "ResultCached"
    step: str
    task: str
    cache_key: str
    cache_until: int | None = None
    result: Saved


VERDICTS: tuple[type[Event], ...] = (TransactionDecided, ResultCached)


def decided(
    state: TaskState,
    at: int,
    verdict: str,
    *,
    steps: tuple[str, ...] = (),
    undone: tuple[str, ...] = (),
    error: ErrorInfo | None = None,
    result: Saved | None = None,
) -> TransactionDecided:
    """The event that records a verdict.

    Raises:
        InvalidTransition: the transaction has ended.
    """
    if state.ended:
        raise InvalidTransition(f"{state.step.key} ended {state.type.word}, and an ended transaction never changes.")
    return TransactionDecided(
        at=at,
        step=state.step,
        attempt=state.attempt or 1,
        started=state.started or at,
        verdict=verdict,
        steps=steps,
        undone=undone,
        error=error,
        result=result,
    )
