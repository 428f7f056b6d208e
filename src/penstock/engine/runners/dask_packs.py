"""Tasks on their way to a Dask cluster and back: short ones of a kind are packed, so that each costs Dask less."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from statistics import median
from typing import Any

from penstock.engine.runners.dask_orders import Receipt

PACK_SECONDS = 0.05
"""Packs are made to take no longer than that. Those that take four times as long come back with what is left."""
_MOST = 500
_REMEMBERED = 9
_PATIENCE_SECONDS = 0.1
_AHEAD = 3
"""Packs for each thread of the cluster that are under way, where there are more."""

Outcome = Callable[[Any, Receipt], Any]
"""Makes a value, or an exception, of what came of a task that was sent."""


class Sent:
    """A task that is executed elsewhere; see `RemoteTaskRunner.begin`.

    Attributes:
        number: unlike that of any other of the runner.
        kind: the function, and what on the cluster it needs: tasks of the same kind may go in one pack.
        fn: what is called.
        arguments: pickled.
        needs: the futures of what is on the cluster among them, by key.
        options: of Dask, such as resources.
        seconds, late: see `RemoteTaskRunner.begin`.
        saves: a large result is saved, too.
        facts: what it may ask of itself.
        context: in which what it asks for is done.
        asked: what it has asked for.
    """

    __slots__ = (
        "_callbacks", "_end", "_gate", "_lock", "_outcome", "arguments", "asked", "context", "facts", "fn", "kind",
        "late", "needs", "number", "options", "saves", "seconds",
    )  # fmt: skip

    def __init__(self, number: int, fn: Any, arguments: bytes, needs: dict[str, Any], outcome: Outcome) -> None:
        self.number = number
        self.fn = fn
        self.kind = (id(getattr(fn, "fn", fn)), *needs)
        self.arguments = arguments
        self.needs = needs
        self.options: dict[str, Any] = {}
        self.seconds: float | None = None
        self.saves = True
        self.late: Any = None
        self.facts: dict[str, Any] = {}
        self.context: Context | None = None
        self.asked: Any = None
        self._lock = threading.Lock()
        self._gate: threading.Lock | None = None
        self._callbacks: list[Callable[[], None]] = []
        self._end: Receipt | BaseException | None = None
        self._outcome = outcome

    def settle(self, end: Receipt | BaseException) -> bool:
        """This came of it; False where something has already."""
        with self._lock:
            if self._end is not None:
                return False
            self._end = end
            callbacks, self._callbacks = self._callbacks, []
            gate = self._gate
        if gate is not None:
            gate.release()
        for callback in callbacks:
            callback()
        return True

    def when_ready(self, callback: Callable[[], None]) -> None:
        """Call this as soon as something has come of it."""
        with self._lock:
            if self._end is None:
                self._callbacks.append(callback)
                return
        callback()

    def wait(self) -> None:
        """Wait for it."""
        with self._lock:
            if self._end is not None:
                return
            gate = self._gate = threading.Lock()
            gate.acquire()
        gate.acquire()

    def outcome(self) -> Any:
        """What the task gave.

        Raises:
            BaseException: what it raised, or what kept it from being executed.
        """
        end = self._end
        if isinstance(end, BaseException):
            raise end
        assert end is not None
        return self._outcome(self, end)


class Pack:
    """Tasks that are sent together.

    Attributes:
        future: Dask's.
    """

    def __init__(self, tasks: Sequence[Sent]) -> None:
        self.tasks = tasks
        self.kind = tasks[0].kind
        self.future: Any = None


class _Kind:
    """Tasks of one kind.

    Attributes:
        waiting: to be sent.
        under_way: packs of them.
        free: so many of unknown length may be under way, each on its own.
        at: when that was said.
    """

    def __init__(self, free: int) -> None:
        self.waiting: deque[Sent] = deque()
        self.under_way = 0
        self.free = free
        self.at = time.monotonic()


class Packer:
    """Tasks that wait to be sent, by their kind, and how many of which go next."""

    def __init__(self) -> None:
        self._kinds: dict[Any, _Kind] = {}
        self._paces: dict[Any, deque[float]] = {}
        self._waiting: set[Any] = set()

    def add(self, task: Sent, first: bool = False) -> None:
        """A task waits."""
        kind = self._kinds.get(task.kind)
        if kind is None:
            kind = self._kinds[task.kind] = _Kind(0)
        (kind.waiting.appendleft if first else kind.waiting.append)(task)
        self._waiting.add(task.kind)

    def came(self, pack: Pack, seconds: Sequence[float] = ()) -> None:
        """A pack has come back; its tasks have taken so long."""
        kind = self._kinds[pack.kind]
        kind.under_way -= 1
        if seconds:
            self._paces.setdefault(pack.kind[0], deque(maxlen=_REMEMBERED)).append(median(seconds))

    def take(self, threads: int) -> tuple[list[Pack], float | None]:
        """The packs that are sent now, and after how many seconds to ask again; None for when something has changed.

        Tasks that take long go at once, each on its own: it is Dask that spreads them. Of those whose time nobody
        knows yet a few go, and after each moment in which none has come back, twice as many.
        """
        packs: list[Pack] = []
        again: float | None = None
        for name in [*self._waiting]:
            kind = self._kinds[name]
            paces = self._paces.get(name[0])
            if paces is None:
                left = _strangers(packs, kind, 2 * threads)
                again = left if again is None or (left is not None and left < again) else again
            else:
                _known(packs, kind, median(paces), threads)
            if not kind.waiting:
                self._waiting.discard(name)
        return packs, again


def _strangers(packs: list[Pack], kind: _Kind, few: int) -> float | None:
    now = time.monotonic()
    if not kind.free:
        kind.free, kind.at = few, now
    elif kind.under_way >= kind.free and now - kind.at >= _PATIENCE_SECONDS:
        kind.free, kind.at = 2 * kind.free, now
    while kind.waiting and kind.under_way < kind.free:
        _send(packs, kind, 1)
    return max(0.001, kind.at + _PATIENCE_SECONDS - now) if kind.waiting else None


def _known(packs: list[Pack], kind: _Kind, pace: float, threads: int) -> None:
    fit = min(_MOST, max(1, int(PACK_SECONDS / max(pace, 1e-6))))
    while kind.waiting and (pace > PACK_SECONDS or kind.under_way < _AHEAD * threads):
        _send(packs, kind, max(1, min(fit, -(-len(kind.waiting) // threads))))


def _send(packs: list[Pack], kind: _Kind, size: int) -> None:
    kind.under_way += 1
    packs.append(Pack([kind.waiting.popleft() for _ in range(size)]))
