"""Forking: a new run from any step, with everything before it taken over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engines import die_in, engine_on, events, names, newest, no_starts, steps

from penstock import flow, task
from penstock.app import Penstock
from penstock.core.errors import RunNotResumable
from penstock.core.events import RunCreated
from penstock.core.model import Run, RunFilter
from penstock.engine import recovery
from penstock.engine.recovery import fork
from penstock.task_runners import ThreadPoolTaskRunner

made: list[str] = []
broken: set[str] = set()


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Penstock]:
    no_starts(monkeypatch)
    made.clear()
    broken.clear()
    with engine_on(tmp_path).activate() as fresh:
        yield fresh


@task
def step(name: str) -> str:
    made.append(name)
    if name in broken:
        raise ValueError(f"{name} is broken")
    return name.upper()


@task
def square(number: int) -> int:
    made.append(f"square {number}")
    return number * number


@task
def both(first: str, second: str) -> str:
    made.append(f"both {first}{second}")
    return step(first) + step(second)


@flow
def three() -> str:
    return step("a") + step("b") + step("c")


def forked(app: Penstock, run: Run, from_step: str | None, flow: Any) -> tuple[Any, Run]:
    """Fork, carry on, and give the value with the new run."""
    made.clear()
    new = fork(app.journal, run, from_step)
    assert names(app, new.id)[0] == "RunCreated"
    assert new.state == "Pending"
    value = app.resume(new.id, flow)
    done = app.journal.run(new.id)
    assert done is not None
    return value, done


@pytest.mark.parametrize(
    ("from_step", "again"),
    [("step#1", ["a", "b", "c"]), ("step#2", ["b", "c"]), ("step#3", ["c"]), ("step", ["a", "b", "c"])],
)
def test_everything_from_that_step_on_is_executed_anew(
    app: Penstock, monkeypatch: pytest.MonkeyPatch, from_step: str, again: list[str]
) -> None:
    monkeypatch.setattr(recovery, "new_run_name", lambda: "another-name")
    three()
    old = newest(app)
    recorded = names(app, old.id)
    value, new = forked(app, old, from_step, three)
    assert value == "ABC"
    assert made == again
    assert (new.origin, new.origin_id, new.from_step) == ("fork", old.id, from_step)
    assert new.name == "another-name" != old.name
    assert app.journal.run(old.id) == old
    assert names(app, old.id) == recorded


def test_without_a_step_all_that_completed_is_taken_over(app: Penstock) -> None:
    broken.add("c")
    with pytest.raises(ValueError, match="broken"):
        three()
    broken.clear()
    value, _ = forked(app, newest(app), None, three)
    assert value == "ABC"
    assert made == ["c"]


def test_a_step_that_is_not_there_is_refused_with_those_that_are(app: Penstock) -> None:
    three()
    with pytest.raises(RunNotResumable, match="no step 'load'") as caught:
        fork(app.journal, newest(app), "load")
    assert str(caught.value.hint) == "its steps are: step#1, step#2, step#3"
    assert len(app.journal.runs(RunFilter())) == 1, "a refused fork leaves nothing behind"


def test_mapped_steps_are_forked_from_the_middle(app: Penstock) -> None:
    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def mapped() -> int:
        return sum(square.map([1, 2, 3, 4]).result())

    mapped()
    value, _ = forked(app, newest(app), "square#3", mapped)
    assert value == 30
    assert made == ["square 3", "square 4"]


def test_a_step_called_before_another_is_taken_over_whatever_ended_first(app: Penstock) -> None:
    """Submitted steps stand in the order of their calls, not of their ends."""

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def crossed() -> list[str]:
        last = step.submit("z", wait_for=[step.submit("a")])
        return [step.submit("b").result(), last.result()]

    crossed()
    assert steps(app, newest(app).id).keys() == {"step#1", "step#2", "step#3"}
    value, _ = forked(app, newest(app), "step#3", crossed)
    assert value == ["B", "Z"]
    assert made == ["b"]


def test_nested_steps_go_with_the_step_around_them(app: Penstock) -> None:
    @flow
    def nested() -> str:
        return both("a", "b") + step("c") + both("d", "e")

    nested()
    value, _ = forked(app, newest(app), "step#1", nested)
    assert value == "ABCDE"
    assert made == ["c", "both de", "d", "e"]
    value, _ = forked(app, newest(app), "both#2", nested)
    assert value == "ABCDE"
    assert made == ["both de", "d", "e"]


def test_a_nested_step_that_completed_inside_a_failed_one_is_taken_over(app: Penstock) -> None:
    @flow
    def nested() -> str:
        return both("a", "b")

    broken.add("b")
    with pytest.raises(ValueError, match="broken"):
        nested()
    broken.clear()
    value, _ = forked(app, newest(app), None, nested)
    assert value == "AB"
    assert made == ["both ab", "b"]


def test_completed_subflows_are_taken_over_and_later_ones_run_again(app: Penstock) -> None:
    @flow
    def below(name: str) -> str:
        return step(name) + step(name * 2)

    @flow
    def above() -> str:
        return below("a") + step("m") + below("b")

    assert above() == "AAAMBBB"
    old = newest(app)
    value, new = forked(app, old, "step#1", above)
    assert value == "AAAMBBB"
    assert made == ["m", "b", "bb"]
    (child,) = app.journal.runs(RunFilter(parent_id=new.id))
    assert (child.root_id, child.state) == (new.id, "Completed")
    assert len(app.journal.runs(RunFilter(parent_id=old.id))) == 2


def test_a_subflow_that_failed_half_way_is_taken_over_half_way(app: Penstock) -> None:
    @flow
    def below(name: str) -> str:
        return step(name) + step(name * 2)

    @flow
    def above() -> str:
        return step("m") + below("a")

    broken.add("aa")
    with pytest.raises(ValueError, match="broken"):
        above()
    old = newest(app)
    broken.clear()
    value, new = forked(app, old, None, above)
    assert value == "MAAA"
    assert made == ["aa"]
    (child,) = app.journal.runs(RunFilter(parent_id=new.id))
    assert child.state == "Completed"
    (old_child,) = app.journal.runs(RunFilter(parent_id=old.id))
    assert old_child.state == "Failed"


def test_a_subflow_can_be_forked_on_its_own(app: Penstock) -> None:
    @flow
    def below(name: str) -> str:
        return step(name) + step(name * 2)

    @flow
    def above() -> str:
        return below("a")

    above()
    (child,) = app.journal.runs(RunFilter(parent_id=newest(app).id))
    value, new = forked(app, child, "step#2", below)
    assert value == "AAA"
    assert made == ["aa"]
    assert (new.parent_id, new.root_id) == (None, new.id)


def test_a_killed_run_can_be_forked_while_it_waits_to_be_resumed(app: Penstock) -> None:
    run = die_in(app, three, before_append=3)
    value, new = forked(app, run, "step#1", three)
    assert (value, made) == ("ABC", ["a", "b", "c"])
    made.clear()
    assert app.resume(run.id, three) == "ABC"
    assert made == ["b", "c"]
    assert new.id != run.id


def test_parameters_and_flow_are_those_of_the_origin(app: Penstock) -> None:
    @flow(tags=["nightly"], version="7")
    def tagged(name: str = "a") -> str:
        return step(name) + step("z")

    tagged("q")
    old = newest(app)
    value, new = forked(app, old, "step#2", tagged)
    assert value == "QZ"
    assert (new.parameters, new.tags, new.flow, new.flow_version) == ({"name": "q"}, ("nightly",), old.flow, "7")
    (created,) = (event for event in events(app, new.id) if isinstance(event, RunCreated))
    assert created.root_id in (None, new.id)


def test_the_fork_of_a_fork(app: Penstock) -> None:
    three()
    _, second = forked(app, newest(app), "step#3", three)
    value, third = forked(app, second, "step#2", three)
    assert value == "ABC"
    assert made == ["b", "c"]
    assert third.origin_id == second.id


def test_steps_of_the_second_attempt_are_taken_over(app: Penstock) -> None:
    """In a retried flow, what completed in any attempt counts, nested steps too."""

    @flow(retries=1)
    def stubborn() -> str:
        return both("a", "b") + step("c")

    broken.add("b")
    with pytest.raises(ValueError, match="broken"):
        stubborn()
    broken.clear()
    value, _ = forked(app, newest(app), None, stubborn)
    assert value == "ABC"
    assert made == ["both ab", "b", "c"]
