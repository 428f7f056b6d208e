"""Prefect on duty: a server, and beside it a process that serves deployments, or one that executes background tasks."""

import os
import sqlite3
import sys
from typing import Any

import plant
from common import home, mark, number, report
from plant import Plant
from prefect import flow, serve, task
from prefect.deployments import run_deployment
from prefect.task_worker import serve as serve_tasks

COMPLETED = {
    "flows": "SELECT count(*) FROM flow_run WHERE state_type = 'COMPLETED'",
    "tasks": "SELECT count(*) FROM task_run WHERE state_type = 'COMPLETED'",
}
KIND = os.environ.get("BENCH_KIND", "flows")


@task
def first(key: str) -> None:
    mark(key)


@flow
def asked(key: str) -> None:
    first(key)


@flow
def empty(key: str) -> None:
    mark(key)


@task
def alone(key: str) -> None:
    mark(key)


def server() -> None:
    """Become the server."""
    port = os.environ["BENCH_PORT"]
    command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
    os.execv(sys.executable, [sys.executable, *command])


def work() -> None:
    """Execute what is asked for until ended."""
    from prefect_duty import alone, asked, empty  # not from __main__: other processes must find them

    if KIND == "tasks":
        serve_tasks(alone, limit=10)
    else:
        serve(asked.to_deployment("bench"), empty.to_deployment("bench"), limit=int(os.environ["BENCH_LIMIT"]))


def deploy() -> None:
    """Make the deployments, without serving them."""
    from prefect_duty import asked, empty

    for body in (asked, empty):
        made: Any = body.to_deployment("bench")
        made.apply()
    report()


def completed() -> int:
    with sqlite3.connect(f"file:{home()}/prefect.db?mode=ro", uri=True, timeout=30) as store:
        return int(store.execute(COMPLETED[KIND]).fetchone()[0])


def asking(name: str) -> Any:
    if KIND == "tasks":
        from prefect_duty import alone

        return lambda key: alone.delay(key)
    return lambda key: run_deployment(f"{name}/bench", parameters={"key": key}, timeout=0, as_subflow=False)


def main() -> None:
    topic = sys.argv[1]
    if topic in ("serve", "work", "deploy"):
        {"serve": server, "work": work, "deploy": deploy}[topic]()
        return
    with Plant() as running:
        plant.answering("/api/health", running.start(sys.executable, __file__, "serve"))
        if topic == "prepare":
            report()
            return
        if KIND == "flows":
            running.start(sys.executable, __file__, "deploy").wait()

        def take() -> None:
            running.start(sys.executable, __file__, "work")

        if topic == "drain":
            plant.drain(running, asking("empty"), number(2), take, completed)
        elif topic == "trigger":
            take()
            plant.trigger(asking("asked"), number(2))
        elif topic == "soak":
            take()
            plant.soak(running, asking("empty"), number(2))


if __name__ == "__main__":
    main()
