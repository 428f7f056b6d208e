"""Flows are traced into plans; those that have none say why; a plan executed step by step does what the flow does."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import hypothesis
import pytest
from hypothesis import strategies as st

from penstock import allow_failure, flow, get_run_logger, runtime, task, unmapped
from penstock.app import Penstock, Settings
from penstock.core.errors.engines import EngineError
from penstock.core.events import Record, RunEnded, TaskEnded
from penstock.core.model import RunFilter
from penstock.core.release import VERSION
from penstock.deploy.orders import COMPLETED, NOT_REACHED, TRY_AGAIN, VERDICT, StepOrder
from penstock.deploy.outcomes import Outcomes
from penstock.deploy.plans import Plan
from penstock.deploy.step import run_step
from penstock.deploy.tracing import plan_of
from penstock.futures import wait as futures_wait
from penstock.journal.memory import MemoryJournal


@task
def add(*values: Any) -> list[Any]:
    return [str(value) for value in values]


@task(retries=2)
def flaky(*values: Any) -> int:
    if runtime.task_run.run_count < 2:
        raise ValueError("not yet")
    return len(values)


@task
def bad(*values: Any) -> None:
    raise ValueError("never")


@flow
def inner(*values: Any) -> int:
    return len(add(*values))


# ---------------------------------------------------------------------------------------------------- plans
def keys(plan: Plan) -> dict[str, tuple[str, ...]]:
    assert plan.why is None
    return {step.key: step.after for step in plan.steps}


def test_a_plan_has_the_calls_of_the_flow_and_what_each_comes_after() -> None:
    @flow
    def shop(limit: int = 3) -> Any:
        left, right = add.submit(limit), add.submit({"deep": [limit + 1]})
        both = flaky(left, right)
        last = add.submit(both["part"][0].name * 2)
        mapped = add.map([1, 2], unmapped(last))
        return add.submit(mapped, wait_for=[left])

    assert keys(plan_of(shop)) == {
        "add#1": (),
        "add#2": (),
        "flaky#1": ("add#1", "add#2"),
        "add#3": ("flaky#1",),
        "add#4": ("add#3",),
        "add#5": ("add#3",),
        "add#6": ("add#4", "add#5"),
    }


def test_options_of_tasks_are_in_the_plan() -> None:
    @task(retries=3, retry_delay_seconds=[1, 5], timeout_seconds=7, tags=["b", "a"])
    def careful() -> None: ...

    @flow
    def one() -> None:
        careful()

    (step,) = plan_of(one).steps
    assert (step.retries, step.delays, step.timeout, step.tags) == (3, (1.0, 5.0, 5.0), 7.0, ("a", "b"))


def test_what_only_has_to_end_may_be_followed_anyway() -> None:
    @flow
    def forgiving() -> None:
        first = bad.submit()
        add.submit(allow_failure(first))
        first.wait()
        add.submit(2)

    steps = plan_of(forgiving).steps
    assert [(step.after, step.anyway) for step in steps] == [((), False), (("bad#1",), True), (("bad#1",), True)]


def test_waiting_for_several_is_a_part_of_the_plan() -> None:
    @flow
    def waits() -> Any:
        futures = [add.submit(1), add.submit(2)]
        futures_wait(futures)
        return add.map([1, 2], unmapped(futures)).result()

    assert keys(plan_of(waits))["add#3"] == ("add#1", "add#2")


def test_a_subflow_is_one_step() -> None:
    @flow
    def outer(n: int = 1) -> Any:
        return add(inner(n))

    steps = plan_of(outer).steps
    assert [(step.key, step.subflow, step.after) for step in steps] == [
        ("inner#1", True, ()),
        ("add#1", False, ("inner#1",)),
    ]


def test_an_async_flow_has_a_plan() -> None:
    @task
    async def fetch(n: Any) -> Any:
        return n

    @flow
    async def both(n: int = 1) -> Any:
        first = await fetch(n)
        return await fetch.submit(first)

    assert keys(plan_of(both)) == {"fetch#1": (), "fetch#2": ("fetch#1",)}


def test_log_lines_and_facts_of_the_run_do_no_harm() -> None:
    @flow
    def told(n: int = 1) -> None:
        value = add(n, runtime.flow_run.id)
        get_run_logger().info("got %s of %s", value, runtime.flow_run.name)

    assert keys(plan_of(told)) == {"add#1": ()}


def test_nothing_is_executed_or_said(capfd: pytest.CaptureFixture[str]) -> None:
    calls: list[int] = []

    @task
    def touch() -> None:
        calls.append(1)

    @flow
    def touching() -> None:
        touch()
        print("touched")
        touch.submit()

    assert len(plan_of(touching).steps) == 2
    assert calls == []
    assert capfd.readouterr() == ("", "")


# ---------------------------------------------------------------------------------------------------- no plan
def decides(n: int = 1) -> None:
    if add(n):
        add(2)


def compares(n: int = 1) -> None:
    if n > 3:
        add(n)


def none_test(n: int | None = None) -> None:
    add(1 if n is None else n)


def iterates(n: int = 1) -> None:
    for each in add(n):
        add(each)


def maps(n: int = 1) -> None:
    add.map(add.submit(n))


def text(n: int = 1) -> None:
    add(f"{n}")


def number(n: int = 1) -> None:
    add(int(n))  # type: ignore[call-overload, unused-ignore]


def catches(n: int = 1) -> None:
    try:
        bad(n)
    except ValueError:
        add(n)


def cleans_up(n: int = 1) -> None:
    try:
        bad(n)
    finally:
        add(n)


def helped(n: int = 1) -> None:
    add(other(n))


def other(n: int | None) -> int:
    return 1 if n is None else n


def swallows(n: int = 1) -> None:
    with suppress(ValueError):
        bad(n)
    add(1)


def state(n: int = 1) -> None:
    if add(n, return_state=True).is_completed():
        add(2)


def future_state(n: int = 1) -> None:
    add(add.submit(n).state)


def done(n: int = 1) -> None:
    add(add.submit(n).done())


def limited(n: int = 1) -> None:
    add.submit(n).wait(timeout=3)


def in_a_thread(n: int = 1) -> None:
    pool = ThreadPoolExecutor(1)
    pool.submit(add.submit, n).result()


def generator(n: int = 1) -> Any:
    return (add(each) for each in (1, 2))


def kind(n: int = 1) -> None:
    add(isinstance(n, str))


def as_key(n: int = 1) -> None:
    add({n: 1})


def matched(n: Any = 1) -> None:
    match n:
        case {"a": a}:
            add(a)
        case _:
            add(2)


THROWS = itertools.count(1)


def dice() -> None:
    for _ in range(next(THROWS)):
        add(1)


def raises(n: int = 1) -> None:
    add(n)
    raise KeyError("what")


def nothing() -> int:
    return 1


def swallowed_refusal(n: int = 1) -> None:
    try:
        here = bool(n)
    except:  # noqa: E722  # even so
        here = False
    add(here)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (decides, "decides by the result of add#1 (line"),
        (compares, "decides by the parameter 'n'"),
        (none_test, "tests whether `n` is None"),
        (iterates, "iterates over the result of add#1"),
        (maps, "maps over the result of add#1"),
        (text, "turns the parameter 'n' into text"),
        (number, "turns the parameter 'n' into a number"),
        (catches, "handles exceptions (line"),
        (cleans_up, "inside a `try` block"),
        (helped, "tests whether `n` is None (line"),
        (swallows, "inside a `with` block"),
        (state, "decides by the state of add#1"),
        (future_state, "looks at the state of add#1"),
        (done, "asks whether add#1 has ended"),
        (limited, "for a limited time"),
        (in_a_thread, "in a thread of its own"),
        (generator, "returns a generator"),
        (kind, "calls isinstance()"),
        (as_key, "uses the parameter 'n' as a key"),
        (matched, "compares what values are"),
        (dice, "calls other tasks each time it is traced"),
        (raises, "raises KeyError"),
        (nothing, "names no task"),
        (swallowed_refusal, "decides by the parameter 'n'"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_flow_without_a_plan_says_why(function: Callable[..., Any], told: str) -> None:
    plan = plan_of(flow(function))
    assert plan.steps == ()
    assert plan.why is not None
    assert told in plan.why


def test_a_flow_that_is_tried_again_or_has_a_limit_has_no_plan() -> None:
    def body() -> None:
        add(1)

    assert plan_of(flow(retries=1)(body)).why == "is tried again as a whole when it fails"
    assert plan_of(flow(timeout_seconds=5)(body)).why == "has a time limit as a whole"


def test_awaiting_something_else_is_no_plan() -> None:
    @flow
    async def sleeps() -> None:
        add(1)
        await asyncio.sleep(0)

    assert "awaits something that is no task" in (plan_of(sleeps).why or "")


# ---------------------------------------------------------------------------------------------------- as executed
PROGRAM: list[tuple[Any, ...]] = []
TASKS: Mapping[str, Any] = {"add": add, "flaky": flaky, "bad": bad}


@flow
def program(n: int = 5) -> Any:
    """Does what PROGRAM says, whatever its tasks give."""
    made: list[Any] = [n]
    futures: list[Any] = []
    for what, name, args, extra in PROGRAM:
        given = [made[place % len(made)] for place in args]
        if what == "submit":
            waits = [futures[place % len(futures)] for place in extra] if futures else []
            futures.append(TASKS[name].submit(*given, wait_for=waits))
            made.append(futures[-1])
        elif what == "forgiving":
            futures.append(add.submit(*[allow_failure(each) for each in given]))
            made.append(futures[-1])
        elif what == "direct":
            made.append(TASKS[name](*given))
        elif what == "subflow":
            made.append(inner(len(given)))
        elif what == "map":
            futures += add.map([1, 2], unmapped(given[0] if given else 0))
        elif futures and what == "wait":
            futures[args[0] % len(futures)].wait()
        elif futures and what == "result":
            made.append(futures[args[0] % len(futures)].result())
        elif futures and what == "outcome":
            made.append(futures[args[0] % len(futures)].result(raise_on_failure=False))
    return futures[-1] if futures else add.submit(made[-1])


places = st.lists(st.integers(0, 9), min_size=1, max_size=3)
kinds = st.sampled_from(["submit"] * 4 + ["forgiving", "direct", "subflow", "map", "wait", "result", "outcome"])
operations = st.tuples(
    kinds, st.sampled_from(["add", "add", "flaky", "bad"]), places, st.lists(st.integers(0, 9), max_size=1)
)


def executed(
    plan: Plan, flow_: Any, results: Path, dice: random.Random, **parameters: Any
) -> tuple[int, Outcomes, str]:
    """Execute the steps in some order that the plan allows, as Airflow does; then find out how the flow ends."""
    run = str(uuid4())

    def order(step: str) -> StepOrder:
        steps = tuple(each.key for each in plan.steps)
        return StepOrder(
            penstock=VERSION,
            results=str(results),
            run=run,
            step=step,
            deployment="d",
            steps=steps,
            parameters=parameters,
        )

    ends: dict[str, str] = {}
    left = list(plan.steps)
    while left:
        step = dice.choice([each for each in left if all(other in ends for other in each.after)])
        left.remove(step)
        before = {ends[other] for other in step.after}
        if not step.anyway and before - {"success"}:
            ends[step.key] = "skipped" if "skipped" in before and "failed" not in before else "failed"
            continue
        code = TRY_AGAIN
        for _ in range(step.retries + 1):
            code = run_step(order(step.key), flow_)
            if code != TRY_AGAIN:
                break
        assert code != TRY_AGAIN
        ends[step.key] = {COMPLETED: "success", NOT_REACHED: "skipped"}.get(code, "failed")
    return run_step(order(VERDICT), flow_), Outcomes(str(results)), run


def told(records: list[Record], results: Any) -> tuple[dict[str, tuple[str, int, str | None]], Any]:
    """What the ends of steps and of the run say."""
    steps, end = {}, None
    for event, data in records:
        if isinstance(event, TaskEnded):
            steps[event.step.key] = (event.stored, event.attempt, event.state_name)
        elif isinstance(event, RunEnded):
            value = event.error.text if event.error else results.load(event.result, data) if event.result else None
            end = (event.stored, event.state_name, value.fetch() if hasattr(value, "fetch") else value)
    return steps, end


def locally(flow_: Any, tmp_path: Path, **parameters: Any) -> tuple[dict[str, tuple[str, int, str | None]], Any]:
    app = Penstock(Settings(home=str(tmp_path / uuid4().hex), log_console=False), journal=MemoryJournal())
    with app.activate():
        flow_(**parameters, return_state=True)
        (run,) = [each for each in app.journal.runs(RunFilter()) if each.parent_id is None]
        found = told([Record(s.event, s.data) for s in app.journal.load(run.id)], app.results)
    app.close()
    return found


@hypothesis.settings(max_examples=40, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(ops=st.lists(operations, min_size=1, max_size=7), seed=st.integers(0, 2**16))
def test_a_plan_in_any_order_does_what_the_flow_does(tmp_path: Path, ops: list[Any], seed: int) -> None:
    PROGRAM[:] = ops
    plan = plan_of(program)
    assert plan.why is None, plan.why
    code, outcomes, run = executed(plan, program, tmp_path, random.Random(seed), n=6)
    records = [record for _, each in outcomes.of_run(run) for record in each.records]
    steps, end = told(records, outcomes.results)
    assert (steps, end) == locally(program, tmp_path, n=6)
    assert (code == COMPLETED) == (end[0] == "RunCompleted")


def test_a_flow_that_does_other_things_than_when_it_was_deployed_is_told(tmp_path: Path) -> None:
    PROGRAM[:] = [("direct", "add", [0], []), ("direct", "add", [1], [])]
    plan = plan_of(program)
    PROGRAM[:] = [("direct", "flaky", [0], [])]
    with pytest.raises(EngineError, match=r"calls flaky#1 now, and did not when it was deployed"):
        executed(plan, program, tmp_path, random.Random(1))
    PROGRAM[:] = [("direct", "add", [0], [])]
    with pytest.raises(EngineError, match=r"ended without a call of add#3"):
        executed(plan, program, tmp_path, random.Random(1))
