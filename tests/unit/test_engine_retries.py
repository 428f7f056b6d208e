"""Retries of tasks and of flows: how often, after how long, on which condition, and what is not done again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engines import engine_on, events, names, newest, steps

from penstock import flow, runtime, task
from penstock.app import Penstock
from penstock.core.events import RunRetrying, TaskCompleted, TaskRetrying
from penstock.core.retry import exponential_backoff
from penstock.engine.waits import Sleep
from penstock.states import State

calls: Counter[str] = Counter()
slept: list[float] = []


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Penstock]:
    """Delays are noted instead of slept."""
    calls.clear()
    slept.clear()
    monkeypatch.setattr(Sleep, "block", lambda self: slept.append(self.seconds))
    with engine_on(tmp_path).activate() as fresh:
        yield fresh


def failing(times: int, name: str = "work") -> None:
    calls[name] += 1
    if calls[name] <= times:
        raise ValueError(f"{name} failed for the {calls[name]}. time")


@task(retries=3)
def work(times: int, name: str = "work") -> str:
    failing(times, name)
    return name


@task
def plain(name: str) -> str:
    calls[name] += 1
    return name


@pytest.mark.parametrize("times", [0, 1, 3])
def test_a_task_is_tried_again_as_often_as_it_may_be(app: Penstock, times: int) -> None:
    @flow
    def trying() -> str:
        return work(times)

    assert trying() == "work"
    assert calls["work"] == times + 1
    assert names(app, newest(app).id).count("TaskRetrying") == times
    (task_run,) = app.journal.task_runs(newest(app).id)
    assert (task_run.attempt, task_run.state) == (times + 1, "Completed")


def test_a_task_that_never_works_fails_with_its_last_exception(app: Penstock) -> None:
    @flow
    def trying() -> str:
        return work(99)

    with pytest.raises(ValueError, match=r"failed for the 4\. time"):
        trying()
    assert calls["work"] == 4
    assert steps(app, newest(app).id) == {"work#1": "Failed"}


def test_each_failure_is_on_record_with_its_exception_and_delay(app: Penstock) -> None:
    @flow
    def trying() -> str:
        return work.with_options(retry_delay_seconds=[1, 2])(3)

    trying()
    retried = [event for event in events(app, newest(app).id) if isinstance(event, TaskRetrying)]
    assert [(event.attempt, event.delay) for event in retried] == [(1, 1.0), (2, 2.0), (3, 2.0)]
    assert [event.error.text for event in retried if event.error] == [
        "work failed for the 1. time",
        "work failed for the 2. time",
        "work failed for the 3. time",
    ]
    assert slept == [1.0, 2.0, 2.0]


def test_delays_may_double(app: Penstock) -> None:
    @flow
    def trying() -> str:
        return work.with_options(retry_delay_seconds=exponential_backoff(0.5))(3)

    trying()
    assert slept == [0.5, 1.0, 2.0]


def test_jitter_stays_within_its_factor(app: Penstock) -> None:
    @flow
    def trying() -> None:
        with pytest.raises(ValueError, match=r"201\. time"):
            work.with_options(retries=200, retry_delay_seconds=10, retry_jitter_factor=0.5)(999)

    trying()
    assert len(slept) == 200
    assert min(slept) >= 5.0
    assert max(slept) <= 15.0
    assert len(set(slept)) > 10


def test_a_condition_decides_with_the_task_its_run_and_its_state(app: Penstock) -> None:
    seen: list[tuple[str, int, str]] = []

    def condition(failed: Any, run: Any, state: State) -> bool:
        seen.append((failed.name, run.run_count, state.name))
        return len(seen) < 2

    @flow
    def trying() -> str:
        return work.with_options(retry_condition_fn=condition)(99)

    with pytest.raises(ValueError, match=r"2\. time"):
        trying()
    assert seen == [("work", 1, "Failed"), ("work", 2, "Failed")]


def test_a_condition_that_raises_ends_the_retrying(app: Penstock) -> None:
    def condition(*_: Any) -> bool:
        raise KeyError("no such thing")

    @flow
    def trying() -> str:
        return work.with_options(retry_condition_fn=condition)(99)

    with pytest.raises(ValueError, match=r"1\. time"):
        trying()
    (line,) = app.journal.logs(newest(app).id)
    assert "KeyError" in line.message


def test_a_retry_starts_only_after_its_failure_is_on_record(app: Penstock) -> None:
    on_record: list[int] = []

    @task(retries=2)
    def looking() -> None:
        on_record.append(names(app, newest(app).id).count("TaskRetrying"))
        failing(2)

    @flow
    def trying() -> None:
        looking()

    trying()
    assert on_record == [0, 1, 2]


def completed(app: Penstock) -> list[str]:
    return [event.step.key for event in events(app, newest(app).id) if isinstance(event, TaskCompleted)]


def test_a_completed_nested_step_is_not_executed_again_when_the_task_around_is_retried(app: Penstock) -> None:
    """A task run recorded as completed is never executed again in that run."""

    @task(retries=1)
    def around() -> str:
        value = plain("inner")
        failing(1)
        return value

    @flow
    def trying() -> str:
        return around()

    assert trying() == "inner"
    done = completed(app)
    assert len(done) == len(set(done)), f"{done}: a step was recorded again after its end"
    assert calls["inner"] == sum("plain" in key for key in done)


def test_a_flow_retry_reuses_what_completed(app: Penstock) -> None:
    @flow(retries=2, retry_delay_seconds=[3, 4])
    def trying() -> str:
        text = plain("a") + plain("b")
        failing(2, "flow")
        return text + plain("c")

    assert trying() == "abc"
    assert calls == Counter({"a": 1, "b": 1, "c": 1, "flow": 3})
    assert slept == [3.0, 4.0]
    run = newest(app)
    assert (run.attempt, run.state) == (3, "Completed")
    retried = [event for event in events(app, run.id) if isinstance(event, RunRetrying)]
    assert [(event.attempt, event.delay, event.error.text) for event in retried if event.error] == [
        (1, 3.0, "flow failed for the 1. time"),
        (2, 4.0, "flow failed for the 2. time"),
    ]


def test_a_flow_retry_executes_again_what_failed(app: Penstock) -> None:
    @flow(retries=1)
    def trying() -> str:
        return plain("a") + work.with_options(retries=0)(1)

    assert trying() == "awork"
    assert calls == Counter({"a": 1, "work": 2})
    assert steps(app, newest(app).id) == {"plain#1": "Completed", "work#1": "Failed", "work#1~2": "Completed"}


def test_a_flow_retry_reuses_submitted_mapped_and_nested_steps(app: Penstock) -> None:
    @task
    def around(name: str) -> str:
        return plain(name) + plain(name * 2)

    @flow(retries=1)
    def trying() -> str:
        texts = [future.result() for future in plain.map(["a", "b"])]
        texts += [plain.submit("c").result(), around("d"), around.submit("e").result()]
        failing(1, "flow")
        return "".join(texts)

    assert trying() == "abcdddeee"
    assert set(calls.values()) == {1, 2}
    assert [name for name, count in calls.items() if count == 2] == ["flow"]


def test_nested_steps_of_a_task_that_failed_are_recorded_once_each(app: Penstock) -> None:
    @task
    def around() -> str:
        text = plain("inner")
        failing(1, "around")
        return text

    @flow(retries=1)
    def trying() -> str:
        return around()

    assert trying() == "inner"
    done = completed(app)
    assert len(done) == len(set(done))
    assert calls["inner"] == sum("plain" in key for key in done)


def test_a_failed_subflow_is_a_new_run_in_the_next_attempt(app: Penstock) -> None:
    @flow
    def below() -> str:
        failing(1, "below")
        return plain("x")

    @flow(retries=1)
    def above() -> str:
        return below()

    assert above() == "x"
    assert steps(app, newest(app).id) == {"below#1": "Failed", "below#1~2": "Completed"}
    children = {task_run.child_id for task_run in app.journal.task_runs(newest(app).id)}
    assert {run.state for child in children if child and (run := app.journal.run(child))} == {"Failed", "Completed"}


def test_attempts_are_counted_for_tasks_and_flows_alike(app: Penstock) -> None:
    counts: list[tuple[int, int]] = []

    @task(retries=1)
    def counting() -> None:
        counts.append((runtime.flow_run.run_count, runtime.task_run.run_count))
        raise ValueError("again")

    @flow(retries=1)
    def trying() -> None:
        counting()

    with pytest.raises(ValueError, match="again"):
        trying()
    assert counts == [(1, 1), (1, 2), (2, 1), (2, 2)]
