"""Time limits: what is late fails as TimedOut, and in a process it is gone with all that it started."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from tests.chaos import workers
from tests.chaos.invariants import check_run, family
from tests.chaos.lab import Ended, Lab, state_of_process, until
from tests.chaos.trouble import at_work

from penstock.core.model import RunFilter
from penstock.core.ports import Journal

pytestmark = pytest.mark.chaos


@pytest.fixture
def store(sqlite_store: dict[str, Any]) -> dict[str, Any]:
    """The database plays no part here."""
    return sqlite_store


def run(lab: Lab, store: dict[str, Any], flow: str, **more: Any) -> Ended:
    return lab.run(workers.trouble, store=store, flow=flow, where=str(lab.folder / "pids"), **more)


def sound(journal: Journal, state: str) -> None:
    """Every run of the journal has its one end, and the outermost this state."""
    (root,) = journal.runs(RunFilter())
    assert root.state == state
    for member in family(journal, root.id):
        check_run(journal, member)


def all_gone(lab: Lab) -> None:
    pids = at_work(lab.folder / "pids")
    assert pids
    for pid in pids:
        until(lambda pid=pid: state_of_process(pid) is None, f"process {pid} is gone")


@pytest.mark.parametrize("how", ["late", "late_and_deaf", "late_below"])
@pytest.mark.parametrize("flow", ["out_of_time", "out_of_time_in_thread"])
def test_a_late_task_is_timed_out(lab: Lab, store: dict[str, Any], journal: Journal, flow: str, how: str) -> None:
    assert run(lab, store, flow, how=how).value == "TimedOut"
    sound(journal, "Completed")


@pytest.mark.parametrize("how", ["late_async", "late_and_deaf_async"])
@pytest.mark.parametrize("flow", ["out_of_time_async", "out_of_time_in_thread"])
def test_a_late_async_task_is_timed_out(lab: Lab, store: dict[str, Any], journal: Journal, flow: str, how: str) -> None:
    assert run(lab, store, flow, how=how).value == "TimedOut"
    sound(journal, "Completed")


@pytest.mark.parametrize("how", ["late", "late_family", "late_and_deaf", "late_for_ever", "late_below"])
def test_a_late_task_in_a_process_is_killed(lab: Lab, store: dict[str, Any], journal: Journal, how: str) -> None:
    """For certain, whatever it does, with its children and theirs; the next task gets another process."""
    where = lab.folder / "pids"
    value = run(lab, store, "out_of_time_in_process", how=how).value
    assert value == "TimedOut,TimedOut"
    all_gone(lab)
    sound(journal, "Completed")
    assert len(set(at_work(where))) == len(at_work(where)), "each time another process"


def test_a_late_thread_that_ignores_every_exception_does_not_hold_up_its_flow(
    lab: Lab, store: dict[str, Any], journal: Journal
) -> None:
    assert run(lab, store, "out_of_time_in_thread", how="late_for_ever").value == "TimedOut"
    sound(journal, "Completed")


def test_a_task_that_was_left_behind_records_nothing_more(lab: Lab, store: dict[str, Any], journal: Journal) -> None:
    ended = lab.run(workers.left_behind, store=store, where=str(lab.folder / "pids"), gate=str(lab.folder / "over"))
    name, before, after = ended.value
    assert name == "TimedOut"
    assert after == before
    sound(journal, "Completed")


@pytest.mark.parametrize(
    "flow", ["late_flow", "late_flow_itself", "late_flow_of_threads", "late_flow_async", "late_flow_below"]
)
def test_a_late_flow_is_timed_out(lab: Lab, store: dict[str, Any], journal: Journal, flow: str) -> None:
    ended = run(lab, store, flow)
    assert ended.answer["error"] == "FlowTimedOut"
    sound(journal, "Failed")
    assert journal.runs(RunFilter())[0].state_name == "TimedOut"


def test_a_late_flow_takes_its_task_processes_with_it(lab: Lab, store: dict[str, Any], journal: Journal) -> None:
    ended = run(lab, store, "late_flow_of_processes")
    assert ended.answer["error"] == "FlowTimedOut"
    all_gone(lab)
    sound(journal, "Failed")


def test_a_task_process_that_vanishes_with_a_child_of_its_own_is_noticed(
    lab: Lab, store: dict[str, Any], journal: Journal
) -> None:
    """The child holds the pipes open, and would be waited for for ever."""
    assert run(lab, store, "vanishing_with_a_child").value == "Failed"
    all_gone(lab)
    sound(journal, "Completed")


def test_a_forked_child_that_leaves_spares_the_task_processes(
    lab: Lab, store: dict[str, Any], journal: Journal
) -> None:
    assert run(lab, store, "fork_beside_the_pool").value == [5, "done", "done"]
    sound(journal, "Completed")


def test_a_child_is_ended_before_its_first_instruction(lab: Lab, store: dict[str, Any]) -> None:
    assert {*run(lab, store, "stillborn_children").value} == {signal.SIGTERM}


@pytest.mark.parametrize("how", ["called", "submitted"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_of_the_standard_library_inside_a_task(
    lab: Lab, store: dict[str, Any], journal: Journal, method: str, how: str
) -> None:
    assert run(lab, store, "multiprocess", method=method, how=how).value == [0, 1, 4, 9, 16]
    sound(journal, "Completed")


def test_a_pool_of_the_standard_library_inside_a_task_process(
    lab: Lab, store: dict[str, Any], journal: Journal
) -> None:
    assert run(lab, store, "multiprocess_in_process", method="fork").value == [0, 1, 4, 9, 16]
    sound(journal, "Completed")
