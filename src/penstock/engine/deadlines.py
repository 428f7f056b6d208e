"""Stopping code that takes too long.

In the main thread a timer signal interrupts even a blocking system call. In another thread the work runs on a helper
thread that is left behind when time is up (and gets the exception as soon as it executes Python again). A process
task is killed, and an async one is cancelled. Only the process is certain to be gone; see the guarantees.

While code only waits for an answer, or for time to pass, none of the limits around it runs.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any

from penstock.core.context import worker
from penstock.core.interruptions import Terminated
from penstock.engine.places import Place, call_user_code
from penstock.engine.signals import noted, strike

_LOOK_SECONDS = 0.2


class Limit:
    """When code has to be done.

    Attributes:
        deadline: that moment (monotonic seconds); infinite while the limit stands still.
        late: what is raised then.
    """

    def __init__(self, seconds: float, late: BaseException | None, changed: Callable[[], None]) -> None:
        self.deadline = time.monotonic() + seconds
        self.late = late
        self._changed = changed
        self._lock = threading.Lock()
        self._holds = 0
        self._left = 0.0

    @property
    def left(self) -> float:
        """Seconds from now."""
        return self.deadline - time.monotonic()

    def hold(self) -> None:
        """Stand still, until `go_on` was called as often as this."""
        with self._lock:
            self._holds += 1
            if self._holds == 1:
                self._left, self.deadline = self.left, math.inf
        self._changed()

    def go_on(self) -> None:
        """Run again."""
        with self._lock:
            self._holds -= 1
            if self._holds == 0:
                self.deadline = time.monotonic() + self._left
        self._changed()


_stack: list[Limit] = []
_around: ContextVar[tuple[Limit, ...]] = ContextVar("penstock_limits", default=())


@contextmanager
def limited(limit: Limit) -> Iterator[None]:
    """The code inside has this limit, and those around it."""
    token = _around.set((*_around.get(), limit))
    try:
        yield
    finally:
        _around.reset(token)


def limits_around() -> tuple[Limit, ...]:
    """The limits of the calling code."""
    return _around.get()


def call_within(seconds: float, late: BaseException, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call, and raise `late` when it takes longer than `seconds`, whatever the code does with exceptions meanwhile."""
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        return _in_main_thread(seconds, late, fn, *args, **kwargs)
    return _in_helper_thread(seconds, late, fn, *args, **kwargs)


def _in_main_thread(seconds: float, late: BaseException, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Whoever used this timer before (a test's guard, say) gets it back afterwards, less the time that passed."""
    limit = Limit(seconds, late, _arm)
    before = signal.signal(signal.SIGALRM, _ring)
    theirs, started = signal.getitimer(signal.ITIMER_REAL) if not _stack else (0.0, 0.0), time.monotonic()
    _stack.append(limit)
    _arm()
    try:
        with limited(limit):
            value = call_user_code(fn, args, kwargs)
    except (KeyboardInterrupt, Terminated):
        raise
    except BaseException:
        if limit.left <= 0:
            raise late from None
        raise
    finally:
        if late in noted:
            noted.remove(late)
        if limit in _stack:
            _stack.remove(limit)
        _arm()
        signal.signal(signal.SIGALRM, before)
        if theirs[0]:
            left = max(theirs[0] - (time.monotonic() - started), 0.001)
            signal.setitimer(signal.ITIMER_REAL, left, theirs[1])
    if limit.left <= 0:
        raise late
    return value


def _arm() -> None:
    deadline = min((limit.deadline for limit in list(_stack)), default=math.inf)
    signal.setitimer(signal.ITIMER_REAL, 0 if deadline == math.inf else max(deadline - time.monotonic(), 0.0001))


def _ring(signum: int, frame: Any) -> None:
    over = [limit for limit in _stack if limit.left <= 0]
    for limit in over:
        _stack.remove(limit)
    if _stack:
        _arm()
    if over:
        late = min(over, key=lambda limit: limit.deadline).late
        if late is not None:
            strike(late, frame)


def _in_helper_thread(seconds: float, late: BaseException, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    answer: list[tuple[bool, Any]] = []
    places: list[Place] = []
    around: Place | None = getattr(worker, "place", None)
    limit = Limit(seconds, late, lambda: None)
    with limited(limit):
        context = copy_context()

    def work() -> None:
        places.append(Place())
        worker.place = places[0]
        if around is not None:
            around.helper = places[0]
        try:
            answer.append((True, context.run(call_user_code, fn, args, kwargs)))
        except BaseException as error:
            answer.append((False, error))

    helper = threading.Thread(target=work, name=f"{threading.current_thread().name}-timed", daemon=True)
    helper.start()
    while helper.is_alive() and (left := limit.left) > 0:
        helper.join(left if left < math.inf else _LOOK_SECONDS)
    if around is not None:
        around.helper = None
    if helper.is_alive():
        for place in places:
            place.interrupt(type(late))
        raise late
    ok, value = answer[0]
    if ok:
        return value
    raise value
