"""A run in this process, as `run`, `runs resume` and `runs fork` execute it: shown, ended, and summed up."""

from __future__ import annotations

import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from penstock.app import Penstock
from penstock.cli.console import say_error, write_json
from penstock.cli.display import Display, SaidHandler, display_for
from penstock.cli.progress import Progress
from penstock.cli.summary import write_summary
from penstock.core.errors import JournalError, PenstockError
from penstock.core.model import Run
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
    as_json: bool = False,
) -> int:
    """Execute a run to its end in this process.

    Args:
        app: where.
        start: gives the state, or a coroutine for it.
        resumed: the run that goes on, whose recorded steps are shown as such.
        quiet: show nothing before the end.
        as_json: show nothing, and write the outcome as JSON.

    Returns:
        The exit code.
    """
    progress = Progress(resumed.id if resumed is not None else None)
    if resumed is not None:
        progress.preload(resumed, app.journal.task_runs(resumed.id))
    with _own_stdout(as_json) as out:
        display = display_for(progress, quiet=quiet or as_json)
        app.engine.observe(display.take)
        with _said(display, wanted=app.shows_logs and not (quiet or as_json)):
            display.start()
            try:
                ended = _to_the_end(start)
            finally:
                display.stop()
    if isinstance(ended.stopped, PenstockError) and progress.root_id is None:
        raise ended.stopped
    run = _recorded(app, progress)
    code = exit_code(run, ended)
    if as_json:
        from penstock.cli.summary import outcome_record  # noqa: PLC0415

        with _to(out):
            write_json({**outcome_record(app, progress, run, ended.state), "exit_code": code})
    else:
        write_summary(app, progress, run, ended.state, code)
    if isinstance(ended.stopped, PenstockError):
        say_error(ended.stopped.message, ended.stopped.hint)
    return code
