"""DBOS: steps in a workflow, recorded in SQLite (its default) or PostgreSQL.

`DBOS.destroy()` is not called: every step is on record when it returns, and destroying takes a second more.
"""

import asyncio
import os
import sys
from time import perf_counter

from common import STEPS, effect, home, number, report, report_ticks, tick
from dbos import DBOS, DBOSConfig, SetWorkflowID

URL = os.environ.get("BENCH_POSTGRES") or f"sqlite:///{home()}/dbos.sqlite"
CONFIG: DBOSConfig = {
    "name": "bench",
    "system_database_url": URL,
    "log_level": "ERROR",
    "application_version": "1",
}


@DBOS.step()
def hello() -> str:
    return "hello"


@DBOS.workflow()
def hello_flow() -> str:
    return hello()


@DBOS.step()
def noop() -> None:
    tick()


@DBOS.workflow()
def sequential_flow(tasks: int) -> None:
    for _ in range(tasks):
        noop()


@DBOS.step()
async def nap(seconds: float) -> None:
    await asyncio.sleep(seconds)
    tick()


@DBOS.workflow()
async def mapped_flow(tasks: int, seconds: float, limit: int) -> None:
    slots = asyncio.Semaphore(limit)

    async def one() -> None:
        async with slots:
            await nap(seconds)

    await asyncio.gather(*(one() for _ in range(tasks)))


@DBOS.step(name="noop")
async def noop_async() -> None:
    tick()


@DBOS.workflow()
async def submitted_flow(tasks: int) -> None:
    await asyncio.gather(*(noop_async() for _ in range(tasks)))


@DBOS.step()
def marked(step: int) -> None:
    effect(step)


@DBOS.workflow()
def steps_flow() -> None:
    for step in range(1, STEPS + 1):
        marked(step)


def prepare() -> None:
    """Create the tables, and turn WAL on (it stays with the file) where the variant asks for it."""
    if os.environ.get("BENCH_WAL"):
        import sqlite3

        with sqlite3.connect(f"{home()}/dbos.sqlite") as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    DBOS.launch()
    report()


def mapped() -> None:
    started = perf_counter()
    asyncio.run(mapped_flow(number(2), float(sys.argv[3]), number(4)))
    report_ticks(seconds=perf_counter() - started)


def submitted() -> None:
    started = perf_counter()
    asyncio.run(submitted_flow(number(2)))
    report_ticks(seconds=perf_counter() - started)


def main() -> None:
    topic = sys.argv[1]
    DBOS(config=CONFIG)
    if topic == "prepare":
        prepare()
    else:
        DBOS.launch()
    if topic == "hello":
        hello_flow()
        report()
    elif topic == "sequential":
        sequential_flow(number(2))
        report_ticks()
    elif topic == "mapped":
        mapped()
    elif topic == "submitted":
        submitted()
    elif topic == "steps" and sys.argv[2] == "die":
        with SetWorkflowID("steps"):
            steps_flow()
    elif topic == "steps":
        DBOS.retrieve_workflow("steps").get_result()
        report(how="restart of the process; recovery is automatic")


if __name__ == "__main__":
    main()
