"""Signals in the main thread: at once in the user's code, and never in the middle of the engine's own.

CPython runs the handler of a signal between two instructions of the main thread, and what the handler raises begins
there: perhaps between the taking of a lock and the `try` that gives it back, or between a commit and the note that it
was made. So the handlers here look where the thread is. Functions that matter are marked:

- `shielded`: the engine's doors from outside. A signal that comes while one of them is at work is noted, and raised
  as the last thing the function does.
- `exposed`: where the engine calls the user's code, or only waits. Below it a signal raises at once, and one that was
  noted on the way there is raised before.

The nearest marked function decides; where there is none, it is not the engine's business. On an event loop nothing is
raised: the flow's task is cancelled, as asyncio itself does it, and the signal is raised when the flow has unwound.
Whoever sends a second signal before the first was raised is obeyed at once, wherever that is.

Nothing of this costs anything while there is no signal, but for a look at an empty list.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.core.interruptions import Terminated

if TYPE_CHECKING:
    from penstock.engine.live import LiveRun

F = TypeVar("F", bound=Callable[..., Any])

noted: list[BaseException] = []
"""What came while the engine was at work in the main thread. See `raise_noted`."""

_SHIELDED, _EXPOSED, _AWAITING = "shielded", "exposed", "awaiting"
_LOOP_HEARS_SECONDS = 2.0
_marks: dict[int, str] = {}
_roots: list[LiveRun] = []
_python_handles_sigint: Any = signal.default_int_handler
_forking = threading.local()


def shielded(function: F) -> F:
    """Mark a function that signals do not break into. It calls `raise_noted` in a `finally`, if something is noted."""
    _marks[id(function.__code__)] = _SHIELDED
    return function


def exposed(function: F) -> F:
    """Mark a function that signals may break into at any instruction. It begins with `raise_noted`, if need be."""
    _marks[id(function.__code__)] = _EXPOSED
    return function


def awaiting(function: F) -> F:
    """Mark a coroutine function that awaits the user's code."""
    _marks[id(function.__code__)] = _AWAITING
    return function


class Stop:
    """A signal for an async run: its task is cancelled, and the signal raised when it has unwound.

    Attributes:
        error: what is raised then.
        since: when it came.
        heard: the event loop has got so far as to cancel the task.
        reminded: the signal that comes next is ours, and means: raise it now, if the user's code holds the loop up.
    """

    __slots__ = ("error", "heard", "reminded", "since")

    def __init__(self, error: BaseException, root: LiveRun) -> None:
        self.error = error
        self.since = time.monotonic()
        self.heard = self.reminded = False
        root.loop.call_soon_threadsafe(self._cancel, root)

    def _cancel(self, root: LiveRun) -> None:
        self.heard = True
        root.cancel_async()


def remind(root: LiveRun) -> None:
    """For the keeper: an event loop that hears nothing is held up, perhaps by the user's code."""
    stop = root.stop
    if stop is not None and not stop.heard and time.monotonic() - stop.since >= _LOOP_HEARS_SECONDS:
        stop.since = time.monotonic()
        stop.reminded = True
        signal.pthread_kill(root.thread, root.wake_signal)


def raise_noted() -> None:
    """Raise what was noted, in the main thread: a signal rather than a time limit."""
    if noted and threading.current_thread() is threading.main_thread():
        error = next((error for error in noted if not isinstance(error, TimeoutError)), noted[0])
        noted.clear()
        raise error


def behind(error: BaseException, root: LiveRun) -> BaseException:
    """What ended a run, where an event loop was only told of it by a cancellation."""
    if type(error).__name__ != "CancelledError":
        return error
    return root.stop.error if root.stop is not None else next(iter(noted), error)


def strike(error: BaseException, frame: FrameType | None) -> None:
    """For a handler: raise this where the thread is, or have it raised as soon as that does no harm."""
    place = _place(frame)
    if place is None or place == _EXPOSED:
        raise error
    if not isinstance(place, str):
        place.get_loop().call_soon_threadsafe(place.cancel)
    noted.append(error)


def _place(frame: FrameType | None, awaiting: bool = False) -> Any:
    """The nearest mark, if there is one; or what an event loop that the user's code has started runs to its end."""
    while frame is not None:
        known = _marks.get(id(frame.f_code))
        if known is not None and (awaiting or known != _AWAITING):
            return known
        if frame.f_code.co_name == "run_until_complete" and frame.f_globals.get("__name__") == "asyncio.base_events":
            awaited = frame.f_locals.get("future")
            if hasattr(awaited, "get_loop"):
                return awaited
        frame = frame.f_back
    return None


@contextmanager
def attended(live: LiveRun) -> Iterator[None]:
    """Handle signals while this root run is executed, where it is in the main thread and nobody else handles them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        if not _roots:
            noted.clear()
        _roots.append(live)
        _take_over()
        live.wake_signal = signal.SIGTERM if signal.getsignal(signal.SIGTERM) is _on_signal else signal.SIGINT
        yield
    finally:
        try:
            if _roots == [live]:
                _give_back()
        finally:
            if live in _roots:
                _roots.remove(live)
        _raise_late(live)


def _take_over() -> None:
    """SIGINT first: from then on, signals do not break into this."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _on_signal)
        signal.default_int_handler = _on_signal  # type: ignore[assignment] # event loops replace only this one
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_signal)


def _give_back() -> None:
    if threading.current_thread() is not threading.main_thread():
        return  # an abandoned coroutine that is cleared away
    if signal.getsignal(signal.SIGTERM) is _on_signal:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.default_int_handler = _python_handles_sigint
    if signal.getsignal(signal.SIGINT) is _on_signal:
        signal.signal(signal.SIGINT, _python_handles_sigint)


def _raise_late(live: LiveRun) -> None:
    """A signal that came as the run was ending. One by which the run was to be stopped is not needed any more."""
    if live.interruption is not None:
        noted.clear()
    elif live.stop is not None:
        raise live.stop.error from None
    elif noted:
        raise_noted()


def _on_signal(number: int, frame: FrameType | None) -> None:
    """The handler of SIGINT and SIGTERM."""
    roots = [root for root in _roots if root.engine.pid == os.getpid() and _is_under_way(root)]
    if not roots:
        _as_ever(number)
    error = Terminated(143) if number == signal.SIGTERM else KeyboardInterrupt()
    on_loops = [root for root in roots if root.loop is not None]
    stops = [root.stop for root in on_loops if root.stop is not None]
    reminders = [stop for stop in stops if stop.reminded]
    for stop in reminders:
        stop.reminded = False
        if not stop.heard and _place(frame, awaiting=True) in (_EXPOSED, _AWAITING):
            raise error
    if reminders:
        return
    if stops or any(not isinstance(earlier, TimeoutError) for earlier in noted):
        noted.clear()
        raise error
    if roots[-1].loop is None or _place(frame) == _EXPOSED:
        strike(error, frame)
        return
    for root in on_loops:
        root.stop = Stop(error, root)


def _is_under_way(root: LiveRun) -> bool:
    """False for a coroutine that was begun and left lying about."""
    return root.loop is None or root.loop.is_running()


def _before_fork() -> None:
    """Python forgets, in a child, the signals that came before its first instruction: they wait until it hears them."""
    if _roots:
        _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))


def _after_fork() -> None:
    mask, _forking.mask = getattr(_forking, "mask", None), None
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _in_child() -> None:
    """Whoever ends a child that has run nothing yet, such as a pool of the standard library, ends it at once."""
    _give_back()
    _after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def _as_ever(number: int) -> None:
    """A forked child, or a process whose runs have ended: as if there were no handler of ours."""
    if number == signal.SIGTERM:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    raise KeyboardInterrupt
