"""Flows that hang, exit, fork, and will not be stopped. `ready` notes the processes they are made of."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock import flow, task
from penstock.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner

LONG = 300.0
PROCESSES = ProcessPoolTaskRunner(max_workers=2)


def ready(where: str, *more: int) -> None:
    """Note that this process, and those it has started, are at work."""
    with open(where, "a") as file:
        file.write(" ".join(map(str, [os.getpid(), *more])) + "\n")


def at_work(where: Path) -> list[int]:
    """Every process noted so far."""
    return [int(pid) for line in where.read_text().splitlines() for pid in line.split()] if where.exists() else []


def lines_in(where: Path) -> int:
    """How many times `ready` was called."""
    return len(where.read_text().splitlines()) if where.exists() else 0


def rest() -> None:
    """Sleep, and look up now and then: Python begins to sleep although a signal has come just before."""
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        time.sleep(1)


@task
def sleep(where: str) -> str:
    ready(where)
    rest()
    return "slept"


@task
async def asleep(where: str) -> str:
    ready(where)
    await asyncio.sleep(LONG)
    return "slept"


@task
def spin(where: str) -> None:
    ready(where)
    while True:
        sum(range(1000))


@task
def family(where: str) -> None:
    """Three generations: one child in our group, one in a session of its own, and a child of that."""
    first = subprocess.Popen(["sleep", str(LONG)])
    shell = subprocess.Popen(
        ["sh", "-c", f"sleep {LONG} & echo $!; wait"], start_new_session=True, stdout=subprocess.PIPE
    )
    assert shell.stdout is not None
    below = int(shell.stdout.readline())
    ready(where, first.pid, shell.pid, below)
    rest()


@task
def stubborn(where: str) -> None:
    """Takes every exception for nothing."""
    ready(where)
    while True:
        try:
            rest()
        except BaseException:
            continue


@task
async def astubborn(where: str) -> None:
    ready(where)
    while True:
        try:
            await asyncio.sleep(LONG)
        except BaseException:
            continue


@flow
def sleeping(where: str) -> None:
    sleep(where)


@flow
def sleeping_itself(where: str) -> None:
    ready(where)
    rest()


@flow
def spinning(where: str) -> None:
    spin(where)


@flow(task_runner=ThreadPoolTaskRunner(max_workers=3))
def threads(where: str) -> None:
    sleep.map([where, where, where]).wait()


@flow(task_runner=PROCESSES)
def processes(where: str) -> None:
    family.map([where, where]).wait()


@flow(task_runner=PROCESSES)
def stubborn_processes(where: str) -> None:
    stubborn.submit(where).wait()


@flow
async def sleeping_async(where: str) -> None:
    await asyncio.gather(asleep(where), asleep(where))


@flow
async def async_threads(where: str) -> None:
    await asyncio.gather(*(future.result_async() for future in asleep.map([where, where])))


@flow
async def async_processes(where: str) -> None:
    await family.submit(where)


async_processes.task_runner = PROCESSES


@flow
def sleeping_below(where: str) -> None:
    sleeping(where)


@task
def call_processes(where: str) -> None:
    processes(where)


@flow
def processes_below(where: str) -> None:
    call_processes.submit(where).wait()


@task(retries=3, retry_delay_seconds=LONG)
def failing(where: str) -> None:
    ready(where)
    raise ValueError("again in a while")


@flow
def waiting_to_retry(where: str) -> None:
    failing(where)


@flow(retries=3, retry_delay_seconds=LONG)
def flow_waiting_to_retry(where: str) -> None:
    ready(where)
    raise ValueError("again in a while")


@flow
def unstoppable(where: str) -> None:
    stubborn(where)


@flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
def unstoppable_thread(where: str) -> None:
    future = stubborn.submit(where)
    while True:
        try:
            future.wait()
        except BaseException:
            continue


@flow
async def unstoppable_async(where: str) -> None:
    await astubborn(where)


@task
def quick(value: Any = None) -> Any:
    return value


@flow
def busy(where: str) -> None:
    """Records as fast as it can, so that whatever stops it meets it in the middle of an append."""
    number = 0
    while True:
        quick(number)
        number += 1
        if number == 20:
            ready(where)


@task
def busy_below(where: str) -> None:
    for number in range(1_000_000):
        quick(number)
        if number == 20:
            ready(where)


@flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
def busy_threads(where: str) -> None:
    busy_below.map([where] * 4).wait()


@flow
async def busy_async(where: str) -> None:
    await asyncio.gather(abusy(where), abusy(where))


@task
async def abusy(where: str) -> None:
    for number in range(1_000_000):
        await aquick(number)
        if number == 20:
            ready(where)


@task
async def aquick(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


@flow
def busy_subflows(where: str) -> None:
    for number in range(1_000_000):
        one_subflow(number)
        if number == 5:
            ready(where)


@flow
def one_subflow(number: int) -> Any:
    return quick(number)


@flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
def forks_while_others_record(where: str) -> list[str]:
    """Children are forked at moments when other threads hold every lock there is."""
    others = busy_for_a_while.map([400] * 3)
    codes = [fork_from_task() for _ in range(10)]
    others.wait()
    ready(where)
    return codes


@task
def busy_for_a_while(times: int) -> None:
    for number in range(times):
        quick(number)


@task
def fork_from_task() -> str:
    return _fork_and(_refused)


@flow
def leave(where: str, how: str) -> str:
    """Ends its process in one of many ways, after one step."""
    quick(1)
    ready(where)
    return str(WAYS_OUT[how]())


@task
def leaving(where: str, how: str) -> Any:
    return WAYS_OUT[how]()


@flow
def leave_from_task(where: str, how: str) -> str:
    quick(1)
    return str(leaving(where, how))


@flow
def leave_from_thread(where: str, how: str) -> str:
    quick(1)
    return str(leaving.submit(where, how).result())


@flow(task_runner=PROCESSES)
def leave_from_process(where: str, how: str) -> str:
    quick(1)
    return str(leaving.submit(where, how).result())


def _fork_and(what: Callable[[], Any]) -> str:
    """Fork; the child does something; the parent tells how the child ended."""
    child = os.fork()
    if child == 0:
        what()
        os._exit(0)
    return str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _refused() -> None:
    """In a forked child: a task of the parent's run must be refused, with the reason."""
    try:
        quick("of the child")
    except Exception as error:
        os._exit(7 if type(error).__name__ == "WrongProcess" else 8)


def _thread_that_exits() -> str:
    thread = threading.Thread(target=sys.exit, args=(3,))
    thread.start()
    thread.join()
    return "went on"


def _kill(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


WAYS_OUT: dict[str, Callable[[], Any]] = {
    "sys.exit": lambda: sys.exit(3),
    "sys.exit text": lambda: sys.exit("nothing to do today"),
    "sys.exit none": lambda: sys.exit(),
    "os._exit": lambda: os._exit(3),
    "abort": os.abort,
    "terminate": _kill(signal.SIGTERM),
    "interrupt": _kill(signal.SIGINT),
    "kill": _kill(signal.SIGKILL),
    "hang up": _kill(signal.SIGHUP),
    "fork": lambda: _fork_and(lambda: None),
    "fork and exit": lambda: _fork_and(lambda: sys.exit(5)),
    "fork and raise": lambda: _fork_and(lambda: 1 / 0),
    "fork and call a task": lambda: _fork_and(_refused),
    "thread that exits": _thread_that_exits,
    "stay": lambda: "stayed",
}


@task
def forks_and_vanishes(where: str) -> None:
    """Its child keeps every open file of the task's process, the pipes to the flow too."""
    child = os.fork()
    if child == 0:
        time.sleep(LONG)
        os._exit(0)
    ready(where, child)
    os._exit(3)


@flow(task_runner=PROCESSES)
def vanishing_with_a_child(where: str) -> str:
    return str(forks_and_vanishes.submit(where, return_state=True).name)


@flow(task_runner=PROCESSES)
def fork_beside_the_pool(where: str) -> list[Any]:
    """A forked child of the flow leaves while the flow's tasks are at work in processes."""
    futures = quick_in_time.map([where, where])
    until_lines(where, 2)
    child = os.fork()
    if child == 0:
        sys.exit(5)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    Path(where + ".go").touch()
    return [code, *(future.result() for future in futures)]


@task
def quick_in_time(where: str) -> str:
    ready(where)
    until_exists(where + ".go")
    return "done"


def until_exists(path: str) -> None:
    """Wait for a file, whatever exception comes."""
    while not os.path.exists(path):
        try:
            time.sleep(0.01)
        except BaseException:
            continue


def until_lines(where: str, count: int) -> None:
    while lines_in(Path(where)) < count:
        time.sleep(0.01)


def _squared(number: int) -> int:
    return number * number


@task
def pooled(method: str) -> list[int]:
    """The standard library's own pool of processes, inside a task."""
    import multiprocessing

    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.map(_squared, range(5))


@flow
def multiprocess(where: str, method: str, how: str) -> list[int]:
    ready(where)
    quick.submit("a thread is there").wait()
    return list(pooled(method) if how == "called" else pooled.submit(method).result())


def _stillborn() -> int:
    child = os.fork()
    if not child:
        time.sleep(3)
        os._exit(0)
    os.kill(child, signal.SIGTERM)
    return os.waitpid(child, 0)[1]


@flow
def stillborn_children(where: str) -> list[int]:
    """Children that are ended before their first instruction."""
    ready(where)
    return [_stillborn() for _ in range(100)]


@flow(task_runner=PROCESSES)
def multiprocess_in_process(where: str, method: str) -> list[int]:
    return list(pooled.submit(method).result())
