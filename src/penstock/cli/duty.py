"""A worker on duty, as `serve` and `worker start` have it: shown while it works, and stopped in order."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

from penstock.app import Penstock
from penstock.cli.console import clean, clean_lines, counted, fitting, glyph, write_json_line
from penstock.cli.display import Said
from penstock.cli.plans import deployment_record
from penstock.cli.run_table import waiting_told
from penstock.cli.session import short
from penstock.cli.units import ahead, clock, duration, iso
from penstock.core.events import now_us
from penstock.core.model import Run, StoredDeployment
from penstock.orchestrator.records import level_name, run_record
from penstock.orchestrator.scheduler import Scheduler
from penstock.orchestrator.services import scheduling, settle, stopping
from penstock.orchestrator.worker import PoolWorker, Told, WorkerOptions

_BAD = ("Failed", "Crashed", "Cancelled")


class Show(Protocol):
    """Shows what a worker does. `told` comes from the thread it works in, `said` from any."""

    def start(self, worker: PoolWorker, scheduler: Scheduler | None) -> None:
        """Begin."""

    def told(self, told: Told) -> None:
        """Something happened to a run."""

    def said(self, line: Said) -> None:
        """A line of the worker's, or the scheduler's, own log."""

    def stop(self) -> None:
        """End."""


def label(run: Run) -> str:
    """A run as people know it: its deployment (or flow) and its name."""
    return f"{clean(run.deployment or run.flow)} · {clean(run.name)}"


def line_of(told: Told) -> tuple[str, str]:
    """The state to show, and what to say."""
    run = told.run
    if told.what == "taken":
        again = f", after {counted(run.crashes, 'crash', 'crashes')}" if run.crashes else ""
        return "Running", f"{label(run)}  started{again}  {short(run.id)}"
    if told.what == "ended":
        took = duration(run.ended_at - run.started_at) if run.ended_at and run.started_at else ""
        said = clean(clean_lines(run.message)[0]) if run.message and run.state in _BAD else ""
        return run.state, "  ".join(filter(None, [f"{label(run)}  {run.state.lower()}", took, said]))
    if told.what == "paused":
        return "Paused", f"{label(run)}  {waiting_told(run, now_us())}"
    if told.what == "back":
        when = ahead(run.due_at, now_us()) if run.due_at is not None else "soon"
        crashes = f" ({counted(run.crashes, 'crash', 'crashes')})" if told.why is not None and run.crashes else ""
        return "Retrying", f"{label(run)}  {clean(told.why or run.message or 'it was put back')} Again {when}{crashes}."
    return "Running", f"{label(run)}  goes on in process of its own, out of this worker's sight"


class Tally:
    """How many runs ended how."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.back = 0

    def take(self, told: Told) -> None:
        """Count."""
        if told.what == "ended":
            self.counts[told.run.state] = self.counts.get(told.run.state, 0) + 1
        self.back += told.what == "back"

    def __str__(self) -> str:
        told = [f"{count:,} {state.lower()}" for state, count in sorted(self.counts.items())]
        told += [f"{self.back:,} put back"] if self.back else []
        return ", ".join(told) or "no run has ended"


class Lines:
    """Plain lines: a run begins, a run has ended. With `quiet`, only what did not go well."""

    def __init__(self, greeting: Sequence[str], quiet: bool) -> None:
        self._tally = Tally()
        self._greeting = greeting
        self._quiet = quiet
        self._lock = threading.Lock()

    def start(self, worker: PoolWorker, scheduler: Scheduler | None) -> None:
        """Greet."""
        if not self._quiet:
            for line in self._greeting:
                self._write(line)

    def told(self, told: Told) -> None:
        """Write a line, where it is worth one."""
        self._tally.take(told)
        state, line = line_of(told)
        if not self._quiet or told.why is not None or (told.what == "ended" and state in _BAD):
            self._write(f"{clock(now_us())}  {glyph(state)} {line}")

    def said(self, line: Said) -> None:
        """Write a log line."""
        for part in clean_lines(line.message):
            self._write(f"{clock(line.at)}    {line.level} {part}")

    def stop(self) -> None:
        """Sum up."""
        if not self._quiet:
            self._write(f"Stopped: {self._tally}.")

    def _write(self, line: str) -> None:
        with self._lock:
            sys.stdout.write(fitting(line) + "\n")
            sys.stdout.flush()


class JsonLines:
    """JSON Lines: one object for everything that happens."""

    def __init__(self, options: WorkerOptions, deployments: Callable[[], list[StoredDeployment]]) -> None:
        self._options = options
        self._deployments = deployments
        self._tally = Tally()

    def start(self, worker: PoolWorker, scheduler: Scheduler | None) -> None:
        """Say what this is."""
        told = {"pool": self._options.pool, "queues": list(self._options.queues), "limit": self._options.slots}
        found = [deployment_record(each) for each in self._deployments()]
        self._write("ready", worker=worker.owner, **told, deployments=found)

    def told(self, told: Told) -> None:
        """Write an object."""
        self._tally.take(told)
        self._write(told.what, why=told.why, run=run_record(told.run, now_us()))

    def said(self, line: Said) -> None:
        """Write an object."""
        self._write("log", level=line.level, message=line.message)

    def stop(self) -> None:
        """Say so."""
        counts = {state.lower(): count for state, count in sorted(self._tally.counts.items())}
        self._write("stopped", runs=counts, put_back=self._tally.back)

    def _write(self, event: str, **facts: Any) -> None:
        write_json_line({"event": event, "at": iso(now_us()), **facts})


class _Listener(logging.Handler):
    """Hands log lines of the worker and the scheduler to a show."""

    def __init__(self, said: Callable[[Said], None]) -> None:
        super().__init__()
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        """Hand it over."""
        self._said(Said(int(record.created * 1_000_000), level_name(record.levelno), None, record.getMessage()))


@contextmanager
def heard(said: Callable[[Said], None]) -> Iterator[None]:
    """What the worker and the scheduler log in this process goes there, and nowhere else."""
    logger = logging.getLogger("penstock")
    handler, propagated = _Listener(said), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagated


def attend(
    app: Penstock, options: WorkerOptions, show: Show, *, with_scheduler: bool, warning: str | None = None
) -> PoolWorker:
    """Let a worker work in this process until it is told to stop: by SIGTERM or Ctrl-C, a second time at once.

    Args:
        app: where.
        options: of the worker.
        show: tells what it does.
        with_scheduler: make the runs of schedules too.
        warning: shown first.
    """
    worker = PoolWorker(app.journal, options, show.told)
    goes_on = with_scheduler and not options.until_idle
    with heard(show.said), scheduling(app) if goes_on else nullcontext() as scheduler, stopping(worker):
        if with_scheduler and not goes_on:
            settle(app)
        show.start(worker, scheduler)
        if warning is not None:
            show.said(Said(now_us(), "WARNING", None, warning))
        try:
            worker.run()
        finally:
            show.stop()
    return worker


def show_for(
    app: Penstock,
    options: WorkerOptions,
    title: str,
    *,
    names: Sequence[str] | None = None,
    greeting: Sequence[str],
    quiet: bool,
    plain: bool,
    as_json: bool,
) -> Show:
    """The show that fits where stdout goes.

    Args:
        app: where.
        options: of the worker.
        title: what it is.
        names: the deployments it is about; None for all of its pool.
        greeting: its first lines, where lines are written.
        quiet: only what does not go well.
        plain: lines, in a terminal too.
        as_json: JSON Lines.
    """

    def deployments() -> list[StoredDeployment]:
        if names is not None:
            return [found for name in names for found in app.journal.deployments(name)]
        found = [each for each in app.journal.deployments() if each.pool == options.pool]
        return [each for each in found if not options.queues or each.queue in options.queues]

    if as_json:
        return JsonLines(options, deployments)
    if sys.stdout.isatty() and not (plain or quiet):
        from penstock.cli.live import can_be_drawn_on

        if can_be_drawn_on():
            from penstock.cli.board import Board

            return Board(title, deployments)
    return Lines(greeting, quiet)
