"""Runs that a real worker of Prefect executes, each in a process of its own; also killed, cancelled, astray."""

from __future__ import annotations

import datetime
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.conftest import service_url
from tests.integration import prefect_flows
from tests.integration.prefect_lab import deployment, ended, engine_at, environment, wait_until, worker
from tests.patience import until

from penstock.core.engines import Order, OutsideLine
from penstock.core.ids import new_run_id
from penstock.deploy.prefect.engine import PrefectEngine
from penstock.journal.results import FileResultStore

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
_LONG = 100.0


class There:
    """What the tests of this file share: runs that were ordered at once, and a worker that executes them.

    Attributes:
        runs: Penstock's id and Prefect's of each run, by its name; the folder for its notes is named like it.
    """

    def __init__(self, engine: PrefectEngine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.home = folder / "home"
        self.runs: dict[str, tuple[str, str]] = {}

    def order(self, called: str, deployed: str, **parameters: object) -> None:
        notes = self.folder / called
        notes.mkdir()
        order = Order(deployment=deployed, run_id=new_run_id(), parameters={"folder": str(notes), **parameters})
        self.runs[called] = order.run_id, self.engine.start(order)

    def pid_of(self, name: str) -> int:
        """Of the process that waits."""
        file = self.folder / name / "pid"
        wait_until(self.engine, self.runs[name][1], lambda run: file.exists() and bool(file.read_text()), _LONG)
        return int(file.read_text())


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[There]:
    url, folder = service_url("prefect"), tmp_path_factory.mktemp("there")
    project, pool = folder / "project", f"test-{uuid4().hex[:8]}"
    project.mkdir()
    file = Path(shutil.copy(prefect_flows.__file__, project / "shop_flows.py"))
    made = There(engine_at(url, folder / "home"), folder)
    (folder / "no-folder").write_text("a file")
    astray = engine_at(url, folder / "no-folder")
    plans = [(made.engine, "shop", "shop"), (made.engine, "patient", "patient"), (astray, "shop", "astray")]
    names = {each: f"{pool}-{each}" for _, _, each in plans}
    for engine, flow, each in plans:
        engine.place(deployment(file, flow, names[each], work_pool_name=pool))
    astray.close()
    made.order("shop", names["shop"], count=2, name="somebody")
    made.order("killed", names["patient"])
    made.order("cancelled", names["patient"])
    made.order("astray", names["astray"])
    with worker(pool, environment(url, folder)):
        yield made
    for name in names.values():
        assert made.engine.remove(name)
    made.engine.close()


def test_a_run_is_executed_and_told_of(there: There) -> None:
    run_id, reference = there.runs["shop"]
    run = wait_until(there.engine, reference, ended, _LONG)
    assert run.state == "Completed", run.message
    results = FileResultStore(there.home / "results")
    assert run.result is not None
    value = results.load(run.result, run.data)
    assert value["deployment"].endswith("-shop")
    assert value | {"deployment": ""} == {"got": [0, 2], "name": "somebody", "below": 14, "deployment": ""}
    assert {step.key: (step.state, step.attempt) for step in run.steps} == {
        "fetch#1": ("Completed", 2),
        "fetch#2": ("Completed", 2),
        "below#1": ("Completed", 1),
    }
    step = next(each for each in run.steps if each.key == "fetch#2")
    assert step.result is not None
    assert step.step is not None
    assert results.load(step.result, step.data) == 2
    assert step.started is not None
    assert step.ended is not None
    assert run.started is not None
    assert run.started <= step.started <= step.ended
    assert [(made.kind, made.key, made.content) for made in run.artifacts] == [("markdown", "page", "# Shop")]

    def read() -> list[OutsideLine] | None:
        """The log, where nothing was added to it between two readings: Prefect sends lines some time after them."""
        whole, rest = (there.engine.lines(reference, None, after) for after in (0, 2))
        return whole if [line.message for line in rest] == [line.message for line in whole[2:]] else None

    lines = until(read, "the same lines twice", seconds=20, every=0.2)
    assert ("fetched 1", "fetch#2") in [(line.message, line.step) for line in lines]
    assert there.engine.find(Order(deployment="any", run_id=run_id)) == reference


def test_a_run_without_its_result_store_says_so(there: There) -> None:
    run = wait_until(there.engine, there.runs["astray"][1], ended, _LONG)
    assert run.state == "Failed"
    assert "result store" in (run.message or "")
    assert "PENSTOCK_HOME" in (run.message or "")
    assert not (there.folder / "astray" / "notes.txt").exists()


def test_a_cancelled_run_leaves_no_process(there: There) -> None:
    pid = there.pid_of("cancelled")
    reference = there.runs["cancelled"][1]
    there.engine.cancel(reference)
    run = wait_until(there.engine, reference, ended, _LONG)
    assert run.state == "Cancelled"
    assert {step.key: step.state for step in run.steps} == {"first#1": "Completed", "waits#1": "Cancelled"}
    until(lambda: gone(pid), "the end of the process")
    there.engine.cancel(reference)  # and once more


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_killed_run_crashes_and_goes_on_where_it_was(there: There) -> None:
    pid = there.pid_of("killed")
    reference = there.runs["killed"][1]
    os.kill(pid, signal.SIGKILL)
    run = wait_until(there.engine, reference, ended, _LONG)
    assert run.state == "Crashed"
    steps = {step.key: step.state for step in run.steps}  # what the process had not told before it died, is not known
    assert {"waits#1": "Crashed", **steps} == {"first#1": "Completed", "waits#1": "Crashed"}
    (there.folder / "killed" / "go").touch()
    due = {"scheduled_time": datetime.datetime.now(datetime.UTC).isoformat()}
    again = {"type": "SCHEDULED", "name": "AwaitingRetry", "state_details": due}  # as "Retry" in Prefect's UI does
    there.engine.client.ask("POST", f"/flow_runs/{reference}/set_state", {"state": again, "force": True})
    run = wait_until(there.engine, reference, lambda run: run.state == "Completed", _LONG)
    assert {step.key: step.state for step in run.steps} == {"first#1": "Completed", "waits#1": "Completed"}
    assert (there.folder / "killed" / "notes.txt").read_text() == "first\n"
    assert run.result is not None
    assert FileResultStore(there.home / "results").load(run.result, run.data)[1] != pid
