"""Values, exceptions and names that do their worst: the run goes on or says clearly why not; the journal stays sound."""

from __future__ import annotations

import asyncio
import pickle
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.chaos import workers
from tests.chaos.invariants import check_run, family

from penstock import flow, get_run_logger, task
from penstock.app import Penstock
from penstock.core.errors import RecordedError, ResultUnavailable
from penstock.core.model import Run, RunFilter
from penstock.task_runners import ProcessPoolTaskRunner

pytestmark = pytest.mark.chaos


@pytest.fixture
def app(store: dict[str, Any]) -> Iterator[Penstock]:
    with workers.opened(store) as opened:
        yield opened


def last(app: Penstock) -> Run:
    """The newest run, once it is known to be sound."""
    run = max(app.journal.runs(RunFilter()), key=lambda run: run.created_at)
    for member in family(app.journal, run.id):
        check_run(app.journal, member)
    return run


@task
def give(value: Any) -> Any:
    return value


@task
def make(factory: str) -> Any:
    return FACTORIES[factory]()


@task
def take(value: Any) -> str:
    return type(value).__name__


@task
def boom(name: str) -> None:
    raise ERRORS[name]()


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
    assert last(app).state == "Completed"


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
    failed = last(app)
    fails.clear()
    with pytest.raises(ResultUnavailable) as caught:
        app.resume(failed.id, half)
    assert caught.value.hint
    assert last(app).state == "Failed"


def test_a_result_that_cannot_be_saved_is_told_when_it_is_made(app: Penstock) -> None:
    @flow
    def warned() -> None:
        make("lock")

    warned()
    messages = [line.message for line in app.journal.logs(last(app).id)]
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
    assert last(app).state == "Completed"


class NoText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class NoTextInTime(TimeoutError):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class OwnSignature(Exception):
    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(f"{code}: {reason}")


class HoldsALock(Exception):
    def __init__(self) -> None:
        super().__init__("holds a lock")
        self.lock = threading.Lock()


class ReadsBackAsSomethingElse(Exception):
    def __reduce__(self) -> Any:
        return int, (3,)


class ExitsWhenPickled(Exception):
    def __reduce__(self) -> Any:
        raise SystemExit(3)


def _caused() -> Exception:
    error = ValueError("effect")
    error.__cause__ = KeyError("cause")
    error.__cause__.__cause__ = error
    return error


ERRORS: dict[str, Any] = {
    "no text": NoText,
    "no text in time": NoTextInTime,
    "own signature": lambda: OwnSignature(4, reason="why not"),
    "holds a lock": HoldsALock,
    "reads back as something else": ReadsBackAsSomethingElse,
    "exits when pickled": ExitsWhenPickled,
    "caused by itself": _caused,
    "group": lambda: ExceptionGroup("many", [ValueError(number) for number in range(100)]),
    "long": lambda: ValueError("x" * 5_000_000),
    "surrogate": lambda: ValueError("\ud800"),
    "nul": lambda: ValueError("a\0b"),
    "stop iteration": lambda: StopIteration(3),
    "stop async iteration": StopAsyncIteration,
    "recursion": RecursionError,
    "memory": MemoryError,
    "generator exit": GeneratorExit,
    "base": lambda: BaseException("of no kind"),
    "cancelled": asyncio.CancelledError,
}


@pytest.mark.parametrize("how", ["called", "submitted", "in the flow", "in a process"])
@pytest.mark.parametrize("name", ERRORS)
def test_any_exception_is_recorded_and_raised(app: Penstock, name: str, how: str) -> None:
    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1) if how == "in a process" else None)
    def raising() -> None:
        if how == "called":
            boom(name)
        elif how == "in the flow":
            raise ERRORS[name]()
        else:
            boom.submit(name).result()

    kind = type(ERRORS[name]())
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - that is the point
        raising()
    if how != "in a process":
        assert type(caught.value) is kind
    run = last(app)
    assert run.state == ("Failed" if issubclass(kind, Exception) else "Crashed"), run
    assert len(str(run.message)) < 100_000


@pytest.mark.parametrize("name", ["no text", "own signature", "holds a lock", "reads back as something else"])
def test_an_exception_that_cannot_be_stored_is_stood_in_for_when_the_run_is_resumed(app: Penstock, name: str) -> None:
    @flow(retries=1)
    def caught() -> str:
        try:
            boom(name)
        except Exception as error:
            if type(error) is RecordedError:
                return str(error)
            raise ValueError("not yet replayed") from None
        return "nothing"

    with pytest.raises(ValueError, match="not yet"):
        caught()
    assert last(app).state == "Failed"


NAMES = [
    "two\nlines",
    "tab\t",
    "émoji 🚀 ünïcode",
    "nul\0inside",
    "\ud800 alone",
    "'; DROP TABLE runs; --",
    "x" * 5_000,
    "a/b#1~2",
    " ",
    "\x1b[31mred",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_recorded(app: Penstock, name: str) -> None:
    named = give.with_options(name=name, task_run_name=name.replace("{", ""), tags=[name])

    @flow(name=name, flow_run_name=lambda: name, tags=[name], version=name)
    def odd(value: str) -> str:
        get_run_logger().warning(name)
        assert named(value) == value
        assert named.submit(value).result() == value
        return value

    assert odd(name) == name
    run = last(app)
    assert run.state == "Completed"
    assert len(app.journal.task_runs(run.id)) == 2
    assert app.journal.logs(run.id)
    if name.isprintable() and name.strip():
        assert (run.name, run.flow, run.tags) == (name, name, (name,))
        assert app.journal.find(name)[0].id == run.id
        assert [task_run.task for task_run in app.journal.task_runs(run.id)] == [name, name]


@pytest.mark.parametrize("name", ["two\nlines", "nul\0inside", "\ud800 alone", "a/b#1~2", "émoji 🚀"])
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
    assert app.resume(last(app).id, odd) == name + name
    assert made == [name, name]
    assert last(app).state == "Completed"


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
    assert last(app).state == "Completed"


def test_a_task_that_calls_itself_is_recorded_at_every_level(app: Penstock) -> None:
    @task
    def countdown(number: int) -> int:
        return countdown(number - 1) + 1 if number else 0

    @flow
    def down() -> int:
        return countdown(20)

    assert down() == 20
    assert len(app.journal.task_runs(last(app).id)) == 21


def test_a_flow_that_calls_itself_twenty_times_deep(app: Penstock) -> None:
    @flow
    def matryoshka(level: int) -> int:
        return matryoshka(level - 1) + give(1) if level else 0

    assert matryoshka(20) == 20
    assert len(family(app.journal, last(app).id)) == 21


def test_an_async_flow_that_calls_itself_twenty_times_deep(app: Penstock) -> None:
    @flow
    async def matryoshka(level: int) -> int:
        return await matryoshka(level - 1) + give(1) if level else 0

    assert asyncio.run(matryoshka(20)) == 20
    assert len(family(app.journal, last(app).id)) == 21


def test_a_flow_that_calls_itself_without_end_fails(app: Penstock) -> None:
    @flow
    def bottomless(level: int) -> int:
        return bottomless(level + 1)

    with pytest.raises(RecursionError):
        bottomless(0)
    root = max(app.journal.runs(RunFilter()), key=lambda run: run.created_at)
    check_run(app.journal, root)
    assert root.state == "Failed"


def test_pickles_are_what_they_seem() -> None:
    """The exceptions above are as hostile as they are meant to be."""
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(OwnSignature(1, reason="x")))
    with pytest.raises(TypeError):
        pickle.dumps(HoldsALock())
