"""Workflows made, changed and executed: on the same engine as flows, and the same afterwards."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.patience import until

from penstock.app import Penstock, load_settings
from penstock.core.deployments import Deployment
from penstock.core.errors import BadWorkflow, DeploymentError, ParameterError, WorkflowConflict, WorkflowNotFound
from penstock.core.model import Run, RunFilter
from penstock.core.workflows import WorkflowFilter, WorkflowSpec, read
from penstock.engine.recovery import fork
from penstock.engine.workflows import callables_of
from penstock.orchestrator import deployments
from penstock.orchestrator.services import environment_of, refuse_taken_names
from penstock.orchestrator.worker import PoolWorker, WorkerOptions, work
from penstock.orchestrator.workflows import Workflows

TASKS = """
import os
import time
from penstock import flow, task
from penstock.runtime import flow_run, task_run

def note(text):
    with open("notes.txt", "a") as file:
        file.write(text + "\\n")

def noted(text):
    with open("notes.txt") as file:
        return file.read().count(text)

def extract(rows=3):
    note("extract")
    return {"rows": [{"id": n, "a b": n * 10} for n in range(rows)], "total": rows}

async def double(value):
    note("double")
    return value * 2

def add(one, two=0, more=None):
    note(f"add {one} {two}")
    return one + two

def flaky(times):
    note("flaky")
    if noted("flaky") <= times:
        raise ConnectionError("no answer")
    return "at last"

@task(retries=2)
def retried():
    note("retried")
    if noted("retried") <= 2:
        raise ConnectionError("no answer")

def broken(**anything):
    raise ValueError("it broke")

def slow(seconds):
    note(f"slow {os.getpid()}")
    if noted("slow") == 1:
        time.sleep(seconds)
    return "slept"

@flow
def inner(n):
    return retried_never(n).__add__(1)

@flow
async def later(n):
    return n * 3

@task
def retried_never(n):
    return n * 10

def who():
    return [flow_run.flow_name, task_run.name, flow_run.parameters]

def echo(**anything):
    return anything
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with tasks that workflows may call."""
    folder = tmp_path / "project"
    folder.mkdir()
    listed = '[tool.penstock.workflows]\nmodules = ["shop_*"]\n'
    (folder / "pyproject.toml").write_text(listed)
    (folder / "shop_tasks.py").write_text(textwrap.dedent(TASKS))
    monkeypatch.chdir(folder)
    before = set(sys.modules)
    path = list(sys.path)
    yield folder
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if name.startswith("shop_"):
            del sys.modules[name]


@pytest.fixture
def app(project: Path) -> Iterator[Penstock]:
    """An instance of its own."""
    found = Penstock(load_settings())
    with found.activate():
        yield found
    found.close()


@pytest.fixture
def workflows(app: Penstock) -> Workflows:
    return Workflows(app.journal, callables_of())


def task(name: str, function: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "python_callable": f"shop_tasks:{function}", **more}


def spec(*tasks: dict[str, Any], name: str = "nightly", **more: Any) -> WorkflowSpec:
    return read({"name": name, "tasks": list(tasks), **more})


def ran(app: Penstock, run: Run) -> Run:
    """The run after it was executed here."""
    app.resume(run.id, return_state=True)
    found = app.journal.run(run.id)
    assert found is not None
    return found


def notes(folder: Path) -> list[str]:
    file = folder / "notes.txt"
    return file.read_text().split("\n")[:-1] if file.exists() else []


def value_of(app: Penstock, run: Run, key: str) -> Any:
    """The recorded result of a step."""
    for stored in app.journal.load(run.id):
        if stored.event.stored == "TaskCompleted" and stored.event.step.key == key:
            return app.results.load(stored.event.result, stored.data)
    raise AssertionError(f"no {key} among the completed steps")


CHAIN = (
    task("total", "add", params={"one": {"$result": "twice"}, "two": {"$result": 'extract.rows[2]["a b"]'}}),
    task("twice", "double", params={"value": {"$result": "extract.total"}}),
    task("extract", "extract", params={"rows": {"$parameter": "rows"}}),
)


def test_a_workflow_is_executed_and_is_a_run_like_any_other(app: Penstock, workflows: Workflows) -> None:
    workflows.create(spec(*CHAIN, parameters={"rows": 3}, tags=["etl"]))
    run = ran(app, workflows.trigger("nightly", {}))
    assert (run.state, run.flow, run.flow_version, run.deployment) == ("Completed", "nightly", "1", "nightly")
    assert (run.tags, run.parameters, run.message) == (("etl",), {"rows": 3}, "3 tasks completed.")
    steps = app.journal.task_runs(run.id)
    assert [(each.key, each.task, each.state) for each in steps] == [
        (f"{name}#1", name, "Completed") for name in ("extract", "twice", "total")
    ]
    assert value_of(app, run, "total#1") == 26


def test_a_trigger_gives_parameters_and_none_that_are_unknown(app: Penstock, workflows: Workflows) -> None:
    workflows.create(spec(*CHAIN, parameters={"rows": 3}))
    run = ran(app, workflows.trigger("nightly", {"rows": 4}))
    assert value_of(app, run, "total#1") == 28
    with pytest.raises(ParameterError, match=r"row: there is no such parameter \(it has: rows\)"):
        workflows.trigger("nightly", {"row": 4})


def test_tasks_are_tried_again_as_the_workflow_or_their_decorator_says(
    app: Penstock, workflows: Workflows, project: Path
) -> None:
    workflows.create(
        spec(task("flaky", "flaky", params={"times": 1}, retry_count=1), task("retried", "retried"))
    )  # fmt: skip
    run = ran(app, workflows.trigger("nightly", {}))
    assert run.state == "Completed"
    assert sorted(notes(project)) == ["flaky"] * 2 + ["retried"] * 3
    assert {each.key: each.attempt for each in app.journal.task_runs(run.id)} == {"flaky#1": 2, "retried#1": 3}


def test_a_task_that_fails_stops_those_that_need_it_and_no_others(
    app: Penstock, workflows: Workflows, project: Path
) -> None:
    workflows.create(
        spec(
            task("bad", "broken"),
            task("after", "echo", dependencies=["bad"]),
            task("later", "echo", dependencies=["after"]),
            task("other", "add", params={"one": 1}),
        )
    )
    run = ran(app, workflows.trigger("nightly", {}))
    assert run.state == "Failed"
    assert run.message is not None
    assert run.message.startswith("3 of 4 tasks did not complete: bad (")
    assert "it broke" in run.message
    assert {each.key: each.state_name for each in app.journal.task_runs(run.id)} == {
        "bad#1": "Failed", "after#1": "NotReady", "later#1": "NotReady", "other#1": "Completed"
    }  # fmt: skip


def test_a_failed_run_goes_on_from_where_it_failed(app: Penstock, workflows: Workflows, project: Path) -> None:
    first = task("first", "add", params={"one": 1})
    workflows.create(spec(first, task("then", "flaky", params={"times": 1}, dependencies=["first"])))
    run = ran(app, workflows.trigger("nightly", {}))
    assert run.state == "Failed"
    assert app.resume(run.id, return_state=True).is_completed()
    assert notes(project) == ["add 1 0", "flaky", "flaky"]
    after = app.journal.runs(RunFilter(flow="nightly"))[0]
    assert (after.origin_id, after.flow_version, after.state) == (run.id, "1", "Completed")


def test_a_fork_executes_a_step_and_those_after_it_anew(app: Penstock, workflows: Workflows, project: Path) -> None:
    workflows.create(spec(*CHAIN, parameters={"rows": 3}))
    run = ran(app, workflows.trigger("nightly", {}))
    made = ran(app, fork(app.journal, run, "twice"))
    assert made.state == "Completed"
    assert notes(project) == ["extract", "double", "add 6 20", "double", "add 6 20"]


def test_a_task_that_takes_too_long(app: Penstock, workflows: Workflows) -> None:
    workflows.create(spec(task("slow", "slow", params={"seconds": 60}, timeout=0.05)))
    run = ran(app, workflows.trigger("nightly", {}))
    assert run.state == "Failed"
    assert "timeout of 0.05 second(s)" in (run.message or "")


def test_what_a_task_is_told_of_its_run(app: Penstock, workflows: Workflows) -> None:
    workflows.create(spec(task("who", "who"), parameters={"day": "2026-01-01"}))
    run = ran(app, workflows.trigger("nightly", {}))
    flow, step, parameters = value_of(app, run, "who#1")
    assert (flow, parameters) == ("nightly", {"day": "2026-01-01"})
    assert step == "who"


def test_a_task_may_be_a_flow(app: Penstock, workflows: Workflows) -> None:
    inner = task("inner", "inner", params={"n": 4})
    workflows.create(spec(inner, task("later", "later", params={"n": {"$result": "inner"}})))
    run = ran(app, workflows.trigger("nightly", {}))
    assert (run.state, value_of(app, run, "later#1")) == ("Completed", 123)
    below = app.journal.runs(RunFilter(parent_id=run.id))
    assert sorted((each.flow, each.state) for each in below) == [("inner", "Completed"), ("later", "Completed")]


def test_literals_and_references_deep_in_a_value(app: Penstock, workflows: Workflows) -> None:
    params = {
        "a": [{"b": {"$result": "one.rows[0].id"}}, {"$parameter": "day"}],
        "c": {"$literal": {"$result": "nothing"}},
        "d": {"e": [1, None, 1.5, "ü", True]},
    }
    workflows.create(spec(task("one", "extract"), task("two", "echo", params=params), parameters={"day": {"y": [2]}}))
    run = ran(app, workflows.trigger("nightly", {}))
    expected = {"a": [{"b": 0}, {"y": [2]}], "c": {"$result": "nothing"}, "d": params["d"]}
    assert value_of(app, run, "two#1") == expected


def test_a_part_that_is_not_there_fails_the_task_that_wants_it(app: Penstock, workflows: Workflows) -> None:
    workflows.create(
        spec(task("one", "extract"), task("two", "echo", params={"x": {"$result": "one.rows[7].id"}}))
    )  # fmt: skip
    run = ran(app, workflows.trigger("nightly", {}))
    assert run.state == "Failed"
    assert "there is no 7 in what the task returned, which has 3 items" in (run.message or "")


def test_a_run_is_of_the_version_that_was_there_when_it_was_made(app: Penstock, workflows: Workflows) -> None:
    workflows.create(spec(task("one", "add", params={"one": 1})))
    run = workflows.trigger("nightly", {})
    workflows.update("nightly", spec(task("one", "add", params={"one": 2})))
    workflows.delete("nightly")
    assert value_of(app, ran(app, run), "one#1") == 1
    assert workflows.create(spec(task("one", "add", params={"one": 3}))).version == 3
    assert value_of(app, ran(app, workflows.trigger("nightly", {})), "one#1") == 3


def test_versions_and_rollback(workflows: Workflows) -> None:
    first, second = spec(task("a", "extract")), spec(task("a", "echo"), schedule="@daily")
    assert workflows.create(first, "ann").version == 1
    assert workflows.update("nightly", second, by="bob").version == 2
    assert workflows.update("nightly", second).version == 2
    assert workflows.get("nightly").next_due is not None
    back = workflows.rollback("nightly", 1, by="cy")
    assert (back.version, workflows.spec(back), back.next_due) == (3, first, None)
    told = [(each.version, each.restores, each.by) for each in workflows.versions("nightly")]
    assert told == [(3, 1, "cy"), (2, None, "bob"), (1, None, "ann")]
    with pytest.raises(WorkflowNotFound, match="no version 7"):
        workflows.rollback("nightly", 7)


def test_two_who_change_one_workflow(workflows: Workflows) -> None:
    workflows.create(spec(task("a", "extract")))
    workflows.update("nightly", spec(task("b", "extract")), expected=1)
    with pytest.raises(WorkflowConflict, match="version 2, not 1"):
        workflows.update("nightly", spec(task("c", "extract")), expected=1)
    with pytest.raises(WorkflowConflict, match="version 2"):
        workflows.delete("nightly", expected=1)
    with pytest.raises(WorkflowConflict, match="already"):
        workflows.create(spec(task("c", "extract")))
    with pytest.raises(WorkflowConflict, match="cannot become"):
        workflows.update("nightly", spec(task("c", "extract"), name="other"))


def test_a_clone_has_all_of_it_and_is_not_active(workflows: Workflows) -> None:
    workflows.create(spec(*CHAIN, parameters={"rows": 1}, schedule="0 2 * * *", tags=["a"], description="of ours"))
    clone = workflows.clone("nightly", "copied")
    assert not clone.active
    assert clone.next_due is None
    data, copied = workflows.get("nightly").spec, dict(clone.spec)
    assert copied.pop("active") is False
    assert {**data, "name": "copied"} == copied
    with pytest.raises(BadWorkflow, match="9x"):
        workflows.clone("nightly", "9x")


def test_enabled_and_not(workflows: Workflows) -> None:
    workflows.create(spec(task("a", "extract"), schedule="@hourly"))
    assert workflows.get("nightly").active
    off = workflows.enable("nightly", False)
    assert (off.active, off.next_due, off.version) == (False, None, 1)
    on = workflows.enable("nightly", True)
    assert on.active
    assert on.next_due is not None
    deployments.pause(workflows.journal, "nightly")
    same = workflows.update("nightly", spec(task("b", "extract"), schedule="@hourly"))
    assert same.active
    workflows.enable("nightly", False)
    assert workflows.trigger("nightly", {}).flow == "nightly"


def test_the_deployment_of_a_workflow_goes_with_the_workflow(workflows: Workflows) -> None:
    workflows.create(spec(task("a", "extract"), schedule="@hourly"))
    with pytest.raises(WorkflowConflict, match="is that of a workflow") as refused:
        deployments.delete(workflows.journal, "nightly")
    assert "penstock workflows delete nightly" in (refused.value.hint or "")
    assert workflows.get("nightly").active
    workflows.delete("nightly")
    assert workflows.journal.deployments("nightly") == []


def test_what_a_deployment_is_triggered_with_must_be_known_too(app: Penstock, workflows: Workflows) -> None:
    workflows.create(spec(task("a", "extract")))
    run = ran(app, deployments.trigger(app.journal, "nightly", {"rows": 4}))
    assert run.state == "Failed"
    assert "rows: there is no such parameter (it has: none)" in (run.message or "")


def test_a_flow_is_not_deployed_under_the_name_of_a_workflow(app: Penstock, workflows: Workflows) -> None:
    workflows.create(spec(task("a", "extract")))
    with pytest.raises(DeploymentError, match="There is a workflow 'nightly' already"):
        refuse_taken_names(app.journal, [Deployment(name="nightly", flow="nightly", entrypoint="file.py:nightly")])


def test_a_name_that_a_deployment_has(workflows: Workflows, app: Penstock) -> None:
    workflows.create(spec(task("a", "extract"), name="one"))
    deployments.declare(app.journal, Deployment(name="two", flow="other", entrypoint="file.py:other"))
    with pytest.raises(WorkflowConflict, match="There is a deployment 'two' already"):
        workflows.create(spec(task("a", "extract"), name="two"))


def test_a_deployment_that_is_made_meanwhile_is_not_taken_over(
    app: Penstock, workflows: Workflows, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = app.journal.deployments
    declared: list[str] = []

    def slow_look(*args: Any) -> Any:
        found = looked(*args)
        if not declared:
            declared.append("nightly")
            deployments.declare(app.journal, Deployment(name="nightly", flow="other", entrypoint="other.py:other"))
        return found

    monkeypatch.setattr(app.journal, "deployments", slow_look)
    with pytest.raises(WorkflowConflict, match="There is a deployment 'nightly' already"):
        workflows.create(spec(task("a", "who")))
    assert [each.flow for each in looked("nightly")] == ["other"]
    assert not app.journal.workflows(WorkflowFilter(name="nightly"))


def test_a_function_that_is_gone_fails_the_run(app: Penstock, workflows: Workflows, project: Path) -> None:
    workflows.create(spec(task("a", "extract"), task("b", "echo")))
    run = workflows.trigger("nightly", {})
    (project / "pyproject.toml").write_text('[tool.penstock.workflows]\nmodules = ["others"]\n')
    found = ran(app, run)
    assert found.state == "Failed"
    assert "2 mistakes in the workflow 'nightly'" in (found.message or "")
    assert not notes(project)


def test_a_worker_killed_in_a_task_leaves_the_tasks_before_it_done(
    app: Penstock, workflows: Workflows, project: Path
) -> None:
    slow = task("slow", "slow", params={"seconds": 60}, dependencies=["first"])
    workflows.create(spec(task("first", "add", params={"one": 1}), slow, task("last", "echo", dependencies=["slow"])))
    run = workflows.trigger("nightly", {})
    worker = PoolWorker(app.journal, WorkerOptions(environment=environment_of(app.settings)))
    thread = work(worker)
    try:
        begun = until(lambda: next((line for line in notes(project) if line.startswith("slow")), None))
        os.kill(int(begun.split()[1]), signal.SIGKILL)
        found = until(lambda: _ended(app, run))
    finally:
        worker.stop()
        thread.join(30)
    assert (found.state, found.crashes) == ("Completed", 1)
    assert [line.split()[0] for line in notes(project)] == ["add", "slow", "slow"]


def _ended(app: Penstock, run: Run) -> Run | None:
    found = app.journal.run(run.id)
    return found if found is not None and found.ended else None
