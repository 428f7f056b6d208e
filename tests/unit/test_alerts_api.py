"""`/api/v1/alerts` and `/api/v1/silences`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.ports import nobody
from tests.unit.alert_sites import HOSTILE
from tests.unit.api_server import Reply, api

from penstock.app import Penstock, load_settings
from penstock.automations import Automation, Notify, Trigger, declare
from penstock.connections import DiscordConnection
from penstock.control.access import current_user
from penstock.control.app import create_app
from penstock.core.access import User
from penstock.core.secrets import Secret
from penstock.events import emit_event
from penstock.orchestrator.services import automations_of

with warnings.catch_warnings():  # it would rather have another client
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

PROJECT = """[tool.penstock.alerts.channels.team]
type = "discord"
connection = "discord"
[tool.penstock.alerts.channels.pager]
type = "webhook"
connection = "none"
"""


@pytest.fixture
def penstock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Penstock]:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    found = Penstock(load_settings())
    with found.activate():
        yield found
    found.close()


@pytest.fixture
def client(penstock: Penstock) -> Iterator[TestClient]:
    app = create_app(penstock)
    with TestClient(app, base_url="http://127.0.0.1:4300/api/v1", raise_server_exceptions=False) as found:
        yield found


def as_user(client: TestClient, role: str, *tags: str) -> None:
    async def user() -> User:
        return User("ann", role, tags or None)

    client.app.dependency_overrides[current_user] = user  # type: ignore[attr-defined]


def problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    return body


def test_alerts_and_another_try(client: TestClient, penstock: Penstock) -> None:
    statuses = [403]
    with api(lambda request: Reply(status=statuses.pop() if statuses else 204)) as server:
        DiscordConnection(url=Secret(f"{server.url}/hook")).save("discord")
        declare(Automation(name="it", trigger=Trigger(event="go"), actions=(Notify("x", to=("team", "pager")),)))
        emit_event("go", "thing")
        automations_of(penstock).settle()
        found = client.get("/alerts").json()["items"]
        assert sorted((each["state"], *each["to"]) for each in found) == [("failed", "team"), ("skipped", "pager")]
        (failed,) = client.get("/alerts", params={"state": "failed"}).json()["items"]
        again = client.post("/alerts/retry", json={"id": failed["id"]})
        assert again.status_code == 200, again.text
        problem(client.post("/alerts/retry", json={"id": failed["id"]}), 409)
        automations_of(penstock).settle()
    states = {each["id"]: each["state"] for each in client.get("/alerts").json()["items"]}
    assert states[again.json()["id"]] == "told"
    problem(client.post("/alerts/retry", json={"id": "../../etc"}), 404)
    problem(client.post("/alerts/retry", json={"id": HOSTILE}), 404)
    problem(client.post("/alerts/retry", json={"id": 7}), 422)
    problem(client.get("/alerts", params={"state": "lost"}), 422)


def test_channels(client: TestClient) -> None:
    found = {each["name"]: each["off"] for each in client.get("/alerts/channels").json()}
    assert found == {
        "team": "off: there is no connection 'discord'",
        "pager": "off: there is no connection 'none'",
    }
    assert client.post("/alerts/channels/team/test").json()["ok"] is False
    with api(lambda request: Reply(status=204)) as server:
        DiscordConnection(url=Secret(f"{server.url}/hook")).save("discord")
        assert client.post("/alerts/channels/team/test").json() == {"channel": "team", "ok": True, "error": None}
        assert server.asked[0].json["embeds"][0]["title"] == "A test of the alerts"
    DiscordConnection(url=Secret(f"{nobody()}/hook")).save("discord", overwrite=True)
    told = client.post("/alerts/channels/team/test").json()
    assert told["ok"] is False
    assert "could not be reached" in told["error"]
    entries = client.get("/audit", params={"action": "ChannelTested"}).json()["items"]
    assert [(each["who"], each["target"], each["after"]["ok"]) for each in entries] == [
        ("local", "channel/team", ok) for ok in (False, True, False)
    ]
    assert "could not be reached" in entries[0]["detail"]
    problem(client.post("/alerts/channels/nobody/test"), 404)


def test_silences(client: TestClient) -> None:
    body = {"where": {"flow": "fetch-*", "tags": ["prod"]}, "seconds": 60, "reason": HOSTILE}
    first = client.post("/silences", json=body, headers={"Idempotency-Key": "k"})
    assert first.status_code == 201, first.text
    assert client.post("/silences", json=body, headers={"Idempotency-Key": "k"}).json()["id"] == first.json()["id"]
    assert client.get(first.headers["Location"].removeprefix("/api/v1")).json() == first.json()
    assert (first.json()["state"], first.json()["by"]) == ("on", "local")
    assert [each["id"] for each in client.get("/silences").json()["items"]] == [first.json()["id"]]
    assert client.delete(f"/silences/{first.json()['id']}").status_code == 204
    assert client.delete(f"/silences/{first.json()['id']}").status_code == 204
    assert client.get("/silences").json()["items"] == []
    assert len(client.get("/silences", params={"over": True}).json()["items"]) == 1
    problem(client.get("/silences/nothing"), 404)
    problem(client.delete("/silences/nothing"), 404)
    later = client.post("/silences", json={"seconds": 60, "since": "2999-01-01T00:00:00Z"})
    problem(later, 422)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"seconds": 0},
        {"seconds": -5},
        {"seconds": 1e300},
        {"seconds": "60"},
        {"seconds": 60, "where": {"a b": "x"}},
        {"seconds": 60, "where": {"flow": []}},
        {"seconds": 60, "where": {"flow": {"x": 1}}},
        {"seconds": 60, "where": {"flow": None}},
        {"seconds": 60, "where": {f"f{n}": 1 for n in range(50)}},
        {"seconds": 60, "where": [1]},
        {"seconds": 60, "since": "2026-01-01T00:00:00"},
        {"seconds": 60, "since": "0001-01-01T00:00:00Z"},
        {"seconds": 60, "since": 1e99},
        {"seconds": 60, "reason": "x" * 2000},
        {"seconds": 60, "by": "somebody else"},
    ],
    ids=str,
)
def test_a_silence_that_cannot_be(client: TestClient, body: dict[str, Any]) -> None:
    assert problem(client.post("/silences", json=body), 422)["errors"]
    assert client.get("/silences").json()["items"] == []


def test_who_may(client: TestClient) -> None:
    everything = client.post("/silences", json={"seconds": 60}).json()["id"]
    as_user(client, "viewer")
    for answer in (
        client.post("/silences", json={"seconds": 60}),
        client.delete(f"/silences/{everything}"),
        client.post("/alerts/retry", json={"id": "x/1/0"}),
        client.post("/alerts/channels/team/test"),
    ):
        problem(answer, 403)
    as_user(client, "operator", "ours")
    assert client.get("/silences").json()["items"] == []
    problem(client.get(f"/silences/{everything}"), 404)
    problem(client.delete(f"/silences/{everything}"), 404)
    for where in ({}, {"flow": "x"}, {"tags": "*"}, {"tags": ["ours", "theirs"]}, {"tags": "!ours"}):
        problem(client.post("/silences", json={"seconds": 60, "where": where}), 403)
    made = client.post("/silences", json={"seconds": 60, "where": {"tags": "ours"}})
    assert made.status_code == 201
    assert made.json()["by"] == "ann"
    assert client.delete(f"/silences/{made.json()['id']}").status_code == 204
    emit_event("go", "thing")
    assert client.get("/alerts").json()["items"] == []
