"""What a run prints under a worker: it says whose line it is, and it may be that nobody is there to read it."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import sys
from typing import Any

from penstock.core.context import current_scope
from penstock.engine.log_lines import JsonLines

_NOBODY = (errno.EPIPE, errno.EIO)


class Outlet(io.FileIO):
    """A descriptor that is led into nothing as soon as there is nobody at its other end. It is not closed with it."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)

    def write(self, data: Any) -> int:
        """Write, or write into nothing."""
        try:
            return super().write(data) or 0
        except OSError as error:
            if error.errno not in _NOBODY:
                raise
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self.fileno())  # for the processes it starts, too
            os.close(nothing)
            return len(data)


def keep_printing() -> None:
    """Let no print of this process fail for want of a reader."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
            made = io.TextIOWrapper(
                io.BufferedWriter(Outlet(stream.fileno())),
                encoding=stream.encoding,
                errors=stream.errors,
                line_buffering=True,
            )
            setattr(sys, name, made)


class NamedLines(logging.Formatter):
    """Log lines with the name of their run."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line."""
        scope = current_scope.get()
        if scope is not None and scope.live is not None:
            record.message = f"{scope.live.root.name}  {record.message}"
        return super().formatMessage(record)


def name_lines() -> None:
    """Let log lines on stderr begin with the name of their run; those for programs have its id."""
    for handler in logging.getLogger("penstock").handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler.formatter, JsonLines):
            handler.setFormatter(NamedLines())
