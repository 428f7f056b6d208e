"""Airflow on duty: API server, scheduler with the LocalExecutor, DAG processor; runs asked for by its REST API."""

import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from typing import Any

import plant
from common import home, mark, number, report
from plant import Plant

STARTUP_SECONDS = 90.0
DAG_FILE = "from airflow_duty import described\n\ndag = described()  # an airflow DAG\n"
COMPLETED = "SELECT count(*) FROM dag_run WHERE state = 'success'"


def described() -> Any:
    """Return the DAG; this is called by the processes of Airflow."""
    from airflow.sdk import DAG, get_current_context, task

    @task
    def first() -> None:
        mark(get_current_context()["dag_run"].conf["key"])

    with DAG(dag_id="asked", schedule=None, max_active_runs=1000, is_paused_upon_creation=False) as dag:
        first()
    return dag


def prepare() -> None:
    subprocess.run([plant.command("airflow"), "db", "migrate"], check=True, stdout=subprocess.DEVNULL)
    folder = pathlib.Path(home()) / "dags"
    folder.mkdir()
    (folder / "bench.py").write_text(DAG_FILE)
    report()


def call(method: str, path: str, body: object = None, token: str = "") -> Any:
    """Call the REST API."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{os.environ['BENCH_PORT']}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def completed() -> int:
    with sqlite3.connect(f"file:{home()}/airflow.db?mode=ro", uri=True, timeout=30) as store:
        return int(store.execute(COMPLETED).fetchone()[0])


def known(token: str) -> None:
    """Wait until the DAG has been read."""
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError):
            call("GET", "/api/v2/dags/asked", token=token)
            return
        time.sleep(0.5)
    sys.exit("error: the DAG was not read in time")


def main() -> None:
    topic = sys.argv[1]
    if topic == "prepare":
        prepare()
        return
    with Plant() as running:
        airflow = plant.command("airflow")
        port = os.environ["BENCH_PORT"]
        server = running.start(airflow, "api-server", "--host", "127.0.0.1", "--port", port, "--workers", "1")
        running.start(airflow, "dag-processor")
        plant.answering("/api/v2/version", server)
        token = call("GET", "/auth/token")["access_token"]
        known(token)

        def ask(key: str) -> None:
            call("POST", "/api/v2/dags/asked/dagRuns", {"logical_date": None, "conf": {"key": key}}, token)

        def take() -> None:
            running.start(airflow, "scheduler", "--skip-serve-logs")

        if topic == "drain":
            plant.drain(running, ask, number(2), take, completed)
        elif topic == "trigger":
            take()
            plant.trigger(ask, number(2))


if __name__ == "__main__":
    main()
