"""Runs that an engine elsewhere executes, as the process that follows one records them."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.elsewhere import ScriptedEngine
from tests.unit.engines import engine_on, names

from penstock.app import Penstock
from penstock.authoring.callables import Callables
from penstock.core.calendar import ScheduleSpec
from penstock.core.decisions import Claim, RequestCancel
from penstock.core.deployments import Deployment, Schedule
from penstock.core.engines import Begun, Order, OutsideArtifact, OutsideLine, OutsideRun, OutsideStep
from penstock.core.errors import BadWorkflow, EngineRefused, JournalUnavailable, ResultUnavailable, RunNotThere
from penstock.core.events import ErrorInfo, RunCreated, Saved, Step, now_us
from penstock.core.ids import new_run_id
from penstock.core.model import Run, RunFilter
from penstock.core.states import State
from penstock.core.workflows import TaskSpec, WorkflowSpec
from penstock.engine.commands import append_command
from penstock.engine.outside import is_followed
from penstock.engine.recovery import cancel, fork
from penstock.engine.scheduled import execute
from penstock.journal.results import FileResultStore
from penstock.orchestrator import engines, followed
from penstock.orchestrator.deployments import declare, delete, pause, trigger, unpause
from penstock.orchestrator.engines import Engines
from penstock.orchestrator.tending import Tender
from penstock.orchestrator.workflows import Workflows
from penstock.testing.faults import Fault, FaultyJournal, fail_with

LINE = OutsideLine(at=5, level=20, message="said", step=None)


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    """The engine `scripted` is this one."""
    engine = ScriptedEngine()
    monkeypatch.setitem(engines.BUILT_IN, "scripted", "nowhere:nothing")

    def make(name: str, settings: Any) -> ScriptedEngine:
        engines.refuse_unknown_engine(name)
        return engine

    monkeypatch.setattr(engines, "make_engine", make)
    monkeypatch.setattr(followed, "_FIRST_SECONDS", 0.0)
    monkeypatch.setattr(followed, "_LINES_SECONDS", 0.0)
    monkeypatch.setattr(followed, "_AWAY_SECONDS", 0.0)
    return engine


@pytest.fixture
def app(tmp_path: Path, outside: ScriptedEngine) -> Iterator[Penstock]:
    found = engine_on(tmp_path, engine_patience_seconds=60.0)
    declare(found.journal, Deployment(name="nightly", flow="etl", entrypoint="etl.py:etl", engine="scripted"))
    with found.activate():
        yield found
    found.close()


def claimed(app: Penstock, **given: Any) -> Run:
    """A run that a worker has just taken."""
    run = trigger(app.journal, "nightly", given)
    append_command(app.journal, run.id, Claim(now_us(), app.engine.owner, now_us() + 60_000_000))
    return run


def follow(app: Penstock, run: Run) -> Run:
    """What a worker's process does with a run that is executed elsewhere."""
    execute(app.engine, run.id, followed.follow, app.engine.owner)
    found = app.journal.run(run.id)
    assert found is not None
    return found


def step(key: str, state: str, attempt: int = 1, **more: Any) -> OutsideStep:
    return OutsideStep(key=key, state=state, attempt=attempt, **more)


def there(state: str, *steps: OutsideStep, **more: Any) -> OutsideRun:
    return OutsideRun(reference="there", state=state, steps=steps, **more)


def test_a_run_is_recorded_step_by_step_with_what_it_gave(app: Penstock, outside: ScriptedEngine) -> None:
    result, _ = app.results.save({"rows": 3})
    outside.looks = [
        there("Scheduled"),
        there("Running", step("fetch#1", "Running", started=10)),
        there("Running", step("fetch#1", "Completed", started=10, ended=20, result=Saved("json", 2), data=b"41")),
        there(
            "Completed",
            step("fetch#1", "Completed", started=10, ended=20),
            step("load#1", "Completed", started=21, ended=30, step=Step("load#1", "load", "load", 2, None, ("db",))),
            result=result,
            data=b'{"rows":3}',
            message="2 tasks completed.",
        ),
    ]
    run = follow(app, claimed(app, day="monday"))
    assert (run.state, run.message) == ("Completed", "2 tasks completed.")
    assert [(each.run_id, dict(each.parameters)) for each in outside.ordered] == [(run.id, {"day": "monday"})]
    assert names(app, run.id) == [
        "RunCreated", "RunClaimed", "RunStarted", "TaskStarted", "TaskCompleted", "TaskCompleted", "RunCompleted",
    ]  # fmt: skip
    tasks = {task.key: task for task in app.journal.task_runs(run.id)}
    assert tasks["load#1"].tags == ("db",)
    assert (tasks["fetch#1"].started_at, tasks["fetch#1"].ended_at) == (10, 20)
    last = [*app.journal.load(run.id)][-1]
    assert app.results.load(last.event.result, last.data) == {"rows": 3}  # type: ignore[attr-defined]


def test_what_it_gave_is_at_hand_when_it_has_ended(app: Penstock, outside: ScriptedEngine) -> None:
    outside.looks = [there("Completed", result=Saved("json", 2), data=b"41")]
    state = execute(app.engine, claimed(app).id, followed.follow, app.engine.owner)
    assert isinstance(state, State)
    assert state.result() == 41
    error = ErrorInfo("ValueError", "no rows")
    outside.looks = [there("Failed", error=error, data=pickle.dumps(ValueError("no rows")))]
    state = execute(app.engine, claimed(app).id, followed.follow, app.engine.owner)
    assert isinstance(state, State)
    with pytest.raises(ValueError, match="no rows"):
        state.result()


def test_values_that_are_kept_there_are_brought_here(
    app: Penstock, outside: ScriptedEngine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = FileResultStore(tmp_path / "theirs", inline_bytes=1)
    large, last, lost = (theirs.save([number] * 100)[0] for number in (1, 2, 3))
    for each in (large, last):
        assert each.ref is not None
        outside.kept[each.ref] = theirs.read(each.ref)
    outside.looks = [
        there("Running", step("fetch#1", "Completed", result=large), step("miss#1", "Completed", result=lost)),
        there("Completed", result=last),
    ]
    run = claimed(app)
    outside.away = 3
    follow(app, run)
    found = {stored.event.result: stored for stored in app.journal.load(run.id) if hasattr(stored.event, "result")}
    assert [app.results.load(each, None)[0] for each in (large, last)] == [1, 2]
    assert {large, last, lost} <= {*found}
    with pytest.raises(ResultUnavailable):
        app.results.load(lost, None)
    assert "A result cannot be read here: scripted keeps no results." in caplog.text


def test_a_value_that_is_something_else_is_not_taken(app: Penstock, tmp_path: Path) -> None:
    saved, _ = FileResultStore(tmp_path / "theirs", inline_bytes=1).save([1] * 100)
    with pytest.raises(ResultUnavailable, match="something else"):
        app.results.adopt(saved, lambda ref: b"x" * saved.size)
    with pytest.raises(ResultUnavailable):
        app.results.load(saved, None)


def test_attempts_that_nobody_looked_at_are_recorded_too(app: Penstock, outside: ScriptedEngine) -> None:
    error = ErrorInfo("ValueError", "no rows")
    outside.looks = [
        there("Running", step("fetch#1", "Running")),
        there("Running", step("fetch#1", "Retrying", 1)),
        there("Running", step("fetch#1", "Running", 3)),
        there("Failed", step("fetch#1", "Failed", 4, error=error, message="ValueError: no rows"), error=error),
    ]
    run = follow(app, claimed(app))
    assert run.state == "Failed"
    found = [name for name in names(app, run.id) if name.startswith("Task")]
    assert found == ["TaskStarted", "TaskRetrying"] * 3 + ["TaskStarted", "TaskFailed"]
    (task,) = app.journal.task_runs(run.id)
    assert (task.state, task.attempt, task.message) == ("Failed", 4, "ValueError: no rows")


def test_a_step_that_never_began_ends_without_an_attempt(app: Penstock, outside: ScriptedEngine) -> None:
    outside.looks = [
        there(
            "Failed",
            step("fetch#1", "Failed", 1),
            step("load#1", "Failed", 0, state_name="NotReady", message="fetch#1 failed."),
        )
    ]
    run = follow(app, claimed(app))
    (load,) = (task for task in app.journal.task_runs(run.id) if task.key == "load#1")
    assert (load.state, load.state_name) == ("Failed", "NotReady")


def test_what_a_run_says_and_shows_is_recorded_once(app: Penstock, outside: ScriptedEngine) -> None:
    shown = OutsideArtifact(id="01a", kind="markdown", key="report", at=7, content="# Hello")
    outside.said = {"fetch#1": [LINE], None: [LINE]}
    outside.looks = [
        there("Running", step("fetch#1", "Running"), url="http://there/run"),
        there("Running", step("fetch#1", "Running"), artifacts=(shown,)),
        there("Completed", step("fetch#1", "Completed"), artifacts=(shown,)),
    ]
    run = follow(app, claimed(app))
    lines = [(line.key, line.message) for line in app.journal.logs(run.id) if line.logger == "penstock.scripted"]
    assert sorted(lines, key=str) == [("fetch#1", "said"), (None, "said")]
    assert [each.id for each in app.journal.artifacts(run.id)] == ["01a"]
    assert any("http://there/run" in line.message for line in app.journal.logs(run.id))


def test_an_engine_that_is_away_is_waited_for_and_that_is_said(app: Penstock, outside: ScriptedEngine) -> None:
    outside.looks = [there("Completed", step("fetch#1", "Completed"))]
    outside.away = 3
    run = follow(app, claimed(app))
    assert run.state == "Completed"
    said = [line.message for line in app.journal.logs(run.id)]
    assert [each for each in said if "away" in each] == ["The scripted engine is away. It is waited for, 60 s at most."]
    assert "scripted can be asked again." in said
    assert len(outside.ordered) == 1


def test_an_engine_that_stays_away_crashes_the_run(tmp_path: Path, outside: ScriptedEngine) -> None:
    impatient = engine_on(tmp_path, engine_patience_seconds=0.0)
    declare(impatient.journal, Deployment(name="nightly", flow="etl", entrypoint="etl.py:etl", engine="scripted"))
    outside.away = 1_000
    with impatient.activate():
        run = follow(impatient, claimed(impatient))
    assert (run.state, run.message) == ("Crashed", "The scripted engine is away. It was waited for 0 s.")


@pytest.mark.parametrize(
    ("asked", "error", "state", "told"),
    [
        ("start", EngineRefused("The parameters do not fit", hint="give others"), "Failed", "give others"),
        ("look", RunNotThere("There is no such run."), "Crashed", "deleted there"),
    ],
)
def test_a_refusal_ends_the_run_and_says_why(
    app: Penstock,
    outside: ScriptedEngine,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    error: Any,
    state: str,
    told: str,
) -> None:
    def refuse(given: Any) -> OutsideRun:
        raise error

    monkeypatch.setattr(outside, asked, refuse)
    run = follow(app, claimed(app))
    assert run.state == state
    assert told in str(run.message)


def test_a_run_under_way_outlasts_an_engine_that_refuses_to_tell_of_it(
    tmp_path: Path, app: Penstock, outside: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals, look = [3], outside.look

    def refuse(reference: str) -> OutsideRun:
        refusals[0] -= 1
        if refusals[0] >= 0:
            raise EngineRefused("The password is wrong.", hint="set it")
        return look(reference)

    monkeypatch.setattr(outside, "look", refuse)
    outside.looks = [there("Completed", step("fetch#1", "Completed"))]
    assert follow(app, claimed(app)).state == "Completed"
    refusals[0] = 1_000_000
    impatient = engine_on(tmp_path / "impatient", engine_patience_seconds=0.0)
    declare(impatient.journal, Deployment(name="nightly", flow="etl", entrypoint="etl.py:etl", engine="scripted"))
    with impatient.activate():
        run = follow(impatient, claimed(impatient))
    assert (run.state, run.message) == ("Crashed", "The password is wrong. It was waited for 0 s.")


@pytest.mark.parametrize("before", range(2, 8))
def test_a_follower_that_dies_anywhere_is_followed_by_another_and_nothing_is_doubled(
    app: Penstock, outside: ScriptedEngine, before: int
) -> None:
    outside.said = {"fetch#1": [LINE, LINE]}
    outside.looks = [
        there("Running", step("fetch#1", "Running", 1, started=1)),
        there("Running", step("fetch#1", "Running", 2, started=2)),
        there("Running", step("fetch#1", "Completed", 2, ended=3), step("load#1", "Running")),
        there("Completed", step("fetch#1", "Completed", 2, ended=3), step("load#1", "Completed")),
    ]
    run = trigger(app.journal, "nightly")
    strike = fail_with(JournalUnavailable("the process of this test dies here"))
    other = Penstock(app.settings, journal=FaultyJournal(app.journal, Fault(before, "after", strike)))
    append_command(app.journal, run.id, Claim(now_us(), other.engine.owner, now_us() + 60_000_000))
    with other.activate(), contextlib.suppress(JournalUnavailable):
        execute(other.engine, run.id, followed.follow, other.engine.owner)
    left = app.journal.run(run.id)
    assert left is not None
    if not left.ended:
        outside.looked = 0
        execute(app.engine, run.id, followed.follow, left.owner)
    tasks = {task.key: (task.state, task.attempt) for task in app.journal.task_runs(run.id)}
    assert tasks == {"fetch#1": ("Completed", 2), "load#1": ("Completed", 1)}
    found = names(app, run.id)
    assert found.count("RunCompleted") == found.count("RunStarted") == 1
    assert found.count("TaskCompleted") == 2
    assert [line.message for line in app.journal.logs(run.id, "fetch#1")] == ["said", "said"]
    assert len(outside.ordered) == 1


def test_cancelling_reaches_the_engine(app: Penstock, outside: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    run = claimed(app)
    outside.looks = [there("Running", step("fetch#1", "Running"))]

    def look(reference: str, told: Any = outside.look) -> OutsideRun:
        if outside.looked == 2:
            append_command(app.journal, run.id, RequestCancel(now_us(), "enough"))
        found: OutsideRun = told(reference)
        return found

    monkeypatch.setattr(outside, "look", look)
    monkeypatch.setattr(followed, "_FIRST_SECONDS", 0.05)
    ended = follow(app, run)
    assert ended.state == "Cancelled"
    assert outside.cancelled == [f"there/{run.id}"]
    assert [task.state for task in app.journal.task_runs(run.id)] == ["Cancelled"]


def tender(app: Penstock, outside: ScriptedEngine) -> Tender:
    return Tender(app.journal, Engines(app, lambda name, settings: outside))


def test_what_has_ended_here_is_ended_there_as_soon_as_the_engine_answers(
    app: Penstock, outside: ScriptedEngine
) -> None:
    tending = tender(app, outside)
    tending.turn(now_us())
    run, unordered = claimed(app), trigger(app.journal, "nightly")
    outside.start(Order(deployment="nightly", run_id=run.id))
    for each in (run, unordered):
        cancel(app.journal, each.id, grace_seconds=0)
    outside.away = 1
    tending.turn(now_us())
    assert outside.cancelled == []
    for _ in range(3):
        tending.turn(now_us())
    assert outside.cancelled == [f"there/{run.id}"]


def test_a_deployment_is_paused_resumed_and_removed_there(app: Penstock, outside: ScriptedEngine) -> None:
    tending = tender(app, outside)
    outside.known = False
    tending.turn(now_us())
    pause(app.journal, "nightly")
    tending.turn(now_us())
    assert outside.paused == {}
    outside.known = True
    tending.turn(now_us())
    assert outside.paused == {"nightly": True}
    delete(app.journal, "nightly")
    tending.turn(now_us())
    assert outside.removed == ["nightly"]


def test_what_cannot_be_removed_there_holds_up_nothing_else(
    app: Penstock, outside: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> bool:
        raise EngineRefused("Somebody has edited it.")

    tending = tender(app, outside)
    tending.turn(now_us())
    run = claimed(app)
    outside.start(Order(deployment="nightly", run_id=run.id))
    monkeypatch.setattr(outside, "remove", refuse)
    delete(app.journal, "nightly")
    cancel(app.journal, run.id, grace_seconds=0)
    tending.turn(now_us())
    assert outside.cancelled == [f"there/{run.id}"]


def test_a_pause_is_carried_over_whoever_dies_or_is_away(app: Penstock, outside: ScriptedEngine) -> None:
    tending = tender(app, outside)
    outside.known = False
    tending.turn(now_us())
    pause(app.journal, "nightly")
    tending.turn(now_us())
    outside.known, outside.away = True, 1
    tending.turn(now_us())
    assert outside.paused == {}
    tender(app, outside).turn(now_us())  # by another process, as the first one has died
    assert outside.paused == {"nightly": True}


def test_a_run_that_was_begun_there_becomes_a_run_here_once(app: Penstock, outside: ScriptedEngine) -> None:
    tending, again = tender(app, outside), tender(app, outside)
    tending.turn(now_us())
    ours, other = new_run_id(), new_run_id()
    outside.others = [
        Begun(deployment="nightly", reference="there/scheduled", run_id=ours, parameters={"day": "monday"}, at=9),
        Begun(deployment="another", reference="there/other", run_id=other),
    ]
    for each in (tending, again, tending):
        each.turn(now_us())
    (run,) = app.journal.runs(RunFilter(deployment="nightly"))
    assert (run.id, run.cause, run.scheduled_at, run.parameters) == (ours, "engine", 9, {"day": "monday"})
    append_command(app.journal, run.id, Claim(now_us(), app.engine.owner, now_us() + 60_000_000))
    outside.looks = [there("Completed", step("fetch#1", "Completed"))]
    assert follow(app, run).state == "Completed"
    assert outside.ordered == []  # it was begun already
    created = next(iter(app.journal.load(run.id))).event
    assert isinstance(created, RunCreated)
    assert created.key == "there/scheduled"


def test_its_engine_makes_the_scheduled_runs(app: Penstock) -> None:
    daily = Schedule(name="daily", spec=ScheduleSpec.of("@daily"))
    there = Deployment(name="daily", flow="etl", entrypoint="etl.py:etl", engine="scripted", schedules=(daily,))
    for change in (declare, lambda journal, plan: pause(journal, plan.name), lambda j, plan: unpause(j, plan.name)):
        change(app.journal, there)
        assert [each.next_due for each in app.journal.deployments("daily")[0].schedules] == [None]
    declare(app.journal, replace(there, engine="local"))
    assert app.journal.deployments("daily")[0].schedules[0].next_due is not None


def test_what_goes_on_with_a_run_is_executed_here(app: Penstock, outside: ScriptedEngine) -> None:
    outside.looks = [there("Failed", step("fetch#1", "Failed"))]
    run = follow(app, claimed(app))
    again = fork(app.journal, run, None, "resume", pool="default")
    anew = fork(app.journal, run, None, "retry", pool="default")
    found = [is_followed(each, "scripted") for each in (run, again, anew)]
    assert found == [True, False, True]
    assert not is_followed(run, "local")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"engine": "nowhere"}, "There is no engine 'nowhere'"),
        ({"timeout": 3.0}, "timeouts: it has no clock"),
        ({}, None),
    ],
)
def test_a_workflow_that_cannot_be_executed_there_is_refused_before_it_is_kept(
    app: Penstock, outside: ScriptedEngine, change: dict[str, Any], told: str | None
) -> None:
    task = TaskSpec(
        name="count", python_callable="textwrap:dedent", timeout=change.pop("timeout", None), params={"text": "a"}
    )
    spec = WorkflowSpec(**{"name": "counting", "engine": "scripted", "tasks": (task,), **change})
    workflows = Workflows(app.journal, Callables(["textwrap"], "."), Engines(app))
    if told is None:
        workflows.create(spec)
        (made,) = app.journal.deployments("counting")
        assert engines.engine_of(made) == "scripted"
        tender(app, outside).turn(now_us())
        assert list(outside.placed) == ["counting"]
        return
    with pytest.raises(BadWorkflow) as caught:
        workflows.create(spec)
    assert [(place, told in text) for place, text in caught.value.mistakes] == [("engine", True)]
    assert app.journal.deployments("counting") == []


def test_a_workflow_is_there_as_it_was_in_the_version_of_its_run(app: Penstock, outside: ScriptedEngine) -> None:
    workflows = Workflows(app.journal, Callables(["textwrap"], "."), Engines(app))
    task = TaskSpec(name="count", python_callable="textwrap:dedent", params={"text": "a"})
    spec = WorkflowSpec(name="counting", engine="scripted", tasks=(task,), parameters={"partition": None, "n": 1})
    workflows.create(spec)
    run = workflows.trigger("counting", {"n": 2})
    workflows.update("counting", replace(spec, description="another"))
    append_command(app.journal, run.id, Claim(now_us(), app.engine.owner, now_us() + 60_000_000))
    outside.looks = [there("Completed", step("count#1", "Completed"))]
    assert follow(app, run).state == "Completed"
    assert outside.placed["counting"].description is None
    assert [order.parameters for order in outside.ordered] == [{"n": 2}]
