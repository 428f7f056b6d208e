"""`penstock server`: the API, the scheduler and a worker as one process, stopped and killed."""

from __future__ import annotations

import itertools
import signal
import threading
from typing import Any

import httpx
import pytest
from tests.acceptance.duty_lab import Duty, Place, place
from tests.patience import until

pytestmark = pytest.mark.acceptance
__all__ = ["place"]

TASKS = """
import os
import time

def first(n):
    with open("ran.txt", "a") as file:
        file.write("first ")
    return n + 1

def second(n):
    with open("second.pid", "w") as file:
        file.write(str(os.getpid()))
    with open("ran.txt", "a") as file:
        file.write("second ")
    while not os.path.exists("second.go"):
        time.sleep(0.01)
    return n + 1
"""
STEPS = {
    "name": "steps",
    "parameters": {"n": 1},
    "tasks": [
        {"name": "first", "python_callable": "served_tasks:first", "params": {"n": {"$parameter": "n"}}},
        {"name": "second", "python_callable": "served_tasks:second", "params": {"n": {"$result": "first"}}},
    ],
}


def prepared(place: Place) -> None:
    place.declare('[tool.penstock.workflows]\nmodules = ["served_tasks"]\n')
    (place.folder / "served_tasks.py").write_text(TASKS)


def client(server: Duty) -> httpx.Client:
    return httpx.Client(base_url=f"{server.event('serving')['url']}/api/v1", timeout=60)


def ended(api: httpx.Client, run_id: str) -> Any:
    def look() -> Any:
        run = api.get(f"/runs/{run_id}").json()
        return run if run["ended_at"] is not None else None

    return until(look, f"the end of {run_id}")


def test_a_workflow_from_its_making_to_its_end(place: Place) -> None:
    prepared(place)
    server = place.server()
    with client(server) as api:
        url = server.event("serving")["url"]
        until(lambda: httpx.get(f"{url}/health/ready").json()["workers"]["count"] == 1, "the worker")
        assert api.post("/workflows", json=STEPS).status_code == 201
        place.open("second")
        run_id = api.post("/workflows/steps/trigger", json={"parameters": {"n": 5}}).json()["id"]
        run = ended(api, run_id)
        assert (run["state"], [each["key"] for each in run["task_runs"]]) == ("Completed", ["first#1", "second#1"])
        again = api.post(f"/runs/{run_id}/fork", json={"from_step": "second"}).json()
        assert ended(api, again["id"])["state"] == "Completed"
    assert place.ran() == ["first", "second", "second"]
    assert place.run(run_id)["flow"] == "steps"
    assert server.end() == 0
    assert "Traceback" not in server.err


def test_a_run_is_cancelled_by_request(place: Place) -> None:
    prepared(place)
    server = place.server()
    with client(server) as api:
        api.post("/workflows", json=STEPS)
        run_id = api.post("/workflows/steps/trigger").json()["id"]
        until((place.folder / "second.pid").exists, "the second step")
        stopped = api.post(f"/runs/{run_id}/cancel", json={"reason": "wrong day"}).json()
    assert stopped["state"] == "Cancelled"
    assert server.end() == 0


@pytest.mark.chaos
def test_a_server_that_is_killed_loses_nothing_that_it_acknowledged(place: Place) -> None:
    prepared(place)
    server = place.server()
    made: list[str] = []
    runs: dict[str, str] = {}

    def ask(worker: int) -> None:
        with client(server) as api:
            for number in itertools.count():
                name = f"w{worker}_{number}"
                try:
                    if api.post("/workflows", json={**STEPS, "name": name, "active": False}).status_code == 201:
                        made.append(name)
                    key = {"Idempotency-Key": name}
                    answer = api.post(f"/workflows/{name}/trigger", json={}, headers=key)
                    if answer.status_code == 201:
                        runs[name] = answer.json()["id"]
                except httpx.TransportError:
                    return

    threads = [threading.Thread(target=ask, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(runs) >= 12, "a dozen runs")
    server.kill()
    for thread in threads:
        thread.join(60)
    place.open("second")
    again = place.server()
    with client(again) as api:
        known = set()
        for page in itertools.count():
            items = api.get("/workflows", params={"skip": page * 500, "limit": 500}).json()["items"]
            known |= {each["name"] for each in items}
            if len(items) < 500:
                break
        assert set(made) <= known
        for name, run_id in runs.items():
            told = api.post(f"/workflows/{name}/trigger", json={}, headers={"Idempotency-Key": name}).json()
            assert told["id"] == run_id
        for run_id in list(runs.values())[:3]:
            assert ended(api, run_id)["state"] == "Completed"
    again.kill_all()


def test_mistakes(place: Place) -> None:
    prepared(place)
    server = place.server()
    port = server.event("serving")["url"].rpartition(":")[2]
    assert f"port {port} already" in place.cli.run("server", "start", "--port", port, code=2).err
    assert "nobody has to sign in" in place.cli.run("server", "start", "--host", "0.0.0.0", code=2).err
    place.declare('[tool.penstock.workflows]\nmodules = "served_tasks"\n')
    assert "no list of names of modules" in place.cli.run("server", "start", "--port", "0", code=2).err
    server.send(signal.SIGINT)
    assert server.end(None) == 0
