"""What the tests of the engine share: an engine on a journal in memory, and a process that seems to have died."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from penstock.app import Penstock, Settings
from penstock.core.errors import JournalUnavailable
from penstock.core.events import Event, RunCreated, stored_name
from penstock.core.ids import new_owner
from penstock.core.model import Run
from penstock.core.ports import Journal
from penstock.engine.keeper import Keeper
from penstock.journal.memory import MemoryJournal
from penstock.testing.faults import Fault, FaultyJournal, fail_with


def engine_on(home: Path, journal: Journal | None = None, **settings: Any) -> Penstock:
    """A Penstock of its own."""
    return Penstock(Settings(home=str(home), log_console=False, **settings), journal=journal or MemoryJournal())


def dead_owner() -> str:
    """The name of a process of this machine that is gone."""
    return f"{new_owner().split('|')[0]}|4194305|1|dead"


def no_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """No keeper appends: where a step takes long, that it has begun is one append more, and some tests count them."""
    monkeypatch.setattr(Keeper, "_flush", lambda *_: None)


@contextmanager
def dying(app: Penstock, before_append: int) -> Iterator[None]:
    """Flows inside run as if in another process, which dies before it can make this append.

    It has no keeper that appends: where a step takes long, that it has begun would be one append more.
    """
    strike = fail_with(JournalUnavailable("the process of this test dies here"))
    faulty = FaultyJournal(app.journal, Fault(before_append, "before", strike))
    other = Penstock(app.settings, journal=faulty, results=app.results)
    other.engine.owner = dead_owner()
    other.engine.keeper._flush = lambda runs: None  # type: ignore[method-assign]
    with other.activate():
        yield


def die_in(app: Penstock, flow: Any, *args: Any, before_append: int) -> Run:
    """Run a flow in a process that dies before this append; the run as it is left behind."""
    try:
        with dying(app, before_append):
            flow(*args)
    except JournalUnavailable:
        return newest(app)
    raise AssertionError("the flow ended before that append")


def newest(app: Penstock) -> Run:
    """The run that was made last (no subflow). Ids tell no order within a millisecond."""
    made = [stored.stream for stored in app.journal.read(0, 100_000) if isinstance(stored.event, RunCreated)]
    runs = [run for run_id in made if (run := app.journal.run(run_id)) and run.parent_id is None]
    return runs[-1]


def events(app: Penstock, run_id: str) -> list[Event]:
    """What is on record for a run."""
    return [stored.event for stored in app.journal.load(run_id)]


def names(app: Penstock, run_id: str) -> list[str]:
    """Names of the events on record for a run."""
    return [stored_name(event)[0] for event in events(app, run_id)]


def steps(app: Penstock, run_id: str) -> dict[str, str]:
    """State of each step, by key."""
    return {task.key: task.state for task in app.journal.task_runs(run_id)}
