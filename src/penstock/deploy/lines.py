"""Log lines of a step as a process says them on stdout: read by people in the engine's own logs, and by Penstock.

2026-11-22T07:30:00.123456Z INFO fetch#1 | message
    | and its next line
"""

from __future__ import annotations

import datetime
import logging
import re
import sys
from collections.abc import Iterable, Iterator
from typing import TextIO
from urllib.parse import quote, unquote

from penstock.core.context import current_scope
from penstock.core.engines import OutsideLine

_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) ([A-Z]+|\d+) (\S+) \| (.*)", re.DOTALL)
_NEXT = "    | "
_NOBODY = "-"
_LONGEST = 100_000


def written(line: OutsideLine) -> str:
    """A line as it is said, without the end of it."""
    moment = datetime.datetime.fromtimestamp(line.at / 1_000_000, datetime.UTC)
    told = line.message[:_LONGEST].encode("utf-8", "backslashreplace").decode().replace("\n", f"\n{_NEXT}")
    step = quote(line.step, safe="#/~") if line.step is not None else _NOBODY
    name = logging.getLevelName(line.level) if line.level in (10, 20, 30, 40, 50) else str(line.level)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z {name} {step} | {told}"


def read(texts: Iterable[str]) -> Iterator[OutsideLine]:
    """The lines among these texts, one text for each line that was said. Others are left out."""
    last: OutsideLine | None = None
    for text in texts:
        found = _LINE.fullmatch(text.rstrip("\n"))
        if found is None:
            if last is not None and text.startswith(_NEXT):
                more = text.rstrip("\n").removeprefix(_NEXT)
                last = OutsideLine(at=last.at, level=last.level, message=f"{last.message}\n{more}", step=last.step)
            continue
        if last is not None:
            yield last
        moment, name, step, message = found.groups()
        at = datetime.datetime.fromisoformat(moment)
        micros = round((at - _EPOCH) / datetime.timedelta(microseconds=1))
        level = int(name) if name.isdecimal() else logging.getLevelNamesMapping().get(name, logging.INFO)
        last = OutsideLine(at=micros, level=level, message=message, step=None if step == _NOBODY else unquote(step))
    if last is not None:
        yield last


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Said(logging.Handler):
    """Says what is logged inside a run.

    Args:
        below: only what this step says, and what it calls; None for what the flow itself says, too.
        everything: whatever step says it.
        stream: where.
    """

    def __init__(self, below: str | None, everything: bool = False, stream: TextIO | None = None) -> None:
        super().__init__()
        self._below = below
        self._everything = everything
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        scope = current_scope.get()
        step = scope.key if scope is not None else self._below
        if not self._everything and not within(step, self._below):
            return
        try:
            message = record.getMessage()
        except Exception as error:  # its arguments do not fit; it is told all the same
            message = f"{record.msg!r} could not be formatted with its arguments: {error!r}"
        if record.exc_info and record.exc_info[0] is not None:
            message = f"{message}\n{logging.Formatter().formatException(record.exc_info)}"
        at = int(record.created * 1_000_000)
        stream = self._stream or sys.stdout
        print(written(OutsideLine(at=at, level=record.levelno, message=message, step=step)), file=stream, flush=True)


def within(step: str | None, outer: str | None) -> bool:
    """Whether a step is this one, or was called by it. The flow itself is None."""
    if step is None or outer is None:
        return step is outer
    return step == outer or step.startswith((f"{outer}/", f"{outer}~"))
