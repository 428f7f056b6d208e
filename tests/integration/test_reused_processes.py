"""Processes that execute several runs, one after another: only while nothing of a run is left behind in them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.waiting import until

from penstock.app import Penstock, Settings
from penstock.core.deployments import Deployment
from penstock.core.model import Run
from penstock.orchestrator import deployments
from penstock.orchestrator.worker import PoolWorker, WorkerOptions, work

pytestmark = pytest.mark.integration

FLOWS = """
import os, threading, time
from pathlib import Path
from penstock import flow, runtime

def told():
    with Path("told.txt").open("a") as file:
        file.write(f"{runtime.flow_run.id} {os.getpid()}\\n")

@flow
def does(what: str = "nothing"):
    told()
    match what:
        case "fail": raise ValueError("no")
        case "folder": os.chdir("/")
        case "variable": os.environ["LEFT_BEHIND"] = "yes"
        case "thread": threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        case "exit": raise SystemExit(3)
        case "die" if not Path("died").exists():
            Path("died").touch()
            os.kill(os.getpid(), 9)
        case "long": time.sleep(60)

@flow
async def waits():
    told()
"""


class Place:
    """A worker at work in a folder of its own."""

    def __init__(self, folder: Path, settings: Settings, runs: int) -> None:
        self.folder = folder
        self.app = Penstock(settings)
        environment = {"PENSTOCK_HOME": settings.home, "PENSTOCK_LOG_CONSOLE": "false"}
        options = WorkerOptions(slots=1, drain_seconds=0.0, environment=environment, runs_per_process=runs)
        for name in ("does", "waits"):
            made = Deployment(name=name, flow=name, entrypoint=f"{folder}/flows.py:{name}", folder=str(folder))
            deployments.declare(self.app.journal, made)
        self.worker = PoolWorker(self.app.journal, options)
        self.thread = work(self.worker)

    def begin(self, what: str = "nothing", name: str = "does") -> str:
        return deployments.trigger(self.app.journal, name, {} if name == "waits" else {"what": what}).id

    def pid(self, what: str = "nothing", name: str = "does") -> int:
        """Execute a run; returns the process it was executed in."""
        run_id = self.begin(what, name)
        until(lambda: self.run(run_id).ended)
        return self.pids()[run_id]

    def run(self, run_id: str) -> Run:
        run = self.app.journal.run(run_id)
        assert run is not None
        return run

    def pids(self) -> dict[str, int]:
        """Which process executed (last) which run."""
        try:
            lines = (self.folder / "told.txt").read_text().splitlines()
        except FileNotFoundError:
            return {}
        return {run_id: int(pid) for run_id, pid in (line.split() for line in lines)}

    def close(self) -> None:
        self.worker.stop(now=True)
        self.thread.join(30)
        self.app.close()


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Callable[[int], Place]]:
    (tmp_path / "flows.py").write_text(FLOWS)
    os.utime(tmp_path / "flows.py", (0, 0))  # a file that may have changed since it was read is read again
    made: list[Place] = []

    def make(runs: int) -> Place:
        made.append(Place(tmp_path, Settings(home=str(tmp_path / "home")), runs))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_process_executes_as_many_runs_as_it_may(place: Callable[[int], Place]) -> None:
    here = place(3)
    pids = [here.pid() for _ in range(7)]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]


def test_each_run_has_a_process_of_its_own_otherwise(place: Callable[[int], Place]) -> None:
    here = place(1)
    assert len({here.pid() for _ in range(4)}) == 4


def test_a_run_that_fails_leaves_the_process_as_it_was(place: Callable[[int], Place]) -> None:
    here = place(100)
    assert here.pid() == here.pid("fail") == here.pid()


def test_flows_of_both_kinds(place: Callable[[int], Place]) -> None:
    here = place(100)
    first = here.pid(name="waits")
    assert here.pid(name="waits") == first
    assert here.pid() != first, "each flow has processes of its own"


@pytest.mark.parametrize("what", ["folder", "variable", "thread", "exit"])
def test_a_process_that_a_run_has_changed_executes_no_other(place: Callable[[int], Place], what: str) -> None:
    here = place(100)
    first = here.pid()
    assert here.pid(what) == first
    assert here.pid() != first
    until(lambda: is_gone(first))


def test_a_run_whose_process_dies_goes_on_in_another(place: Callable[[int], Place]) -> None:
    here = place(100)
    first = here.pid()
    run_id = here.begin("die")
    until(lambda: here.run(run_id).ended)
    assert here.run(run_id).state == "Completed"
    assert here.run(run_id).crashes == 1
    assert here.pids()[run_id] != first


def test_a_process_that_dies_while_it_waits_is_replaced(place: Callable[[int], Place]) -> None:
    here = place(100)
    first = here.pid()
    os.kill(first, signal.SIGKILL)
    until(lambda: is_gone(first))
    run_id = here.begin()
    until(lambda: here.run(run_id).ended)
    assert here.run(run_id).state == "Completed"
    assert here.pids()[run_id] != first


def test_no_process_is_left_when_the_worker_ends(place: Callable[[int], Place]) -> None:
    here = place(100)
    first, second = here.pid(), here.pid(name="waits")
    here.worker.stop()
    here.thread.join(30)
    until(lambda: is_gone(first) and is_gone(second))


def test_a_run_that_is_stopped_takes_its_process_with_it(place: Callable[[int], Place]) -> None:
    here = place(100)
    first = here.pid()
    run_id = here.begin("long")
    until(lambda: run_id in here.pids())
    assert here.pids()[run_id] == first
    here.worker.stop(now=True)
    here.thread.join(30)
    assert here.run(run_id).state == "Scheduled", "it is back in its queue"
    until(lambda: is_gone(first))
