"""What processes do that look after automations. Everything here is called in a process of its own, by `Lab`."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from tests.chaos.workers import opened
from tests.patience import undisturbed

from penstock.core.clock import Clock, clock_of
from penstock.orchestrator.automations import Automations
from penstock.orchestrator.emitting import emit


class Ahead(Clock):
    """The clock on the wall, some seconds ahead."""

    def __init__(self, seconds: float) -> None:
        self._us = int(seconds * 1_000_000)

    def now(self) -> int:
        return super().now() + self._us


def settle(store: dict[str, Any], ahead: float, fault: list[Any] | None = None) -> None:
    """Do all that is to be done; PostgreSQL may not have noticed yet that a process is gone, and hold events back."""
    with opened(store, fault) as app, clock_of(Ahead(ahead)):
        undisturbed(app.journal, Automations(app.journal, {}).settle)


def attend(store: dict[str, Any], ready: str) -> None:
    """Look after automations until killed, as if this process led."""
    with opened(store) as app:
        Path(ready).touch()
        Automations(app.journal, {}).attend(threading.Event(), lambda: True)


def tell(store: dict[str, Any], count: int) -> None:
    """Tell of many events."""
    with opened(store) as app:
        for number in range(count):
            name, about = ("a.x", "a.y")[number % 2], "pqq"[(number + os.getpid()) % 3]
            emit(app.journal, name, about, {"n": 1})
