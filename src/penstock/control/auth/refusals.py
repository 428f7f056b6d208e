"""What is refused, in the audit: so much of it that it can be seen, and not so much that it fills the disk."""

from __future__ import annotations

import threading
import time
from collections import Counter

from penstock.control.auth.log import Actor, AuditLog
from penstock.core.networks import customer_of

_EVERY_SECONDS = 60.0
_MOST_A_MINUTE = 120
_MOST_OF_ONE = 20
_MOST_PLACES = 10_000


class Refusals:
    """Writes an entry for a refusal: once a minute for the same, some a minute from one place, and more altogether.

    What was left out is counted in the next entry.

    Args:
        log: the audit.
    """

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str, str | None], float] = {}
        self._left_out = 0
        self._minute = 0.0
        self._written = 0
        self._of_one = Counter[str]()

    def record(self, action: str, target: str, actor: Actor, detail: str | None = None) -> None:
        """An entry, if it is not one too many."""
        with self._lock:
            if not self._is_due((action, target, actor.address)):
                self._left_out += 1
                return
            left_out, self._left_out = self._left_out, 0
        told = [detail] if detail is not None else []
        told += [f"{left_out:,} refusals before this one were not written down"] if left_out else []
        self._log.record(action, target, actor=actor, detail="; ".join(told) or None)

    def _is_due(self, what: tuple[str, str, str | None]) -> bool:
        now = time.monotonic()
        if now - self._minute >= _EVERY_SECONDS:
            self._minute, self._written = now, 0
            self._of_one.clear()
            self._seen = {key: at for key, at in self._seen.items() if now - at < _EVERY_SECONDS}
        if now - self._seen.get(what, float("-inf")) < _EVERY_SECONDS or self._written >= _MOST_A_MINUTE:
            return False
        place = customer_of(what[2] or "")
        if self._of_one[place] >= _MOST_OF_ONE:
            return False
        self._of_one[place] += 1
        if len(self._seen) < _MOST_PLACES:
            self._seen[what] = now
        self._written += 1
        return True
