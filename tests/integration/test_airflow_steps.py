"""Flows of Penstock in a real Airflow: their DAG files, their steps in processes of their own, and those that die."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.airflow_lab import Lab, until

from penstock.core.engines import Order
from penstock.core.events import RunCompleted, RunFailed, TaskCompleted, TaskFailed, TaskRetrying
from penstock.deploy.airflow.names import dag_id

pytestmark = pytest.mark.timeout(400)

FLOWS = """
import os, time
from pathlib import Path
from penstock import allow_failure, flow, get_run_logger, runtime, task

@task(name="make it: now!")
def make(n):
    get_run_logger().info("making %d", n)
    with open("made", "a") as file:
        file.write(f"{runtime.flow_run.id}\\n")
    return list(range(n))

@task(retries=2)
def shaky(items):
    if runtime.task_run.run_count < 3:
        raise ValueError("not yet")
    return sum(items)

@task
def bad(n):
    raise ValueError("never")

@task
def after(value):
    return repr(value)

@task
def slow(items, mark):
    if not os.path.exists(mark):
        Path(f"{mark}.new").write_text(str(os.getpid()))
        os.rename(f"{mark}.new", mark)
        time.sleep(600)
    return len(items)

@flow
def shop(n: int):
    return shaky(make.submit(n))

@flow
def broken(n: int = 1):
    first = bad.submit(n)
    second = after.submit(first)
    after.submit(allow_failure(first)).result()
    make(n)
    return second

@flow
def long(mark: str):
    return slow(make(3), mark)

@flow
def decides(n: int = 3):
    return [len(make(each)) for each in range(n)]

@flow
def hundred(n: int = 1):
    for _ in range(50):
        n = after(make(n))
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("airflow")
    (folder / "flows.py").write_text(FLOWS)
    (folder / "pyproject.toml").write_text("")
    made = Lab(folder, *[f"flows.py:{flow}" for flow in ("shop", "broken", "long", "decides", "hundred")])
    yield made
    made.close()


@pytest.fixture(scope="module")
def runs(lab: Lab) -> dict[str, tuple[str, str]]:
    """A run of each flow, begun at once: Airflow does not do one after the other quickly."""
    begun = {
        "shop": lab.started("shop", n=4),
        "broken": lab.started("broken"),
        "decides": lab.started("decides", n=2),
        "long": lab.started("long", mark=str(lab.folder / "killed")),
    }
    killed = until(lambda: _pid(lab.folder / "killed"))
    os.kill(killed, signal.SIGKILL)
    return begun


def _pid(file: Path) -> int | None:
    return int(file.read_text()) if file.exists() else None


def test_every_step_is_an_operator_and_hands_its_result_on(lab: Lab, runs: dict[str, tuple[str, str]]) -> None:
    run, reference = runs["shop"]
    assert lab.ended(reference).state == "Completed"
    assert lab.placed["shop"].steps
    kinds = [(type(event), event.attempt) for event in lab.events(run, "shaky#1")]
    assert kinds == [(TaskRetrying, 1), (TaskRetrying, 2), (TaskCompleted, 3)]
    assert isinstance(lab.events(run, "verdict")[-1], RunCompleted)
    assert lab.result(run) == 6


def test_what_a_step_says_is_in_airflows_log(lab: Lab, runs: dict[str, tuple[str, str]]) -> None:
    _, reference = runs["shop"]
    lab.ended(reference)
    lines = lab.engine.lines(reference, "make it: now!#1", 0)
    assert [(line.level, line.message, line.step) for line in lines] == [(20, "making 4", "make it: now!#1")]


def test_a_failure_goes_where_it_does_in_penstock(lab: Lab, runs: dict[str, tuple[str, str]]) -> None:
    run, reference = runs["broken"]
    assert lab.ended(reference).state == "Failed"
    assert isinstance(lab.events(run, "bad#1")[-1], TaskFailed)
    assert lab.store.get(run, "after#1") is None  # nothing was executed for it
    assert "ValueError" in lab.result(run, "after#2")  # it was given the exception
    assert isinstance(lab.events(run, "make it: now!#1")[-1], TaskCompleted)
    ended = lab.events(run, "verdict")
    assert [(event.step.key, event.state_name) for event in ended[:-1]] == [("after#1", "NotReady")]
    assert isinstance(ended[-1], RunFailed)


def test_a_flow_that_decides_is_one_operator(lab: Lab, runs: dict[str, tuple[str, str]]) -> None:
    run, reference = runs["decides"]
    assert not lab.placed["decides"].steps
    assert lab.ended(reference).state == "Completed"
    assert lab.result(run, "whole") == [0, 1]


def test_a_step_whose_process_is_killed_is_executed_again_and_no_other(
    lab: Lab, runs: dict[str, tuple[str, str]]
) -> None:
    run, reference = runs["long"]
    assert lab.ended(reference).state == "Completed"
    assert lab.result(run) == 3
    made = (lab.folder / "made").read_text().split()
    assert made.count(run) == 1


def test_a_cancelled_run_leaves_no_process(lab: Lab, runs: dict[str, tuple[str, str]]) -> None:
    _, reference = lab.started("long", mark=str(lab.folder / "cancelled"))
    pid = until(lambda: _pid(lab.folder / "cancelled"))
    lab.engine.cancel(reference)
    until(lambda: _gone(pid))


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_airflow_reads_a_hundred_tasks(lab: Lab, runs: dict[str, tuple[str, str]]) -> None:
    assert lab.placed["hundred"].steps
    order = Order(deployment=lab.name("hundred"), run_id="none")
    assert lab.engine.find(order) is None
    until(lambda: lab.engine._client.dag(dag_id(lab.name("hundred"))))
    assert not lab.engine._client.import_errors(dag_id(lab.prefix))
