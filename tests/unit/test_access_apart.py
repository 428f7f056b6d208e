"""What is one user's is no other's: keys of requests, hidden things, ways in, and where the journal is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.unit.access_site import Site, quick_hashes  # noqa: F401 - a fixture
from tests.unit.test_control_api import NIGHTLY, TestClient, penstock, problem  # noqa: F401 - a fixture

from penstock.app import Penstock
from penstock.control.app import create_app
from penstock.control.server import serving
from penstock.control.settings import ServerSettings
from penstock.core.deployments import Deployment
from penstock.core.errors import JournalUnavailable
from penstock.core.networks import as_seen
from penstock.orchestrator import deployments
from penstock.orchestrator.keys import key_stream
from penstock.orchestrator.retention import Purge
from penstock.testing.journal_search import born

PLACE = "postgresql://penstock@db.internal:5432/secret_place"


@pytest.fixture
def site(penstock: Penstock, quick_hashes: None) -> Iterator[Site]:  # noqa: F811
    found = Site(penstock)
    with found.http:
        yield found


@pytest.fixture
def both(site: Site) -> tuple[str, str]:
    """The tokens of two users."""
    for name in ("ann", "bob"):
        site.account(name, "editor")
    return site.sign_in("ann")["access_token"], site.sign_in("bob")["access_token"]


def once(site: Site, path: str, token: str, **body: Any) -> Any:
    """The answer to a request with a key that everybody uses."""
    return site.http.post(
        path, json=body or None, headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "nightly"}
    )


def test_a_key_of_one_user_gives_nobody_else_what_it_made(site: Site, both: tuple[str, str]) -> None:
    deployments.declare(site.penstock.journal, Deployment(name="d", flow="f", entrypoint="f.py:f"))
    assert site.asked("POST", "/workflows", both[0], json=NIGHTLY).status_code == 201
    for path in ("/workflows/nightly/trigger", "/deployments/d/run"):
        runs = [once(site, path, token, parameters={"rows": 1}).json()["id"] for token in (*both, *both)]
        assert runs[:2] == runs[2:], path
        assert runs[0] != runs[1], path
    ended = born(site.penstock.journal, pool="p", entrypoint="f.py:f")
    site.penstock.journal.append(ended, 2, [_failed()])
    for what in ("retry", "resume"):
        made = [once(site, f"/runs/{ended}/{what}", token).json()["id"] for token in (*both, *both)]
        assert made[:2] == made[2:], what
        assert made[0] != made[1], what
    for facts in ({"rows": 1}, {"rows": 2}):
        told = [once(site, "/events", token, name="orders.imported", facts=facts).status_code for token in both]
        assert told == ([201, 201] if facts == {"rows": 1} else [422, 422])
    assert [once(site, "/workflows", token, **{**NIGHTLY, "name": "other"}).status_code for token in both] == [201, 409]


def _failed() -> Any:
    from penstock.core.events import Record, RunFailed, now_us

    return Record(RunFailed(at=now_us()))


def test_a_key_cannot_be_made_to_stand_for_what_another_request_made(site: Site, both: tuple[str, str]) -> None:
    """What is kept of keys of other kinds of requests begins with no name of a user."""
    journal = site.penstock.journal
    deployments.declare(journal, Deployment(name="d", flow="f", entrypoint="f.py:f"))
    first = once(site, "/deployments/d/run", both[0]).json()["id"]
    journal.append(first, journal.last_seq(first), [_failed()])
    again = once(site, f"/runs/{first}/retry", both[0]).json()["id"]
    tried = site.http.post(
        "/deployments/d/run",
        headers={"Authorization": f"Bearer {both[1]}", "Idempotency-Key": f"retry:{first}:ann"},
    )
    assert tried.json()["id"] not in (first, again)
    assert journal.last_seq(key_stream("d", f"retry:{first}:ann/nightly")) == 1


def test_a_key_leaves_with_the_run_that_it_made_though_no_deployment_did(site: Site, both: tuple[str, str]) -> None:
    journal = site.penstock.journal
    run_id = born(journal, pool="p", entrypoint="f.py:f")
    journal.append(run_id, 2, [_failed()])
    again = once(site, f"/runs/{run_id}/retry", both[0]).json()["id"]
    journal.append(again, journal.last_seq(again), [_failed()])
    stream = key_stream(None, f"retry:{run_id}:ann/nightly")
    assert journal.last_seq(stream) == 1
    site.asked("POST", f"/runs/{run_id}/retry", both[0])  # the newest run of a flow stays
    later = 2**52
    for _ in Purge(journal, site.penstock.results, {"Failed": later}, later).steps():
        pass
    assert journal.run(again) is None
    assert journal.last_seq(stream) == 0


def test_files_are_sent_once_by_each(site: Site, both: tuple[str, str]) -> None:
    def sent(token: str, data: bytes = b"1,2") -> Any:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
        return site.http.post("/files?name=a.csv", content=data, headers=headers)

    ids = [sent(token).json()["id"] for token in (*both, *both)]
    assert ids[:2] == ids[2:]
    assert ids[0] != ids[1]
    problem(sent(both[0], b"3"), 422)
    assert len(site.get("/files", both[0]).json()["items"]) == 2


def test_who_sees_some_things_sees_no_channels(site: Site) -> None:
    site.account("ann", "operator")
    site.account("eve", "operator", tags=["etl"])
    ann, eve = (site.sign_in(name)["access_token"] for name in ("ann", "eve"))
    assert site.get("/alerts/channels", ann).status_code == 200
    problem(site.get("/alerts/channels", eve), 403)
    assert problem(site.asked("POST", "/alerts/channels/x/test", ann), 404)
    problem(site.asked("POST", "/alerts/channels/x/test", eve), 403)


def test_a_file_in_use_names_only_what_is_there_for_who_asks(site: Site) -> None:
    site.account("ann", "editor")
    site.account("eve", "editor", tags=["etl"])
    ann, eve = (site.sign_in(name)["access_token"] for name in ("ann", "eve"))
    file_id = site.asked("POST", "/files?name=a.csv&tag=etl", eve, content=b"1").json()["id"]
    given = {"source": {"$file": file_id}}
    journal = site.penstock.journal
    deployments.declare(journal, Deployment(name="payroll", flow="f", entrypoint="f.py:f", parameters=given))
    told = problem(site.asked("DELETE", f"/files/{file_id}", eve), 409)
    assert "payroll" not in str(told)
    assert "not there for you" in told["detail"]
    deployments.declare(
        journal, Deployment(name="sums", flow="f", entrypoint="f.py:f", parameters=given, tags=("etl",))
    )
    told = problem(site.asked("DELETE", f"/files/{file_id}", eve), 409)
    assert ("payroll" in str(told), "sums" in str(told)) == (False, True)
    told = problem(site.asked("DELETE", f"/files/{file_id}", ann), 409)
    assert ("payroll" in str(told), "sums" in str(told)) == (True, True)


def test_a_key_makes_no_other_way_in(site: Site) -> None:
    site.account("ann")
    site.account("bob", "viewer")
    session = site.sign_in("ann")["access_token"]
    key = site.auth.keys.create("ann").text
    form = {"grant_type": "client_credentials", "client_id": "ann", "client_secret": key}
    token = site.token(**form).json()["access_token"]
    for shown in (key, token):
        for method, path, body in (
            ("POST", "/users", {"name": "mallory", "role": "admin"}),
            ("PUT", "/users/bob", {"role": "admin"}),
            ("POST", "/users/bob/password", {}),
            ("POST", "/keys", {"account": "bob"}),
        ):
            assert "A key makes no" in problem(site.asked(method, path, shown, json=body), 403)["detail"], path
        assert site.get("/users", shown).json()["total"] == 2
    assert site.asked("PUT", "/users/bob", session, json={"role": "editor"}).status_code == 200
    assert site.asked("DELETE", "/users/bob", key).status_code == 204, "who has left is let in no more"


def test_a_token_is_looked_up_in_one_query(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.account("ann", "editor", tags=["etl"])
    key = site.auth.keys.create("ann", role="viewer").text
    form = {"grant_type": "client_credentials", "client_id": "ann", "client_secret": key}
    journal: Any = site.penstock.journal
    asked: list[str] = []
    fetch = journal._fetch

    def noted(sql: str, *values: Any) -> Any:
        asked.append(sql)
        return fetch(sql, *values)

    for token, role in ((site.sign_in("ann")["access_token"], "editor"), (site.token(**form).json(), "viewer")):
        text = token if isinstance(token, str) else token["access_token"]
        site.auth.gate.enter(f"Bearer {text}")  # what is known of keys and the journal is known from here on
        monkeypatch.setattr(journal, "_fetch", noted)
        asked.clear()
        user = site.auth.gate.enter(f"Bearer {text}")
        monkeypatch.undo()
        assert (user.name, user.role, user.tags) == ("ann", role, ("etl",))
        assert len([sql for sql in asked if "FROM credentials" in sql]) == 1, asked


def _away(*given: Any, **named: Any) -> Any:
    raise JournalUnavailable(f"The journal at {PLACE} cannot be reached.")


def test_strangers_are_not_told_where_the_journal_is(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    site.account("ann", "editor")
    token = site.sign_in("ann")["access_token"]
    journal = site.penstock.journal
    for name in ("workers", "credentials", "webhooks", "workflows", "last_seq"):
        monkeypatch.setattr(journal, name, _away)
    here = "http://127.0.0.1:4300"
    answers = [
        site.http.get(f"{here}/health/ready"),
        site.get("/workflows", "pk_" + "a" * 12 + "_" + "b" * 43),
        site.http.post(f"{here}/hooks/git", content=b"{}"),
        site.token(grant_type="password", username="ann", password="correct horse battery"),
    ]
    for answer in answers:
        assert answer.status_code == 503, answer.text
        assert "db.internal" not in answer.text
    assert answers[0].json()["journal"] == {"status": "down", "code": "journal-unavailable"}
    assert PLACE in caplog.text, "whoever runs it is told"
    monkeypatch.undo()
    monkeypatch.setattr(journal, "workflows", _away)
    assert PLACE in site.get("/workflows", token).text, "who signed in may know"


def test_who_is_alone_on_this_machine_is_told(penstock: Penstock, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(penstock.journal, "workers", _away)
    with TestClient(create_app(penstock), base_url="http://127.0.0.1:4300") as http:
        answer = http.get("/health/ready")
    assert (answer.status_code, answer.json()["journal"]["reason"]) == (503, _told())


def _told() -> str:
    return f"The journal at {PLACE} cannot be reached."


def test_networks_as_connections_show_them() -> None:
    assert as_seen("10.0.0.0/8") == ["10.0.0.0/8", "::ffff:10.0.0.0/104"]
    assert as_seen("10.0.0.7") == ["10.0.0.7/32", "::ffff:10.0.0.7/128"]
    assert as_seen("2001:db8::/32") == ["2001:db8::/32"]
    assert "10.0.0.7/32" in as_seen("::ffff:10.0.0.7")
    assert as_seen("::/0") == ["::/0"]
    assert as_seen("nothing") == []


def test_a_proxy_of_ipv4_is_trusted_where_the_server_listens_for_both(
    penstock: Penstock,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What listens on `::` sees an address of IPv4 in the clothes of IPv6."""
    seen: list[str] = []
    monkeypatch.setattr("penstock.control.telling._log", _Heard(seen))
    settings = ServerSettings(host="::1", port=0, trusted_proxies=("127.0.0.1",))
    monkeypatch.setattr("penstock.control.server.listening", lambda settings: _both())
    with serving(penstock, settings) as url:
        port = url.rpartition(":")[2]
        headers = {"X-Forwarded-For": "203.0.113.9", "Host": "127.0.0.1"}
        assert httpx.get(f"http://127.0.0.1:{port}/api/v1/summary", headers=headers).status_code == 200
    assert "203.0.113.9" in seen


class _Heard:
    """A log that keeps the addresses of requests."""

    def __init__(self, seen: list[str]) -> None:
        self._seen = seen
        self._lock = threading.Lock()

    def isEnabledFor(self, level: int) -> bool:
        return True

    def info(self, message: str, *values: Any, extra: Any = None) -> None:
        with self._lock:
            self._seen.append(str((extra or {}).get("facts", {}).get("address")))


def _both() -> socket.socket:
    """Listens for IPv4 and IPv6, as a server whose host is `::` does."""
    place = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    place.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    place.bind(("::ffff:127.0.0.1", 0))
    place.listen()
    return place
