"""Workers, the scheduler and the flow's own process are killed while tasks run on a Dask cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.chaos import dask_gates
from tests.chaos.lab import ROOT
from tests.integration.dask_cluster import Cluster
from tests.patience import PATIENCE_SECONDS, until
from tests.unit.engines import newest, steps

from penstock.app import Penstock, Settings
from penstock.core.errors import EngineUnreachable
from penstock.engine.recovery import cancel
from penstock.task_runners import DaskRunner
from penstock.testing.engine_flows import notes_in

pytestmark = [pytest.mark.chaos, pytest.mark.integration, pytest.mark.timeout(150)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "dask"
    folder.mkdir()
    with Cluster(folder, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as made:
        yield made


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Penstock]:
    with Penstock(Settings(home=str(tmp_path / "home"), log_console=False)).activate() as fresh:
        yield fresh
        fresh.close()


class Running:
    """A flow on a thread of its own."""

    def __init__(
        self, flow: Any, cluster: Cluster, folder: Path, runner: DaskRunner | None = None, **parameters: Any
    ) -> None:
        self.folder = folder
        self.state: Any = None
        runner = runner or DaskRunner(cluster.address)
        self._call = lambda: flow.with_options(task_runner=runner)(str(folder), **parameters, return_state=True)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.state = self._call()

    def result(self) -> Any:
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), f"it hangs: {notes_in(self.folder)}"
        return self.state.result()

    def wait(self) -> Any:
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), f"it hangs: {notes_in(self.folder)}"
        return self.state


def begun(folder: Path, name: str = "") -> list[int]:
    """The processes in which tasks have begun."""
    return [int(line.split()[2]) for line in notes_in(folder) if line.startswith(f"begin {name}")]


def open_gate(folder: Path, *names: str) -> None:
    for name in names or ("gate",):
        (folder / name).touch()


def count_of(folder: Path) -> Callable[[str], int]:
    return lambda text: sum(line.startswith(text) for line in notes_in(folder))


def test_what_a_killed_worker_had_is_done_by_another(cluster: Cluster, app: Penstock, tmp_path: Path) -> None:
    run = Running(dask_gates.left_behind, cluster, tmp_path)
    count = count_of(tmp_path)
    until(lambda: count("large"), "it has begun")
    until(lambda: steps(app, newest(app).id).get("large#1") == "Completed", "it is recorded")
    (owner,) = [int(line.split()[1]) for line in notes_in(tmp_path)]
    cluster.kill_worker(owner)
    open_gate(tmp_path)
    assert run.result() == 1_000_000
    assert count("large") == 1, "what is on record is never done again"


def test_what_a_killed_worker_was_doing_is_done_by_another(cluster: Cluster, app: Penstock, tmp_path: Path) -> None:
    open_gate(tmp_path, "open at once")
    with Cluster(tmp_path / "dask") as patient:  # Dask's own patience: three workers may die of a task
        run = Running(dask_gates.gates, patient, tmp_path, count=2)
        until(lambda: len(begun(tmp_path, "n")) == 2, "two have begun")
        patient.kill_worker(begun(tmp_path, "n")[0])
        open_gate(tmp_path)
        assert run.result() == ["here", "n0", "n1"]
    assert count_of(tmp_path)("begin n") == 3
    assert {task.attempt for task in app.journal.task_runs(newest(app).id)} == {1}


def test_a_lost_scheduler_gets_what_was_under_way_again(cluster: Cluster, app: Penstock, tmp_path: Path) -> None:
    open_gate(tmp_path, "open at once")
    run = Running(dask_gates.gates, cluster, tmp_path, count=3)
    until(lambda: len(begun(tmp_path, "n")) >= 2, "two have begun")
    cluster.kill_scheduler()
    while cluster.workers:
        cluster.kill_worker()
    cluster.start_scheduler()
    cluster.add_worker()
    open_gate(tmp_path)
    assert run.result() == ["here", "n0", "n1", "n2"]
    count = count_of(tmp_path)
    assert count("begin here") == 1
    assert {name: end for name, end in steps(app, newest(app).id).items() if end != "Completed"} == {}


def test_a_scheduler_that_does_not_come_back(cluster: Cluster, app: Penstock, tmp_path: Path) -> None:
    open_gate(tmp_path, "open at once")
    runner = DaskRunner(cluster.address, patience_seconds=0.5)
    run = Running(dask_gates.gates, cluster, tmp_path, runner, count=2)
    until(lambda: len(begun(tmp_path, "n")) == 2, "two have begun")
    cluster.kill_scheduler()
    with pytest.raises(EngineUnreachable, match="was lost, and has not come back"):
        run.result()
    ended = app.journal.task_runs(newest(app).id)
    assert {task.key: task.state for task in ended if task.key != "gated#1"} == {
        "gated#2": "Failed",
        "gated#3": "Failed",
    }


def test_a_task_that_kills_its_worker_is_tried_again_by_the_rules(
    cluster: Cluster, app: Penstock, tmp_path: Path
) -> None:
    run = Running(dask_gates.dies, cluster, tmp_path)
    assert run.result() == "alive"
    (task,) = app.journal.task_runs(newest(app).id)
    assert task.attempt == 2
    assert any("died" in line.message for line in app.journal.logs(newest(app).id))


def test_a_cancelled_run_leaves_no_task_behind(cluster: Cluster, app: Penstock, tmp_path: Path) -> None:
    open_gate(tmp_path, "open at once")
    run = Running(dask_gates.gates, cluster, tmp_path, count=8)
    until(lambda: len(begun(tmp_path, "n")) == 2, "two have begun")
    cancel(app.journal, newest(app).id, grace_seconds=PATIENCE_SECONDS)
    assert run.wait().is_cancelled(), run.state
    count = count_of(tmp_path)
    until(lambda: count("stopped") == 2, "those on the workers have stopped")
    assert count("begin n") == 2
    assert set(steps(app, newest(app).id).values()) <= {"Completed", "Cancelled"}


def test_a_killed_flow_leaves_no_task_behind_and_goes_on(cluster: Cluster, app: Penstock, tmp_path: Path) -> None:
    open_gate(tmp_path, "open at once")
    code = (
        "from penstock.task_runners import DaskRunner\n"
        "from tests.chaos.dask_gates import gates\n"
        f"gates.with_options(task_runner=DaskRunner({cluster.address!r}))({str(tmp_path)!r}, count=3)\n"
    )
    environment = {**os.environ, "PENSTOCK_HOME": str(app.home), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=tmp_path)
    try:
        until(lambda: len(begun(tmp_path, "n")) == 2, "two have begun")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    count = count_of(tmp_path)
    until(lambda: count("stopped") == 2, "those on the workers have stopped")
    open_gate(tmp_path)
    runner = DaskRunner(cluster.address)
    assert app.resume(newest(app).id, dask_gates.gates.with_options(task_runner=runner)) == ["here", "n0", "n1", "n2"]
    assert count("begin here") == 1
