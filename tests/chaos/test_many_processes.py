"""Many processes on one journal: no lock errors, nothing lost, and never two that execute one run."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import Any

import pytest
from tests.chaos import workers
from tests.chaos.invariants import check_run, family, recorded_attempts
from tests.chaos.lab import Gate, Lab
from tests.chaos.shapes import SHAPES, effects_in

from penstock.core.events import RunResumed, RunStarted
from penstock.core.model import RunFilter
from penstock.core.ports import Journal

pytestmark = pytest.mark.chaos

PROCESSES, RUNS = 16, 4
REFUSALS = ("taken over", "still being executed", "completed")


@pytest.mark.parametrize("shape", ["sequential", "mapped", "subflows"])
def test_sixteen_processes_run_flows_on_one_journal(lab: Lab, store: dict[str, Any], shape: str) -> None:
    """The first of them to come makes it."""
    gate = Gate(lab.folder / "gate")
    where = lab.folder / "effects"
    names = [[f"run-{process}-{number}" for number in range(RUNS)] for process in range(PROCESSES)]
    started = [
        lab.start(
            workers.run_at_the_gate, store=store, gate=gate.path, shape=shape, where=str(where), names=names[process]
        )
        for process in range(PROCESSES)
    ]
    gate.open()
    values = [value for worker in started for value in lab.wait(worker).value]
    assert len(set(values)) == 1
    assert len(values) == PROCESSES * RUNS
    with workers.opened(store) as app:
        runs = app.journal.runs(RunFilter(limit=1000))
        assert {run.name for run in runs} == {name for some in names for name in some}
        everything = [member for run in runs for member in family(app.journal, run.id)]
        for run in everything:
            check_run(app.journal, run)
        made = effects_in(where)
        recorded = recorded_attempts(app.journal, everything)
    assert len(made) == len(set(made)), "no attempt was made twice"
    assert {(run_id, key, attempt) for run_id, _, key, attempt in made} <= recorded
    positions_are_unique(store)


def positions_are_unique(store: dict[str, Any]) -> None:
    """A reader that follows all events sees every one exactly once, in an order that stays."""
    with workers.opened(store) as app:
        seen: list[int] = []
        total = app.journal.status()["events"]
        while len(seen) < total:  # a transaction anywhere in the PostgreSQL server holds back what came after it
            page = app.journal.read(seen[-1] if seen else 0, 500)
            seen += [stored.position for stored in page]
            time.sleep(0 if page else 0.02)
        assert seen == sorted(set(seen))
        assert len(seen) == total


def all_open_at_once(lab: Lab, store: dict[str, Any], gate: Gate) -> None:
    started = [lab.start(workers.open_at_the_gate, store=store, gate=gate.path) for _ in range(8)]
    gate.open()
    assert [lab.wait(worker).value for worker in started] == [0] * 8


def test_a_new_journal_is_made_once_however_many_come_at_once(lab: Lab, store: dict[str, Any]) -> None:
    all_open_at_once(lab, store, Gate(lab.folder / "gate"))


def test_a_journal_whose_making_was_killed_half_way_is_made_once(lab: Lab, sqlite_store: dict[str, Any]) -> None:
    """The file is there and has no tables yet: that is also what a second process sees while the first makes it."""
    for attempt in range(5):
        home = lab.folder / f"home-{attempt}"
        home.mkdir()
        with closing(sqlite3.connect(home / "journal.db")) as unfinished:
            unfinished.execute("PRAGMA journal_mode = WAL").fetchone()
        all_open_at_once(lab, {**sqlite_store, "home": str(home)}, Gate(lab.folder / f"gate-{attempt}"))


@pytest.mark.parametrize("shape", ["sequential", "subflows", "retried"])
def test_one_of_two_that_resume_a_run_wins_and_the_other_is_told(
    lab: Lab, store: dict[str, Any], journal: Journal, shape: str
) -> None:
    for at in range(2, 8):
        name = f"{shape}-{at}"
        where = lab.folder / f"effects-{name}"
        arguments = {"store": store, "shape": shape, "where": str(where), "name": name}
        assert lab.run(workers.run, **arguments, fault=["before", at]).killed
        (run,) = journal.find(name)
        gate = Gate(lab.folder / f"gate-{name}")
        rivals = [lab.start(workers.resume_at_the_gate, store=store, gate=gate.path, run_id=run.id) for _ in range(2)]
        time.sleep(0.02)
        gate.open()
        ended = [lab.wait(rival) for rival in rivals]
        assert any("value" in rival.answer for rival in ended), [rival.errors for rival in ended]
        for rival in ended:  # one that comes late may get the value, which is on record by then
            if "value" not in rival.answer:
                assert "PenstockError" in rival.answer["kinds"], rival.answer
                assert any(word in rival.answer["text"] for word in REFUSALS), rival.answer
        begun = [stored.event for stored in journal.load(run.id)]
        owners = {event.owner for event in begun if isinstance(event, (RunStarted, RunResumed))}
        assert len(owners) == 2, "the process that was killed, and exactly one that took over"
        runs = family(journal, run.id)
        for member in runs:
            check_run(journal, member)
        made = effects_in(where)
        surplus = len(made) - len(recorded_attempts(journal, runs) & {(r, k, a) for r, _, k, a in made})
        assert surplus <= SHAPES[shape].in_flight, "one kill: nothing else may have been made twice"
    positions_are_unique(store)
