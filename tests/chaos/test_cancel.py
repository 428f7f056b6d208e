"""Cancelling from another process: the run ends Cancelled, once, and nothing of its process tree is left."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.chaos import workers
from tests.chaos.invariants import check_run, family
from tests.chaos.lab import Ended, Gate, Lab, Worker, state_of_process, until
from tests.chaos.trouble import at_work, lines_in

from penstock.core.errors import InvalidTransition
from penstock.core.events import RunResumed, now_us
from penstock.core.model import Run, RunFilter
from penstock.core.ports import Journal
from penstock.engine.recovery import cancel

pytestmark = pytest.mark.chaos

PATIENCE = 60.0
"""Grace for those who are expected to stop by themselves: far more than they need."""

WILLING = {
    "sleeping": 1,
    "sleeping_itself": 1,
    "spinning": 1,
    "threads": 3,
    "processes": 2,
    "stubborn_processes": 1,
    "sleeping_async": 2,
    "async_threads": 2,
    "async_processes": 1,
    "sleeping_below": 1,
    "processes_below": 2,
    "waiting_to_retry": 1,
    "flow_waiting_to_retry": 1,
}
UNWILLING = ["unstoppable", "unstoppable_thread", "unstoppable_async"]


class Scene(NamedTuple):
    """A run that is under way in another process."""

    worker: Worker
    run: Run
    where: Path


@pytest.fixture
def store(sqlite_store: dict[str, Any]) -> dict[str, Any]:
    """What happens does not depend on the database here, but for one test."""
    return sqlite_store


def begun(lab: Lab, store: dict[str, Any], journal: Journal, flow: str, ready: int = 1, work: Any = None) -> Scene:
    """Start a flow, and wait until as many tasks as that are at work."""
    where = lab.folder / "pids"
    worker = lab.start(work or workers.trouble, store=store, flow=flow, where=str(where))
    until(
        lambda: lines_in(where) >= ready or state_of_process(worker.pid) is None, f"{ready} tasks of {flow} are at work"
    )
    assert lines_in(where) >= ready, lab.wait(worker).errors
    (run,) = journal.runs(RunFilter())
    return Scene(worker, run, where)


def nothing_is_left(lab: Lab, journal: Journal, scene: Scene) -> Ended:
    """The tree of processes is gone, and every run of the family has its one end."""
    ended = lab.wait(scene.worker)
    for pid in at_work(scene.where):
        until(lambda pid=pid: state_of_process(pid) is None, f"process {pid} is gone")
    for run in family(journal, scene.run.id):
        check_run(journal, run)
        assert run.state == "Cancelled"
    return ended


def was_taken_over(journal: Journal, run: Run) -> bool:
    """True when the end had to be recorded by another process than the run's own."""
    return any(isinstance(stored.event, RunResumed) for stored in journal.load(run.id))


@pytest.mark.parametrize("flow", WILLING)
def test_a_run_that_can_stop_does(lab: Lab, store: dict[str, Any], journal: Journal, flow: str) -> None:
    scene = begun(lab, store, journal, flow, WILLING[flow])
    ended = cancel(journal, scene.run.id, grace_seconds=PATIENCE, reason="not needed any more")
    assert ended.state == "Cancelled"
    nothing_is_left(lab, journal, scene)
    assert not was_taken_over(journal, scene.run), "it stopped by itself"


def test_a_run_that_is_stopped_in_the_middle_of_an_append(lab: Lab, store: dict[str, Any], journal: Journal) -> None:
    scene = begun(lab, store, journal, "busy")
    assert cancel(journal, scene.run.id, grace_seconds=PATIENCE).state == "Cancelled"
    nothing_is_left(lab, journal, scene)


@pytest.mark.parametrize("flow", UNWILLING)
def test_a_run_that_will_not_stop_is_killed(lab: Lab, store: dict[str, Any], journal: Journal, flow: str) -> None:
    scene = begun(lab, store, journal, flow)
    ended = cancel(journal, scene.run.id, grace_seconds=1.0)
    assert ended.state == "Cancelled"
    assert "killed" in str(ended.message)
    assert nothing_is_left(lab, journal, scene).killed


def test_a_process_that_does_not_answer_is_killed_with_all_it_started(
    lab: Lab, store: dict[str, Any], journal: Journal
) -> None:
    scene = begun(lab, store, journal, "processes", 2)
    scene.worker.signal(signal.SIGSTOP)
    assert cancel(journal, scene.run.id, grace_seconds=0.5).state == "Cancelled"
    assert nothing_is_left(lab, journal, scene).killed


@pytest.mark.parametrize("flow", ["sleeping", "threads", "sleeping_async"])
def test_a_run_of_another_thread_is_cancelled(lab: Lab, store: dict[str, Any], journal: Journal, flow: str) -> None:
    scene = begun(lab, store, journal, flow, WILLING[flow], work=workers.trouble_in_thread)
    assert cancel(journal, scene.run.id, grace_seconds=2.0).state == "Cancelled"
    nothing_is_left(lab, journal, scene)


def test_the_process_is_told_why_its_run_was_stopped(lab: Lab, store: dict[str, Any], journal: Journal) -> None:
    scene = begun(lab, store, journal, "sleeping")
    cancel(journal, scene.run.id, grace_seconds=PATIENCE)
    ended = nothing_is_left(lab, journal, scene)
    assert "cancelled" in ended.answer.get("text", ""), ended.answer


def test_a_lost_run_is_cancelled_at_once(lab: Lab, store: dict[str, Any], journal: Journal) -> None:
    scene = begun(lab, store, journal, "sleeping_below")
    scene.worker.signal(signal.SIGKILL)
    lab.wait(scene.worker)
    assert journal.run(scene.run.id).lost(now_us())  # type: ignore[union-attr]
    assert cancel(journal, scene.run.id, reason="nobody is there").message == "nobody is there"
    for run in family(journal, scene.run.id):
        check_run(journal, run)
        assert run.state == "Cancelled"


def test_cancelling_twice_is_refused_and_changes_nothing(lab: Lab, store: dict[str, Any], journal: Journal) -> None:
    scene = begun(lab, store, journal, "sleeping")
    cancel(journal, scene.run.id, grace_seconds=PATIENCE)
    before = list(journal.load(scene.run.id))
    with pytest.raises(InvalidTransition, match="has ended") as caught:
        cancel(journal, scene.run.id)
    assert caught.value.hint
    assert list(journal.load(scene.run.id)) == before
    nothing_is_left(lab, journal, scene)


def test_several_cancel_at_once(lab: Lab, store: dict[str, Any], journal: Journal) -> None:
    scene = begun(lab, store, journal, "threads", 3)
    gate = Gate(lab.folder / "gate")
    cancellers = [
        lab.start(workers.cancel_at_the_gate, store=store, gate=gate.path, run_id=scene.run.id) for _ in range(4)
    ]
    gate.open()
    for canceller in cancellers:
        ended = lab.wait(canceller)
        assert ended.answer.get("value") == "Cancelled" or ended.answer["error"] == "InvalidTransition", ended
    nothing_is_left(lab, journal, scene)


def test_a_cancelled_run_can_be_resumed_as_a_new_one(lab: Lab, store: dict[str, Any], journal: Journal) -> None:
    where = lab.folder / "effects"
    arguments = {"store": store, "shape": "sequential", "where": str(where), "name": "cancelled"}
    assert lab.run(workers.run, **arguments, fault=["before", 4]).killed
    (run,) = journal.find("cancelled")
    cancel(journal, run.id)
    assert lab.run(workers.resume, store=store, run_id=run.id).value == 26
    (new,) = (found for found in journal.runs(RunFilter()) if found.id != run.id)
    assert (new.origin, new.origin_id, new.state) == ("resume", run.id, "Completed")
    check_run(journal, new)
