"""Prefect: tasks in a flow, against its embedded server or one that is already up."""

import os
import sys
from time import perf_counter, sleep

from common import STEPS, effect, number, report, report_ticks, tick
from prefect import flow, task
from prefect.cache_policies import INPUTS
from prefect.task_runners import ThreadPoolTaskRunner


@task
def hello() -> str:
    return "hello"


@flow
def hello_flow() -> str:
    return hello()


@task
def noop() -> None:
    tick()


@flow
def sequential_flow(tasks: int) -> None:
    for _ in range(tasks):
        noop()


@task
def nap(_: int, seconds: float) -> None:
    sleep(seconds)
    tick()


@flow
def mapped_flow(tasks: int, seconds: float) -> float:
    started = perf_counter()
    nap.map(range(tasks), seconds=seconds).result()
    return perf_counter() - started


@task
def marked(step: int) -> None:
    effect(step)


@flow
def steps_flow() -> None:
    once = marked
    if os.environ.get("BENCH_PERSIST"):
        once = marked.with_options(persist_result=True, cache_policy=INPUTS)
    for step in range(1, STEPS + 1):
        once(step)


def serve() -> None:
    """Become the server that the contender with a server up talks to."""
    port = os.environ["BENCH_PORT"]
    command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
    os.execv(sys.executable, [sys.executable, *command])


def main() -> None:
    topic = sys.argv[1]
    if topic == "serve":
        serve()
    elif topic in ("prepare", "hello"):
        hello_flow()
        report()
    elif topic == "sequential":
        sequential_flow(number(2))
        report_ticks()
    elif topic == "mapped":
        runner = ThreadPoolTaskRunner(max_workers=number(4))
        seconds = mapped_flow.with_options(task_runner=runner)(number(2), float(sys.argv[3]))
        report_ticks(seconds=seconds)
    elif topic == "steps":
        steps_flow()
        report(how="the flow is run again")


if __name__ == "__main__":
    main()
