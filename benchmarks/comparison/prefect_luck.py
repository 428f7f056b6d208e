"""Prefect: a server, `serve` beside it, runs asked for by `run_deployment`."""

import os
import sqlite3
import subprocess
import sys

import luck
from common import home
from luck import Tool
from plant import Plant, answering
from prefect import flow, serve, task
from prefect.deployments import run_deployment

one, two, program = task(luck.one), task(luck.two), task(luck.program)


@flow(name="kill")
def kill() -> None:
    one()
    two()


@flow(name="quick")
def quick() -> None:
    one()


@flow(name="program")
def of_program() -> None:
    program()


def rows(statement: str) -> list[str]:
    with sqlite3.connect(f"file:{home()}/prefect.db?mode=ro", uri=True, timeout=30) as store:
        return [str(row[0]) for row in store.execute(statement)]


def work() -> None:
    from prefect_luck import kill, of_program, quick

    serve(*(body.to_deployment("luck") for body in (kill, quick, of_program)))


def deploy() -> None:
    from prefect_luck import kill, of_program, quick

    for body in (kill, quick, of_program):
        body.to_deployment("luck").apply()


def main() -> None:
    if sys.argv[1] in ("work", "deploy"):
        {"work": work, "deploy": deploy}[sys.argv[1]]()
        return
    with Plant() as running:
        port = os.environ["BENCH_PORT"]
        server = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
        answering("/api/health", running.start(*server))
        running.start(sys.executable, __file__, "deploy").wait()

        def cancel() -> None:
            run = rows("SELECT id FROM flow_run")[0]
            subprocess.run(
                [sys.executable, "-m", "prefect", "flow-run", "cancel", run], check=True, capture_output=True
            )

        luck.put(
            Tool(
                running,
                lambda: running.start(sys.executable, __file__, "work"),
                lambda name, key: run_deployment(f"{name}/luck", idempotency_key=key, timeout=0, as_subflow=False).id,
                lambda: rows("SELECT state_name FROM flow_run"),
                cancel,
            )
        )


if __name__ == "__main__":
    main()
