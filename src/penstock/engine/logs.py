"""Logs of runs: what `get_run_logger()` and captured prints say, kept in the journal beside the run."""

from __future__ import annotations

import builtins
import functools
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from penstock.core.context import current_scope
from penstock.core.errors import MissingContextError
from penstock.core.extras import LateModule
from penstock.core.model import LogLine
from penstock.engine.failures import text_of, type_name
from penstock.engine.signals import noted, raise_noted, shielded

_lines: Any = LateModule("penstock.engine.log_lines")
_LONGEST = 100_000
_runs = logging.getLogger("penstock.run")
_engine = logging.getLogger("penstock.engine")
_capture: ContextVar[bool] = ContextVar("penstock_capture", default=False)
_plain_print = builtins.print


class JournalHandler(logging.Handler):
    """Puts lines logged inside a run into its journal."""

    @shielded
    def handle(self, record: logging.LogRecord) -> bool:
        """As ever; but signals wait until logging has given its lock back."""
        try:
            return super().handle(record)
        finally:
            if noted:
                raise_noted()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line with the run and the step it was logged in."""
        scope = current_scope.get()
        if scope is None or scope.live is None or scope.foreign:
            return
        if scope.key is None and _said_before(scope):
            return
        try:
            message = self.format(record)
        except Exception as error:
            said = record.msg if isinstance(record.msg, str) else f"a {type(record.msg).__name__}"
            message = f"{said!r} could not be formatted with its arguments: {type_name(error)}: {text_of(error)}"
        if len(message) > _LONGEST:
            message = f"{message[:_LONGEST]}... ({len(message):,} characters)"
        message = message.encode("utf-8", "backslashreplace").decode()
        at = int(record.created * 1_000_000)
        recorder = scope.live.recorder
        recorder.log(LogLine(recorder.run_id, scope.key, at, record.levelno, record.name, message))


def _said_before(scope: Any) -> bool:
    """What a flow of a worker says between calls that are on record was said, and kept, when they were recorded."""
    replay = getattr(scope.live, "replay", None)
    return replay is not None and scope.live.suspends and scope.ordinal < replay.calls


def install(level: int, console: bool, form: str = "text") -> None:
    """Send the run loggers to the journal, and to stderr (once for a process), as `text` or as `json`."""
    for logger in (_runs, _engine):
        logger.setLevel(level)
        logger.propagate = True
        if not any(isinstance(handler, JournalHandler) for handler in logger.handlers):
            logger.addHandler(JournalHandler())
    top = logging.getLogger("penstock")
    if console and not top.handlers:
        top.addHandler(_ConsoleHandler(form))
        if form == "json":  # whoever collects lines wants those of the server, too
            top.setLevel(level)
        top.propagate = False


class _ConsoleHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Lines on stderr as it is at that moment, so that a captured or closed stream does no harm."""

    def __init__(self, form: str) -> None:
        super().__init__(sys.stderr)
        plain = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
        self.setFormatter(_lines.JsonLines() if form == "json" else plain)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line."""
        self.stream = sys.stderr
        super().emit(record)


def engine_logger() -> logging.Logger:
    """Where the engine says what it thinks people should know."""
    return _engine


def get_run_logger() -> logging.LoggerAdapter[logging.Logger]:
    """A logger whose lines are kept with the run and the step.

    Raises:
        MissingContextError: called outside a flow and a task.
    """
    scope = current_scope.get()
    if scope is None and _runs.disabled:
        return logging.LoggerAdapter(_runs, {})
    if scope is None:
        raise MissingContextError(
            "There is no active flow or task run context.",
            hint="call get_run_logger() inside a flow or a task; elsewhere use logging.getLogger(__name__)",
        )
    return logging.LoggerAdapter(_runs, {"run_id": scope.live.id, "step": scope.key})


def flow_run_logger(flow_run: Any, flow: Any = None) -> logging.LoggerAdapter[logging.Logger]:
    """A run logger for a hook of a flow."""
    return logging.LoggerAdapter(_runs, {"run_id": flow_run.id, "step": None})


def task_run_logger(task_run: Any, task: Any = None, flow_run: Any = None) -> logging.LoggerAdapter[logging.Logger]:
    """A run logger for a hook of a task."""
    return logging.LoggerAdapter(_runs, {"run_id": task_run.flow_run_id, "step": task_run.dynamic_key})


def _print(*values: Any, **options: Any) -> None:
    if _capture.get() and options.get("file") in (None, sys.stdout, sys.stderr) and current_scope.get() is not None:
        separator = options.get("sep")
        end = options.get("end")
        text = (" " if separator is None else separator).join(map(str, values)) + (end or "").rstrip("\n")
        token = _capture.set(False)  # whoever shows log lines may print them
        try:
            _runs.info("%s", text)
        finally:
            _capture.reset(token)
        return
    _plain_print(*values, **options)


def with_prints(fn: Callable[..., Any], isasync: bool, own: bool | None, inherited: bool | None) -> Callable[..., Any]:
    """The function, with its prints logged if `log_prints` says so here or (where it says nothing) around it."""
    capture = bool(inherited if own is None else own)
    return Printing(fn, isasync, capture) if capture or _capture.get() else fn


@contextmanager
def disable_run_logger() -> Iterator[None]:
    """Let run loggers say nothing, for tests of a task's function."""
    before, _runs.disabled = _runs.disabled, True
    try:
        yield
    finally:
        _runs.disabled = before


def get_logger(name: str | None = None) -> logging.Logger:
    """An ordinary logger below `penstock`."""
    return logging.getLogger(f"penstock.{name}" if name else "penstock")


class Printing:
    """A function whose prints are logged (or not any more). An object, so that it can be sent to another process."""

    def __init__(self, fn: Callable[..., Any], isasync: bool, capture: bool) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.isasync = isasync
        self.capture = capture

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        _replace_print()
        if self.isasync:
            return self._awaited(args, kwargs)
        token = _capture.set(self.capture)
        try:
            return self.fn(*args, **kwargs)
        finally:
            _capture.reset(token)

    async def _awaited(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        token = _capture.set(self.capture)
        try:
            return await self.fn(*args, **kwargs)
        finally:
            _capture.reset(token)

    def __reduce__(self) -> Any:
        return Printing, (self.fn, self.isasync, self.capture)


def _replace_print() -> None:
    global _plain_print
    if builtins.print is not _print:
        _plain_print = builtins.print
        builtins.print = _print
