"""What does not go well for a while, and is tried again and again: said when it begins, now and then, and when over."""

from __future__ import annotations

import logging
import time

_AGAIN_SECONDS = 60.0


class Trouble:
    """Says in the log that something does not work, without filling the log.

    Args:
        log: where.
        who: such as "The worker".
        told: what it cannot do; the reason follows in brackets.
    """

    def __init__(self, log: logging.Logger, who: str, told: str) -> None:
        self._log = log
        self._who = who
        self._told = told
        self._reason: str | None = None
        self._since = self._said_at = 0.0

    def say(self, reason: str) -> None:
        """It failed for this reason."""
        now = time.monotonic()
        if self._reason is None:
            self._since = now
        if reason != self._reason or now - self._said_at >= _AGAIN_SECONDS:
            self._said_at = now
            self._log.error("%s %s (%s); it tries again.", self._who, self._told, reason)
        self._reason = reason

    def over(self) -> None:
        """It worked."""
        if self._reason is not None:
            self._reason = None
            self._log.warning("%s goes on, after %.0f seconds.", self._who, time.monotonic() - self._since)
