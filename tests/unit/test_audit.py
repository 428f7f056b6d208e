"""The audit: who did what to what, in the transaction of the change, and nothing of it can be changed unseen."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.access_site import PASSWORD, Site, quick_hashes  # noqa: F401 - a fixture
from tests.unit.test_control_api import NIGHTLY, penstock  # noqa: F401 - a fixture

from penstock.app import Penstock
from penstock.control.auth import reading
from penstock.control.auth.log import ACTOR, Actor, AuditLog, entry_of
from penstock.core.audit import STREAM
from penstock.core.errors import JournalUnavailable, SequenceConflict
from penstock.core.events import Append
from penstock.core.secrets import masked
from penstock.journal import MemoryJournal


@pytest.fixture
def site(penstock: Penstock, quick_hashes: None) -> Iterator[Site]:  # noqa: F811
    found = Site(penstock)
    with found.http:
        found.account("ann")
        yield found


def test_every_change_is_told(site: Site) -> None:
    token = site.sign_in("ann")["access_token"]
    made = {**NIGHTLY, "parameters": {"rows": 3, "api_key": "sesame"}}
    headers = {"X-Request-ID": "req-1", "User-Agent": "curl/8", "Authorization": f"Bearer {token}"}
    assert site.http.post("/workflows", json=made, headers=headers).status_code == 201
    site.asked("PUT", "/workflows/nightly", token, json={**made, "description": "new"})
    run = site.asked("POST", "/workflows/nightly/trigger", token).json()
    site.asked("POST", f"/runs/{run['id']}/cancel", token, json={"reason": "wrong day"})
    site.asked("POST", "/workflows/nightly/disable", token)
    site.asked("DELETE", "/workflows/nightly", token)
    told = {each["action"]: each for each in site.audit()}
    assert {"AccountCreated", "SignedIn", "WorkflowCreated", "WorkflowUpdated", "RunCreated", "DeploymentPaused",
            "WorkflowDeleted"} <= set(told)  # fmt: skip
    created = told["WorkflowCreated"]
    assert (created["who"], created["role"], created["target"]) == ("ann", "admin", "workflow/nightly")
    assert (created["request"], created["agent"], created["address"]) == ("req-1", "curl/8", "testclient")
    assert created["route"] == "POST /api/v1/workflows"
    assert created["via"].startswith("session/")
    assert created["before"] is None
    assert created["after"]["spec"]["parameters"] == {"rows": 3, "api_key": "***"}
    updated = told["WorkflowUpdated"]
    assert "description" not in updated["before"]["spec"]
    assert updated["after"]["spec"]["description"] == "new"
    assert told["RunCreated"]["target"] == run["id"]
    assert told["SignedIn"]["who"] == "ann"
    assert told["AccountCreated"]["who"] == "system"
    assert reading.verify(site.penstock.journal).sound
    assert "sesame" not in json.dumps(site.audit())
    assert PASSWORD not in json.dumps(site.audit())


def test_what_was_tested_is_told_with_its_outcome(site: Site, tmp_path: Path) -> None:
    token = site.sign_in("ann")["access_token"]
    for name, kind, fields in (
        ("key", "secret", {"value": "sesame"}),
        ("shop", "sql", {"url": f"sqlite:///{tmp_path}/no.db"}),
    ):
        body = {"name": name, "type": kind, "fields": fields}
        assert site.asked("POST", "/connections", token, json=body).status_code == 201
        assert site.asked("POST", f"/connections/{name}/test", token).status_code == 200
    told = [each for each in site.audit() if each["action"] == "ConnectionTested"]
    assert {(each["who"], each["target"], each["after"]["type"], each["after"]["ok"]) for each in told} == {
        ("ann", "connection/key", "secret", True),
        ("ann", "connection/shop", "sql", False),
    }
    assert any("there is no such file" in each["detail"] for each in told)
    assert "sesame" not in json.dumps(told)


def test_refusals_are_told_and_not_too_many(site: Site) -> None:
    site.account("eve", "viewer")
    eve = site.sign_in("eve")["access_token"]
    for _ in range(20):
        assert site.asked("POST", "/workflows", eve, json=NIGHTLY).status_code == 403
        assert site.get("/workflows", "nonsense").status_code == 401
    actions = [each["action"] for each in site.audit()]
    assert (actions.count("RoleRefused"), actions.count("TokenRefused")) == (1, 1)
    (entry,) = site.audit(action="RoleRefused")
    assert (entry["who"], entry["target"]) == ("eve", "/api/v1/workflows")


def test_hostile_text_is_kept_as_it_was_hashed(site: Site) -> None:
    token = site.sign_in("ann")["access_token"]
    headers = {"User-Agent": b"=cmd|'/C calc'!A0\xff\x1b[2J", "Authorization": f"Bearer {token}"}
    site.http.post("/workflows", json={**NIGHTLY, "description": "line\nbreak \u2028 'x'"}, headers=headers)
    site.token(grant_type="password", username="\x00=1+1\r\nX: y", password="x")
    assert reading.verify(site.penstock.journal).sound
    rows = list(csv.reader(io.StringIO(b"".join(reading.as_csv(site.penstock.journal)).decode())))
    assert len(rows) == len(site.audit()) + 1
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row)
    lines = b"".join(reading.ndjson(site.penstock.journal)).splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(1, len(rows)))


def test_it_is_read_over_http(site: Site) -> None:
    token = site.sign_in("ann")["access_token"]
    site.asked("POST", "/workflows", token, json=NIGHTLY)
    part = site.get("/audit?limit=1", token).json()
    assert [each["action"] for each in part["items"]] == ["WorkflowCreated"]
    rest = site.get(f"/audit?cursor={part['next']}", token).json()
    assert [each["number"] for each in rest["items"]] == [2, 1]
    assert rest["next"] is None
    assert [each["who"] for each in site.get("/audit?action=SignedIn", token).json()["items"]] == ["ann"]
    assert site.get("/audit?since=2001-01-01T00:00:00Z&until=2002-01-01T00:00:00Z", token).json()["items"] == []
    found = site.get("/audit/verify", token).json()
    assert (found["sound"], found["entries"], found["breaks"]) == (True, 3, [])
    assert site.get(f"/audit/verify?number=3&hash={found['head']}", token).json()["sound"]
    assert not site.get(f"/audit/verify?number=2&hash={found['head']}", token).json()["sound"]
    assert site.get("/audit/export", token).headers["content-type"] == "application/x-ndjson"
    assert site.get("/audit/export?format=csv", token).text.startswith("number,at,who,")


@pytest.mark.parametrize(
    ("sql", "where"),
    [
        (
            "UPDATE events SET body = replace(body, 'WorkflowCreated', 'WorkflowDeleted') WHERE stream = ? AND seq = 3",
            3,
        ),
        ("DELETE FROM events WHERE stream = ? AND seq = 2", 2),
        ("UPDATE events SET seq = seq + 100 WHERE stream = ? AND seq = 2", 2),
        ("UPDATE events SET at = at WHERE stream = ? AND seq = 1", None),
    ],
    ids=["changed", "removed", "reordered", "as it was"],
)
def test_who_changes_it_is_seen(site: Site, sql: str, where: int | None) -> None:
    token = site.sign_in("ann")["access_token"]
    site.asked("POST", "/workflows", token, json=NIGHTLY)
    connection = sqlite3.connect(site.penstock.journal.location)
    with connection:
        assert connection.execute(sql, (STREAM,)).rowcount
    connection.close()
    found = reading.verify(site.penstock.journal)
    assert found.sound == (where is None)
    assert where is None or found.breaks[0][0] == where


def test_who_cuts_its_end_off_is_seen_by_a_hash_that_was_noted(site: Site) -> None:
    site.sign_in("ann")
    noted = reading.verify(site.penstock.journal)
    connection = sqlite3.connect(site.penstock.journal.location)
    with connection:
        connection.execute("DELETE FROM events WHERE stream = ? AND seq = ?", (STREAM, noted.entries))
    connection.close()
    assert reading.verify(site.penstock.journal).sound
    assert reading.verify(site.penstock.journal, noted.entries, noted.head).breaks == [(noted.entries, "it is gone")]


def test_many_write_at_once(site: Site) -> None:
    other = site.beside()
    start = threading.Barrier(4)
    failed: list[BaseException] = []

    def write(which: Site, number: int) -> None:
        token = ACTOR.set(Actor(f"thread-{number}"))
        start.wait()
        try:
            for place in range(10):
                which.auth.log.record("Tried", str(place))
        except BaseException as error:
            failed.append(error)
        finally:
            ACTOR.reset(token)

    threads = [threading.Thread(target=write, args=(which, number)) for number, which in enumerate([site, other] * 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(site.audit(action="Tried")) == 40
    assert reading.verify(site.penstock.journal).sound


def test_what_is_not_committed_is_not_told() -> None:
    class Away(MemoryJournal):
        def commit(self, appends: Any, cursor: Any = None) -> None:
            raise JournalUnavailable("gone")

    journal = Away()
    with pytest.raises(JournalUnavailable):
        AuditLog(journal).record("Tried")
    assert journal.last_seq(STREAM) == 0
    log = AuditLog(MemoryJournal())

    def conflict(told: Append) -> None:
        raise SequenceConflict("not there any more", stream="workflow/x")

    with pytest.raises(SequenceConflict):
        log.write(lambda: entry_of("Tried"), conflict)
    log.record("Tried")
    assert [each["number"] for each in reading.listed(log.journal, reading.AuditFilter())] == [1]


def test_secrets_are_left_out() -> None:
    data = {
        "password": "a",
        "DB_PASSWORD": "b",
        "nested": [{"apiKey": "c", "api-token": "d", "key": "e"}],
        "token": None,
    }
    assert masked(data) == {
        "password": "***", "DB_PASSWORD": "***", "nested": [{"apiKey": "***", "api-token": "***", "key": "e"}],
        "token": None,
    }  # fmt: skip
    large = entry_of("Tried", after={"rows": "x" * 100_000})
    assert large.after is not None
    assert "too large" in large.after
