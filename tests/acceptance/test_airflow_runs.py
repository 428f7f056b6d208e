"""Workflows whose engine is Airflow, over the API like any other: a real Airflow, a real server, and bad luck."""

from __future__ import annotations

import contextlib
import datetime
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests import patience
from tests.acceptance.duty_lab import Duty, Place, place, soon_gone
from tests.conftest import service_url

from penstock.core.errors import EngineRefused, RunNotThere
from penstock.deploy.airflow.client import AirflowClient
from penstock.deploy.airflow.names import dag_run_id

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(400)]
__all__ = ["place"]

until = partial(patience.until, seconds=120.0)  # each of its tasks is an interpreter, and it reads files when it likes

_LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
TASKS = """
import os
import time

from penstock import get_run_logger
from penstock.artifacts import create_markdown_artifact


def note(word):
    with open("ran.txt", "a") as file:
        file.write(word + " ")


def extract(rows):
    note("extract")
    if open("ran.txt").read().split().count("extract") == 1:
        raise OSError("the line was busy")
    get_run_logger().info("extracted %d rows", rows)
    create_markdown_artifact("# rows", key="rows")
    return {"rows": list(range(rows))}


def load(rows):
    note("load")
    get_run_logger().warning("loading")
    with open("load.pid", "w") as file:
        file.write(str(os.getpid()))
    while not os.path.exists("load.go"):
        time.sleep(0.05)
    return sum(rows)
"""


class Line:
    """A way to a server that can be cut: then connections are closed as soon as they are made."""

    def __init__(self, host: str, port: int) -> None:
        self.cut = False
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near:
            if self.cut:
                return
            with socket.create_connection(self._target) as far:
                back = threading.Thread(target=self._carry, args=(far, near), daemon=True)
                back.start()
                self._carry(near, far)
                back.join()

    @staticmethod
    def _carry(here: socket.socket, there: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := here.recv(1 << 16):
                there.sendall(data)
        with contextlib.suppress(OSError):
            there.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.close()


class Airflow:
    """The real one, and a workflow in it that is taken away in the end."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = str(parts.hostname), parts.port or 80
        self.name = f"w{uuid.uuid4().hex[:12]}"
        self.dags = Path(parse_qs(parts.query)["dags"][0])
        self.client = AirflowClient(f"http://{parts.hostname}:{parts.port}", parts.username or "", parts.password or "")
        self.environ = {
            "AIRFLOW_API_URL": self.client.url,
            "AIRFLOW_USER": parts.username or "",
            "PENSTOCK_AIRFLOW_PASSWORD": parts.password or "",
            "AIRFLOW_DAGS_FOLDER": str(self.dags),
        }

    @property
    def workflow(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "engine": "airflow",
            "parameters": {"rows": 3},
            "tasks": [
                {
                    "name": "extract",
                    "python_callable": "there_tasks:extract",
                    "params": {"rows": {"$parameter": "rows"}},
                    "retry_count": 1,
                    "retry_delay": 0.1,
                },
                {
                    "name": "load",
                    "python_callable": "there_tasks:load",
                    "params": {"rows": {"$result": "extract.rows"}},
                },
            ],
        }

    def clean_up(self) -> None:
        for run in self.client.runs(_LONG_AGO, self.name):
            if run.state in ("queued", "running"):
                self.client.end(self.name, run.dag_run_id)
        (self.dags / f"penstock_{self.name}.py").unlink(missing_ok=True)
        until(self._forgotten, "Airflow's forgetting")

    def _forgotten(self) -> bool:
        try:
            self.client._answer("DELETE", f"/api/v2/dags/{self.name}")
        except RunNotThere:
            return True
        except EngineRefused:  # processes of its tasks are being ended
            return False
        return True


@pytest.fixture
def airflow() -> Iterator[Airflow]:
    found = Airflow(service_url("airflow"))
    try:
        yield found
    finally:
        found.clean_up()


@pytest.fixture
def project(place: Place) -> Place:
    place.declare('[tool.penstock.workflows]\nmodules = ["there_tasks"]\n')
    (place.folder / "there_tasks.py").write_text(TASKS)
    return place


def api_of(server: Duty) -> httpx.Client:
    return httpx.Client(base_url=f"{server.event('serving')['url']}/api/v1", timeout=60)


def ended(api: httpx.Client, run_id: str) -> Any:
    def look() -> Any:
        run = api.get(f"/runs/{run_id}").json()
        return run if run["ended_at"] is not None else None

    return until(look, f"the end of {run_id}")


def started(api: httpx.Client, run_id: str, key: str) -> None:
    def look() -> bool:
        steps = api.get(f"/runs/{run_id}").json()["task_runs"]
        return any(step["key"] == key and step["state"] == "Running" for step in steps)

    until(look, f"{key} of {run_id}")


def test_a_workflow_on_airflow_looks_like_any_other_whatever_dies(project: Place, airflow: Airflow) -> None:
    server = project.server(**airflow.environ)
    with api_of(server) as api:
        made = api.post("/workflows", json=airflow.workflow)
        assert (made.status_code, made.json()["engine"]) == (201, "airflow")
        run_id = api.post(f"/workflows/{airflow.name}/trigger", json={"parameters": {"rows": 4}}).json()["id"]
        started(api, run_id, "load#1")
    server.kill_all()
    first, second = project.server(**airflow.environ), project.server(**airflow.environ)
    with api_of(first) as api, api_of(second) as other:
        project.open("load")
        run = ended(api, run_id)
        assert (run["state"], run["message"], run["attempt"]) == ("Completed", "2 tasks completed.", 1)
        steps = {each["key"]: (each["state"], each["attempt"]) for each in run["task_runs"]}
        assert steps == {"extract#1": ("Completed", 2), "load#1": ("Completed", 1)}
        assert project.ran() == ["extract", "extract", "load"]
        lines = Counter((line["step"], line["message"]) for line in other.get(f"/runs/{run_id}/logs").json()["items"])
        assert lines["extract#1", "extracted 4 rows"] == lines["load#1", "loading"] == 1
        assert max(lines.values()) == 1
        assert [each.dag_run_id for each in airflow.client.runs(_LONG_AGO, airflow.name)] == [dag_run_id(run_id)]
        forked = api.post(f"/runs/{run_id}/fork", json={"from_step": "load"}).json()
        assert ended(api, forked["id"])["state"] == "Completed"  # here, from what Airflow's tasks have left
        assert project.ran() == ["extract", "extract", "load", "load"]
        airflow.client.trigger(airflow.name, "by_hand", {"rows": 2})
        theirs = until(
            lambda: next((each for each in api.get("/runs").json()["items"] if each["cause"] == "engine"), None),
            "the run that was begun there",
        )
        run = ended(other, theirs["id"])
        assert (run["state"], run["deployment"], run["parameters"]) == ("Completed", airflow.name, {"rows": 2})
    for each in (first, second):
        assert each.end() == 0
        assert "Traceback" not in each.err


def test_cancelling_ends_the_processes_in_airflow(project: Place, airflow: Airflow) -> None:
    server = project.server(**airflow.environ)
    with api_of(server) as api:
        api.post("/workflows", json=airflow.workflow)
        run_id = api.post(f"/workflows/{airflow.name}/trigger", json={}).json()["id"]
        started(api, run_id, "load#1")
        until((project.folder / "load.pid").exists, "the process of load")
        pid = project.pid("load")
        cancelled = api.post(f"/runs/{run_id}/cancel", json={"reason": "enough"})
        assert cancelled.status_code == 200
        run = ended(api, run_id)
        assert run["state"] == "Cancelled"
        assert {each["key"]: each["state"] for each in run["task_runs"]} == {
            "extract#1": "Completed",
            "load#1": "Cancelled",
        }
        soon_gone(pid)
        assert airflow.client.run(airflow.name, dag_run_id(run_id)).state == "failed"
        assert api.delete(f"/workflows/{airflow.name}").status_code == 204
        until(lambda: not (airflow.dags / f"penstock_{airflow.name}.py").exists(), "the end of the DAG file")


def test_an_airflow_that_is_away_for_too_long_is_given_up_and_nothing_runs_on_there(
    project: Place, airflow: Airflow
) -> None:
    line = Line(airflow.host, airflow.port)
    given = {**airflow.environ, "AIRFLOW_API_URL": line.url, "PENSTOCK_ENGINE_PATIENCE_SECONDS": "1"}
    server = project.server(**given)
    with contextlib.closing(line), api_of(server) as api:
        api.post("/workflows", json=airflow.workflow)
        until(lambda: airflow.client.dag(airflow.name), "the DAG")
        run_id = api.post(f"/workflows/{airflow.name}/trigger", json={}).json()["id"]
        started(api, run_id, "load#1")
        until((project.folder / "load.pid").exists, "the process of load")
        pid = project.pid("load")
        line.cut = True
        run = ended(api, run_id)
        assert run["state"] == "Crashed"
        assert "cannot be reached" in run["message"]
        assert "It was waited for 1 s." in run["message"]
        said = [each["message"] for each in api.get(f"/runs/{run_id}/logs").json()["items"]]
        assert any("It is waited for, 1 s at most." in each for each in said)
        assert {each["key"]: each["state"] for each in run["task_runs"]} == {
            "extract#1": "Completed",
            "load#1": "Cancelled",
        }
        assert airflow.client.run(airflow.name, dag_run_id(run_id)).state == "running"
        line.cut = False
        soon_gone(pid)
        until(
            lambda: airflow.client.run(airflow.name, dag_run_id(run_id)).state == "failed", "the end of the run there"
        )
