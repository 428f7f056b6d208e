"""What a new run takes over from another one, where transactions were decided in that one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from penstock.core.events import Stored, TaskCompleted
from penstock.core.states import StateType
from penstock.core.verdicts import ROLLBACK, TransactionDecided
from penstock.engine.replay import Replay, plain_key


class Carried:
    """What became of the steps of a run.

    Args:
        records: of the run.
        ordinal: calls from this one on are not taken over; None for all.
    """

    def __init__(self, records: Iterable[Stored], ordinal: int | None) -> None:
        self._ordinal = ordinal
        self._replay = Replay(strict=False)
        for stored in records:
            self._replay.take(stored)
        self._undone = tuple(f"{key}/" for key, found in self._replay.steps.items() if self._rolled_back(found))

    @staticmethod
    def _rolled_back(found: Any) -> bool:
        return found.state.type is StateType.FAILED and found.state.step.task == "transaction"

    def is_undone(self, key: str) -> bool:
        """It was rolled back, to the end: it is executed anew. So are the hooks that undid it."""
        key = plain_key(key)
        found = self._replay.steps[key]
        decider = self._replay.steps.get(found.decider)
        if found.settled == ROLLBACK and decider is not None and self._rolled_back(decider):
            return True
        return self._rolled_back(found) or key.startswith(self._undone)

    def events_of(self, stored: Stored) -> list[Stored]:
        """What is taken over of a step that has this last record: nothing where it had not come to an end."""
        event: Any = stored.event
        found = self._replay.steps[plain_key(event.step.key)]
        opened = [found.opened] if found.opened is not None and found.opened is not stored else []
        if isinstance(event, TransactionDecided):
            return [*opened, stored]
        if not isinstance(event, TaskCompleted):
            return []
        if event.staged is not None and found.settled is not None and self._begins_anew(found.decider):
            event = msgspec.structs.replace(event, staged=None)
            stored = stored._replace(event=event)
        return [*opened, stored]

    def _begins_anew(self, decider: str) -> bool:
        """The transaction is not taken over: what it had committed is none of the new one's business."""
        step = self._replay.steps[decider].state.step
        return self._ordinal is not None and step.parent is None and step.ordinal >= self._ordinal
