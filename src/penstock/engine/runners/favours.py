"""What the process of a task asks its flow's process to do for it: hold slots, wait for turns, keep and record."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from penstock.core.context import current_scope
from penstock.core.errors import LimitTimedOut
from penstock.core.extras import LateModule
from penstock.core.ports import current_engine
from penstock.engine.limits.acquisition import leave, take
from penstock.engine.limits.wishes import Request
from penstock.engine.places import call_user_code

artifacts: Any = LateModule("penstock.engine.artifacts.making")
datasets: Any = LateModule("penstock.engine.datasets")


class Favours:
    """In the flow's process: done for one child, which gets numbers for what is held here."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._held: dict[int, Any] = {}

    def hold(self, request: Request, until: float) -> tuple[int, Any, list[int]] | None:
        """Get slots or a turn.

        Args:
            request: what.
            until: the time limit of the task (monotonic seconds).

        Returns:
            A number for it, the wish, and the tickets; None when the time limit of the task has passed.
        """
        left = until - time.monotonic()
        patience = request.timeout_seconds if request.timeout_seconds is not None else math.inf
        bounded = request._replace(timeout_seconds=max(0.0, left)) if left < patience else request
        try:
            held = call_user_code(take, (bounded,), {})
        except LimitTimedOut:
            if left < patience:
                return None
            raise
        number = next(self._numbers)
        self._held[number] = held
        return number, held.wish, list(held.tickets)

    def leave(self, number: int) -> None:
        """Give back."""
        held = self._held.pop(number, None)
        if held is not None:
            leave(held)

    def verify(self, number: int) -> None:
        """Ask the journal whether it is still held."""
        self._held[number].verify()

    def wait(self, ask: Any) -> Any:
        """Wait, as a step of the task."""
        return call_user_code(current_engine().call_wait, (ask, False), {})

    def keep(self, artifact: tuple[str, bytes, str | None, str | None]) -> str:
        """Keep an artifact, for the step that is executed there; returns its id."""
        scope = current_scope.get()
        assert scope is not None
        return str(artifacts.keep(scope, *artifact))

    def move(self, progress: tuple[str, bytes, str | None]) -> str:
        """Move a progress artifact; returns its id."""
        scope = current_scope.get()
        assert scope is not None
        return str(artifacts.move(scope, *progress))

    def journal(self, asked: tuple[str, tuple[Any, ...]]) -> Any:
        """Read or append what is on record of datasets."""
        scope = current_scope.get()
        assert scope is not None
        return datasets.asked(scope.live.engine.journal, *asked)

    def mark(self) -> set[int]:
        """What is held now."""
        return set(self._held)

    def leave_since(self, mark: set[int]) -> None:
        """Give back what came after a mark: the call has ended, in whatever way."""
        for number in [number for number in self._held if number not in mark]:
            self._held.pop(number).leave()


class Borrowed:
    """In the task's process: what its flow's process holds for it."""

    remote = False

    def __init__(self, ask: Callable[[str, Any], Any], answer: tuple[int, Any, list[int]]) -> None:
        self._ask = ask
        self._number, self.wish, self.tickets = answer

    def leave(self) -> None:
        """Give back."""
        self._ask("leave", self._number)

    def verify(self) -> None:
        """Ask whether it is still held."""
        self._ask("verify", self._number)
