"""Pools of threads: no deadlock however small they are, and numbers that no scheduling can change."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engines import engine_on, newest

from penstock import flow, task
from penstock.app import Penstock
from penstock.futures import as_completed, wait
from penstock.task_runners import ThreadPoolTaskRunner

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Penstock]:
    with engine_on(tmp_path).activate() as fresh:
        yield fresh


def flow_on(workers: int, fn: Any) -> Any:
    return flow(task_runner=ThreadPoolTaskRunner(max_workers=workers))(fn)


@task
def add(first: int, second: int = 1) -> int:
    return first + second


@task
async def aadd(first: int, second: int = 1) -> int:
    await asyncio.sleep(0)
    return first + second


def test_a_task_waits_for_a_task_it_submitted(app: Penstock) -> None:
    @task
    def outer(depth: int) -> int:
        return outer.submit(depth - 1).result() + 1 if depth else 0

    assert flow_on(1, lambda: outer.submit(20).result())() == 20


def test_a_task_waits_for_a_submitted_task_that_waits_for_another(app: Penstock) -> None:
    """The one worker must find the queued upstream of what it waits for."""

    @task
    def outer() -> int:
        first = add.submit(1)
        second = add.submit(first)
        return add.submit(second).result()

    assert flow_on(1, lambda: outer.submit().result())() == 4


def test_a_task_waits_for_wait_for(app: Penstock) -> None:
    @task
    def outer() -> int:
        first = add.submit(1)
        return add.submit(5, wait_for=[first]).result()

    assert flow_on(1, lambda: outer.submit().result())() == 6


def test_a_task_maps(app: Penstock) -> None:
    @task
    def outer() -> int:
        numbers = add.map(range(10))
        return sum(add.map(numbers, 10).result())

    assert flow_on(1, lambda: outer.submit().result())() == sum(n + 11 for n in range(10))


def test_a_task_calls_another_with_a_future(app: Penstock) -> None:
    @task
    def outer() -> int:
        return add(add.submit(1), add.submit(2))

    assert flow_on(1, lambda: outer.submit().result())() == 5


def test_a_task_waits_with_wait_and_as_completed(app: Penstock) -> None:
    @task
    def outer() -> int:
        futures = [add.submit(n) for n in range(4)]
        assert not wait(futures).not_done
        return sum(future.result() for future in as_completed([add.submit(n) for n in range(4)]))

    assert flow_on(1, lambda: outer.submit().result())() == 10


def test_an_async_task_awaits_tasks_it_submitted(app: Penstock) -> None:
    @task
    async def outer() -> int:
        first = add.submit(1)
        return await first + await aadd.submit(2) + await aadd(3)

    assert flow_on(1, lambda: outer.submit().result())() == 9


def test_an_async_task_waits_for_the_result_of_an_async_one(app: Penstock) -> None:
    @task
    async def outer() -> int:
        return int(aadd.submit(2).result())

    assert flow_on(1, lambda: outer.submit().result())() == 3


def test_a_subflow_in_a_task_has_threads_of_its_own(app: Penstock) -> None:
    @flow
    def below() -> int:
        return sum(add.map(range(5)).result())

    @task
    def outer() -> int:
        return below()

    assert flow_on(1, lambda: outer.submit().result())() == 15


def test_a_future_of_the_flow_is_awaited_inside_a_task(app: Penstock) -> None:
    @task
    def reading(future: Any) -> int:
        return int(future) + 1

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def reversed_order() -> int:
        gate = add.submit(1)
        return reading.submit(gate).result() + add(gate)

    assert reversed_order() == 6


def test_waiting_no_longer_than_asked_even_inside_a_worker(app: Penstock) -> None:
    """A worker that waits with a timeout must not be caught in somebody else's long work."""
    release = threading.Event()

    @task
    def endless() -> int:
        assert release.wait(15), "the flow never came back"
        return 1

    @task
    def impatient() -> str:
        future = endless.submit()
        try:
            future.result(timeout=0.05)
        except TimeoutError:
            release.set()
            return "gave up"
        return "waited"

    assert flow_on(1, lambda: impatient.submit().result())() == "gave up"


def test_more_tasks_than_threads(app: Penstock) -> None:
    most: list[int] = []
    inside = 0
    lock = threading.Lock()

    @task
    def counted(number: int) -> int:
        nonlocal inside
        with lock:
            inside += 1
            most.append(inside)
        with lock:
            inside -= 1
        return number

    assert flow_on(3, lambda: sum(counted.map(range(100)).result()))() == 4950
    assert max(most) <= 3


def test_numbers_of_steps_do_not_depend_on_scheduling(app: Penstock) -> None:
    """Tasks end in the reverse of the order in which they were submitted."""
    count = 6
    turns = [threading.Event() for _ in range(count + 1)]
    turns[count].set()

    @task
    def reverse(number: int) -> int:
        assert turns[number + 1].wait(15)
        return add(number) + add(number, 2)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=count))
    def tangled() -> list[int]:
        futures = reverse.map(range(count))
        for turn, future in zip(turns, futures, strict=False):
            future.add_done_callback(lambda _, turn=turn: turn.set())
        return futures.result()

    tangled()
    found = {task_run.key: task_run for task_run in app.journal.task_runs(newest(app).id)}
    assert [found[f"reverse#{n}"].ordinal for n in range(1, count + 1)] == list(range(1, count + 1))
    for n in range(1, count + 1):
        nested = [found[f"reverse#{n}/add#{m}"] for m in (1, 2)]
        assert [task_run.ordinal for task_run in nested] == [1, 2]
        assert {task_run.parent for task_run in nested} == {f"reverse#{n}"}
    ended = sorted(range(1, count + 1), key=lambda n: found[f"reverse#{n}"].ended_at or 0)
    assert ended[0] == count, "the last one ended first"


def test_gathered_steps_are_numbered_in_the_order_of_their_calls(app: Penstock) -> None:
    order: list[int] = []

    @task
    async def after(number: int, ready: asyncio.Event, done: asyncio.Event) -> int:
        await ready.wait()
        order.append(number)
        done.set()
        return number

    @flow
    async def tangled() -> list[int]:
        events = [asyncio.Event() for _ in range(5)]
        events[4].set()
        return list(await asyncio.gather(*(after(n, events[n + 1], events[n]) for n in range(4))))

    assert asyncio.run(tangled()) == [0, 1, 2, 3]
    assert order == [3, 2, 1, 0]
    found = {task_run.key: task_run.ordinal for task_run in app.journal.task_runs(newest(app).id)}
    assert found == {"after#1": 1, "after#2": 2, "after#3": 3, "after#4": 4}
