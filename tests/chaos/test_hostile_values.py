"""Values that do their worst: the run goes on, or says clearly why not; the journal stays sound."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.chaos.invariants import newest_sound

from penstock import flow, task
from penstock.app import Penstock
from penstock.core.errors import ResultUnavailable

pytestmark = [pytest.mark.chaos, pytest.mark.parametrize("store", ["sqlite"], indirect=True)]


@task
def give(value: Any) -> Any:
    return value


@task
def make(factory: str) -> Any:
    return FACTORIES[factory]()


@task
def take(value: Any) -> str:
    return type(value).__name__


class Unpicklable:
    def __init__(self) -> None:
        self.lock = threading.Lock()


class ExplodesWhenPickled:
    def __reduce__(self) -> Any:
        raise RuntimeError("not with me")


class ExplodesWhenRead:
    def __reduce__(self) -> Any:
        return _explode, ()


def _explode() -> None:
    raise RuntimeError("cannot be read back")


@dataclass
class Node:
    name: str
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)


def cycle() -> list[Any]:
    value: list[Any] = [1]
    value.append(value)
    return value


def tangle() -> list[Any]:
    """Everybody knows everybody: looking into it without remembering where one was takes 40 ** depth steps."""
    nodes: list[list[Any]] = [[] for _ in range(40)]
    for node in nodes:
        node.extend(nodes)
    return nodes


def tree() -> Node:
    root = Node("root")
    root.children = [Node(str(number), root) for number in range(30)]
    for child in root.children:
        child.children = [Node("leaf", child) for _ in range(30)]
    return root


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


FACTORIES: dict[str, Any] = {
    "lock": threading.Lock,
    "unpicklable": Unpicklable,
    "explodes": ExplodesWhenPickled,
    "lambda": lambda: lambda: 1,
    "open file": lambda: sys.__stderr__,
    "module": lambda: sys,
    "cycle": cycle,
    "tangle": tangle,
    "tree": tree,
    "deep": deep,
    "explodes when read": ExplodesWhenRead,
    "surrogate": lambda: "\ud800",
    "nul": lambda: "a\0b",
    "huge number": lambda: 10**5000,
    "not a number": lambda: float("nan"),
    "bytes": lambda: bytes(range(256)),
    "exception": lambda: ValueError("as a value"),
    "type": lambda: Node,
}


@pytest.mark.parametrize("factory", FACTORIES)
def test_any_value_passes_between_the_steps_of_a_run(app: Penstock, factory: str) -> None:
    """Returned by one task, given to another one directly and submitted, and returned by the flow."""

    @flow
    def passing() -> Any:
        value = make(factory)
        name = take(value)
        assert take.submit(value).result() == name
        assert take.submit(make.submit(factory)).result() == name
        return value

    value = passing()
    assert type(value).__name__ == type(FACTORIES[factory]()).__name__
    assert newest_sound(app.journal).state == "Completed"


@pytest.mark.parametrize("factory", ["lock", "unpicklable", "explodes", "explodes when read"])
def test_a_result_that_was_not_saved_stops_a_later_resume_with_the_reason(app: Penstock, factory: str) -> None:
    fails = [True]

    @flow
    def half() -> str:
        value = make(factory)
        if fails:
            raise ValueError("once")
        return take(value)

    with pytest.raises(ValueError, match="once"):
        half()
    failed = newest_sound(app.journal)
    fails.clear()
    with pytest.raises(ResultUnavailable) as caught:
        app.resume(failed.id, half)
    assert caught.value.hint
    assert newest_sound(app.journal).state == "Failed"


def test_a_result_that_cannot_be_saved_is_told_when_it_is_made(app: Penstock) -> None:
    @flow
    def warned() -> None:
        make("lock")

    warned()
    messages = [line.message for line in app.journal.logs(newest_sound(app.journal).id)]
    assert any("make#1" in message and "lock" in message for message in messages), messages


@pytest.mark.parametrize("factory", ["tangle", "tree", "cycle", "deep"])
def test_values_that_refer_to_themselves_are_taken_as_arguments_and_parameters(app: Penstock, factory: str) -> None:
    @flow(validate_parameters=False)
    def taking(value: Any) -> Any:
        take(value)
        take.submit([value, give.submit(1)]).wait()
        return value

    value = FACTORIES[factory]()
    assert type(taking(value)) is type(value)
    assert newest_sound(app.journal).state == "Completed"
