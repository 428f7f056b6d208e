"""Where a thread is: in the user's code, which may be interrupted, or in the engine's, which may not.

For the main thread, see `signals`. In any other, an exception sent from outside can arrive between any two
instructions, also between the taking of a lock and the block that releases it. So it is only sent while the thread is
in the user's code, and taken back when the thread has left it before the exception arrived.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from penstock.core.context import worker
from penstock.engine.signals import exposed, noted, raise_noted


class Place:
    """The state of one thread. The thread itself enters and leaves; any other may interrupt.

    Attributes:
        helper: the place of the thread that executes the user's code for this one, to a time limit.
    """

    __slots__ = ("_ident", "_inside", "_lock", "_sent", "helper")

    def __init__(self) -> None:
        self._ident = threading.get_ident()
        self._lock = threading.Lock()
        self._inside = False
        self._sent: type[BaseException] | None = None
        self.helper: Place | None = None

    def interrupt(self, kind: type[BaseException]) -> None:
        """Raise this in the thread, if it is in the user's code now."""
        helper = self.helper
        if helper is not None:
            helper.interrupt(kind)
        with self._lock:
            if self._inside and self._sent is None:
                self._sent = kind
                raise_in_thread(self._ident, kind)

    def enter(self) -> None:
        """The user's code begins, or goes on."""
        with self._lock:
            self._inside = True

    def leave(self, error: BaseException | None = None) -> None:
        """The user's code has ended (with this error), or called the engine.

        Raises:
            BaseException: what was sent and had not arrived yet.
        """
        with self._lock:
            self._inside = False
            sent, self._sent = self._sent, None
            if sent is None or isinstance(error, sent):
                return
            _send(self._ident, _Nothing)
        raise sent


def raise_in_thread(ident: int, kind: type[BaseException]) -> None:
    """Raise an exception of this class in another thread, as soon as it executes Python code."""
    if threading.current_thread() is not threading.main_thread() and getattr(worker, "place", None) is None:
        _send(ident, kind)
        return
    beside = threading.Thread(target=_send, args=(ident, kind), daemon=True)  # signals and others' exceptions come here
    try:
        beside.start()
    except RuntimeError:  # the process ends, or may have no more threads
        _send(ident, kind)
    else:
        beside.join()


class _Nothing(BaseException):
    """Means nothing."""


def _send(ident: int, kind: type[BaseException]) -> None:
    """Send an exception to a thread, in the place of one that has not arrived there, and disturb no other thread.

    Before Python 3.13, an exception for one thread has every thread look for one until it has arrived: for ever where
    it was taken back in the way that there is for it, and for long where that thread waits in C. Whoever is watched by
    a profiler or a debugger hangs meanwhile (3.11), with the first function that it calls. So this thread sends itself
    something that arrives at once and ends the search; a thread that waits for an exception begins it anew when it
    goes on.
    """
    send = ctypes.pythonapi.PyThreadState_SetAsyncExc
    there, here = ctypes.c_ulong(ident), ctypes.c_ulong(threading.get_ident())
    what, nothing = ctypes.py_object(kind), ctypes.py_object(_Nothing)
    try:
        send(there, what)
        while send(here, nothing):
            pass
    except _Nothing:
        return


@exposed
def call_user_code(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call; it may be interrupted meanwhile."""
    place = getattr(worker, "place", None)
    if place is None:
        if noted:
            raise_noted()
        return fn(*args, **kwargs)
    place.enter()
    try:
        value = fn(*args, **kwargs)
    except BaseException as error:
        place.leave(error)
        raise
    place.leave()
    return value


@contextmanager
def engine_code() -> Iterator[None]:
    """Inside, the user's code has called the engine."""
    place = getattr(worker, "place", None)
    if place is None:
        yield
        return
    place.leave()
    try:
        yield
    finally:
        place.enter()


@contextmanager
def placed(live: Any) -> Iterator[None]:
    """A root run that is executed outside the main thread can be interrupted there as a step on a worker can."""
    if threading.current_thread() is threading.main_thread():
        yield
        return
    around: Place | None = getattr(worker, "place", None)
    with engine_code():
        live.place = worker.place = around or Place()
        try:
            yield
        finally:
            live.place, worker.place = None, around
