"""Exceptions as they are recorded, whatever they do when printed or pickled."""

from __future__ import annotations

import pickle
import traceback

from penstock.core.errors import TaskTimedOut
from penstock.core.events import ErrorInfo
from penstock.core.interruptions import Interruption, Terminated

_TEXT, _TRACE = 20_000, 60_000
_OWN = ("/penstock/engine/", "/penstock/authoring/", "/penstock/core/", "/penstock/deploy/")


def type_name(error: BaseException) -> str:
    """`ValueError`, or `package.module.Error` for what is not built in."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _let_through(problem: BaseException) -> None:
    """What stops a run is not the exception's own fault, though it came while the exception was looked at."""
    if isinstance(problem, (Interruption, KeyboardInterrupt, Terminated)):
        raise problem


def text_of(error: BaseException) -> str:
    """`str(error)`, or what went wrong in asking for it."""
    try:
        return _storable(str(error), _TEXT)
    except BaseException as problem:
        _let_through(problem)
        return f"<{type(problem).__name__} in {type(error).__name__}.__str__>"


def trace_of(error: BaseException) -> str:
    """The traceback, without the frames of the engine itself."""
    try:
        told = traceback.TracebackException.from_exception(error, limit=-50, capture_locals=False, compact=True)
        _trim(told)
        return _storable("".join(told.format()), _TRACE)
    except BaseException as problem:
        _let_through(problem)
        return f"{type_name(error)}: <its traceback cannot be printed>"


def _trim(told: traceback.TracebackException) -> None:
    """Drop our own frames, also of the exceptions that led to this one."""
    told.stack = traceback.StackSummary.from_list(
        [frame for frame in told.stack if not any(part in frame.filename for part in _OWN)]
    )
    for earlier in (told.__cause__, told.__context__, *(told.exceptions or ())):
        if earlier is not None:
            _trim(earlier)


def _storable(text: str, limit: int) -> str:
    if len(text) > limit:
        text = text[: limit // 2] + f"\n... {len(text) - limit:,} characters left out ...\n" + text[-limit // 2 :]
    return text.encode("utf-8", "backslashreplace").decode()


def error_info(error: BaseException) -> tuple[ErrorInfo, bytes | None]:
    """What is recorded of an exception, and its pickle if it survives being read back."""
    info = ErrorInfo(type_name(error), text_of(error), trace_of(error))
    try:
        data = pickle.dumps(error, protocol=5)
        if len(data) <= 1_000_000 and type(pickle.loads(data)) is type(error):
            return info, data
    except BaseException as problem:
        _let_through(problem)
    return info, None


def is_timeout(error: BaseException) -> bool:
    """True for timeouts, ours and the user's."""
    return isinstance(error, (TaskTimedOut, TimeoutError))
