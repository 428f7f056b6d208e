"""Webhooks over HTTP: what is sent to them, and how they are made, changed, tried and looked at."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.test_control_api import TestClient, problem

from penstock.app import Penstock, load_settings
from penstock.control.app import create_app
from penstock.control.settings import ServerSettings
from penstock.core.plans import Happened
from penstock.engine.connections.secret import SecretConnection

SECRET = "open sesame"
TEMPLATE = """{
  "event": "git.{{ headers["x-github-event"] }}",
  "resource": "{{ body.repository.full_name }}",
  "payload": {"by": "{{ body.sender.login }}"}
}"""
GIT = {
    "slug": "git",
    "signature": {"scheme": "github"},
    "secrets": [{"connection": "git-hook"}],
    "template": TEMPLATE,
}
OPEN = {"slug": "open", "signature": {"scheme": "none"}}
PUSH = {"repository": {"full_name": "ann/shop"}, "sender": {"login": "ann"}}


@pytest.fixture
def penstock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Penstock]:
    monkeypatch.chdir(tmp_path)
    found = Penstock(load_settings())
    with found.activate():
        SecretConnection(value=SECRET).save("git-hook")
        yield found
    found.close()


@pytest.fixture
def server(penstock: Penstock) -> Iterator[TestClient]:
    with TestClient(create_app(penstock), base_url="http://127.0.0.1:4300", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def git(server: TestClient) -> TestClient:
    answer = server.post("/api/v1/webhooks", json=GIT)
    assert answer.status_code == 201, answer.text
    return server


def push(
    client: TestClient, delivery: str = "d1", *, secret: str = SECRET, event: str = "push", body: Any = PUSH
) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    mac = hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-Hub-Signature-256": f"sha256={mac}",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery,
    }
    return client.post("/hooks/git", content=data, headers=headers)


def events_of(penstock: Penstock) -> list[Happened]:
    return [each.event for each in penstock.journal.read(0, 10_000) if isinstance(each.event, Happened)]


def test_a_signed_push_becomes_an_event(git: TestClient, penstock: Penstock) -> None:
    answer = push(git)
    assert (answer.status_code, answer.json()["status"], answer.json()["events"]) == (202, "accepted", 1)
    again = push(git)
    assert (again.status_code, again.json()["status"]) == (200, "duplicate")
    (event,) = events_of(penstock)
    assert (event.name, event.about, event.facts) == ("git.push", "ann/shop", {"by": "ann"})
    (delivery,) = git.get("/api/v1/deliveries").json()["items"]
    assert (delivery["id"], delivery["webhook"], delivery["delivery"]) == (answer.json()["id"], "git", "d1")
    assert delivery["address"] == "testclient"


def test_a_stranger_hears_nothing_of_use(git: TestClient, penstock: Penstock) -> None:
    forged = problem(push(git, secret="guessed"), 401)
    unsigned = problem(git.post("/hooks/git", json=PUSH), 401)
    assert {**forged, "request_id": 0} == {**unsigned, "request_id": 0}
    assert problem(git.post("/hooks/No-Slug"), 404)["detail"] == problem(git.post("/hooks/nothing"), 404)["detail"]
    assert git.post("/api/v1/webhooks/git/disable").json()["active"] is False
    off, unknown = problem(push(git), 404), problem(git.post("/hooks/nothing"), 404)
    assert {**off, "request_id": 0} == {**unknown, "request_id": 0}
    assert events_of(penstock) == []
    reasons = [each["reason"] for each in git.get("/api/v1/deliveries", params={"status": "refused"}).json()["items"]]
    assert reasons == ["signature", "signature"]


def test_what_a_sender_has_done_wrong_is_told(git: TestClient) -> None:
    assert "no JSON" in problem(push(git, body=b"{"), 400)["detail"]
    failed = problem(push(git, "d2", body={"sender": 1}), 422)
    assert (failed["code"], "body.repository" in failed["detail"]) == ("template", False)
    assert problem(git.put("/hooks/git", json=PUSH), 405)["code"] == "method"
    assert problem(push(git, "d3", body=b'"' + b"x" * 1_000_001 + b'"'), 413)["code"] == "too-large"


def test_other_methods_and_challenges(server: TestClient) -> None:
    server.post("/api/v1/webhooks", json={**OPEN, "methods": ["GET", "PUT"]})
    assert server.get("/hooks/open", params={"a": "1"}).status_code == 202
    assert server.put("/hooks/open", content=b"x").status_code == 202
    assert server.post("/hooks/open").status_code == 405


def test_slack_is_answered_what_it_asks(server: TestClient) -> None:
    server.post("/api/v1/webhooks", json={"slug": "chat", "signature": {"scheme": "slack"}, "secrets": GIT["secrets"]})
    body = b'{"type": "url_verification", "challenge": "<b>3eZb</b>"}'
    at = str(int(time.time()))
    mac = hmac.new(SECRET.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={mac}", "Content-Type": "application/json"}
    answer = server.post("/hooks/chat", content=body, headers=headers)
    assert (answer.status_code, answer.text) == (200, "<b>3eZb</b>")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_change_counts_at_once(git: TestClient, penstock: Penstock) -> None:
    assert push(git, "d1").status_code == 202
    SecretConnection(value="another").save("git-hook", overwrite=True)
    assert push(git, "d2").status_code == 401
    assert push(git, "d3", secret="another").status_code == 202
    tag = git.get("/api/v1/webhooks/git").headers["etag"]
    change = {name: value for name, value in GIT.items() if name != "slug"} | {
        "template": None,
        "mapping": {"event": "a"},
    }
    assert git.put("/api/v1/webhooks/git", json=change, headers={"If-Match": tag}).status_code == 200
    assert push(git, "d4", secret="another").status_code == 202
    assert events_of(penstock)[-1].name == "a"
    problem(git.put("/api/v1/webhooks/git", json=change, headers={"If-Match": tag}), 412)
    assert git.post("/api/v1/webhooks/git/disable").json()["active"] is False
    assert git.put("/api/v1/webhooks/git", json=change).json()["active"] is False, "it is not switched on by the way"
    assert push(git, "d5", secret="another").status_code == 404
    assert git.put("/api/v1/webhooks/git", json={**change, "active": True}).json()["active"] is True
    assert push(git, "d5", secret="another").status_code == 202
    assert git.delete("/api/v1/webhooks/git").status_code == 204
    assert push(git, "d5", secret="another").status_code == 404
    SecretConnection(value="third").save("git-hook", overwrite=True)
    assert git.post("/api/v1/webhooks", json=GIT).status_code == 201
    assert push(git, "d6", secret="third").status_code == 202


def test_a_secret_of_the_environment(git: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert push(git, "d1").status_code == 202
    monkeypatch.setenv("PENSTOCK_CONNECTION_GIT_HOOK", '{"type": "secret", "value": "of the environment"}')
    assert push(git, "d2").status_code == 401
    assert push(git, "d3", secret="of the environment").status_code == 202
    monkeypatch.setenv("PENSTOCK_CONNECTION_GIT_HOOK", "{")
    assert problem(push(git, "d4"), 503)["code"] == "secrets"


def test_a_mistake_of_ours_tells_a_sender_nothing_of_itself(git: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("secret inner workings")

    monkeypatch.setattr("penstock.control.webhooks.intake.decide", broken)
    told = git.post("/hooks/git", content=b"{}")
    assert told.status_code == 500
    assert "secret" not in told.text
    assert told.json()["request_id"] == told.headers["x-request-id"]


def test_rates(server: TestClient) -> None:
    server.post("/api/v1/webhooks", json={**OPEN, "per_second_each": 0.001, "burst": 2})
    assert [server.post("/hooks/open").status_code for _ in range(3)] == [202, 202, 429]
    server.post("/api/v1/webhooks", json={**OPEN, "slug": "all", "per_second": 0.001, "burst": 2})
    assert [server.post("/hooks/all").status_code for _ in range(3)] == [202, 202, 429]
    refused = server.post("/hooks/all")
    assert refused.headers["retry-after"] == "1"


def test_a_flood_of_refused_requests_is_recorded_in_part(git: TestClient, penstock: Penstock) -> None:
    began = time.monotonic()
    for number in range(130):
        assert push(git, f"d{number}", secret="wrong").status_code == 401
    seconds = time.monotonic() - began
    recorded = len(penstock.journal.deliveries(limit=1000))
    assert 100 <= recorded <= 101 + seconds, "100 at once, and one a second"


def test_the_life_of_a_webhook(server: TestClient) -> None:
    made = server.post("/api/v1/webhooks", json=GIT)
    assert (made.status_code, made.headers["location"]) == (201, "/api/v1/webhooks/git")
    body = made.json()
    assert (body["path"], body["active"], body["most_bytes"], body["schema"]) == ("/hooks/git", True, 1_000_000, None)
    assert SECRET not in made.text
    assert problem(server.post("/api/v1/webhooks", json=GIT), 409)["code"] == "webhook-conflict"
    again = server.post("/api/v1/webhooks", json=GIT, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()) == (201, body)
    got = server.get("/api/v1/webhooks/git")
    assert got.json() == body
    assert server.get("/api/v1/webhooks/git", headers={"If-None-Match": got.headers["etag"]}).status_code == 304
    for change in ({"most_bytes": 5_000_000}, {"most_bytes": 30_000_000}):
        asked = [server.post("/api/v1/webhooks", json={**GIT, **change, "slug": "large"})]
        asked.append(
            server.put("/api/v1/webhooks/git", json={**{k: v for k, v in GIT.items() if k != "slug"}, **change})
        )
        for answer in asked:
            assert [each["field"] for each in problem(answer, 422)["errors"]] == ["most_bytes"]
    server.post("/api/v1/webhooks", json=OPEN)
    listed = server.get("/api/v1/webhooks", params={"limit": 1}).json()
    assert ([each["slug"] for each in listed["items"]], listed["total"]) == (["git"], 2)
    listed = server.get("/api/v1/webhooks", params={"text": "op", "active": True}).json()
    assert [each["slug"] for each in listed["items"]] == ["open"]
    assert problem(server.get("/api/v1/webhooks/other"), 404)["code"] == "webhook-not-found"
    problem(server.delete("/api/v1/webhooks/git", headers={"If-Match": '"x"'}), 412)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"slug": "No/Slug"}, "slug"),
        ({"signature": {"scheme": "x"}}, "signature.scheme"),
        ({"signature": {"scheme": "github", "colour": 1}}, "signature.colour"),
        ({"secrets": []}, "secrets"),
        ({"secrets": [{"connection": "s", "since": "yesterday"}]}, "secrets[0].since"),
        ({"template": "{{ os }}"}, "template"),
        ({"schema": {"$ref": "#/nowhere"}}, "schema"),
        ({"schema": {"$ref": "https://example.com/schema"}}, "schema"),
        ({"schema": {"pattern": "(?=a)"}}, "schema"),
        ({"methods": ["BREW"]}, "methods[0]"),
        ({"methods": []}, "methods"),
        ({"per_second_each": 0}, "per_second_each"),
        ({"owner": "me"}, "owner"),
    ],
    ids=range(13),
)
def test_mistakes_are_told_with_their_place(server: TestClient, change: dict[str, Any], field: str) -> None:
    found = problem(server.post("/api/v1/webhooks", json={**GIT, **change}), 422)
    assert field in [each["field"] for each in found["errors"]], found


def test_a_hostile_pattern_takes_no_time(server: TestClient) -> None:
    schema = {"pattern": "^(a+)+$", "patternProperties": {"^(a+)+$": {}}, "additionalProperties": False}
    server.post("/api/v1/webhooks", json={**OPEN, "schema": schema})
    evil = "a" * 50_000 + "!"
    assert server.post("/hooks/open", json=evil).status_code == 422
    assert server.post("/hooks/open", json={evil: 1}).status_code == 422


def test_a_dry_run_stores_nothing(git: TestClient, penstock: Penstock) -> None:
    head = penstock.journal.head()
    sample = {"headers": {"X-GitHub-Event": "push"}, "body": PUSH}
    found = git.post("/api/v1/webhooks/git/dry-run", json=sample).json()
    assert found["accepted"] is True
    assert found["events"] == [{"event": "git.push", "resource": "ann/shop", "payload": {"by": "ann"}}]
    signed = git.post("/api/v1/webhooks/git/dry-run", json={**sample, "signed": True}).json()
    assert (signed["accepted"], signed["refused"]["reason"], len(signed["events"])) == (False, "signature", 1)
    broken = git.post("/api/v1/webhooks/git/dry-run", json={"body": "text"}).json()
    assert broken["failed"]["reason"] == "template"
    assert penstock.journal.head() == head


def test_deliveries_are_looked_at_and_delivered_again(git: TestClient, penstock: Penstock) -> None:
    ok, failed = push(git, "d1").json()["id"], push(git, "d2", body={"sender": 1})
    assert failed.status_code == 422
    page = git.get("/api/v1/deliveries", params={"limit": 1}).json()
    (broken,) = page["items"]
    assert (broken["status"], broken["reason"]) == ("failed", "template")
    rest = git.get("/api/v1/deliveries", params={"cursor": page["next"], "webhook": "git"}).json()
    assert [each["id"] for each in rest["items"]] == [ok]
    whole = git.get(f"/api/v1/deliveries/{ok}").json()
    assert (json.loads(whole["request"]["body"]), whole["events"][0]["event"]) == (PUSH, "git.push")
    assert problem(git.get(f"/api/v1/deliveries/{ok[5:]}"), 404)["code"] == "delivery-not-found"
    problem(git.get("/api/v1/deliveries", params={"status": "lost"}), 422)
    git.put("/api/v1/webhooks/git", json={"signature": {"scheme": "github"}, "secrets": GIT["secrets"]})
    again = git.post(f"/api/v1/deliveries/{broken['id']}/redeliver").json()
    assert (again["status"], again["events"][0]["event"]) == ("accepted", "webhook.git")
    assert git.post(f"/api/v1/deliveries/{broken['id']}/redeliver").json()["status"] == "duplicate"
    assert [event.name for event in events_of(penstock)] == ["git.push", "webhook.git"]


def test_addresses_of_proxies_are_checked() -> None:
    from penstock.control.settings import load_server_settings
    from penstock.core.errors import ConfigurationError

    assert ServerSettings().trusted_proxies == ()
    found = load_server_settings({"PENSTOCK_SERVER_TRUSTED_PROXIES": "10.0.0.0/8, ::1"})
    assert found.trusted_proxies == ("10.0.0.0/8", "::1")
    with pytest.raises(ConfigurationError, match="no address and no network"):
        load_server_settings({"PENSTOCK_SERVER_TRUSTED_PROXIES": "everybody"})
