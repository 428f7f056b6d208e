"""What is seen of a run while it is executed: a live tree in a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any, NamedTuple, Protocol

from penstock.cli.console import clean, clean_lines, fitting, glyph
from penstock.cli.progress import Group, Progress
from penstock.cli.units import clock, duration
from penstock.core.context import current_scope
from penstock.core.events import (
    Event,
    RunCreated,
    RunEnded,
    RunResumed,
    RunRetrying,
    RunStarted,
    TaskEnded,
    TaskEvent,
    TaskRetrying,
)
from penstock.orchestrator.records import level_name

_TOLD_EACH = 5
_PAUSE_US = 2_000_000


class Said(NamedTuple):
    """A log line."""

    at: int
    level: str
    step: str | None
    message: str


class Display(Protocol):
    """Shows a run. `take` and `said` are called from any thread."""

    def start(self) -> None:
        """Begin."""

    def take(self, run_id: str, event: Event) -> None:
        """An event of the engine."""

    def said(self, line: Said) -> None:
        """A log line."""

    def stop(self) -> None:
        """End, with everything shown."""


class Silence:
    """Shows nothing, and keeps the tree."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.take = progress.take

    def start(self) -> None:
        """Nothing to do."""

    def said(self, line: Said) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Take in what is queued."""
        self._progress.catch_up()


class Lines:
    """Plain lines: of each task the first few calls, then how far it is; of its failures more.

    Args:
        progress: the tree to keep.
        retries: also tell of retries; log lines do, where they are shown.
    """

    def __init__(self, progress: Progress, retries: bool) -> None:
        self._progress = progress
        self._retries = retries
        self._lock = threading.RLock()
        self._told: dict[tuple[str, str], int] = {}
        self._next: dict[tuple[str, str], int] = {}

    def start(self) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Take in what is queued."""
        self._progress.catch_up()

    def take(self, run_id: str, event: Event) -> None:
        """Write a line, where it is worth one."""
        self._progress.take(run_id, event)
        with self._lock:
            for where, queued in self._progress.catch_up():
                self._tell(where, queued)

    def said(self, line: Said) -> None:
        """Write a log line."""
        first, *more = clean_lines(line.message)
        step = f"{clean(line.step)}: " if line.step else ""
        level = f"{line.level} " if line.level != "INFO" else ""
        with self._lock:
            self._write(line.at, "  ", f"{level}{step}{first}")
            for rest in more:
                self._write(line.at, "  ", f"  {rest}")

    def _write(self, at: int, sign: str, told: str) -> None:
        sys.stdout.write(fitting(f"{clock(at)}  {sign}{told}") + "\n")
        sys.stdout.flush()

    def _tell(self, run_id: str, event: Event) -> None:
        node = self._progress.runs.get(run_id)
        where = "" if node is None or run_id == self._progress.root_id else f"{clean(node.flow)} · "
        if isinstance(event, TaskEvent):
            self._tell_step(run_id, where, event)
        elif isinstance(event, RunCreated) and not event.parent_id:
            self._write(event.at, "", f"{clean(event.flow)} · {clean(event.name)}  started, run {run_id}")
        elif isinstance(event, (RunResumed, RunStarted)) and not where and self._progress.kept and node is not None:
            kept = f"{self._progress.kept:,} steps are on record"
            self._write(event.at, "", f"{clean(node.flow)} · {clean(node.name)}  goes on, run {run_id}, {kept}")
        elif isinstance(event, RunRetrying):
            told = f"attempt {event.attempt} failed, again in {event.delay:g} s"
            self._write(event.at, f"{glyph('Retrying')} ", f"{where}{told}")
        elif isinstance(event, RunEnded) and where and node is not None:
            took = duration(event.at - node.started) if node.started else ""
            self._write(event.at, f"{glyph(node.state)} ", f"{where}{node.state.lower()}  {took}")

    def _tell_step(self, run_id: str, where: str, event: TaskEvent) -> None:
        kinds = (TaskEnded, TaskRetrying) if self._retries else TaskEnded
        if event.child is not None or not isinstance(event, kinds):
            return
        key = clean(event.step.key)
        if event.step.name != event.step.task:
            key += f" {clean(event.step.name)}"
        spot = (run_id, event.step.task)
        told = self._told[spot] = self._told.get(spot, 0) + 1
        bad = event.error is not None
        limit = 4 * _TOLD_EACH if bad else _TOLD_EACH
        if told > limit:
            self._tell_counts(spot, where, event)
            return
        error = clean(_first_line(event)) if bad else ""
        if isinstance(event, TaskRetrying):
            told_error = f"attempt {event.attempt} failed: {error}; again in {event.delay:g} s"
            self._write(event.at, f"{glyph('Retrying')} ", f"{where}{key}  {told_error}")
        else:
            state = type(event).stored.removeprefix("Task")
            took = duration(event.at - event.started) if event.started else ""
            said = error or (clean(event.message or "") if state != "Completed" else "")
            self._write(event.at, f"{glyph(state)} ", "  ".join(filter(None, [f"{where}{key}", said, took])))

    def _tell_counts(self, spot: tuple[str, str], where: str, event: TaskEvent) -> None:
        """Now and then, how far a task is that is called very often."""
        if event.at < self._next.get(spot, 0):
            return
        self._next[spot] = event.at + _PAUSE_US
        self._progress.measure()
        node = self._progress.runs.get(spot[0])
        group = node.groups.get(spot[1]) if node is not None else None
        if group is not None:
            self._write(event.at, "  ", f"{where}{clean(group.task)}: {_counts(group)}")


def _first_line(event: Any) -> str:
    text = event.error.text.strip().split("\n")[0]
    return f"{event.error.type}: {text}" if text else str(event.error.type)


def _counts(group: Group) -> str:
    done = f"{group.done:,}" + (f"/{group.total:,}" if group.total > group.begun else "")
    told = [f"{done} done"]
    told += [f"{count:,} {state.lower()}" for state, count in group.counts.items() if state != "Completed"]
    return ", ".join([*told, f"{len(group.open):,} running"] if group.open else told)


class SaidHandler(logging.Handler):
    """Hands log lines of runs to a display."""

    def __init__(self, display: Display) -> None:
        super().__init__()
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the line over with the step it was logged in."""
        scope = current_scope.get()
        try:
            message = self.format(record)
        except Exception as error:
            message = f"{record.msg!r} could not be formatted: {error!r}"
        step = scope.key if scope is not None else None
        self._display.said(Said(int(record.created * 1_000_000), level_name(record.levelno), step, message))


def display_for(progress: Progress, *, quiet: bool, plain: bool, logs: bool) -> Display:
    """The display that fits where stdout goes."""
    if quiet:
        return Silence(progress)
    if sys.stdout.isatty() and not plain:
        from penstock.cli.live import LiveTree, can_be_drawn_on

        if can_be_drawn_on():
            return LiveTree(progress)
    return Lines(progress, retries=not logs)
