"""Names that nobody should give, and calls that go deeper than they should."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.chaos.invariants import check_run, family, newest_sound

from penstock import flow, get_run_logger, task
from penstock.app import Penstock
from penstock.core.errors import RunError
from penstock.core.model import RunFilter

pytestmark = [pytest.mark.chaos, pytest.mark.usefixtures("silent")]


@task
def give(value: Any) -> Any:
    return value


NAMES = {
    "lines": "two\nlines",
    "tab": "tab\t",
    "emoji": "émoji 🚀 ünïcode",
    "nul": "nul\0inside",
    "surrogate": "\ud800 alone",
    "quotes": "'; DROP TABLE runs; --",
    "long": "x" * 5_000,
    "like a key": "a/b#1~2",
    "blank": " ",
    "control": "\x1b[31mred",
}


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return NAMES[request.param]


@pytest.mark.parametrize("name", NAMES, indirect=True)
def test_any_name_is_recorded(app: Penstock, name: str) -> None:
    named = give.with_options(name=name, task_run_name=name.replace("{", ""), tags=[name])

    @flow(name=name, flow_run_name=lambda: name, tags=[name], version=name)
    def odd(value: str) -> str:
        get_run_logger().warning(name)
        assert named(value) == value
        assert named.submit(value).result() == value
        return value

    assert odd(name) == name
    run = newest_sound(app.journal)
    assert run.state == "Completed"
    assert len(app.journal.task_runs(run.id)) == 2
    assert app.journal.logs(run.id)
    if name.isprintable() and name.strip():
        assert (run.name, run.flow, run.tags) == (name, name, (name,))
        assert app.journal.find(name)[0].id == run.id
        assert [task_run.task for task_run in app.journal.task_runs(run.id)] == [name, name]


@pytest.mark.parametrize("name", ["lines", "emoji", "nul", "surrogate", "like a key"], indirect=True)
def test_a_run_with_an_odd_name_is_resumed(app: Penstock, name: str) -> None:
    fails = [True]
    made: list[str] = []

    @task(name=name)
    def odd_step(value: str) -> str:
        made.append(value)
        return value

    @task(name=name)
    def around(value: str) -> str:
        return odd_step(value)

    @flow(name=name)
    def odd(value: str) -> str:
        text = odd_step(value) + around(value)
        if fails:
            raise ValueError("once")
        return text

    with pytest.raises(ValueError, match="once"):
        odd(name)
    fails.clear()
    problem = None
    try:
        assert app.resume(newest_sound(app.journal).id, odd) == name + name
    except RunError as error:
        problem = ascii(error)  # as it is, the test runner could not show it
    assert problem is None
    assert made == [name, name]
    assert newest_sound(app.journal).state == "Completed"


def test_recursion_without_end_fails_and_the_next_step_runs(app: Penstock) -> None:
    @task
    def endless(number: int) -> int:
        def down(level: int) -> int:
            return down(level + 1) + 1

        return down(number)

    @flow
    def recovering() -> str:
        assert endless(0, return_state=True).is_failed()
        assert endless.submit(0, return_state=True).is_failed()
        return str(give("went on"))

    assert recovering() == "went on"
    assert newest_sound(app.journal).state == "Completed"


def test_a_task_that_calls_itself_is_recorded_at_every_level(app: Penstock) -> None:
    @task
    def countdown(number: int) -> int:
        return countdown(number - 1) + 1 if number else 0

    @flow
    def down() -> int:
        return countdown(20)

    assert down() == 20
    assert len(app.journal.task_runs(newest_sound(app.journal).id)) == 21


def test_a_flow_that_calls_itself_twenty_times_deep(app: Penstock) -> None:
    @flow
    def matryoshka(level: int) -> int:
        return matryoshka(level - 1) + give(1) if level else 0

    assert matryoshka(20) == 20
    assert len(family(app.journal, newest_sound(app.journal).id)) == 21


def test_an_async_flow_that_calls_itself_twenty_times_deep(app: Penstock) -> None:
    @flow
    async def matryoshka(level: int) -> int:
        return await matryoshka(level - 1) + give(1) if level else 0

    assert asyncio.run(matryoshka(20)) == 20
    assert len(family(app.journal, newest_sound(app.journal).id)) == 21


def test_a_flow_that_calls_itself_without_end_fails(app: Penstock) -> None:
    @flow
    def bottomless(level: int) -> int:
        return bottomless(level + 1)

    with pytest.raises(RecursionError):
        bottomless(0)
    root = max(app.journal.runs(RunFilter()), key=lambda run: run.created_at)
    check_run(app.journal, root)
    assert root.state == "Failed"
