"""A run in this process, as `run`, `runs resume` and `runs fork` execute it: shown, ended, and summed up."""

from __future__ import annotations

import inspect
import logging
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from penstock.app import Penstock, load_settings
from penstock.cli.console import clean_lines, say_error, write_json
from penstock.cli.display import Display, SaidHandler, display_for
from penstock.cli.progress import Progress
from penstock.cli.summary import outcome_record, write_summary
from penstock.core.errors import PenstockError
from penstock.core.model import Run, RunFilter
from penstock.core.states import State

COMPLETED, FAILED, CANCELLED, INTERRUPTED, TERMINATED = 0, 1, 3, 130, 143


class Ended(NamedTuple):
    """How an execution came to its end.

    Attributes:
        state: the run's, when the engine gave one.
        stopped: what else ended it: a signal, sys.exit, a journal that takes no more records.
    """

    state: State | None = None
    stopped: BaseException | None = None


def execute(
    app: Penstock,
    start: Callable[[], Any],
    *,
    resumed: Run | None = None,
    quiet: bool = False,
    plain: bool = False,
    as_json: bool = False,
) -> int:
    """Execute a run to its end in this process.

    Args:
        app: where.
        start: gives the state, or a coroutine for it.
        resumed: the run that goes on, whose recorded steps are shown as such.
        quiet: show nothing before the end, and then one line.
        plain: show lines, in a terminal too.
        as_json: show nothing, and write the outcome as JSON.

    Returns:
        The exit code.

    Raises:
        PenstockError: the run could not begin.
    """
    progress = Progress(resumed.id if resumed is not None else None)
    if resumed is not None:
        _preload(app, progress, resumed)
    logs = load_settings().log_console and not (quiet or as_json)
    display = display_for(progress, quiet=quiet or as_json, plain=plain, logs=logs)
    app.engine.observe(display.take)
    with _said(display, wanted=logs):
        display.start()
        ended = _to_the_end(start)
        with _undisturbed():
            display.stop()
            if isinstance(ended.stopped, PenstockError) and progress.root is None:
                raise ended.stopped
            return _sum_up(app, progress, ended, quiet=quiet, as_json=as_json)


def _sum_up(app: Penstock, progress: Progress, ended: Ended, *, quiet: bool, as_json: bool) -> int:
    run = _recorded(app, progress)
    code = exit_code(run, ended)
    if as_json:
        write_json({**outcome_record(progress, run, ended.state), "exit_code": code})
    else:
        write_summary(progress, run, ended.state, code, quiet=quiet)
    if isinstance(ended.stopped, PenstockError):
        say_error(ended.stopped.message, ended.stopped.hint)
    elif isinstance(ended.stopped, Exception):
        for line in clean_lines("".join(traceback.format_exception(ended.stopped)).rstrip()):
            print(line, file=sys.stderr)
        say_error("Penstock itself failed, which is a mistake in Penstock.", "please report it, with the lines above")
    return code


def _preload(app: Penstock, progress: Progress, run: Run) -> None:
    """What is on record of a run that goes on, and of its subflows that have not ended."""
    progress.restore(run, app.journal.task_runs(run.id), goes_on=True)
    for child in app.journal.runs(RunFilter(parent_id=run.id, limit=1000)):
        if not child.ended:
            _preload(app, progress, child)


def _to_the_end(start: Callable[[], Any]) -> Ended:
    try:
        answer = start()
        if inspect.iscoroutine(answer):
            import asyncio

            answer = asyncio.run(answer)
        return Ended(answer)
    except BaseException as error:
        return Ended(None, error)


def exit_code(run: Run | None, ended: Ended) -> int:
    """What the process says to its caller."""
    if isinstance(ended.stopped, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(ended.stopped, SystemExit) and ended.stopped.code == TERMINATED:
        return TERMINATED
    if isinstance(ended.stopped, PenstockError):
        return FAILED
    word = run.state if run is not None else ended.state.type.word if ended.state is not None else "Crashed"
    return {"Completed": COMPLETED, "Cancelled": CANCELLED}.get(word, FAILED)


def _recorded(app: Penstock, progress: Progress) -> Run | None:
    """The run as it is on record, if the journal still answers."""
    if progress.root_id is None:
        return None
    try:
        return app.journal.run(progress.root_id)
    except PenstockError:
        return None


@contextmanager
def _said(display: Display, wanted: bool) -> Iterator[None]:
    """Show log lines of runs through the display."""
    logger = logging.getLogger("penstock")
    handler = SaidHandler(display)
    propagated = logger.propagate
    if wanted:
        logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagated


@contextmanager
def _undisturbed() -> Iterator[None]:
    """The moment in which the end is shown: another Ctrl-C waits for it, so that the terminal is left in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
