"""Airflow: API server, scheduler with the LocalExecutor, DAG processor; runs asked for by the REST API."""

import os
import sqlite3
import sys
from typing import Any

import luck
from airflow_duty import call, known
from common import home
from luck import Tool
from plant import Plant, answering, command


def described() -> Any:
    """Return the DAGs; this is called by the processes of Airflow."""
    from airflow.sdk import DAG, get_current_context, task

    with DAG(dag_id="asked", schedule=None, is_paused_upon_creation=False) as dag:

        @task
        def first() -> None:
            if get_current_context()["dag_run"].conf["what"] == "program":
                luck.program()
            else:
                luck.one()

        @task
        def second() -> None:
            if get_current_context()["dag_run"].conf["what"] == "kill":
                luck.two()

        first() >> second()
    return dag


def states() -> list[str]:
    with sqlite3.connect(f"file:{home()}/airflow.db?mode=ro", uri=True, timeout=30) as store:
        runs = [f"run {row[0]}" for row in store.execute("SELECT state FROM dag_run")]
        return runs + [f"{name} {state}" for name, state in store.execute("SELECT task_id, state FROM task_instance")]


def main() -> None:
    with Plant() as running:
        airflow, port = command("airflow"), os.environ["BENCH_PORT"]
        server = running.start(airflow, "api-server", "--host", "127.0.0.1", "--port", port, "--workers", "1")
        running.start(airflow, "dag-processor")
        answering("/api/v2/version", server)
        token = call("GET", "/auth/token")["access_token"]
        known(token)

        def ask(name: str, key: str) -> str:
            body = {"logical_date": None, "conf": {"what": name}, "dag_run_id": key}
            return str(call("POST", "/api/v2/dags/asked/dagRuns", body, token)["dag_run_id"])

        luck.put(
            Tool(
                running,
                lambda: running.start(airflow, "scheduler", "--skip-serve-logs"),
                ask,
                states,
                lambda: call("PATCH", "/api/v2/dags/asked/dagRuns/a", {"state": "failed"}, token),
            )
        )


if __name__ == "__main__":
    sys.exit(main())
