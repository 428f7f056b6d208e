"""Executing runs in a process that does nothing else: one of them, or one after another."""

from __future__ import annotations

import contextvars
import os
import sys
import threading
from types import TracebackType

from penstock.app import Penstock, load_settings, open_journal
from penstock.authoring.loading import load_flow
from penstock.core.errors import PenstockError
from penstock.engine.scheduled import execute
from penstock.orchestrator.losses import refuse
from penstock.orchestrator.outlets import keep_printing, name_lines

_ENGINES_OWN = frozenset({"penstock-keeper", "penstock-doorman", "penstock-lookout"})
_MISUSED = 2


class Executor:
    """Executes runs of one flow in this process.

    Args:
        entrypoint: where the flow is.
    """

    def __init__(self, entrypoint: str) -> None:
        keep_printing()
        self._entrypoint = entrypoint
        settings = load_settings()
        self._app = Penstock(settings, journal=open_journal(settings, patient=True))
        name_lines()
        self._found = _surroundings()

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._app.close()

    def run(self, run_id: str, takes_over: str) -> int:
        """Execute a run; returns what the process would end with: 0 completed, 1 not, 2 refused."""
        try:
            return contextvars.copy_context().run(self._run, run_id, takes_over)
        except PenstockError as error:
            print(f"penstock: {error}", file=sys.stderr)
            return _MISUSED

    def _run(self, run_id: str, takes_over: str) -> int:
        with self._app.activate():
            try:
                flow = load_flow(self._entrypoint)
            except (PenstockError, SystemExit) as error:
                refuse(self._app.journal, run_id, str(error), takes_over)
                raise
            state = execute(self._app.engine, run_id, flow, takes_over)
            if flow.isasync:
                import asyncio

                state = asyncio.run(state)
        return 0 if state is None or state.is_completed() else 1

    def spotless(self) -> bool:
        """Whether the runs so far have left the process as it was: its folder, its environment, its threads."""
        return _surroundings() == self._found and all(
            thread.name in _ENGINES_OWN or thread is threading.main_thread() for thread in threading.enumerate()
        )


def _surroundings() -> tuple[str | None, dict[str, str]]:
    try:
        folder = os.getcwd()
    except OSError:
        return None, dict(os.environ)
    return folder, dict(os.environ)
