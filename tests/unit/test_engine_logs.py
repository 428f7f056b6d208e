"""Log lines and prints are kept with the run and the step they belong to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.engines import engine_on, newest

from penstock import flow, get_run_logger, task
from penstock.app import Penstock
from penstock.core.errors import MissingContextError
from penstock.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Penstock]:
    with engine_on(tmp_path).activate() as fresh:
        yield fresh


def lines(app: Penstock, key: str | None = None) -> list[tuple[str | None, str]]:
    """Step and text of each line of the newest run."""
    return [(line.key, line.message) for line in app.journal.logs(newest(app).id, key)]


@task
def speak(text: str) -> str:
    get_run_logger().info("logged %s", text)
    return text


@task(log_prints=True)
def shout(text: str) -> str:
    print("printed", text, sep=": ")
    return text


def test_lines_know_their_step(app: Penstock) -> None:
    @flow
    def talking() -> None:
        get_run_logger().warning("begins")
        speak("a")
        speak("b")

    talking()
    assert lines(app) == [(None, "begins"), ("speak#1", "logged a"), ("speak#2", "logged b")]
    assert lines(app, "speak#2") == [("speak#2", "logged b")]
    levels = [line.level for line in app.journal.logs(newest(app).id)]
    assert levels == [logging.WARNING, logging.INFO, logging.INFO]


def test_prints_are_kept_where_that_is_asked_for(app: Penstock, capsys: pytest.CaptureFixture[str]) -> None:
    @flow
    def talking() -> None:
        shout("a")
        print("from the flow, not kept")

    talking()
    assert lines(app) == [("shout#1", "printed: a")]
    assert "from the flow, not kept" in capsys.readouterr().out


def test_prints_of_the_flow_and_of_all_its_tasks(app: Penstock) -> None:
    @task
    def quiet() -> None:
        print("of the task")

    @task(log_prints=False)
    def private() -> None:
        print("not kept")

    @flow(log_prints=True)
    def talking() -> None:
        print("of the flow", 1, None)
        quiet()
        private()

    talking()
    assert lines(app) == [(None, "of the flow 1 None"), ("quiet#1", "of the task")]


def test_submitted_and_nested_tasks_have_their_own_lines(app: Penstock) -> None:
    @task
    def around(text: str) -> None:
        speak(text)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
    def talking() -> None:
        around.map(["a", "b", "c"]).wait()

    talking()
    expected = {(f"around#{n}/speak#1", f"logged {text}") for n, text in enumerate("abc", start=1)}
    assert set(lines(app)) == expected


def test_tasks_in_processes_have_their_own_lines(app: Penstock) -> None:
    @flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
    def talking() -> None:
        speak.map(["a", "b"]).wait()
        shout.submit("c").wait()

    talking()
    assert set(lines(app)) == {
        ("speak#1", "logged a"),
        ("speak#2", "logged b"),
        ("shout#1", "printed: c"),
    }


def test_async_tasks_that_run_side_by_side_have_their_own_lines(app: Penstock) -> None:
    @task(log_prints=True)
    async def aspeak(text: str) -> None:
        print(f"first {text}")
        await asyncio.sleep(0)
        print(f"then {text}")

    @flow
    async def talking() -> None:
        await asyncio.gather(aspeak("a"), aspeak("b"))

    asyncio.run(talking())
    assert set(lines(app)) == {
        ("aspeak#1", "first a"),
        ("aspeak#1", "then a"),
        ("aspeak#2", "first b"),
        ("aspeak#2", "then b"),
    }


def test_lines_of_a_subflow_are_its_own(app: Penstock) -> None:
    @flow
    def below() -> str:
        speak("below")
        return "done"

    @flow
    def above() -> None:
        get_run_logger().info("above")
        below()

    above()
    assert lines(app) == [(None, "above")]
    (step,) = app.journal.task_runs(newest(app).id)
    assert step.child_id is not None
    assert [line.message for line in app.journal.logs(step.child_id)] == ["logged below"]


def test_lines_of_each_attempt_are_kept(app: Penstock) -> None:
    left = [1, 2]

    @task(retries=2)
    def trying() -> None:
        get_run_logger().info("attempt %d", 3 - len(left))
        if left.pop():
            pass
        if left:
            raise ValueError("again")

    @flow
    def talking() -> None:
        trying()

    talking()
    assert [text for _, text in lines(app, "trying#1") if text.startswith("attempt")] == ["attempt 1", "attempt 2"]


def test_a_line_that_cannot_be_formatted_is_kept_and_harmless(app: Penstock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("penstock.run"), "propagate", False)  # pytest's own handler raises

    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError("no text")

        __repr__ = __str__

    @flow
    def talking() -> str:
        get_run_logger().info("%d apples", "three")
        get_run_logger().info("%s", Unprintable())
        get_run_logger().info("fine")
        return "went on"

    assert talking() == "went on"
    assert [text for _, text in lines(app)][-1] == "fine"
    assert len(lines(app)) == 3


def test_a_very_long_line_is_cut(app: Penstock) -> None:
    @flow
    def talking() -> None:
        get_run_logger().info("x" * 5_000_000)

    talking()
    ((_, text),) = lines(app)
    assert len(text) < 200_000
    assert "5,000,000 characters" in text


def test_lines_below_the_level_are_not_kept(app: Penstock) -> None:
    @flow
    def talking() -> None:
        get_run_logger().debug("a detail")

    talking()
    assert lines(app) == []


def test_a_run_logger_outside_a_run_says_what_to_do() -> None:
    with pytest.raises(MissingContextError, match="no active flow") as caught:
        get_run_logger()
    assert "logging.getLogger" in str(caught.value.hint)
