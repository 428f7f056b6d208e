"""What the scheduler that leads does besides scheduling, each thing in its own time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from penstock.core.errors import PenstockError

_log = logging.getLogger("penstock.scheduler")


class Chores:
    """Calls each chore when its time has come; one that fails is tried again next time.

    Args:
        chores: each with how many seconds to let pass between two times.
    """

    def __init__(self, chores: Sequence[tuple[float, Callable[[int], object]]]) -> None:
        self._chores = [(int(seconds * 1_000_000), chore) for seconds, chore in chores]
        self._last = [0] * len(self._chores)

    def __call__(self, now: int) -> None:
        """Do what is to be done by now."""
        for place, (every, chore) in enumerate(self._chores):
            if 0 <= now - self._last[place] < every:
                continue
            self._last[place] = now
            try:
                chore(now)
            except PenstockError as error:
                _log.error("%s failed: %s", getattr(chore, "__name__", "A chore"), error.message)
            except Exception:  # the other chores, and schedules, go on
                _log.exception("%s failed, which is a mistake in Penstock", getattr(chore, "__name__", "A chore"))
