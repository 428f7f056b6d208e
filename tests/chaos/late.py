"""Tasks and flows that take longer than they may."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.chaos.trouble import (
    LONG,
    PROCESSES,
    asleep,
    family,
    lines_in,
    quick,
    ready,
    sleep,
    sleeping,
    stubborn,
    until_exists,
)

from penstock import flow, task
from penstock import sleep as wait
from penstock.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner


@task(timeout_seconds=0.3)
def late(where: str) -> None:
    ready(where)
    time.sleep(LONG)


@task(timeout_seconds=0.3)
def late_family(where: str) -> None:
    family.fn(where)


@task(timeout_seconds=0.3)
def late_and_deaf(where: str) -> str:
    """Takes the exception that ends it for nothing, and returns."""
    ready(where)
    end = time.monotonic() + 3.0
    while time.monotonic() < end:
        try:
            time.sleep(end - time.monotonic())
        except BaseException:
            continue
    return "in spite of all"


@task(timeout_seconds=0.3)
def late_for_ever(where: str) -> None:
    stubborn.fn(where)


@task(timeout_seconds=0.3)
def late_below(where: str) -> None:
    sleep(where)


@task(timeout_seconds=0.3)
async def late_async(where: str) -> None:
    ready(where)
    await asyncio.sleep(LONG)


@task(timeout_seconds=0.3)
async def late_and_deaf_async(where: str) -> str:
    ready(where)
    for _ in range(3):
        try:
            await asyncio.sleep(0.3)
        except asyncio.CancelledError:
            continue
    return "in spite of all"


@task(timeout_seconds=0.3)
def late_then_calls(where: str, gate: str) -> None:
    """Left behind by its timeout, it goes on and calls a task when its run is over."""
    ready(where)
    until_exists(gate)
    quick("from beyond")


@flow
def out_of_time(where: str, how: str) -> str:
    return str(globals()[how](where, return_state=True).name)


@flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
def out_of_time_in_thread(where: str, how: str) -> str:
    future = globals()[how].submit(where)
    future.wait()
    return str(future.state.name)


@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def out_of_time_in_process(where: str, how: str) -> str:
    """Starting its process counts, so the first task finds one that is there, however slow the machine is."""
    assert quick.submit("it is there").result() == "it is there"
    late = globals()[how].with_options(timeout_seconds=1.5)
    states = [late.submit(where, return_state=True).name for _ in range(2)]
    assert quick.submit("still works").result() == "still works"
    return ",".join(map(str, states))


@flow
async def out_of_time_async(where: str, how: str) -> str:
    return str((await globals()[how](where, return_state=True)).name)


@flow
def left_behind(where: str, gate: str) -> str:
    future = late_then_calls.submit(where, gate)
    future.wait()
    return str(future.state.name)


@flow(timeout_seconds=0.5)
def late_flow(where: str) -> None:
    sleep(where)


@flow(timeout_seconds=0.5)
def late_flow_itself(where: str) -> None:
    ready(where)
    time.sleep(LONG)


@flow(timeout_seconds=0.5)
def late_flow_of_threads(where: str) -> None:
    sleep.map([where, where]).wait()


@flow(timeout_seconds=1.5, task_runner=PROCESSES)
def late_flow_of_processes(where: str) -> None:
    """The limit stands still while the flow waits for its processes, which may take long to start."""
    futures = family.map([where, where])
    while lines_in(Path(where)) < 2:
        wait(0.2)
    futures.wait()


@flow(timeout_seconds=0.5)
async def late_flow_async(where: str) -> None:
    await asyncio.gather(asleep(where), asleep(where))


@flow(timeout_seconds=0.5)
def late_flow_below(where: str) -> None:
    sleeping(where)
