"""Airflow's API server, asked over its API. No scheduler is there, except to see how all of it starts."""

import os
import pathlib
import sqlite3
import subprocess
import sys
import time
from typing import Any

import desk
import plant
from common import home, mark, number, report
from desk import PAGE, STEPS, Ask
from plant import Plant

BEGIN = 1_700_000_000
DAGS = 5
STATES = ("success", "failed")
TOKEN_PATH = "/auth/token"
STARTUP_SECONDS = 90.0
DAG_FILE = """from airflow_control import described

dags = described()  # of airflow
globals().update({dag.dag_id: dag for dag in dags})
"""


def described() -> list[Any]:
    """Return the DAGs; this is called by the processes of Airflow."""
    from airflow.sdk import DAG, Asset, task

    @task(outlets=[Asset(name="pushes", uri="git://pushes")])
    def first() -> None:
        mark("first")

    @task
    def fetch(url: str) -> None:
        mark(url)

    found = []
    for name in ("asked", "large", *(f"flow_{place}" for place in range(DAGS))):
        with DAG(dag_id=name, schedule=None, max_active_runs=10_000, is_paused_upon_creation=False) as dag:
            for place in range(STEPS if name == "large" else 1):
                fetch.override(task_id=f"fetch_{place}")("none") if name == "large" else first()
        found.append(dag)
    return found


class Airflow(desk.Site):
    """`airflow api-server`."""

    ready = "/api/v2/version"

    def __init__(self) -> None:
        self.token = ""

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def start(self, running: Plant) -> "subprocess.Popen[bytes]":
        airflow, port = plant.command("airflow"), os.environ["BENCH_PORT"]
        server = running.start(airflow, "api-server", "--host", "127.0.0.1", "--port", port, "--workers", "1")
        if sys.argv[1] == "api-start":
            running.start(airflow, "dag-processor")
            running.start(airflow, "scheduler", "--skip-serve-logs")
        return server

    def prepare(self, topic: str) -> None:
        self.token = desk.call(self, "GET", TOKEN_PATH)["access_token"]
        if topic == "api-read":
            path = "/api/v2/dags/large/dagRuns"
            desk.call(self, "POST", path, {"logical_date": None, "dag_run_id": "large"})
            changed("UPDATE task_instance SET state = 'success' WHERE dag_id = 'large'")
        if topic == "api-listing":
            for place in range(DAGS):
                path = f"/api/v2/dags/flow_{place}/dagRuns"
                desk.call(self, "POST", path, {"logical_date": None, "dag_run_id": "template"})
            changed(*copies(number(2)), "ANALYZE")

    def triggering(self, number: int) -> list[Ask]:
        body = {"logical_date": None, "conf": {"key": str(number)}}
        return [desk.ask(self, "POST", "/api/v2/dags/asked/dagRuns", body)]

    def triggered(self) -> int:
        return int(changed("SELECT count(*) FROM dag_run")[0][0])

    def sending(self, number: int) -> list[Ask]:
        extra = {"key": str(number), "note": f"mark-{number}.", "ref": "refs/heads/main"}
        return [desk.ask(self, "POST", "/api/v2/assets/events", {"asset_id": 1, "extra": extra})]

    def sent(self) -> int:
        return int(changed("SELECT count(*) FROM asset_event")[0][0])

    def reading(self) -> list[Ask]:
        path = "/api/v2/dags/large/dagRuns/large"
        return [
            desk.ask(self, "GET", path),
            desk.ask(self, "GET", f"{path}/taskInstances?limit={STEPS}"),
        ]

    def read(self, bodies: list[Any]) -> int:
        return sum(one["state"] == "success" for one in bodies[1]["task_instances"])

    def pages(self, runs: int) -> dict[str, Any]:
        def asking(dag: str = "~", **where: Any) -> Ask:
            words = "&".join(f"{name}={value}" for name, value in where.items())
            path = f"/api/v2/dags/{dag}/dagRuns?limit={PAGE}&order_by=-run_after&{words}"
            return desk.ask(self, "GET", path)

        def since(place: int) -> int:
            return BEGIN + runs // 2 * place // desk.TIMES

        def within(place: int, run: Any) -> bool:
            return stamp(since(place))[:19] <= run["run_after"][:19] <= stamp(since(place) + 3_600)[:19]

        def hour(place: int) -> dict[str, str]:
            return {"run_after_gte": stamp(since(place)), "run_after_lte": stamp(since(place) + 3_600)}

        return {
            "first": (lambda place: asking(), lambda place, run: True),
            "state": (
                lambda place: asking(state=STATES[place % 2]), lambda place, run: run["state"] == STATES[place % 2],
            ),
            "flow": (
                lambda place: asking(dag=f"flow_{place % DAGS}"),
                lambda place, run: run["dag_id"] == f"flow_{place % DAGS}",
            ),
            "later": (
                lambda place: asking(offset=desk.LATER * (place + 1)),
                lambda place, run: run["run_after"][:19] <= stamp(BEGIN + runs - desk.LATER * place)[:19],
            ),
            "time": (lambda place: asking(**hour(place)), within),
            "mixed": (
                lambda place: asking(dag="flow_1", state="failed", run_after_gte=stamp(since(place))),
                lambda place, run: (run["state"], run["dag_id"]) == ("failed", "flow_1"),
            ),
        }  # fmt: skip

    def listed(self, body: Any) -> list[Any]:
        found: list[Any] = body["dag_runs"]
        return found

    def moment(self, run: Any) -> Any:
        return run["run_after"]


def stamp(seconds: int) -> str:
    """A moment as the API takes and tells it."""
    import datetime

    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def copies(count: int) -> list[str]:
    """The statements that copy one run of each DAG; of every twenty runs of a DAG one has failed."""
    columns = [row[1] for row in changed("PRAGMA table_info(dag_run)")]
    moment = f"strftime('%Y-%m-%d %H:%M:%S', {BEGIN} + n.i * {DAGS} + {{place}}, 'unixepoch') || '.000000'"
    state = "CASE WHEN n.i % 20 = 3 THEN 'failed' ELSE 'success' END"
    counting = f"SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count // DAGS - 1}"
    found = []
    for place in range(DAGS):
        when = moment.format(place=place)
        other = {"id": f"1000 + n.i * {DAGS} + {place}", "run_id": "'run-' || n.i", "state": state}
        other |= dict.fromkeys(("queued_at", "start_date", "end_date", "run_after", "created_at"), when)
        shown = ", ".join(f'"{name}"' for name in columns)
        values = ", ".join(other.get(name, f'r."{name}"') for name in columns)
        numbers = f"(WITH RECURSIVE n(i) AS ({counting}) SELECT i FROM n) AS n"
        where = f"r.dag_id = 'flow_{place}' AND r.run_id = 'template'"
        found.append(f"INSERT INTO dag_run ({shown}) SELECT {values} FROM dag_run AS r, {numbers} WHERE {where}")
    return [*found, "DELETE FROM dag_run WHERE run_id = 'template'"]


def changed(*statements: str) -> list[Any]:
    """Execute statements in its SQLite file; return what the last one finds."""
    store = sqlite3.connect(os.path.join(home(), "airflow.db"), timeout=60)
    rows: list[Any] = []
    for statement in statements:
        rows = store.execute(statement).fetchall()
    store.commit()
    store.close()
    return rows


def prepare() -> None:
    """Make its tables, and have it read its DAGs."""
    airflow = plant.command("airflow")
    subprocess.run([airflow, "db", "migrate"], check=True, stdout=subprocess.DEVNULL)
    folder = pathlib.Path(home()) / "dags"
    folder.mkdir()
    (folder / "bench.py").write_text(DAG_FILE)
    with Plant() as running:
        running.start(airflow, "dag-processor")
        deadline = time.monotonic() + STARTUP_SECONDS
        while changed("SELECT count(*) FROM serialized_dag")[0][0] < DAGS + 2:
            if time.monotonic() > deadline:
                sys.exit("error: its DAGs were not read in time")
            time.sleep(0.5)
    report()


if __name__ == "__main__":
    prepare() if sys.argv[1] == "prepare" else desk.main(Airflow())
