"""Hooks: in which order they are called, with what, and that they cannot disturb a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engines import engine_on, names, newest

from penstock import flow, task
from penstock.app import Penstock
from penstock.states import State

told: list[str] = []


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Penstock]:
    told.clear()
    with engine_on(tmp_path).activate() as fresh:
        yield fresh


def tells(what: str) -> Callable[[Any, Any, State], None]:
    def hook(subject: Any, run: Any, state: State) -> None:
        told.append(f"{what} {subject.name} {state.name} {run.run_count}")

    return hook


def every_hook(kind: str) -> dict[str, Any]:
    moments = ["on_running", "on_completion", "on_failure", "on_crashed", "on_cancellation"]
    return {moment: [tells(f"{kind}.{moment}")] for moment in moments}


@task(**every_hook("task"))
def good() -> int:
    told.append("good runs")
    return 1


@task(retries=1, **every_hook("task"))
def bad() -> int:
    told.append("bad runs")
    raise ValueError("bad")


@task(**{k: v for k, v in every_hook("task").items() if k != "on_running"})
def leaving() -> int:
    raise SystemExit(4)


def test_the_order_of_a_good_run(app: Penstock) -> None:
    @flow(name="day", **every_hook("flow"))
    def day() -> int:
        told.append("day runs")
        return good()

    day()
    assert told == [
        "flow.on_running day Running 1",
        "day runs",
        "task.on_running good Running 1",
        "good runs",
        "task.on_completion good Completed 1",
        "flow.on_completion day Completed 1",
    ]


def test_the_order_of_a_bad_run_with_retries(app: Penstock) -> None:
    @flow(name="day", retries=1, **every_hook("flow"))
    def day() -> int:
        return good() + bad()

    with pytest.raises(ValueError, match="bad"):
        day()
    attempt = ["task.on_running bad Running 1", "bad runs", "task.on_running bad Retrying 2", "bad runs"]
    ended = "task.on_failure bad Failed 2"
    first = [told[0], *told[4:9]]
    assert told[:4] == [
        "flow.on_running day Running 1",
        "task.on_running good Running 1",
        "good runs",
        "task.on_completion good Completed 1",
    ]
    assert first[1:] == [*attempt, ended]
    assert told[9:] == [
        "flow.on_running day Running 2",
        *attempt,
        ended,
        "flow.on_failure day Failed 2",
    ], "what completed has no hooks a second time"


def test_a_crash_has_its_own_hooks(app: Penstock) -> None:
    @flow(name="day", on_crashed=[tells("flow.on_crashed")], on_failure=[tells("flow.on_failure")])
    def day() -> int:
        return leaving()

    with pytest.raises(SystemExit):
        day()
    assert told == ["task.on_crashed leaving Crashed 1", "flow.on_crashed day Crashed 1"]


def test_several_hooks_are_called_in_the_order_they_were_given(app: Penstock) -> None:
    @flow(on_completion=[lambda *_: told.append("first"), lambda *_: told.append("second")])
    def day() -> None:
        pass

    @day.on_completion
    def third(*_: Any) -> None:
        told.append("third")

    day()
    assert told == ["first", "second", "third"]


def test_a_hook_is_called_when_the_end_is_on_record(app: Penstock) -> None:
    seen: list[str] = []

    @task(on_completion=[lambda *_: seen.append(names(app, newest(app).id)[-1])])
    def watched() -> None:
        pass

    @flow(on_completion=[lambda *_: seen.append(names(app, newest(app).id)[-1])])
    def day() -> None:
        watched()

    day()
    assert seen == ["TaskCompleted", "RunCompleted"]


def test_a_hook_that_raises_is_logged_and_changes_nothing(app: Penstock) -> None:
    def rude(*_: Any) -> None:
        raise RuntimeError("from the hook")

    @task(on_completion=[rude, lambda *_: told.append("next")])
    def watched() -> int:
        return 1

    @flow(on_running=[rude], on_completion=[rude, lambda *_: told.append("flow's next")])
    def day() -> int:
        return watched()

    assert day() == 1
    assert told == ["next", "flow's next"]
    run = newest(app)
    assert run.state == "Completed"
    lines = [line.message for line in app.journal.logs(run.id)]
    assert sum("from the hook" in line for line in lines) == 3
    assert all("rude" in line for line in lines)


def test_hooks_of_async_flows_may_be_async(app: Penstock) -> None:
    async def hook(flow: Any, run: Any, state: State) -> None:
        await asyncio.sleep(0)
        told.append(state.name)

    @task(on_completion=[hook])
    async def watched() -> int:
        return 1

    @flow(on_completion=[hook])
    async def day() -> int:
        return await watched()

    assert asyncio.run(day()) == 1
    assert told == ["Completed", "Completed"]


def test_hooks_of_sync_flows_may_be_async_too(app: Penstock) -> None:
    async def hook(flow: Any, run: Any, state: State) -> None:
        told.append(state.name)

    @flow(on_completion=[hook])
    def day() -> int:
        return 1

    day()
    assert told == ["Completed"]


def test_submitted_tasks_have_their_hooks_before_their_future_has_its_result(app: Penstock) -> None:
    @flow
    def day() -> None:
        good.submit().result()
        told.append("after the result")

    day()
    assert told.index("task.on_completion good Completed 1") < told.index("after the result")


def test_an_observer_that_raises_disturbs_nothing(app: Penstock) -> None:
    seen: list[str] = []

    def rude(run_id: str, event: Any) -> None:
        raise RuntimeError("from the observer")

    app.engine.observe(rude)
    app.engine.observe(lambda run_id, event: seen.append(type(event).stored))

    @flow
    def day() -> int:
        return good() + good.submit().result()

    assert day() == 2
    assert newest(app).state == "Completed"
    assert seen == [
        "RunCreated",
        "RunStarted",
        "TaskStarted",
        "TaskCompleted",
        "TaskStarted",
        "TaskCompleted",
        "RunCompleted",
    ]


def test_observers_are_told_of_subflows_by_their_own_id(app: Penstock) -> None:
    seen: list[tuple[str, str]] = []
    app.engine.observe(lambda run_id, event: seen.append((run_id, type(event).stored)))

    @flow
    def below() -> int:
        return good()

    @flow
    def above() -> int:
        return below()

    above()
    root = newest(app).id
    assert [event for run_id, event in seen if run_id == root] == [
        "RunCreated",
        "RunStarted",
        "TaskStarted",
        "TaskCompleted",
        "RunCompleted",
    ]
    assert len({run_id for run_id, _ in seen}) == 2
