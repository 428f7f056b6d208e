"""The same flow on Airflow: written for Airflow by hand (BENCH_HOW=hand), and Penstock's as it is deployed there.

Each with an API server, a scheduler with the LocalExecutor and a DAG processor of its own.
"""

import os
import pathlib
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from statistics import median
from time import monotonic
from typing import Any

import plant
from airflow_duty import STARTUP_SECONDS, call
from common import home, number, report
from plant import Plant

HAND = os.environ["BENCH_HOW"] == "hand"
RUN_SECONDS = 600.0
WARM, PARSED, TIMES = 2, 100, 20
BY_HAND = """from airflow.sdk import DAG, task


@task
def noop(value: int) -> int:
    return value + 1


with DAG(dag_id="both_{tasks}", schedule=None, is_paused_upon_creation=False):
    value = 0
    for _ in range({tasks} // 2):
        value = noop(value)
    others = [noop(value) for _ in range({tasks} - {tasks} // 2)]
"""
PENSTOCK = """from penstock import flow, task


@task
def noop(value: int) -> int:
    return value + 1


@flow
def both() -> list[int]:
    value = 0
    for _ in range({tasks} // 2):
        value = noop(value)
    others = [noop.submit(value) for _ in range({tasks} - {tasks} // 2)]
    return [other.result() for other in others]
"""
LAST = "SELECT run_id, state FROM dag_run WHERE dag_id = ? ORDER BY id DESC LIMIT 1"
ENDED = (
    "SELECT count(*) FROM task_instance WHERE dag_id = ? AND run_id = ? AND state = 'success' AND task_id LIKE 'noop%'"
)
PARSE = """
import sys
import time
from airflow.sdk import DAG, BaseOperator, Param, task
from airflow.sdk.exceptions import AirflowException

with open(sys.argv[1]) as file:
    text = file.read()
for _ in range(int(sys.argv[2])):
    started = time.perf_counter()
    exec(compile(text, sys.argv[1], "exec"), {"__name__": "dag"})
    print("seconds", time.perf_counter() - started)
"""


def program(name: str) -> str:
    """Return the path of a command of Airflow's environment."""
    return os.path.join(os.environ["BENCH_AIRFLOW"], name)


def folder(name: str) -> pathlib.Path:
    """Return a folder below the home."""
    found = pathlib.Path(home()) / name
    found.mkdir(exist_ok=True)
    return found


def write(tasks: int) -> pathlib.Path:
    """Write the DAG file of a flow with so many tasks."""
    dags = folder("dags")
    if HAND:
        file = dags / f"both_{tasks}.py"
        file.write_text(BY_HAND.format(tasks=tasks))
        return file
    from penstock.authoring.loading import load_flow
    from penstock.core.engines import EngineSettings
    from penstock.deploy.airflow.files import DagFiles
    from penstock.orchestrator.declaring import deployment_of

    source = folder("project") / f"flow_{tasks}.py"
    source.write_text(PENSTOCK.format(tasks=tasks))
    plan: Any = deployment_of(load_flow(f"{source}:both"), f"both_{tasks}", {})
    settings = EngineSettings(environment={"AIRFLOW_DAGS_FOLDER": str(dags)}, home=str(folder("penstock")))
    DagFiles(settings).place(plan)
    return dags / f"penstock_both_{tasks}.py"


def prepare() -> None:
    """Make the tables of Airflow."""
    subprocess.run([program("airflow"), "db", "migrate"], check=True, stdout=subprocess.DEVNULL)
    report()


def until(what: str, seconds: float, look: Any) -> Any:
    """Wait until something is found."""
    deadline = monotonic() + seconds
    while monotonic() < deadline:
        with suppress(OSError):
            if found := look():
                return found
        time.sleep(0.05)
    sys.exit(f"error: {what} did not come in {seconds:g} s")


def completed(dag: str) -> int:
    """Return how many tasks of the DAG have completed in the last run that has."""
    with sqlite3.connect(f"file:{home()}/airflow.db?mode=ro", uri=True, timeout=30) as store:
        found = store.execute(LAST, (dag,)).fetchone()
        if found is None or found[1] not in ("success", "failed"):
            return 0
        count = store.execute(ENDED, (dag, found[0])).fetchone()[0]
        return int(count) if found[1] == "success" else -1


def run(tasks: int, token: str) -> float:
    """Have a flow run once; return the seconds from the request to the end that Airflow has on record."""
    dag = f"both_{tasks}"
    until(f"the DAG {dag}", STARTUP_SECONDS, lambda: call("GET", f"/api/v2/dags/{dag}", token=token))
    started = monotonic()
    call("POST", f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None}, token)
    found = until(f"the end of {dag}", RUN_SECONDS, lambda: completed(dag))
    seconds = monotonic() - started
    if found != tasks:
        sys.exit(f"error: {found} of {tasks} tasks of {dag} completed")
    return seconds


def parsed(file: pathlib.Path) -> float:
    """Return how long Airflow's Python takes for a DAG file, once what it imports is there: the median."""
    command = [program("python"), "-c", PARSE, str(file), str(TIMES)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return median([float(line.split()[1]) for line in said if line.startswith("seconds ")])


def main() -> None:
    if sys.argv[1] == "prepare":
        prepare()
        return
    tasks = number(2)
    for each in (WARM, tasks):
        write(each)
    large = write(PARSED)
    parse_seconds = parsed(large)
    large.unlink()
    with Plant() as running:
        airflow, port = program("airflow"), os.environ["BENCH_PORT"]
        server = running.start(airflow, "api-server", "--host", "127.0.0.1", "--port", port, "--workers", "1")
        running.start(airflow, "dag-processor")
        plant.answering("/api/v2/version", server)
        running.start(airflow, "scheduler", "--skip-serve-logs")
        token = call("GET", "/auth/token")["access_token"]
        run(WARM, token)
        before = running.cpu_seconds()
        seconds = run(tasks, token)
        report(seconds=seconds, cpu_seconds=running.cpu_seconds() - before, parse_seconds=parse_seconds, executed=tasks)


if __name__ == "__main__":
    main()
