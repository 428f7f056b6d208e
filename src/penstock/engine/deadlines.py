"""Stopping code that takes too long.

In the main thread a timer signal interrupts even a blocking system call. In another thread the work runs on a helper
thread that is left behind when time is up (and gets the exception as soon as it executes Python again). A process
task is killed, and an async one is cancelled. Only the process is certain to be gone; see the guarantees.
"""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

_stack: list[tuple[float, BaseException]] = []


def call_within(seconds: float, late: BaseException, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call, and raise `late` when it takes longer than `seconds`, whatever the code does with exceptions meanwhile."""
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        return _in_main_thread(seconds, late, fn, *args, **kwargs)
    return _in_helper_thread(seconds, late, fn, *args, **kwargs)


def _in_main_thread(seconds: float, late: BaseException, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Whoever used this timer before (a test's guard, say) gets it back afterwards, less the time that passed."""
    deadline = time.monotonic() + seconds
    entry = (deadline, late)
    before = signal.signal(signal.SIGALRM, _ring)
    theirs, started = signal.getitimer(signal.ITIMER_REAL) if not _stack else (0.0, 0.0), time.monotonic()
    _stack.append(entry)
    _arm()
    try:
        value = fn(*args, **kwargs)
    except BaseException:
        if time.monotonic() >= deadline:
            raise late from None
        raise
    finally:
        if entry in _stack:
            _stack.remove(entry)
        _arm()
        signal.signal(signal.SIGALRM, before)
        if theirs[0]:
            left = max(theirs[0] - (time.monotonic() - started), 0.001)
            signal.setitimer(signal.ITIMER_REAL, left, theirs[1])
    if time.monotonic() >= deadline:
        raise late
    return value


def _arm() -> None:
    left = min((deadline for deadline, _ in _stack), default=None)
    signal.setitimer(signal.ITIMER_REAL, 0 if left is None else max(left - time.monotonic(), 0.0001))


def _ring(signum: int, frame: Any) -> None:
    now = time.monotonic()
    late = [entry for entry in _stack if entry[0] <= now]
    for entry in late:
        _stack.remove(entry)
    if _stack:
        _arm()
    if late:
        raise min(late, key=lambda entry: entry[0])[1]


def _in_helper_thread(seconds: float, late: BaseException, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    answer: list[tuple[bool, Any]] = []
    context = copy_context()

    def work() -> None:
        try:
            answer.append((True, context.run(fn, *args, **kwargs)))
        except BaseException as error:
            answer.append((False, error))

    helper = threading.Thread(target=work, name=f"{threading.current_thread().name}-timed", daemon=True)
    helper.start()
    helper.join(seconds)
    if helper.is_alive():
        raise_in_thread(helper.ident, type(late))
        raise late
    ok, value = answer[0]
    if ok:
        return value
    raise value


def raise_in_thread(ident: int | None, kind: type[BaseException] | None) -> None:
    """Raise an exception of this class in another thread, as soon as it executes Python code; None takes it back."""
    if ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(ident), ctypes.py_object(kind) if kind is not None else None
        )
