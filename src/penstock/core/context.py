"""Where code is running: which run, which step, which tags."""

from __future__ import annotations

import os
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
        forks: tells whose the scope is; see `foreign`.
        closed: the step has ended, though code of it may still run on an abandoned thread.
        around: what the step's end has to do with a cache or a transaction, or None.
        joined: the step's own transaction in the journal's database, or None.
    """

    __slots__ = ("around", "calls", "closed", "forks", "info", "joined", "key", "live", "ordinal", "prefix")

    def __init__(self, live: Any, key: str | None, info: Any = None) -> None:
        self.live = live
        self.forks = forks[0]
        self.key = key
        self.prefix = f"{key}/" if key else ""
        self.info = info
        self.calls: dict[str, int] = {}
        self.ordinal = 0
        self.closed = False
        self.around: Any = None
        self.joined: Any = None

    @property
    def foreign(self) -> bool:
        """True in a forked child: the run is its parent's."""
        return self.forks != forks[0]

    def next_key(self, name: str) -> tuple[str, int]:
        """Number one more call: its key, and its position among all calls from here."""
        calls = self.calls
        number = calls[name] = calls.get(name, 0) + 1
        self.ordinal += 1
        return f"{self.prefix}{name}#{number}", self.ordinal

    def numbered(self, what: str) -> str:
        """Number one more thing that is done from here and is no call: `load#1#put2`."""
        number = self.calls[what] = self.calls.get(what, 0) + 1
        return f"{self.key or 'flow'}#{what}{number}"

    def reset(self) -> None:
        """Count from the start again, for another attempt."""
        self.calls.clear()
        self.ordinal = 0


worker = threading.local()
"""On a worker thread of a task runner, `worker.seat` is the runner: whoever waits, leaves the seat meanwhile."""

forks = [0]
"""How often this process was forked from one that had the package loaded: what is held from before is its parent's."""


def _forked() -> None:
    forks[0] += 1


os.register_at_fork(after_in_child=_forked)

current_scope: ContextVar[Scope | None] = ContextVar("penstock_scope", default=None)
current_tags: ContextVar[frozenset[str]] = ContextVar("penstock_tags", default=frozenset())
current_transaction: ContextVar[Any] = ContextVar("penstock_transaction", default=None)


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
