"""Facts about plans, appended to the streams they are about."""

from __future__ import annotations

from collections.abc import Callable

from penstock.core.errors import SequenceConflict
from penstock.core.events import Event, Record
from penstock.core.plans import stream_of
from penstock.core.ports import Journal


def append_plan(journal: Journal, kind: str, name: str, event: Event) -> None:
    """Append an event to the stream of a deployment, pool, limit or automation, whoever else appends to it."""
    change_plan(journal, kind, name, lambda: event)


def change_plan(journal: Journal, kind: str, name: str, decide: Callable[[], Event | None]) -> bool:
    """Append what is decided on what is there, as one step: when somebody else was faster, it is decided anew.

    Args:
        journal: where.
        kind: such as pool.
        name: of the plan.
        decide: gives the event, or None when there is nothing to change.

    Returns:
        Whether anything was appended.
    """
    stream = stream_of(kind, name)
    while True:
        seq = journal.last_seq(stream)
        event = decide()
        if event is None:
            return False
        try:
            journal.append(stream, seq, [Record(event)])
            return True
        except SequenceConflict:
            continue
