"""Where a worker thread is: in the user's code, which may be interrupted, or in the engine's, which may not.

An exception raised in another thread can arrive between any two instructions, also between the taking of a lock and
the block that releases it. So it is only sent while the thread is in the user's code, and taken back when the thread
has left it before the exception arrived.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from penstock.core.context import worker
from penstock.core.errors import Interruption
from penstock.engine.deadlines import raise_in_thread


class Place:
    """The state of one worker thread. Its own thread enters and leaves; any other may interrupt."""

    __slots__ = ("_ident", "_inside", "_lock", "_sent")

    def __init__(self) -> None:
        self._ident = threading.get_ident()
        self._lock = threading.Lock()
        self._inside = False
        self._sent: type[Interruption] | None = None

    def interrupt(self, kind: type[Interruption]) -> None:
        """Raise this in the thread, if it is in the user's code now."""
        with self._lock:
            if self._inside and self._sent is None:
                self._sent = kind
                raise_in_thread(self._ident, kind)

    def enter(self) -> None:
        """The user's code begins, or goes on."""
        with self._lock:
            self._inside = True

    def leave(self, arrived: bool = False) -> None:
        """The user's code has ended, or called the engine.

        Raises:
            Interruption: one was sent that had not arrived yet.
        """
        with self._lock:
            self._inside = False
            sent, self._sent = self._sent, None
            if sent is not None and not arrived:
                raise_in_thread(self._ident, None)
        if sent is not None and not arrived:
            raise sent


def call_user_code(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call; on a worker thread, it may be interrupted meanwhile."""
    place = getattr(worker, "place", None)
    if place is None:
        return fn(*args, **kwargs)
    place.enter()
    try:
        value = fn(*args, **kwargs)
    except BaseException as error:
        place.leave(isinstance(error, Interruption))
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
