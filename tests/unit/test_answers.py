"""What people say to runs that wait: taken where it fits, refused with every mistake where it does not."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, NotRequired, TypedDict

import msgspec
import pydantic
import pytest
from tests.unit.waiting import answered, begin, run_of, story, value_of, worker_of

from penstock import answer_run, approve, flow, pause_run, sleep, wait_for_input
from penstock.core.errors import AnswerRefused, NotWaiting, RunNotFound
from penstock.engine.waiting.replies import reply, waits_of


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


@dataclass
class Item:
    name: str
    day: date


@dataclass
class Order:
    crates: int
    items: list[Item] = field(default_factory=list)
    remarks: str | None = None


class Note(TypedDict):
    text: str
    stars: NotRequired[int]


class Limits(pydantic.BaseModel):
    low: int
    high: int = 10

    @pydantic.model_validator(mode="after")
    def check(self) -> Limits:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class Point(msgspec.Struct):
    x: float
    y: float = 0.0


ANSWERS: list[tuple[Any, Any, Any]] = [
    (int, 5, 5),
    (float, 5, 5.0),
    (str, "5", "5"),
    (bool, False, False),
    (date, "2026-01-31", date(2026, 1, 31)),
    (date, date(2026, 1, 31), date(2026, 1, 31)),
    (Literal["red", "blue"], "blue", "blue"),
    (int | None, None, None),
    (list[int], [1, 2], [1, 2]),
    (tuple[int, str], [1, "a"], (1, "a")),
    (dict[str, float], {"a": 1}, {"a": 1.0}),
    (Size, "large", Size.LARGE),
    (Any, {"a": [1, None]}, {"a": [1, None]}),
    (Note, {"text": "fine"}, {"text": "fine"}),
    (Point, {"x": 1}, Point(1.0)),
    (Order, Order(3, [Item("a", date(2026, 1, 1))]), Order(3, [Item("a", date(2026, 1, 1))])),
    (Order, {"crates": 3, "items": [{"name": "a", "day": "2026-01-01"}]}, Order(3, [Item("a", date(2026, 1, 1))])),
    (Limits, {"low": 3}, Limits(low=3)),
    (Limits, Limits(low=3, high=4), Limits(low=3, high=4)),
]


@flow(validate_parameters=False)
def asks() -> Any:
    return wait_for_input(wanted[0])


wanted: list[Any] = []


@pytest.mark.parametrize(("kind", "given", "value"), ANSWERS, ids=lambda each: str(each)[:40])
def test_an_answer_comes_back_as_the_type_that_was_asked_for(kind: Any, given: Any, value: Any) -> None:
    wanted[:] = [kind]
    with worker_of(asks) as world:
        run_id = begin(world, asks)
        answered(world, run_id, given)
        found = value_of(world, run_id)
    assert (found, type(found)) == (value, type(value))


REFUSED: list[tuple[Any, Any, list[str]]] = [
    (int, "5", ["answer"]),
    (int, True, ["answer"]),
    (int, 5.5, ["answer"]),
    (str, None, ["answer"]),
    (date, "31.1.2026", ["answer"]),
    (Literal["red", "blue"], "green", ["answer"]),
    (list[int], [1, "2", None], ["answer[1]", "answer[2]"]),
    (tuple[int, str], [1], ["answer"]),
    (dict[str, float], {"a": "b", "c": 1}, ["answer['a']"]),
    (Size, "medium", ["answer"]),
    (Note, {"stars": "many", "colour": 1}, ["answer.stars", "answer.colour", "answer.text"]),
    (
        Order,
        {"items": [{"name": 1}], "x": 1},
        ["answer.items[0].name", "answer.items[0].day", "answer.x", "answer.crates"],
    ),
    (Limits, {"high": "x"}, ["answer.high", "answer.low"]),
    (int | list[str], [1], ["answer[0]"]),
    (int, object(), ["answer"]),
]


@pytest.mark.parametrize(("kind", "given", "places"), REFUSED, ids=[str(place) for place in range(len(REFUSED))])
def test_an_answer_that_does_not_fit_is_refused_with_every_mistake(kind: Any, given: Any, places: list[str]) -> None:
    wanted[:] = [kind]
    with worker_of(asks) as world:
        run_id = begin(world, asks)
        before = story(world.app.journal, run_id)
        with pytest.raises(AnswerRefused) as caught:
            reply(world.app.journal, run_id, given)
        assert sorted(where for where, _ in caught.value.mistakes) == sorted(places)
        assert all(where in str(caught.value) for where in places)
        assert story(world.app.journal, run_id) == before, "the run goes on waiting"


def test_what_only_the_type_itself_can_see_is_asked_again() -> None:
    """Whoever answers has the schema, and not the type with its validators."""
    wanted[:] = [Limits]
    with worker_of(asks) as world:
        run_id = begin(world, asks)
        run = answered(world, run_id, {"low": 20})
        assert run.state == "Paused"
        assert run.waiting is not None
        assert run.waiting.refused is not None
        assert "low is above high" in run.waiting.refused
        answered(world, run_id, {"low": 2})
        assert value_of(world, run_id) == Limits(low=2)


def test_an_answer_is_given_once() -> None:
    wanted[:] = [int]
    with worker_of(asks) as world:
        run_id = begin(world, asks)
        reply(world.app.journal, run_id, 1, by="ann")
        assert run_of(world, run_id).state == "Scheduled"
        with pytest.raises(NotWaiting, match=r"wait_for_input#1 of run .* was answered already by ann"):
            reply(world.app.journal, run_id, 2)
        world.settle()
        assert value_of(world, run_id) == 1
        with pytest.raises(NotWaiting, match="has ended"):
            reply(world.app.journal, run_id, 2)


def test_an_answer_wakes_the_worker() -> None:
    wanted[:] = [int]
    with worker_of(asks) as world:
        run_id = begin(world, asks)
        watch = world.app.journal.watch()
        reply(world.app.journal, run_id, 1)
        assert watch.wait(0)
        watch.close()


@flow
def needs_consent() -> Any:
    return approve("Publish the figures?", approvers=["ann", "bob"])


@pytest.mark.parametrize("said", [True, {"approved": True}, {"approved": True, "note": "well done"}])
def test_an_approval(said: Any) -> None:
    with worker_of(needs_consent) as world:
        run_id = begin(world, needs_consent)
        run = run_of(world, run_id)
        assert run.waiting is not None
        assert (run.state_name, run.message, run.waiting.approvers) == (
            *("AwaitingApproval", "Publish the figures?", ("ann", "bob")),
        )
        answered(world, run_id, said, by="bob")
        found = value_of(world, run_id)
    assert (found.approved, found.by, found.note) == (True, "bob", said.get("note") if said is not True else None)
    assert found


def test_a_rejection_is_false() -> None:
    with worker_of(needs_consent) as world:
        run_id = begin(world, needs_consent)
        answered(world, run_id, {"approved": False, "note": "half of it is missing"}, by="ann")
        found = value_of(world, run_id)
    assert not found
    assert found == (False, "ann", "half of it is missing")


@pytest.mark.parametrize("by", [None, "eve"])
def test_only_those_who_were_named_may_decide(by: str | None) -> None:
    with worker_of(needs_consent) as world:
        run_id = begin(world, needs_consent)
        with pytest.raises(NotWaiting, match="to decide") as caught:
            reply(world.app.journal, run_id, True, by=by)
        assert "ann, bob" in str(caught.value.hint)
        assert run_of(world, run_id).state == "Paused"


@pytest.mark.parametrize("said", ["yes", 1, None, {"approved": "yes"}, {"note": "well"}, {"approved": True, "why": 1}])
def test_an_approval_is_yes_or_no(said: Any) -> None:
    with worker_of(needs_consent) as world:
        run_id = begin(world, needs_consent)
        with pytest.raises(AnswerRefused):
            reply(world.app.journal, run_id, said, by="ann")


def test_a_pause_takes_no_value() -> None:
    @flow
    def careful() -> None:
        pause_run()

    with worker_of(careful) as world:
        run_id = begin(world, careful)
        with pytest.raises(AnswerRefused):
            reply(world.app.journal, run_id, 5)
        assert answered(world, run_id).state == "Completed"


def test_a_run_that_sleeps_asks_nothing() -> None:
    @flow
    def sleeps() -> None:
        sleep(3600)

    with worker_of(sleeps) as world:
        run_id = begin(world, sleeps)
        assert [each.kind for each in waits_of(world.app.journal, run_id)] == ["sleep"]
        with pytest.raises(NotWaiting, match="sleeps, and asks nothing"):
            reply(world.app.journal, run_id)


def test_a_run_that_has_not_begun_asks_nothing() -> None:
    wanted[:] = [int]
    with worker_of(asks) as world:
        from penstock.orchestrator.deployments import trigger

        run = trigger(world.app.journal, asks.name)
        with pytest.raises(NotWaiting, match="asks nothing now"):
            reply(world.app.journal, run.id, 1)


def test_another_step_is_told_from_this_one() -> None:
    wanted[:] = [int]
    with worker_of(asks) as world:
        run_id = begin(world, asks)
        with pytest.raises(NotWaiting, match=r"approve#1 of run .* does not wait"):
            reply(world.app.journal, run_id, 1, step="approve#1")
        answered(world, run_id, 1, step="wait_for_input#1")
        assert value_of(world, run_id) == 1


def test_the_deadline_of_an_answer() -> None:
    @flow
    def hurried() -> Any:
        return wait_for_input(int, timeout=3600, default=0)

    with worker_of(hurried) as world:
        run_id = begin(world, hurried)
        world.clock.advance(3600)
        with pytest.raises(NotWaiting, match="time to answer wait_for_input#1 is over"):
            reply(world.app.journal, run_id, 5)
        world.settle()
        assert value_of(world, run_id) == 0


def test_there_is_no_such_run() -> None:
    with worker_of(asks), pytest.raises(RunNotFound):
        answer_run("no-such-run", 1)


def test_answering_from_python() -> None:
    wanted[:] = [int]
    with worker_of(asks) as world:
        run_id = begin(world, asks)
        run = answer_run(run_of(world, run_id).name, 41, by="ann")
        assert (run.id, run.message) == (run_id, "Answered by ann.")
        world.settle()
        assert value_of(world, run_id) == 41
