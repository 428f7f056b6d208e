"""Files sent to a real server: in a run, cut off by a kill, and in the log."""

from __future__ import annotations

import json
import os
import socket
from urllib.parse import urlsplit

import httpx
import pytest
from tests.acceptance.duty_lab import Duty, Place, place
from tests.patience import until

pytestmark = pytest.mark.acceptance
__all__ = ["place"]

TASKS = """
def size(path):
    with open(path, "rb") as file:
        return len(file.read())
"""


def prepared(place: Place) -> None:
    place.declare('[tool.penstock.workflows]\nmodules = ["file_tasks"]\n')
    (place.folder / "file_tasks.py").write_text(TASKS)


def client(server: Duty) -> httpx.Client:
    return httpx.Client(base_url=f"{server.event('serving')['url']}/api/v1", timeout=60)


def test_a_run_reads_what_was_sent(place: Place) -> None:
    prepared(place)
    server = place.server(PENSTOCK_LOG_FORMAT="json")
    content = os.urandom(3_000_000)
    with client(server) as api:
        sent = api.post("/files", files={"file": ("a.bin", content)}, headers={"X-Request-ID": "sent-1"}).json()
        tasks = [{"name": "size", "python_callable": "file_tasks:size", "params": {"path": {"$parameter": "source"}}}]
        spec = {"name": "sizes", "parameters": {"source": None}, "tasks": tasks}
        assert api.post("/workflows", json=spec).status_code == 201
        run_id = api.post("/workflows/sizes/trigger", json={"parameters": {"source": sent["parameter"]}}).json()["id"]
        assert until(lambda: api.get(f"/runs/{run_id}").json()["ended_at"], "the end of the run")
        run = api.get(f"/runs/{run_id}", params={"token": "secret"}).json()
        assert run["state"] == "Completed", run["message"]
        assert api.delete(f"/files/{sent['id']}").status_code == 204
        again = api.post(f"/runs/{run_id}/fork", json={"from_step": "size"}).json()
        assert until(lambda: api.get(f"/runs/{again['id']}").json()["ended_at"], "the end of the fork")
        assert api.get(f"/runs/{again['id']}").json()["state"] == "Completed"
    assert server.end() == 0
    lines = [json.loads(line) for line in server.err.splitlines() if not line.startswith("Stopping")]
    said = next(line for line in lines if line.get("request_id") == "sent-1" and line["logger"].endswith("access"))
    assert (said["method"], said["route"], said["status"]) == ("POST", "/api/v1/files", 201)
    assert "secret" not in server.err


@pytest.mark.chaos
def test_a_server_that_is_killed_in_the_middle_of_a_file_has_none(place: Place) -> None:
    prepared(place)
    server = place.server()
    with client(server) as api:
        whole = api.post("/files", content=b"whole").json()
    port = urlsplit(server.event("serving")["url"]).port or 0
    head = b"POST /api/v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 60) as sending:
        sending.sendall(head + b"x" * 4_000_000)
        until(lambda: [path for path in place.cli.home.rglob("*.part") if path.stat().st_size], "the first of it")
        server.kill()
    again = place.server()
    with client(again) as api:
        assert [each["id"] for each in api.get("/files").json()["items"]] == [whole["id"]]
        assert api.get(f"/files/{whole['id']}/content").content == b"whole"
    again.kill_all()
