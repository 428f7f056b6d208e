"""Where code is running: which run, which step, which tags."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Scope:
    """The numbering of calls made from one place: a run itself, or one of its steps.

    Attributes:
        live: the engine's handle on the run.
        key: the step's key, or None for the flow itself.
        info: facts for `penstock.runtime` (a TaskInfo, or None for the flow itself).
        calls: how often each task was called from here.
        ordinal: how many calls were made from here.
        closed: the step has ended, though code of it may still run on an abandoned thread.
    """

    __slots__ = ("calls", "closed", "info", "key", "live", "ordinal", "prefix")

    def __init__(self, live: Any, key: str | None, info: Any = None) -> None:
        self.live = live
        self.key = key
        self.prefix = f"{key}/" if key else ""
        self.info = info
        self.calls: dict[str, int] = {}
        self.ordinal = 0
        self.closed = False

    def next_key(self, name: str) -> tuple[str, int]:
        """Number one more call: its key, and its position among all calls from here."""
        calls = self.calls
        number = calls[name] = calls.get(name, 0) + 1
        self.ordinal += 1
        return f"{self.prefix}{name}#{number}", self.ordinal

    def reset(self) -> None:
        """Count from the start again, for another attempt."""
        self.calls.clear()
        self.ordinal = 0


worker = threading.local()
"""On a worker thread of a task runner, `worker.seat` is the runner: whoever waits, leaves the seat meanwhile."""

current_scope: ContextVar[Scope | None] = ContextVar("penstock_scope", default=None)
current_tags: ContextVar[frozenset[str]] = ContextVar("penstock_tags", default=frozenset())


@contextmanager
def tags(*names: str) -> Iterator[frozenset[str]]:
    """Add tags to every run and task run started inside.

    Example:
        with tags("nightly", "shop"):
            load()
    """
    token = current_tags.set(current_tags.get() | frozenset(names))
    try:
        yield current_tags.get()
    finally:
        current_tags.reset(token)
