"""Futures: a handle on a submitted task."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Generic, NamedTuple, TypeVar

from penstock.core.context import worker
from penstock.core.states import Pending, State, StateType

R = TypeVar("R")

_NAP_SECONDS = 0.5


class Latch:
    """Something that happens once, and can be waited for.

    Not a `threading.Event`, whose lock stays taken when a signal breaks into one of its methods: here a wait can be
    broken off at any instruction.
    """

    __slots__ = ("_happened", "_lock", "_waiting")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._happened = False
        self._waiting: list[threading.Lock] = []

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._happened

    def set(self) -> None:
        """Let it happen."""
        with self._lock:
            self._happened = True
            waiting, self._waiting = self._waiting, []
        for gate in waiting:
            gate.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it happens, or until `timeout` seconds have passed; whether it has happened."""
        gate = threading.Lock()
        gate.acquire()
        with self._lock:
            if self._happened:
                return True
            self._waiting.append(gate)
        if _opens(gate, timeout):
            return True
        with self._lock:
            if gate in self._waiting:
                self._waiting.remove(gate)
        return self._happened


def _opens(gate: threading.Lock, timeout: float | None) -> bool:
    """Wait for a lock; whether it came free."""
    return any(gate.acquire(timeout=left) for left in _naps(timeout))


def _naps(timeout: float | None) -> Iterator[float]:
    """How long to sleep, again and again: the main thread only shortly, as a signal may come while it falls asleep."""
    end = None if timeout is None else time.monotonic() + timeout
    nap = _NAP_SECONDS if threading.current_thread() is threading.main_thread() else threading.TIMEOUT_MAX
    while True:
        yield max(nap if end is None else min(nap, end - time.monotonic()), 0.0)
        if end is not None and time.monotonic() >= end:
            return


class PenstockFuture(Generic[R]):
    """The state, and later the result, of a submitted task.

    Attributes:
        task_run_id: id of the task run (also its idempotency key).
        key: the step's key in its run.
    """

    __slots__ = ("_callbacks", "_done", "_lock", "_started", "_state", "key", "task_run_id")

    def __init__(self, task_run_id: str, key: str) -> None:
        self.task_run_id = task_run_id
        self.key = key
        self._lock = threading.Lock()
        self._done: Latch | None = None
        self._callbacks: list[Callable[[PenstockFuture[R]], Any]] = []
        self._state: State | None = None
        self._started = False

    @property
    def state(self) -> State:
        """The final state; Pending or Running before the end."""
        state = self._state
        if state is not None:
            return state
        return State(StateType.RUNNING) if self._started else Pending()

    def done(self) -> bool:
        """True when the task has ended."""
        return self._state is not None

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the task has ended, or until `timeout` seconds have passed. Raises nothing."""
        if self._state is not None:
            return
        with self._lock:
            if self.done():
                return
            done = self._done = self._done or Latch()
        seat = getattr(worker, "seat", None)
        if seat is None:
            done.wait(timeout)
            return
        seat.leave()
        try:
            done.wait(timeout)
        finally:
            seat.rejoin(at_once=not done.is_set())

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        """Wait for the value.

        Args:
            timeout: seconds to wait at most.
            raise_on_failure: return the exception of a failed task instead of raising it.

        Raises:
            TimeoutError: it has not ended in time.
        """
        self.wait(timeout)
        if self._state is None:
            raise TimeoutError(f"{self.key} has not ended within {timeout} seconds.")
        value: R = self._state.result(raise_on_failure)
        return value

    def add_done_callback(self, callback: Callable[[PenstockFuture[R]], Any]) -> None:
        """Call this with the future when it has ended (at once if it has)."""
        with self._lock:
            if self._state is None:
                self._callbacks.append(callback)
                return
        callback(self)

    async def wait_async(self, timeout: float | None = None) -> None:
        """`wait()` for async code: the event loop goes on."""
        import asyncio

        if self._state is not None:
            return
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def wake(_: Any) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(ended.set)

        self.add_done_callback(wake)
        seat = getattr(worker, "seat", None)
        if seat is not None:
            seat.leave()
        try:
            await asyncio.wait_for(ended.wait(), timeout)
        except TimeoutError:
            return
        finally:
            if seat is not None:
                seat.rejoin(at_once=True)

    async def result_async(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        """`result()` for async code."""
        await self.wait_async(timeout)
        return self.result(0 if self._state is None else None, raise_on_failure)

    def __await__(self) -> Any:
        return self.result_async().__await__()

    def settle(self, state: State) -> None:
        """For the engine: the task has ended."""
        with self._lock:
            if self._state is not None:
                return
            self._state = state
            callbacks, self._callbacks = self._callbacks, []
            done = self._done
        if done is not None:
            done.set()
        for callback in callbacks:
            callback(self)

    def begin(self) -> None:
        """For the engine: the task runs."""
        self._started = True

    def __repr__(self) -> str:
        return f"<future {self.key} {self.state.name}>"


class PenstockFutureList(list[PenstockFuture[R]]):
    """What `.map()` returns."""

    def wait(self, timeout: float | None = None) -> None:
        """Wait for all of them."""
        wait(self, timeout)

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> list[R]:
        """The values in order; raises the first failure.

        Raises:
            TimeoutError: not all have ended in time.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        return [
            future.result(None if deadline is None else max(0.0, deadline - time.monotonic()), raise_on_failure)
            for future in self
        ]


class DoneAndNotDone(NamedTuple):
    """What `wait` returns."""

    done: set[Any]
    not_done: set[Any]


def wait(futures: Iterable[PenstockFuture[R]], timeout: float | None = None) -> DoneAndNotDone:
    """Wait for futures, and tell which have ended."""
    if timeout is not None and timeout < 0:
        raise ValueError(f"timeout must be seconds from 0, and is {timeout!r}")
    everything = list(futures)
    deadline = None if timeout is None else time.monotonic() + timeout
    for future in everything:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            break
        future.wait(left)
    done = {future for future in everything if future.done()}
    return DoneAndNotDone(done, set(everything) - done)


def as_completed(futures: Iterable[PenstockFuture[R]], timeout: float | None = None) -> Iterator[PenstockFuture[R]]:
    """Futures in the order in which they end.

    Raises:
        TimeoutError: not all have ended in time.
    """
    waiting = list(futures)
    ended: queue.SimpleQueue[PenstockFuture[R]] = queue.SimpleQueue()
    deadline = None if timeout is None else time.monotonic() + timeout
    for future in waiting:
        future.add_done_callback(ended.put)
    for index in range(len(waiting)):
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            future = _next(ended, left)
        except queue.Empty:
            raise TimeoutError(f"{len(waiting) - index} of {len(waiting)} futures have not ended in time.") from None
        yield future


def _came(ended: queue.SimpleQueue[PenstockFuture[R]], timeout: float | None) -> PenstockFuture[R]:
    """Wait for a future that has ended; in naps, as `_opens` does."""
    for left in _naps(timeout):
        with suppress(queue.Empty):
            return ended.get(timeout=left)
    raise queue.Empty


def _next(ended: queue.SimpleQueue[PenstockFuture[R]], timeout: float | None) -> PenstockFuture[R]:
    seat = getattr(worker, "seat", None)
    if seat is None or not ended.empty():
        return _came(ended, timeout)
    seat.leave()
    came = False
    try:
        future = _came(ended, timeout)
        came = True
    finally:
        seat.rejoin(at_once=not came)
    return future
