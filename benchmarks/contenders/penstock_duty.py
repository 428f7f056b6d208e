"""Penstock on duty: a worker and a scheduler in a process of their own, runs asked for by `run_deployment`."""

import datetime
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import plant
from common import home, mark, number, report
from plant import Plant

from penstock import deploy, flow, task
from penstock.deployments import run_deployment

POSTGRES = os.environ.get("BENCH_POSTGRES", "")
SCHEMA = "penstock." if POSTGRES else ""
COMPLETED = f"SELECT count(*) FROM {SCHEMA}runs WHERE state = 'Completed' AND flow = 'empty'"
LAST = f"SELECT max(position) FROM {SCHEMA}events"
MADE = f"""SELECT e.position, r.scheduled_at FROM {SCHEMA}runs r JOIN {SCHEMA}events e ON e.stream = r.id AND e.seq = 1
 WHERE r.scheduled_at IS NOT NULL"""


@task
def first(key: str) -> None:
    mark(key)


@flow
def asked(key: str) -> None:
    first(key)


@flow
def empty(key: str) -> None:
    mark(key)


@flow
def idle() -> None:
    pass


@cache
def journal() -> Any:
    """Open the journal, to look into it."""
    if POSTGRES:
        import psycopg

        return psycopg.connect(POSTGRES, autocommit=True)
    return sqlite3.connect(f"file:{home()}/journal.db?mode=ro", uri=True, check_same_thread=False)


def rows(statement: str) -> list[Any]:
    """Return what a query finds in the journal."""
    return list(journal().execute(statement).fetchall())


def completed() -> int:
    return int(rows(COMPLETED)[0][0])


def take(running: Plant, *options: str) -> None:
    """Start a worker, which is a scheduler too."""
    fresh = ["--fresh"] if os.environ.get("BENCH_FRESH") else []
    again = ["--runs-per-process", os.environ["BENCH_AGAIN"]] if os.environ.get("BENCH_AGAIN") else []
    running.start(plant.command("penstock"), "worker", "start", "--quiet", *fresh, *again, *options)


def asking(body: Any) -> Callable[[str], object]:
    """Deploy a flow; return what asks for a run of it."""
    name = body.deploy()
    return lambda key: run_deployment(name, {"key": key}, timeout=0)


def declare(count: int, when: Callable[[int], dict[str, Any]]) -> float:
    """Give so many deployments a schedule each; return the seconds that took."""
    started = time.monotonic()
    for place in range(count):
        deploy(idle.to_deployment(f"s{place}", **when(place)))
    return time.monotonic() - started


def hourly(begin: datetime.datetime, step: float, place: int) -> dict[str, Any]:
    """Return a schedule that is due once while it is measured."""
    return {"interval": 3600, "start": begin + datetime.timedelta(seconds=place * step)}


def schedules(running: Plant, count: int, seconds: float) -> None:
    """Let schedules come due: none for a while, then spread over some seconds, then all in one instant.

    Their runs are made and left: the worker beside this scheduler serves another pool.
    """
    take(running, "--pool", "elsewhere")
    took = declare(count, lambda _: {"cron": "0 0 1 1 *"})
    time.sleep(3)
    idle_share = plant.idle_share(running, max(3.0, seconds / 3))
    found: dict[str, float] = {}
    for name, step in (("spread", seconds / count), ("at_once", 0.0)):
        begin = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=took * 2 + 3)
        since = begin.timestamp()
        declare(count, partial(hourly, begin, step))
        if time.time() > since - 0.5:
            sys.exit("error: the schedules were not declared in time")
        with plant.Seen(lambda: int(rows(LAST)[0][0])) as seen:
            time.sleep(since + (seconds if step else 1.0) - time.time())
            made = plant.settled(partial(rows, f"{MADE} AND r.scheduled_at >= {int(since * 1e6)}"), count)
            time.sleep(0.1)
        found |= seen.lags(name, [(place, due / 1e6) for place, due in made], count)
    report(executed=2 * count, idle_share=idle_share, declared_seconds=took / count, **found)


def main() -> None:
    topic = sys.argv[1]
    if topic == "prepare":
        idle()
        report()
        return
    with Plant() as running:
        if POSTGRES:
            running.outside = plant.parent(rows("SELECT pg_backend_pid()")[0][0])
        if topic == "trigger":
            ask = asking(asked)
            take(running)
            plant.trigger(ask, number(2))
        elif topic == "drain":
            plant.drain(running, asking(empty), number(2), lambda: take(running), completed)
        elif topic == "schedules":
            schedules(running, number(2), float(sys.argv[3]))
        elif topic == "soak":
            ask = asking(empty)
            take(running)
            plant.soak(running, ask, number(2))


if __name__ == "__main__":
    main()
