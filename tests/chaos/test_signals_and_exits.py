"""Signals and exits in the middle of a run: it ends Crashed, or is lost and can be resumed; nothing stays behind."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tests.chaos import workers
from tests.chaos.invariants import check_run, family
from tests.chaos.lab import Ended, Lab, state_of_process, until
from tests.chaos.trouble import at_work, lines_in

from penstock.core.events import now_us
from penstock.core.model import Run, RunFilter
from penstock.core.ports import Journal

pytestmark = pytest.mark.chaos

STARTED = {
    "sleeping": 1,
    "threads": 3,
    "processes": 2,
    "sleeping_async": 2,
    "async_threads": 2,
    "sleeping_below": 1,
    "processes_below": 2,
    "flow_waiting_to_retry": 1,
}


@pytest.fixture
def store(sqlite_store: dict[str, Any]) -> dict[str, Any]:
    """The database plays no part here."""
    return sqlite_store


def signalled(lab: Lab, store: dict[str, Any], flow: str, number: int) -> tuple[Ended, Path]:
    """Start a flow, wait until it is at work, and send its process a signal."""
    where = lab.folder / "pids"
    worker = lab.start(workers.trouble, store=store, flow=flow, where=str(where))
    until(lambda: lines_in(where) >= STARTED[flow], "the tasks are at work")
    worker.signal(number)
    return lab.wait(worker), where


def all_gone(where: Path) -> None:
    for pid in at_work(where):
        until(lambda pid=pid: state_of_process(pid) is None, f"process {pid} is gone")


def only_run(journal: Journal) -> Run:
    (run,) = journal.runs(RunFilter())
    return run


@pytest.mark.parametrize("flow", STARTED)
def test_sigterm_ends_a_run_as_crashed(lab: Lab, store: dict[str, Any], journal: Journal, flow: str) -> None:
    ended, where = signalled(lab, store, flow, signal.SIGTERM)
    assert ended.code == 143
    all_gone(where)
    for run in family(journal, only_run(journal).id):
        check_run(journal, run)
        assert run.state == "Crashed"
        assert run.message


@pytest.mark.parametrize("flow", STARTED)
def test_ctrl_c_ends_a_run_as_crashed(lab: Lab, store: dict[str, Any], journal: Journal, flow: str) -> None:
    ended, where = signalled(lab, store, flow, signal.SIGINT)
    assert ended.answer["error"] == "KeyboardInterrupt"
    all_gone(where)
    for run in family(journal, only_run(journal).id):
        check_run(journal, run)
        assert run.state == "Crashed"
        assert run.message


@pytest.mark.parametrize("flow", ["processes", "processes_below", "async_threads"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_a_killed_flow_takes_its_task_processes_with_it(
    lab: Lab, store: dict[str, Any], journal: Journal, flow: str, number: int
) -> None:
    ended, where = signalled(lab, store, flow, number)
    assert ended.code == -number
    all_gone(where)
    run = only_run(journal)
    assert run.state == "Running"
    assert run.shown_state(now_us()) == "Crashed"


BUSY = {"busy": 1, "busy_threads": 4, "busy_async": 2, "busy_subflows": 1}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("flow", BUSY)
def test_a_signal_in_the_middle_of_recording_leaves_a_sound_record(
    lab: Lab, tmp_path: Path, flow: str, number: int
) -> None:
    """Whatever it meets: the journal, a lock, another thread."""
    for attempt in range(8):
        store = {"home": str(tmp_path / f"home-{attempt}"), "database_url": "", "log_console": False}
        where = tmp_path / f"pids-{attempt}"
        worker = lab.start(workers.trouble, store=store, flow=flow, where=str(where))
        until(lambda where=where: lines_in(where) >= BUSY[flow], "it records")
        time.sleep(attempt / 1000)
        worker.signal(number)
        ended = lab.wait(worker)
        assert ended.code in (143, 1), ended.errors
        with workers.opened(store) as app:
            run = only_run(app.journal)
            for member in family(app.journal, run.id):
                check_run(app.journal, member)
            assert run.state == "Crashed"


def test_children_that_are_forked_while_others_record_do_not_hang(
    lab: Lab, store: dict[str, Any], journal: Journal
) -> None:
    where = str(lab.folder / "pids")
    assert lab.run(workers.trouble, store=store, flow="forks_while_others_record", where=where).value == ["7"] * 10
    check_run(journal, only_run(journal))


WHERE = ["leave", "leave_from_task", "leave_from_thread", "leave_from_process"]


def left(lab: Lab, store: dict[str, Any], flow: str, how: str) -> Ended:
    return lab.run(workers.trouble, store=store, flow=flow, where=str(lab.folder / "pids"), how=how)


@pytest.mark.parametrize("flow", ["leave", "leave_from_task", "leave_from_thread"])
@pytest.mark.parametrize(("how", "code"), [("sys.exit", 3), ("sys.exit text", 1), ("sys.exit none", 0)])
def test_sys_exit_ends_the_run_as_crashed_and_the_process_with_its_code(
    lab: Lab, store: dict[str, Any], journal: Journal, flow: str, how: str, code: int
) -> None:
    ended = left(lab, store, flow, how)
    assert "exit" in ended.answer
    assert ended.code == code
    run = only_run(journal)
    check_run(journal, run)
    assert run.state == "Crashed"
    assert "exit" in str(run.message)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("os._exit", "exit code 3"),
        ("abort", "SIGABRT"),
        ("terminate", "SIGTERM"),
        ("kill", "SIGKILL"),
        ("hang up", "SIGHUP"),
    ],
)
def test_a_task_process_that_vanishes_fails_its_task_only(
    lab: Lab, store: dict[str, Any], journal: Journal, how: str, told: str
) -> None:
    ended = left(lab, store, "leave_from_process", how)
    assert ended.answer["error"] == "CrashedRun", "the flow's own process went on, and heard of it"
    run = only_run(journal)
    check_run(journal, run)
    assert run.state == "Failed"
    (message,) = (str(task.message) for task in journal.task_runs(run.id) if task.key == "leaving#1")
    assert told in message


def test_sys_exit_in_a_task_process_is_the_same_as_in_a_thread(
    lab: Lab, store: dict[str, Any], journal: Journal
) -> None:
    ended = left(lab, store, "leave_from_process", "sys.exit")
    assert (ended.code, ended.answer) == (3, {"exit": "3"})
    check_run(journal, only_run(journal))
    assert only_run(journal).state == "Crashed"


@pytest.mark.parametrize("flow", ["leave", "leave_from_task", "leave_from_thread"])
@pytest.mark.parametrize(("how", "code"), [("os._exit", 3), ("abort", -6), ("kill", -9), ("hang up", -1)])
def test_a_process_that_vanishes_leaves_a_run_that_can_be_resumed(
    lab: Lab, store: dict[str, Any], journal: Journal, flow: str, how: str, code: int
) -> None:
    assert left(lab, store, flow, how).code == code
    run = only_run(journal)
    assert run.shown_state(now_us()) == "Crashed"
    again = lab.run(workers.resume, store=store, run_id=run.id)
    assert again.code == code, "it does the same again"
    assert only_run(journal).id == run.id
    assert [task.state for task in journal.task_runs(run.id) if task.key == "quick#1"] == ["Completed"]


@pytest.mark.parametrize("flow", ["leave", "leave_from_task", "leave_from_thread"])
@pytest.mark.parametrize("how", ["terminate", "interrupt"])
def test_a_signal_from_within(lab: Lab, store: dict[str, Any], journal: Journal, flow: str, how: str) -> None:
    ended = left(lab, store, flow, how)
    assert ended.code in (143, 1, -2)
    run = only_run(journal)
    check_run(journal, run)
    assert run.state == "Crashed"


@pytest.mark.parametrize("flow", WHERE)
@pytest.mark.parametrize(
    ("how", "code"), [("fork", "0"), ("fork and exit", "5"), ("fork and raise", "1"), ("fork and call a task", "7")]
)
def test_a_forked_child_does_not_disturb_the_run(
    lab: Lab, store: dict[str, Any], journal: Journal, flow: str, how: str, code: str
) -> None:
    """It may end in any way, with the code that it chose; its parent's run is its parent's."""
    if flow == "leave_from_process" and how != "fork":
        pytest.skip("in a task's process, the fork is not one of the flow's process")
    ended = left(lab, store, flow, how)
    assert ended.value == code, ended.errors
    run = only_run(journal)
    check_run(journal, run)
    assert run.state == "Completed"


def test_a_thread_that_exits_is_no_exit(lab: Lab, store: dict[str, Any], journal: Journal) -> None:
    assert left(lab, store, "leave_from_task", "thread that exits").value == "went on"
    assert only_run(journal).state == "Completed"
