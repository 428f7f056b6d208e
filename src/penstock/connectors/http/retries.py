"""When to try again, and when to wait how long for it."""

from __future__ import annotations

import random
from dataclasses import dataclass

from penstock.connectors.http.pace import Pace, logger
from penstock.core.errors import SourceUnavailable


@dataclass(frozen=True, kw_only=True)
class Retries:
    """How often to try again, and after how long.

    Before the n-th retry passes a random time between 0 and `base_seconds` times 2 to the power of n-1, at most
    `most_seconds`; and never less than the server asks for. What is tried again: no connection, silence, an answer that
    broke off, and the statuses 408, 425, 429 and 5xx (but 501 and 505).

    Args:
        times: how often.
        base_seconds: see above.
        most_seconds: see above.
        wait_at_most: a server that asks for more patience than this (with Retry-After) is not waited for.
    """

    times: int = 5
    base_seconds: float = 0.5
    most_seconds: float = 60.0
    wait_at_most: float = 600.0

    def delay(self, retry: int) -> float:
        """Seconds before a retry, from 1."""
        return random.uniform(0.0, min(self.most_seconds, self.base_seconds * 2.0 ** min(retry - 1, 60)))

    def mistakes(self) -> list[tuple[str, str]]:
        """What is wrong with it."""
        names = ("times", "base_seconds", "most_seconds", "wait_at_most")
        return [(f"retries.{name}", "cannot be less than 0") for name in names if getattr(self, name) < 0]


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long to wait for what, in seconds.

    Args:
        connect: for a connection.
        read: for the next piece of an answer.
        total: for one whole answer; time in which nobody reads it does not count. None for as long as it takes.
    """

    connect: float = 10.0
    read: float = 60.0
    total: float | None = 600.0

    def mistakes(self) -> list[tuple[str, str]]:
        """What is wrong with it."""
        given = {"connect": self.connect, "read": self.read, "total": self.total}
        return [(f"timeouts.{name}", "must be more than 0") for name, it in given.items() if it is not None and it <= 0]


class Again(Exception):
    """This try failed, and another one may go better.

    Attributes:
        reason: what happened.
        wait: how long the server asks to wait; None where it does not say.
        refused: the request was not carried out, so that even one that changes something may be sent again.
    """

    def __init__(self, reason: str, wait: float | None = None, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.wait, self.refused = reason, wait, refused


class Tries:
    """The tries of one request.

    Args:
        rule: how many.
        pace: what to wait with.
        name: of the request, for messages.
    """

    def __init__(self, rule: Retries, pace: Pace, name: str) -> None:
        self._rule, self._pace, self._name = rule, pace, name
        self._failed = 0

    def failed(self, fault: Again) -> None:
        """Wait for the next try.

        Raises:
            SourceUnavailable: there is none.
        """
        self._failed += 1
        wait, most = fault.wait or 0.0, self._rule.wait_at_most
        if wait > most:
            raise SourceUnavailable(
                f"{self._name}: {fault.reason}, and asks to wait {wait:.0f} s.",
                hint=f"that is more than Retries(wait_at_most={most:g}); what has landed stays: run it again later",
            )
        if self._failed > self._rule.times:
            tries = f"{self._failed} tries" if self._failed > 1 else "1 try"
            raise SourceUnavailable(f"{self._name}: {fault.reason} (after {tries}).")
        delay = max(self._rule.delay(self._failed), wait)
        logger().warning(
            "%s: %s; retry %d of %d in %.1f s", self._name, fault.reason, self._failed, self._rule.times, delay
        )
        if wait:
            self._pace.hold(delay)
        self._pace.wait(delay)

    def went_on(self) -> None:
        """More came than ever before: the tries count anew."""
        self._failed = 0
