"""Automations over HTTP, and what they do about events that webhooks made."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.test_control_api import TestClient, problem

from penstock.app import Penstock, load_settings
from penstock.control.app import create_app
from penstock.core.calendar import ScheduleSpec
from penstock.core.deployments import Deployment, Schedule
from penstock.core.events import Append, Record, now_us
from penstock.core.model import RunFilter
from penstock.core.plans import stream_of
from penstock.core.sealed import ConnectionSaved
from penstock.engine.connections.http import HttpConnection
from penstock.engine.connections.secret import SecretConnection
from penstock.orchestrator.automations import Automations
from penstock.orchestrator.deployments import declare, trigger
from penstock.orchestrator.emitting import emit
from penstock.orchestrator.shelves import shelf_of

ON_PUSH = {
    "name": "on-push",
    "trigger": {"event": "git.push", "where": {"resource": "ann/*", "payload.by": "ann"}},
    "actions": [{"type": "run-deployment", "deployment": "checks", "parameters": {"who": "{payload.by}"}}],
}
HOOK = {
    "slug": "git",
    "signature": {"scheme": "none"},
    "mapping": {"event": "git.push", "resource": "{body.repo}", "payload": {"by": "{body.by}"}},
}


@pytest.fixture
def penstock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Penstock]:
    monkeypatch.chdir(tmp_path)
    found = Penstock(load_settings())
    with found.activate():
        declare(found.journal, Deployment(name="checks", flow="checks", entrypoint="flows.py:checks"))
        yield found
    found.close()


@pytest.fixture
def api(penstock: Penstock) -> Iterator[TestClient]:
    app = create_app(penstock)
    with TestClient(app, base_url="http://127.0.0.1:4300", raise_server_exceptions=False) as client:
        yield client


def made(api: TestClient, **changes: Any) -> dict[str, Any]:
    answer = api.post("/api/v1/automations", json={**ON_PUSH, **changes})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def settle(penstock: Penstock) -> None:
    Automations(penstock.journal, {}).settle()


def test_a_webhook_starts_a_run(api: TestClient, penstock: Penstock) -> None:
    made(api)
    assert api.post("/api/v1/webhooks", json=HOOK).status_code == 201
    for repo, by in (("ann/shop", "ann"), ("bob/shop", "ann"), ("ann/shop", "bob")):
        assert api.post("/hooks/git", json={"repo": repo, "by": by}).status_code == 202
    settle(penstock)
    (run,) = penstock.journal.runs(RunFilter(limit=10))
    assert (run.deployment, run.parameters, run.cause) == ("checks", {"who": "ann"}, "automation")
    (firing,) = api.get("/api/v1/automations/on-push/firings").json()["items"]
    assert (firing["facts"]["about"], firing["actions"][0]["state"]) == ("ann/shop", "done")
    assert firing["actions"][0]["facts"] == {"run": run.id}
    settle(penstock)
    assert len(penstock.journal.runs(RunFilter(limit=10))) == 1


def test_the_life_of_an_automation(api: TestClient) -> None:
    answer = api.post("/api/v1/automations", json=ON_PUSH)
    assert (answer.status_code, answer.headers["location"]) == (201, "/api/v1/automations/on-push")
    assert (answer.json()["paused"], answer.json()["fired_at"]) == (False, None)
    assert problem(api.post("/api/v1/automations", json=ON_PUSH), 409)["code"] == "automation-conflict"
    again = api.post("/api/v1/automations", json=ON_PUSH, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()) == (201, answer.json())
    other = {**ON_PUSH, "actions": [{"type": "notify", "message": "x"}]}
    problem(api.post("/api/v1/automations", json=other, headers={"Idempotency-Key": "k"}), 409)
    got = api.get("/api/v1/automations/on-push")
    assert got.json()["remembered"] == []
    tag = got.headers["etag"]
    assert api.get("/api/v1/automations/on-push", headers={"If-None-Match": tag}).status_code == 304
    change = {name: value for name, value in other.items() if name != "name"}
    changed = api.put("/api/v1/automations/on-push", json=change, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["actions"][0]["type"]) == (200, "notify")
    problem(api.put("/api/v1/automations/on-push", json=change, headers={"If-Match": tag}), 412)
    assert api.post("/api/v1/automations/on-push/pause").json()["paused"] is True
    assert api.put("/api/v1/automations/on-push", json={**change, "description": "d"}).json()["paused"] is True
    assert api.post("/api/v1/automations/on-push/resume").json()["paused"] is False
    made(api, name="another")
    listed = api.get("/api/v1/automations", params={"limit": 1, "skip": 1}).json()
    assert ([each["name"] for each in listed["items"]], listed["total"]) == (["on-push"], 2)
    problem(api.delete("/api/v1/automations/on-push", headers={"If-Match": tag}), 412)
    assert api.delete("/api/v1/automations/on-push").status_code == 204
    for path in ("on-push", "on-push/firings"):
        assert problem(api.get(f"/api/v1/automations/{path}"), 404)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"trigger": {}}, "trigger.event"),
        ({"trigger": {"event": "x", "count": 0}}, "trigger.count"),
        ({"trigger": {"event": "x", "colour": 1}}, "trigger.colour"),
        ({"trigger": {"schedule": "61 * * * *"}}, "trigger.schedule"),
        ({"trigger": {"schedule": "@daily", "event": "x"}}, "trigger.event"),
        ({"trigger": {"schedule": "@daily", "timezone": "Mars/Base"}}, "trigger.schedule"),
        ({"trigger": {"event": "x", "timezone": "Europe/Paris"}}, "trigger.timezone"),
        ({"actions": []}, "actions"),
        ({"actions": [{"type": "shell", "command": "id"}]}, "actions[0].type"),
        ({"actions": [{"type": "notify", "message": "x", "colour": 1}]}, "actions[0].colour"),
        ({"actions": [{"type": "call", "url": "file:///etc/passwd"}]}, "actions[0].url"),
        ({"actions": [{"type": "call", "url": "http://a.example/${HOME}"}]}, "actions[0].url"),
        (
            {"actions": [{"type": "call", "url": "http://a.example", "headers": {"X-A": "${HOME}"}}]},
            "actions[0].headers",
        ),
        ({"actions": [{"type": "call", "url": "http://a.example", "sign": "No/Name"}]}, "actions[0].sign"),
        ({"actions": [{"type": "change-state", "state": "Completed"}]}, "actions[0].state"),
        ({"folder": "/etc"}, "folder"),
        ({"name": "a/b"}, "name"),
    ],
    ids=range(17),
)
def test_mistakes_are_told_with_their_place(api: TestClient, change: dict[str, Any], field: str) -> None:
    found = problem(api.post("/api/v1/automations", json={**ON_PUSH, **change}), 422)
    assert field in [each["field"] for each in found["errors"]], found


def test_what_it_would_do_about_given_events(api: TestClient, penstock: Penstock) -> None:
    event = {"event": "git.push", "about": "ann/shop", "facts": {"by": "ann"}}
    asked = {"automation": ON_PUSH, "events": [event, {**event, "about": "bob/shop"}]}
    found = api.post("/api/v1/automations/test", json=asked).json()
    assert [each["outcome"] for each in found["events"]] == ["fires", "ignored"]
    assert (found["firings"], found["events"][0]["actions"][0]["parameters"]) == (1, {"who": "ann"})
    assert penstock.journal.automations() == []
    problem(api.post("/api/v1/automations/test", json={"automation": ON_PUSH}), 422)
    for wrong in ({"at": "x"}, {"event": "git.push", "at": "x"}, {"event": "git.push", "at": 10**30}, {"event": 1}):
        problem(api.post("/api/v1/automations/test", json={"automation": ON_PUSH, "events": [wrong]}), 422)


def test_what_it_would_have_done_about_the_past(api: TestClient, penstock: Penstock) -> None:
    for who in ("ann", "bob", "ann"):
        emit(penstock.journal, "git.push", "ann/shop", {"by": who})
    made(api)
    found = api.post("/api/v1/automations/on-push/test", json={"past": {"since": "2020-01-01T00:00:00Z"}}).json()
    assert [each["outcome"] for each in found["events"]] == ["fires", "ignored", "fires"]
    last = api.post("/api/v1/automations/on-push/test", json={"past": {"limit": 1}}).json()
    assert len(last["events"]) == 1
    none = api.post("/api/v1/automations/on-push/test", json={"past": {"until": "2020-01-01T00:00:00Z"}}).json()
    assert none == {"events": [], "firings": 0}
    problem(api.post("/api/v1/automations/on-push/test", json={"past": {"since": "2020-01-01T00:00:00"}}), 422)


def test_a_workflow_is_run_and_a_waiting_run_is_ended(api: TestClient, penstock: Penstock) -> None:
    waiting = trigger(penstock.journal, "checks", {})
    actions = [
        {"type": "run-workflow", "workflow": "checks", "parameters": {"n": "{facts.n}"}},
        {"type": "change-state", "run": "{facts.run}", "state": "Failed", "reason": "too late"},
    ]
    made(api, trigger={"event": "go"}, actions=actions)
    emit(penstock.journal, "go", None, {"n": 3, "run": waiting.id})
    settle(penstock)
    (firing,) = api.get("/api/v1/automations/on-push/firings").json()["items"]
    assert [each["state"] for each in firing["actions"]] == ["done", "done"], firing
    ended = penstock.journal.run(waiting.id)
    assert ended is not None
    assert (ended.state, ended.message) == ("Failed", "too late")
    started = penstock.journal.run(firing["actions"][0]["facts"]["run"])
    assert started is not None
    assert started.parameters == {"n": 3}


def test_a_schedule_fires_once_for_each_time(api: TestClient, penstock: Penstock) -> None:
    made(
        api, trigger={"schedule": "@hourly"}, actions=[{"type": "emit-event", "event": "tick", "facts": {"at": "{at}"}}]
    )
    hour = 3_600_000_000
    begun = now_us() // hour * hour
    automations = Automations(penstock.journal, {})
    for at in (begun + hour + 1, begun + hour + 2, begun + 2 * hour + 1, begun + 7 * hour + 1):
        automations.settle(at)
        Automations(penstock.journal, {}).settle(at)
    ticks = [e.event.facts["at"] for e in penstock.journal.read(0, 1000) if getattr(e.event, "name", "") == "tick"]
    hours = [(begun + n * hour) // 1_000_000 for n in (1, 2, 7)]
    stamps = [int(datetime.datetime.fromisoformat(each).timestamp()) for each in ticks]
    assert stamps == hours, "of those that were due meanwhile, the last one"


def test_deployments(api: TestClient, penstock: Penstock) -> None:
    daily = Schedule(name="daily", spec=ScheduleSpec.of("0 2 * * *"))
    declare(
        penstock.journal,
        Deployment(name="nightly", flow="load", entrypoint="flows.py:load", schedules=(daily,), tags=("etl",)),
    )
    listed = api.get("/api/v1/deployments", params={"tag": "etl"}).json()
    assert ([each["name"] for each in listed["items"]], listed["total"]) == (["nightly"], 1)
    due = api.get("/api/v1/deployments/nightly/due", params={"limit": 3}).json()
    assert len({each["at"] for each in due}) == 3
    assert api.post("/api/v1/deployments/nightly/pause", json={"schedule": "daily"}).json()["schedules"][0]["paused"]
    assert problem(api.post("/api/v1/deployments/nightly/pause", json={"schedule": "no"}), 404)
    assert api.post("/api/v1/deployments/nightly/resume", json={"schedule": "daily"}).json()["next_due"] is not None
    assert api.post("/api/v1/deployments/nightly/pause").json()["paused"] is True
    first, second = (
        api.post("/api/v1/deployments/nightly/run", json={"parameters": {"a": 1}}, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    )
    assert (first.status_code, first.json()["id"]) == (201, second.json()["id"])
    assert "nightly" not in problem(api.get("/api/v1/deployments/no"), 404)["detail"]


def test_what_there_is_to_look_at(api: TestClient, penstock: Penstock) -> None:
    trigger(penstock.journal, "checks", {})
    (pool,) = api.get("/api/v1/pools").json()
    assert (pool["name"], pool["waiting"], pool["workers"]) == ("default", 1, 0)
    assert api.get("/api/v1/pools/default").json() == pool
    problem(api.get("/api/v1/pools/no"), 404)
    for path in ("workers", "limits"):
        assert api.get(f"/api/v1/{path}").json() == []
    assert api.get("/api/v1/datasets").json()["total"] == 0
    problem(api.get("/api/v1/datasets/shop/orders"), 404)


@pytest.mark.parametrize("name", ["тревога", "警报", "€", "\u0430bc", "é", "a b?c#d", "..."])
def test_an_automation_is_where_its_answer_says(api: TestClient, name: str) -> None:
    actions = [{"type": "notify", "message": "x"}]
    made = api.post("/api/v1/automations", json={"name": name, "trigger": {"event": "zzz"}, "actions": actions})
    assert made.status_code == 201, made.text
    assert api.get(made.headers["Location"]).json()["name"] == name


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_that_is_another_place_in_an_address_is_refused(api: TestClient, name: str) -> None:
    body = {"name": name, "trigger": {"event": "zzz"}, "actions": [{"type": "notify", "message": "x"}]}
    assert "another place" in problem(api.post("/api/v1/automations", json=body), 422)["errors"][0]["message"]


def test_connections_keep_their_secrets(api: TestClient, penstock: Penstock) -> None:
    body = {"name": "git-hook", "type": "secret", "fields": {"value": "open sesame"}}
    answers = [api.post("/api/v1/connections", json=body)]
    assert (answers[0].status_code, answers[0].json()["fields"]) == (201, {"value": "***"})
    answers.append(problem(api.post("/api/v1/connections", json=body), 409))
    same = api.post("/api/v1/connections", json=body, headers={"Idempotency-Key": "k"})
    other = {**body, "fields": {"value": "another"}}
    assert same.status_code == 201
    problem(api.post("/api/v1/connections", json=other, headers={"Idempotency-Key": "k"}), 409)
    answers.append(api.get("/api/v1/connections/git-hook"))
    answers.append(api.get("/api/v1/connections"))
    tried = api.post("/api/v1/connections/git-hook/test")
    assert (tried.json()["ok"], tried.json()["told"]) == (True, "can be read")
    wrong = problem(api.post("/api/v1/connections", json={**body, "name": "x", "fields": {"valeu": "sesame"}}), 422)
    assert "sesame" not in json.dumps(wrong)
    problem(api.post("/api/v1/connections", json={**body, "name": "x", "type": "nothing"}), 422)
    assert (
        api.put("/api/v1/connections/git-hook", json={"type": "secret", "fields": {"value": "new"}}).status_code == 200
    )
    problem(api.put("/api/v1/connections/none", json={"type": "secret", "fields": {"value": "new"}}), 404)
    got = api.get("/api/v1/connections/git-hook").json()
    assert got["fields"] == {"value": "***"}
    assert api.put("/api/v1/connections/git-hook", json={"type": "secret", "fields": got["fields"]}).status_code == 200
    assert shelf_of(penstock).load("git-hook", SecretConnection).value.reveal() == "new", "as it was"
    for method, path, told in (
        ("POST", "", {"name": "masked", "type": "secret", "fields": {"value": "***"}}),
        ("POST", "", {"name": "masked", "type": "sql", "fields": {"url": "mysql://etl:***@host/db"}}),
        ("POST", "", {"name": "masked", "type": "postgres", "fields": {"url": "postgres://etl:***@host/db"}}),
        ("PUT", "/git-hook", {"type": "http", "fields": {"base_url": "https://x", "auth": "bearer", "token": "***"}}),
    ):
        refused = problem(api.request(method, f"/api/v1/connections{path}", json=told), 422)
        assert "how a secret is shown" in refused["errors"][0]["message"]
    assert api.delete("/api/v1/connections/git-hook").status_code == 204
    problem(api.get("/api/v1/connections/git-hook"), 404)
    assert all("sesame" not in str(getattr(each, "text", each)) for each in answers)
    assert "secret" in api.get("/api/v1/connections/types").json()


def test_a_masked_secret_does_not_go_where_it_was_not_given_for(api: TestClient, penstock: Penstock) -> None:
    fields = {"base_url": "https://here.example", "auth": "bearer", "token": "sesame"}
    path = "/api/v1/connections/shop"
    assert api.post(path.removesuffix("/shop"), json={"name": "shop", "type": "http", "fields": fields}).is_success
    shown = api.get(path).json()["fields"]
    assert shown["token"] == "***"
    assert api.put(path, json={"type": "http", "fields": shown}).status_code == 200
    elsewhere = {"type": "http", "fields": {**shown, "base_url": "https://mallory.example"}}
    refused = problem(api.put(path, json=elsewhere), 422)
    assert refused["errors"] == [
        {
            "field": "fields.token",
            "message": "give it again: something else changes, and a secret does not go where it was not given for",
        }
    ]
    kept = shelf_of(penstock).load("shop", HttpConnection)
    assert (kept.base_url, kept.token and kept.token.reveal()) == ("https://here.example", "sesame")


def test_a_connection_that_cannot_be_opened_is_put_anew(api: TestClient, penstock: Penstock) -> None:
    path, body = "/api/v1/connections/shop", {"type": "secret", "fields": {"value": "sesame"}}
    assert api.post(path.removesuffix("/shop"), json={"name": "shop", **body}).is_success
    (row,) = penstock.journal.connections("shop")
    damaged = msgspec.structs.replace(row, sealed=b"damaged", seq=row.seq + 1)
    told = ConnectionSaved(at=now_us(), name="shop", type="secret", key=row.key)
    stream = stream_of("connection", "shop")
    penstock.journal.keep_connection(Append(stream, row.seq, [Record(told)]), damaged)
    assert not api.get(path).is_success
    assert api.put(path, json=body).status_code == 200
    assert api.get(path).json()["fields"] == {"value": "***"}
