"""Waiting for what another thread, process or server does when it likes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from penstock.core.ports import Journal

PATIENCE_SECONDS = 60.0


def until(
    look: Callable[[], Any],
    what: str = "what the test waits for",
    *,
    seconds: float = PATIENCE_SECONDS,
    every: float = 0.01,
) -> Any:
    """What `look` finds, as soon as it finds something."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(every)
    return found


def until_settled(journal: Journal) -> None:
    """Wait until nothing holds events back: other tests use the same PostgreSQL, and have transactions open."""
    until(journal.settled, "nothing holds events back")


def undisturbed(journal: Any, turn: Callable[[], Any]) -> None:
    """Take a turn, again where something held events of the journal back before its end."""
    settled, said = journal.settled, [False]

    def asked() -> bool:
        said.append(settled())
        return said[-1]

    while not all(said):
        until_settled(journal)
        said.clear()
        journal.settled = asked
        try:
            turn()
        finally:
            journal.settled = settled
