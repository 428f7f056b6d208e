"""Flows of every shape, small, with side effects that can be counted. They are run, killed and resumed by the tests."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from penstock import flow, runtime, task
from penstock.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner

kill_at_effect = 0
"""When this many side effects have been made by this process, it is killed, before any record of the last one."""

linger = 0.0
"""How long a step goes on after its side effect."""

_numbers = count(1)


class Glitch(Exception):
    """What a first attempt fails with."""


def effect(where: str) -> None:
    """One side effect of the task around: a line saying which run, flow, step and attempt made it."""
    run, step = runtime.flow_run, runtime.task_run
    line = f"{run.id} {run.flow_name} {step.key} {step.run_count}\n"
    handle = os.open(where, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, line.encode())
    os.close(handle)
    number = next(_numbers)
    time.sleep(linger)
    if number == kill_at_effect:
        os.kill(os.getpid(), signal.SIGKILL)


@task
def add(where: str, value: int, more: int = 1) -> int:
    effect(where)
    return value + more


@task(retries=2)
def shaky(where: str, value: int) -> int:
    effect(where)
    if runtime.task_run.run_count == 1:
        raise Glitch(f"{value} did not work at once")
    return value * 10


@task
def outer(where: str, value: int) -> int:
    return shaky(where, add(where, value)) + add(where, value)


@task
async def slowly(where: str, value: int) -> int:
    effect(where)
    await asyncio.sleep(0)
    return value + 100


@task(retries=1)
async def slowly_shaky(where: str, value: int) -> int:
    effect(where)
    if runtime.task_run.run_count == 1:
        raise Glitch("not at once")
    return await slowly(where, value) + 1


@flow(flow_run_name="{name}")
def sequential(where: str, name: str) -> int:
    value = add(where, 1)
    value = shaky(where, value)
    value = add(where, value, more=5)
    return add(where, value)


@flow(flow_run_name="{name}", task_runner=ThreadPoolTaskRunner(max_workers=2))
def submitted(where: str, name: str) -> list[int]:
    first = add.submit(where, 1)
    second = shaky.submit(where, 2)
    third = add.submit(where, first, more=second)
    fourth = add.submit(where, 7, wait_for=[second])
    return [first.result(), second.result(), third.result(), fourth.result()]


@flow(flow_run_name="{name}", task_runner=ThreadPoolTaskRunner(max_workers=3))
def mapped(where: str, name: str) -> int:
    numbers = add.map(where, [1, 2, 3, 4])
    return sum(shaky.map(where, numbers).result())


@flow(flow_run_name="{name}", task_runner=ThreadPoolTaskRunner(max_workers=2))
def nested(where: str, name: str) -> int:
    beside = outer.submit(where, 4)
    return outer(where, 3) + beside.result()


@flow
def inside(where: str, value: int) -> int:
    return shaky(where, value) + innermost(where, value)


@flow
def innermost(where: str, value: int) -> int:
    return sum(add.map(where, [value, value + 1]).result())


@flow(flow_run_name="{name}")
def subflows(where: str, name: str) -> int:
    value = inside(where, add(where, 1))
    return add(where, innermost(where, value))


@flow(flow_run_name="{name}")
async def gathered(where: str, name: str) -> list[int]:
    pair = await asyncio.gather(slowly(where, 1), slowly_shaky(where, 2))
    third = slowly.submit(where, pair[0])
    return [*pair, await third, add(where, 1), await async_inside(where, 5)]


@flow
async def async_inside(where: str, value: int) -> int:
    return await slowly(where, value)


@flow(flow_run_name="{name}", retries=1, task_runner=ThreadPoolTaskRunner(max_workers=2))
def retried(where: str, name: str) -> list[int]:
    first = outer(where, 1)
    second = add.submit(where, 2)
    third = inside(where, 3)
    if runtime.flow_run.run_count == 1:
        raise Glitch("the first attempt of the flow fails after its steps")
    return [first, second.result(), third, add(where, 4)]


@flow(flow_run_name="{name}", task_runner=ProcessPoolTaskRunner(max_workers=2))
def processes(where: str, name: str) -> list[int]:
    first = shaky.submit(where, 1)
    second = outer.submit(where, 2)
    return [first.result(), second.result()]


class Shape(NamedTuple):
    """A flow, how many side effects may be under way at one moment, and how deep its flows are nested."""

    flow: Any
    in_flight: int
    depth: int = 1


SHAPES = {
    "sequential": Shape(sequential, 1),
    "submitted": Shape(submitted, 2),
    "mapped": Shape(mapped, 3),
    "nested": Shape(nested, 2),
    "subflows": Shape(subflows, 2, 3),
    "gathered": Shape(gathered, 3, 2),
    "retried": Shape(retried, 3, 3),  # one submitted beside the two that innermost maps
    "processes": Shape(processes, 2),
}


def effects_in(where: Path) -> list[tuple[str, str, str, int]]:
    """The side effects made so far: run id, flow, step, attempt."""
    if not where.exists():
        return []
    lines = [line.split(" ") for line in where.read_text().splitlines()]
    return [(run_id, flow_name, key, int(attempt)) for run_id, flow_name, key, attempt in lines]
