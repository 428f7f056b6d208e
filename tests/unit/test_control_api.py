"""The API: workflows and runs over HTTP, and problems that say what is wrong."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.projects import inside

from penstock.app import Penstock
from penstock.control.app import create_app
from penstock.control.settings import ServerSettings
from penstock.core.model import Run

with warnings.catch_warnings():  # it would rather have another client
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

TASKS = """
from penstock import get_run_logger
from penstock.artifacts import create_markdown_artifact

def extract(rows=3):
    get_run_logger().info("extracting %d", rows)
    return {"rows": list(range(rows))}

def load(rows):
    create_markdown_artifact("# loaded", key="loaded")
    return len(rows)

def broken():
    raise ValueError("it broke")
"""
NIGHTLY = {
    "name": "nightly",
    "schedule": "@daily",
    "tags": ["etl"],
    "parameters": {"rows": 3},
    "tasks": [
        {"name": "extract", "python_callable": "api_tasks:extract", "params": {"rows": {"$parameter": "rows"}}},
        {"name": "load", "python_callable": "api_tasks:load", "params": {"rows": {"$result": "extract.rows"}}},
    ],
}


@pytest.fixture
def penstock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Penstock]:
    """An instance in a project whose tasks workflows may call."""
    with inside(tmp_path, monkeypatch, "api_tasks", TASKS) as found:
        yield found


@pytest.fixture
def api(penstock: Penstock) -> Iterator[TestClient]:
    with TestClient(
        create_app(penstock), base_url="http://127.0.0.1:4300/api/v1", raise_server_exceptions=False
    ) as client:
        yield client


def made(api: TestClient, **changes: Any) -> dict[str, Any]:
    answer = api.post("/workflows", json={**NIGHTLY, **changes})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def problem(answer: Any, status: int) -> dict[str, Any]:
    """What a problem says, and that it is one as it should be."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["detail"]
    return body


def run_here(penstock: Penstock, run_id: str) -> Run:
    penstock.resume(run_id, return_state=True)
    found = penstock.journal.run(run_id)
    assert found is not None
    return found


def test_a_workflow_is_made_and_got(api: TestClient) -> None:
    answer = api.post("/workflows", json=NIGHTLY)
    assert answer.status_code == 201
    assert answer.headers["location"] == "/api/v1/workflows/nightly"
    body = answer.json()
    assert (body["version"], body["active"], body["timezone"], body["description"]) == (1, True, "UTC", None)
    assert body["tasks"][1] == {
        "name": "load", "python_callable": "api_tasks:load", "params": {"rows": {"$result": "extract.rows"}},
        "dependencies": [], "retry_count": 0, "retry_delay": 0.0, "timeout": None, "engine": "local",
    }  # fmt: skip
    got = api.get("/workflows/nightly")
    assert got.json() == body
    assert got.headers["etag"] == answer.headers["etag"]
    assert api.get("/workflows/nightly", headers={"If-None-Match": got.headers["etag"]}).status_code == 304
    assert problem(api.get("/workflows/other"), 404)["code"] == "workflow-not-found"


def test_every_mistake_is_told_with_its_field(api: TestClient) -> None:
    wrong = {
        "name": "1st",
        "schedule": "61 * * * *",
        "tasks": [
            {"name": "a", "python_callable": "os:system", "dependencies": ["z"]},
            {"name": "a", "python_callable": "api_tasks:extract"},
        ],
    }
    found = {each["field"]: each["message"] for each in problem(api.post("/workflows", json=wrong), 422)["errors"]}
    assert set(found) == {
        "name", "schedule", "tasks[0].dependencies[0]", "tasks[1].name", "tasks[0].python_callable"
    }  # fmt: skip
    assert found["schedule"].endswith("61 * * * *\n^^")
    wrong = {**NIGHTLY, "tasks": [{"name": "a", "python_callable": "os:system", "params": {"command": "ls"}}]}
    (told,) = problem(api.post("/workflows", json=wrong), 422)["errors"]
    assert told["field"] == "tasks[0].python_callable"
    assert "is not on the list" in told["message"]
    assert api.get("/workflows").json()["total"] == 0
    assert problem(api.post("/workflows/validate", json=wrong), 422)["errors"] == [told]
    assert api.post("/workflows/validate", json=NIGHTLY).json() == {"valid": True}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[]", b"null", b'{"name": "a", "name": "b"}', b"[" * 50_000, b'"\\ud800"'],
    ids=range(8),
)
def test_bodies_that_are_none(api: TestClient, body: bytes) -> None:
    problem(api.post("/workflows", content=body), 422)
    assert api.post("/workflows/nightly/clone", content=body).status_code in (400, 422)
    problem(api.put("/workflows/nightly", content=body), 422)


def test_pages_of_workflows(api: TestClient) -> None:
    for number in range(5):
        made(api, name=f"w{number}", tags=[f"t{number % 2}"], active=number != 3)
    page = api.get("/workflows?skip=1&limit=2").json()
    assert ([each["name"] for each in page["items"]], page["total"], page["skip"]) == (["w1", "w2"], 5, 1)
    names, cursor = [], ""
    while cursor is not None:
        page = api.get("/workflows", params={"limit": 2, "cursor": cursor}).json()
        names += [each["name"] for each in page["items"]]
        cursor = page["next"]
    assert names == [f"w{number}" for number in range(5)]
    assert [each["name"] for each in api.get("/workflows?tag=t1").json()["items"]] == ["w1", "w3"]
    assert [each["name"] for each in api.get("/workflows?active=false").json()["items"]] == ["w3"]
    assert api.get("/workflows?text=4").json()["total"] == 1
    for wrong in ("limit=0", "limit=501", "skip=-1", "limit=x", "active=perhaps", f"skip={10**30}"):
        (told,) = problem(api.get(f"/workflows?{wrong}"), 422)["errors"]
        assert told["field"] == f"query.{wrong.partition('=')[0]}"


def test_a_change_is_meant_for_what_was_got(api: TestClient) -> None:
    made(api)
    tag = api.get("/workflows/nightly").headers["etag"]
    changed = {**NIGHTLY, "description": "ours"}
    answer = api.put("/workflows/nightly", json=changed, headers={"If-Match": tag})
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert answer.headers["etag"] != tag
    problem(api.put("/workflows/nightly", json=NIGHTLY, headers={"If-Match": tag}), 412)
    problem(api.delete("/workflows/nightly", headers={"If-Match": tag}), 412)
    problem(api.put("/workflows/nightly", json={**NIGHTLY, "name": "other"}), 409)
    assert api.post("/workflows/nightly/disable").json()["active"] is False
    problem(api.put("/workflows/nightly", json=changed, headers={"If-Match": answer.headers["etag"]}), 412)
    assert api.delete("/workflows/nightly", headers={"If-Match": "*"}).status_code == 204
    problem(api.get("/workflows/nightly"), 404)


def test_what_was_got_can_be_put_back(api: TestClient) -> None:
    got = made(api)
    assert api.put("/workflows/nightly", json=got).json() == got, "nothing was changed, so there is no other version"
    changed = api.put("/workflows/nightly", json={**got, "description": "at night"}).json()
    assert (changed["version"], changed["description"]) == (2, "at night")
    told = problem(api.put("/workflows/nightly", json={**got, "next_dew": None}), 422)
    assert [each["field"] for each in told["errors"]] == ["next_dew"]


def test_a_change_that_does_not_say_active_leaves_it_as_it_is(api: TestClient) -> None:
    made(api)
    api.post("/workflows/nightly/disable")
    assert api.put("/workflows/nightly", json={**NIGHTLY, "description": "rests"}).json()["active"] is False
    assert api.put("/workflows/nightly", json={**NIGHTLY, "active": True}).json()["active"] is True
    assert api.put("/workflows/nightly", json={**NIGHTLY, "description": "goes on"}).json()["active"] is True


def test_versions_and_rollback(api: TestClient) -> None:
    made(api)
    api.put("/workflows/nightly", json={**NIGHTLY, "schedule": None})
    assert api.get("/workflows/nightly").json()["next_due"] is None
    back = api.post("/workflows/nightly/rollback", json={"version": 1}).json()
    assert (back["version"], back["schedule"]) == (3, "@daily")
    told = [(each["version"], each["restores"], each["by"]) for each in api.get("/workflows/nightly/versions").json()]
    assert told == [(3, 1, "local"), (2, None, "local"), (1, None, "local")]
    assert api.get("/workflows/nightly/versions/2").json()["name"] == "nightly"
    problem(api.get("/workflows/nightly/versions/9"), 404)
    problem(api.post("/workflows/nightly/rollback", json={"version": 9}), 404)
    (field,) = problem(api.post("/workflows/nightly/rollback", json={"version": "1"}), 422)["errors"]
    assert field["field"] == "version"


def test_clone_export_and_import(api: TestClient) -> None:
    made(api)
    clone = api.post("/workflows/nightly/clone", json={"name": "copied"})
    assert (clone.status_code, clone.json()["active"], clone.json()["next_due"]) == (201, False, None)
    problem(api.post("/workflows/nightly/clone", json={"name": "copied"}), 409)
    problem(api.post("/workflows/nightly/clone", json={"name": "copied", "x": 1}), 422)
    text = api.get("/workflows/nightly/export")
    assert text.headers["content-type"].startswith("application/yaml")
    assert api.delete("/workflows/nightly").status_code == 204
    headers = {"Content-Type": "application/yaml"}
    again = api.post("/workflows/import", content=text.content, headers=headers)
    assert (again.status_code, again.json()["version"]) == (200, 2)
    problem(api.post("/workflows/import", content=text.content, headers=headers), 409)
    same = api.post("/workflows/import?replace=true", content=text.content, headers=headers)
    assert same.json()["version"] == 2
    exported = api.get("/workflows/nightly/export?format=json")
    assert json.loads(exported.content) == NIGHTLY
    assert api.get("/workflows/nightly/export?version=1").content == text.content


def test_a_run_is_triggered_executed_and_read(api: TestClient, penstock: Penstock) -> None:
    made(api)
    answer = api.post("/workflows/nightly/trigger", json={"parameters": {"rows": 2}, "run_name": "by hand"})
    assert answer.status_code == 201
    run = answer.json()
    assert (run["state"], run["name"], run["parameters"]) == ("Scheduled", "by hand", {"rows": 2})
    run_here(penstock, run["id"])
    got = api.get(answer.headers["location"].removeprefix("/api/v1")).json()
    assert (got["state"], got["flow"], got["deployment"], got["cause"]) == ("Completed", "nightly", "nightly", "api")
    assert [(each["name"], each["state"]) for each in got["task_runs"]] == [
        ("extract", "Completed"), ("load", "Completed")
    ]  # fmt: skip
    assert all(each["duration_seconds"] is not None for each in got["task_runs"])
    lines = api.get(f"/runs/{run['id']}/logs").json()
    assert "extracting 2" in [each["message"] for each in lines["items"]]
    assert lines["next"] is None
    (artifact,) = api.get(f"/runs/{run['id']}/artifacts").json()["items"]
    assert (artifact["key"], artifact["type"]) == ("loaded", "markdown")
    planned = api.post("/workflows/nightly/dry-run", json={"parameters": {"rows": 9}}).json()
    assert planned["parameters"] == {"rows": 9}
    assert [(each["name"], each["after"]) for each in planned["tasks"]] == [("extract", []), ("load", ["extract"])]
    problem(api.post("/workflows/nightly/trigger", json={"parameters": {"row": 1}}), 422)
    problem(api.post("/workflows/nightly/dry-run", json={"parameters": {"row": 1}}), 422)


UNKEEPABLE = ["NaN", "1e999", '"\\ud800"', '"\\u0000"', "9" * 30, "[" * 60 + "]" * 60, '{"\\u0000": 1}']


@pytest.mark.parametrize("value", UNKEEPABLE, ids=range(7))
def test_parameters_that_cannot_be_kept(api: TestClient, value: str) -> None:
    made(api)
    answer = api.post("/workflows/nightly/trigger", content=f'{{"parameters": {{"rows": {value}}}}}')
    assert problem(answer, 422)["errors"][0]["field"].startswith("body.parameters.rows")
    assert api.get("/runs").json()["items"] == []


def test_one_key_makes_one_thing(api: TestClient, penstock: Penstock) -> None:
    headers = {"Idempotency-Key": "k 1"}
    first = api.post("/workflows", json=NIGHTLY, headers=headers)
    again = api.post("/workflows", json=NIGHTLY, headers=headers)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    problem(api.post("/workflows", json={**NIGHTLY, "schedule": None}, headers=headers), 409)
    problem(api.post("/workflows", json=NIGHTLY, headers={"Idempotency-Key": "k 2"}), 409)
    body = {"parameters": {"rows": 2}}
    ids = {api.post("/workflows/nightly/trigger", json=body, headers=headers).json()["id"] for _ in range(3)}
    assert len(ids) == 1
    assert len(api.get("/runs").json()["items"]) == 1
    problem(api.post("/workflows/nightly/trigger", json={"parameters": {"rows": 3}}, headers=headers), 422)
    for key in ("a/b", "x" * 256):
        problem(api.post("/workflows/nightly/trigger", headers={"Idempotency-Key": key}), 400)


def test_what_was_deleted_is_not_made_again_by_its_key(api: TestClient) -> None:
    for key in ("first", "second"):
        assert api.post("/workflows", json=NIGHTLY, headers={"Idempotency-Key": key}).status_code == 201
        assert api.delete("/workflows/nightly").status_code == 204
    for key in ("first", "second"):
        told = problem(api.post("/workflows", json=NIGHTLY, headers={"Idempotency-Key": key}), 409)
        assert (told["detail"], told["hint"]) == (
            "The workflow that this key has made was deleted.",
            "give another key",
        )
    assert api.get("/workflows").json()["total"] == 0
    made = api.post("/workflows", json=NIGHTLY, headers={"Idempotency-Key": "third"}).json()
    assert made["version"] == 3


def test_a_list_of_runs(api: TestClient, penstock: Penstock) -> None:
    made(api)
    made(api, name="other", tags=[])
    ids = [api.post(f"/workflows/{name}/trigger").json()["id"] for name in ("nightly", "other", "nightly")]
    run_here(penstock, ids[0])
    listed = api.get("/runs", params={"limit": 2}).json()
    assert [each["id"] for each in listed["items"]] == ids[:0:-1]
    assert [each["id"] for each in api.get("/runs", params={"cursor": listed["next"]}).json()["items"]] == ids[:1]
    for wanted, found in {
        "workflow=other": ids[1:2], "state=Completed": ids[:1], "tag=etl&state=Scheduled": ids[2:],
        "flow=nope": [], "since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z": [],
    }.items():  # fmt: skip
        assert [each["id"] for each in api.get(f"/runs?{wanted}").json()["items"]] == found
    for wrong in ("state=Done", "since=yesterday", "since=2020-01-01T00:00:00", "limit=0"):
        assert problem(api.get(f"/runs?{wrong}"), 422)["errors"][0]["field"] == f"query.{wrong.partition('=')[0]}"
    problem(api.get("/runs/nope"), 404)
    problem(api.get(f"/runs/{ids[0][:8]}"), 404)


def test_resume_fork_cancel_and_delete(api: TestClient, penstock: Penstock) -> None:
    made(api, tasks=[*NIGHTLY["tasks"], {"name": "bad", "python_callable": "api_tasks:broken"}])  # type: ignore[misc]
    run_id = api.post("/workflows/nightly/trigger").json()["id"]
    problem(api.post(f"/runs/{run_id}/resume"), 409)
    assert run_here(penstock, run_id).state == "Failed"
    again = api.post(f"/runs/{run_id}/resume")
    assert (again.status_code, again.json()["state"], again.json()["origin_id"]) == (201, "Scheduled", run_id)
    assert run_here(penstock, again.json()["id"]).state == "Failed"
    keys = {each["key"]: each["attempt"] for each in api.get(f"/runs/{again.json()['id']}").json()["task_runs"]}
    assert keys == {"extract#1": 1, "bad#1": 1, "load#1": 1}
    forked = api.post(f"/runs/{run_id}/fork", json={"from_step": "load"})
    assert (forked.status_code, forked.json()["origin"]) == (201, "fork")
    assert "no step 'nope'" in problem(api.post(f"/runs/{run_id}/fork", json={"from_step": "nope"}), 409)["detail"]
    stopped = api.post(f"/runs/{forked.json()['id']}/cancel", json={"reason": "wrong day", "grace_seconds": 0})
    assert (stopped.json()["state"], stopped.json()["message"]) == ("Cancelled", "wrong day")
    problem(api.post(f"/runs/{run_id}/cancel"), 409)
    assert api.delete(f"/runs/{run_id}").status_code == 204
    problem(api.delete(f"/runs/{run_id}"), 404)


def test_how_often_the_journal_is_asked_does_not_grow(
    api: TestClient, penstock: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [{"name": f"t{n}", "python_callable": "api_tasks:extract"} for n in range(40)]
    for number in range(30):
        made(api, name=f"w{number}", tasks=many)
    run_id = api.post("/workflows/w0/trigger").json()["id"]
    run_here(penstock, run_id)
    asked: list[str] = []
    journal: Any = penstock.journal
    fetch = journal._fetch
    monkeypatch.setattr(journal, "_fetch", lambda sql, *values: (asked.append(sql), fetch(sql, *values))[1])
    for path, most in {"/workflows": 2, "/workflows/w1": 1, "/runs": 1, f"/runs/{run_id}": 2}.items():
        asked.clear()
        assert api.get(path).status_code == 200
        assert len(asked) <= most, f"{path}: {asked}"
    assert len(api.get(f"/runs/{run_id}").json()["task_runs"]) == 40


def test_health(api: TestClient, penstock: Penstock, monkeypatch: pytest.MonkeyPatch) -> None:
    live, ready = "http://127.0.0.1:4300/health/live", "http://127.0.0.1:4300/health/ready"
    assert api.get(live).json() == {"status": "ok"}
    told = api.get(ready).json()
    assert (told["status"], told["journal"]["status"], told["workers"]) == ("ok", "ok", {"status": "none", "count": 0})
    penstock.close()
    down = api.get(ready)
    assert (down.status_code, down.json()["status"]) == (503, "down")
    assert api.get(live).status_code == 200


def test_requests_have_ids_and_limits(penstock: Penstock) -> None:
    settings = ServerSettings(max_body_bytes=100, cors_origins=("https://ops.example",))
    with TestClient(create_app(penstock, settings), base_url="http://127.0.0.1:4300") as api:
        assert api.get("/health/live", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"
        assert len(api.get("/health/live", headers={"X-Request-ID": 'a b"<>'}).headers["x-request-id"]) == 32
        problem(api.post("/api/v1/workflows", content=b"x" * 101), 413)
        problem(api.post("/api/v1/workflows", content=iter([b"x" * 60] * 2)), 413)
        problem(api.get("/api/v1/workflows/a%00b"), 400)
        problem(api.get("/api/v1/workflows?text=%00"), 400)
        problem(api.get("/nowhere"), 404)
        problem(api.patch("/api/v1/workflows"), 405)
        allowed = api.get("/health/live", headers={"Origin": "https://ops.example"})
        assert allowed.headers["access-control-allow-origin"] == "https://ops.example"
        other = api.get("/health/live", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


def test_pages_of_other_origins_change_nothing(api: TestClient) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1:9999"):
        problem(api.post("/workflows", json=NIGHTLY, headers={"Origin": origin}), 403)
        assert api.get("/workflows", headers={"Origin": origin}).status_code == 200
    problem(api.get("/workflows", headers={"Host": "evil.example"}), 403)
    assert api.post("/workflows", json=NIGHTLY, headers={"Origin": "http://127.0.0.1:4300"}).status_code == 201


def test_long_answers_are_packed(api: TestClient) -> None:
    for number in range(10):
        made(api, name=f"w{number}")
    packed = api.get("/workflows", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json()["total"] == 10


def test_a_mistake_of_ours_tells_nothing_of_itself(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("secret inner workings")

    monkeypatch.setattr("penstock.control.runs.found", broken)
    told = api.get("/runs/x")
    assert told.status_code == 500
    assert "secret" not in told.text
    assert told.json()["code"] == "internal"
    assert told.json()["request_id"] == told.headers["x-request-id"]
    assert told.headers["x-content-type-options"] == "nosniff"
    asked = 'method="GET",route="/api/v1/runs/{run_id}",status="500"'
    metrics = api.get("http://127.0.0.1:4300/metrics").text
    assert f"penstock_http_request_duration_seconds_count{{{asked}}}" in metrics


def test_the_description_is_whole(api: TestClient) -> None:
    described = api.get("/openapi.json").json()
    text = json.dumps(described)
    names = described["components"]["schemas"]
    wanted = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert wanted <= set(names)
    body = described["paths"]["/api/v1/workflows"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "application/yaml"}
    for path, routes in described["paths"].items():
        for method, route in routes.items():
            assert route.get("description") or route.get("summary"), f"{method} {path}"
