"""Penstock: tasks in a flow, with its defaults; the environment names the journal."""

import os
import sqlite3
import sys
from time import perf_counter, sleep

from common import STEPS, effect, home, number, report, report_ticks, tick

from penstock import flow, task


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


@flow
def submitted_flow(tasks: int) -> float:
    started = perf_counter()
    for future in [noop.submit() for _ in range(tasks)]:
        future.result()
    return perf_counter() - started


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
    for step in range(1, STEPS + 1):
        marked(step)


def mapped() -> None:
    from penstock.task_runners import ThreadPoolTaskRunner

    flow_of_naps = mapped_flow.with_options(task_runner=ThreadPoolTaskRunner(max_workers=number(4)))
    report_ticks(seconds=flow_of_naps(number(2), float(sys.argv[3])))


def resume() -> None:
    """Become `penstock runs resume` of the run that was killed."""
    with sqlite3.connect(os.path.join(home(), "journal.db")) as journal:
        (run,) = journal.execute("SELECT id FROM runs WHERE flow LIKE 'steps%'").fetchone()
    report(how="`penstock runs resume ID`")
    program = os.path.join(os.path.dirname(sys.executable), "penstock")
    os.execv(program, [program, "runs", "resume", run])


def main() -> None:
    topic = sys.argv[1]
    if topic in ("prepare", "hello"):
        hello_flow()
        report()
    elif topic == "sequential":
        sequential_flow(number(2))
        report_ticks()
    elif topic == "submitted":
        report_ticks(seconds=submitted_flow(number(2)))
    elif topic == "mapped":
        mapped()
    elif topic == "steps" and sys.argv[2] == "die":
        steps_flow()
    elif topic == "steps":
        resume()


if __name__ == "__main__":
    main()
