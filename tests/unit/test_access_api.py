"""Signing in over HTTP: passwords, keys, tokens, and what each of them may."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.access_site import PASSWORD, Site, quick_hashes  # noqa: F401 - a fixture
from tests.unit.test_control_api import penstock, problem  # noqa: F401 - a fixture

from penstock.app import Penstock
from penstock.control.auth import pauses, sessions
from penstock.control.auth.log import Actor
from penstock.core.clock import now_us
from penstock.core.errors import NotSignedIn, SignInPaused


@pytest.fixture
def site(penstock: Penstock, quick_hashes: None) -> Iterator[Site]:  # noqa: F811
    found = Site(penstock)
    with found.http:
        yield found


def refused(answer: Any, error: str, status: int = 400) -> str:
    """What OAuth2 says of a refusal."""
    assert answer.status_code == status, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["error"] == error
    told: str = body["error_description"]
    return told


def test_nothing_is_there_for_who_is_not_signed_in(site: Site) -> None:
    answer = site.http.get("/workflows")
    assert problem(answer, 401)["code"] == "not-signed-in"
    assert answer.headers["www-authenticate"] == "Bearer"
    hostile = (
        "",
        "Bearer",
        "Bearer  ",
        "Basic YTpi",
        "Bearer x",
        "Bearer a.b.c",
        "Bearer ..",
        "Bearer " + "x" * 10_000,
    )
    for header in (*hostile, "Bearer pk_", f"Bearer pk_{'a' * 12}_{'b' * 43}", "Bearer eyJhbGciOiJub25lIn0.e30."):
        assert problem(site.http.get("/workflows", headers={"Authorization": header}), 401)
    answer = site.http.get("/workflows", headers={"Authorization": b"Bearer \xff\xfe"})
    assert answer.status_code == 401


def test_a_password_becomes_a_token(site: Site) -> None:
    site.account("ann", "editor", tags=["etl"])
    found = site.sign_in(" ANN ")
    assert found["token_type"] == "Bearer"
    assert (found["expires_in"], found["scope"]) == (900, "editor")
    me = site.get("/auth/me", found["access_token"]).json()
    assert (me["name"], me["role"], me["tags"]) == ("ann", "editor", ["etl"])
    assert site.get("/workflows", found["access_token"]).status_code == 200


def test_a_form_that_cannot_be(site: Site) -> None:
    site.account("ann")
    refused(site.http.post("/auth/token", json={"grant_type": "password"}), "invalid_request")
    refused(site.token(), "invalid_request")
    refused(site.token(grant_type="implicit"), "unsupported_grant_type")
    refused(site.token(grant_type="password", username="ann"), "invalid_request")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (b"grant_type=password&grant_type=password", b"\xff\xfe", b"a=%ff", b"&".join([b"a=1"] * 100)):
        refused(site.http.post("/auth/token", content=body, headers=form), "invalid_request")
    header = {"Authorization": "Basic !!!"}
    answer = site.http.post("/auth/token", data={"grant_type": "client_credentials"}, headers=header)
    refused(answer, "invalid_client", 401)


def test_who_is_unknown_is_told_the_same_as_who_is_wrong(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.account("ann")
    site.account("bob", "viewer")
    site.auth.accounts.change("bob", disabled=True)
    site.auth.accounts.create("robot", "viewer", kind="service")
    looked: list[str | None] = []
    fits = site.verified(monkeypatch, looked)
    names = ("ann", "nobody", "bob", "robot", "x" * 5000, "Ünïcödé", "a\x00b", "account/ann")
    answers = [site.token(grant_type="password", username=name, password="wrong " * 5) for name in names]
    assert {refused(answer, "invalid_grant") for answer in answers} == {"The name or the password is wrong."}
    assert len(looked) == len(names), "a password is looked at for everybody: it takes as long"
    assert fits


def test_signing_in_pauses_after_failures(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.account("ann")
    at = now_us()
    monkeypatch.setattr(pauses, "now_us", lambda: at)
    wrong = {"grant_type": "password", "username": "ann", "password": "wrong wrong wrong"}
    for _ in range(5):
        refused(site.token(**wrong), "invalid_grant")
    answer = site.token(grant_type="password", username="ann", password=PASSWORD)
    assert "Try again in 2 s" in refused(answer, "invalid_grant", 429)
    assert answer.headers["retry-after"] == "2"
    waits = []
    for _ in range(12):
        at += 3_600_000_000 // 2
        refused(site.token(**wrong), "invalid_grant")
        waits.append(int(site.token(**wrong).headers["retry-after"]))
    assert waits[:4] == [4, 8, 16, 32]
    assert waits[-1] == pauses.ACCOUNTS.longest
    at += 900_000_000
    site.sign_in("ann")
    refused(site.token(**wrong), "invalid_grant")  # counted from the beginning
    site.sign_in("ann")
    actions = [each["action"] for each in site.audit()]
    assert "SignInPaused" in actions
    assert actions.count("SignInFailed") == 1, "once a minute is enough"


def test_an_address_pauses_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.auth.sessions._pauses, "_places", site.places(pauses.Rule(3, 300)))
    at = now_us()
    monkeypatch.setattr(pauses, "now_us", lambda: at)  # the first pause is two seconds
    for number in range(4):
        refused(site.token(grant_type="password", username=f"guess{number}", password="wrong"), "invalid_grant")
    refused(site.token(grant_type="password", username="other", password="wrong"), "invalid_grant", 429)
    assert (pauses.ADDRESSES.pause(29), pauses.ADDRESSES.pause(30)) == (0, 2)


def refreshed(site: Site, token: dict[str, Any]) -> Any:
    return site.token(grant_type="refresh_token", refresh_token=token["refresh_token"])


@pytest.mark.parametrize("used", ["too late", "before the last", "replaced"])
def test_a_refresh_token_is_good_once(site: Site, monkeypatch: pytest.MonkeyPatch, used: str) -> None:
    site.account("ann")
    first = site.sign_in("ann")
    second = refreshed(site, first).json()
    third = refreshed(site, first if used == "replaced" else second).json()
    assert len({each["refresh_token"] for each in (first, second, third)}) == 3
    assert site.get("/auth/me", third["access_token"]).status_code == 200
    stolen = {"too late": second, "before the last": first, "replaced": second}[used]
    if used == "too late":
        late = now_us() + sessions.AGAIN_US + 1_000_000
        monkeypatch.setattr(sessions, "now_us", lambda: late)
    assert "was used before" in refused(refreshed(site, stolen), "invalid_grant")
    refused(refreshed(site, third), "invalid_grant")
    for token in (first, second, third):  # the session has ended, for whoever stole it too
        assert site.get("/auth/me", token["access_token"]).status_code == 401
    assert "RefreshTokenReused" in [each["action"] for each in site.audit()]
    for text in ("", "pr_", f"pr_{'0' * 32}_{'a' * 43}", second["access_token"]):
        assert site.token(grant_type="refresh_token", refresh_token=text).status_code == 400


def test_an_answer_with_tokens_that_was_lost_is_asked_for_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.account("ann")
    first, at = site.sign_in("ann"), now_us()
    for seconds in (0, 10, 29):
        now = at + seconds * 1_000_000
        monkeypatch.setattr(sessions, "now_us", lambda now=now: now)  # type: ignore[misc]
        last = refreshed(site, first).json()
    assert site.get("/auth/me", last["access_token"]).status_code == 200
    assert refreshed(site, last).status_code == 200


def test_signing_out_and_revoking(site: Site) -> None:
    site.account("ann")
    one, two, three, four = (site.sign_in("ann") for _ in range(4))
    after = refreshed(site, four).json()
    assert site.asked("POST", "/auth/logout", one["access_token"]).status_code == 204
    assert site.get("/auth/me", one["access_token"]).status_code == 401
    for text in (two["refresh_token"], three["access_token"], four["refresh_token"], "nothing", "a.b.c"):
        assert site.http.post("/auth/revoke", data={"token": text}).status_code == 200
    for found in (two, three, after):
        assert site.get("/auth/me", found["access_token"]).status_code == 401
        refused(site.token(grant_type="refresh_token", refresh_token=found["refresh_token"]), "invalid_grant")


def test_a_disabled_account_is_out_at_once(site: Site) -> None:
    site.account("ann")
    site.account("bob", "operator")
    token = site.sign_in("bob")
    key = site.auth.keys.create("bob").text
    site.auth.accounts.change("bob", role="viewer")
    assert site.get("/auth/me", token["access_token"]).json()["role"] == "viewer"
    assert site.get("/auth/me", key).json()["role"] == "viewer"
    site.auth.accounts.change("bob", disabled=True)
    for text in (token["access_token"], key):
        assert site.get("/auth/me", text).status_code == 401
    refused(site.token(grant_type="refresh_token", refresh_token=token["refresh_token"]), "invalid_grant")
    site.auth.accounts.change("bob", disabled=False)
    assert site.get("/auth/me", token["access_token"]).status_code == 401, "its sessions ended"
    site.auth.accounts.delete("bob")
    assert site.get("/auth/me", key).status_code == 401


def test_ones_own_password(site: Site) -> None:
    site.account("ann")
    token = site.sign_in("ann")["access_token"]
    body = {"current_password": "wrong", "new_password": "another long one 1"}
    answer = site.asked("POST", "/auth/password", token, json=body)
    assert problem(answer, 422)["errors"][0]["field"] == "current_password"
    for short in ("short", "a" * 30, "ann ann ann ann"):
        answer = site.asked(
            "POST", "/auth/password", token, json={**body, "current_password": PASSWORD, "new_password": short}
        )
        told = problem(answer, 422)
        assert told["errors"][0]["field"] == "password"
        assert told["hint"] == "choose another one"
    assert told["errors"][0]["message"] == "must not contain the name of the account"
    answer = site.asked("POST", "/users", token, json={"name": "bob", "password": "bob bob bob 1234"})
    assert "made up" in problem(answer, 422)["hint"]
    answer = site.asked("POST", "/auth/password", token, json={**body, "current_password": PASSWORD})
    assert answer.status_code == 204
    assert site.get("/auth/me", token).status_code == 401
    site.sign_in("ann", "another long one 1")
    key = site.auth.keys.create("ann").text
    assert site.asked("POST", "/auth/password", key, json=body).status_code == 403


def test_keys_do_what_they_may(site: Site) -> None:
    site.account("ann", "operator", tags=["etl", "ml"])
    token = site.sign_in("ann")["access_token"]
    answer = site.asked("POST", "/keys", token, json={"role": "viewer", "tags": ["etl"], "label": "ci"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["key"].startswith(f"pk_{made['id']}_")
    assert made["last_used_at"] is None
    me = site.get("/auth/me", made["key"]).json()
    assert (me["name"], me["role"], me["tags"]) == ("ann", "viewer", ["etl"])
    (listed,) = site.get("/keys", token).json()["items"]
    assert listed["last_used_at"] is not None
    assert "key" not in listed
    for wrong in ({"role": "admin"}, {"role": "owner"}, {"tags": ["other"]}, {"tags": []}, {"expires_at": "soon"},
                  {"expires_at": "2001-01-01T00:00:00Z"}, {"digest": "x"}, {"label": "a\nb"}, {"role": 5}):  # fmt: skip
        assert site.asked("POST", "/keys", token, json=wrong).status_code == 422, wrong
    twice = problem(site.asked("POST", "/keys", token, json={"tags": ["hr"]}), 422)["errors"]
    assert twice == [{"field": "tags", "message": "are some of etl, ml"}]
    assert site.asked("POST", "/keys", made["key"], json={}).status_code == 403, "a key makes no keys"
    rotated = site.asked("POST", f"/keys/{made['id']}/rotate", token, json={"overlap_seconds": 60}).json()
    assert site.get("/auth/me", rotated["key"]).json()["role"] == "viewer"
    assert site.get("/auth/me", made["key"]).status_code == 200
    for each in (made, rotated):
        assert site.asked("DELETE", f"/keys/{each['id']}", token).status_code == 204
        assert site.get("/auth/me", each["key"]).status_code == 401
        assert site.get(f"/keys/{each['id']}", token).status_code == 404


def test_keys_of_others(site: Site) -> None:
    site.account("ann")
    site.account("bob", "editor")
    key = site.auth.keys.create("ann").key
    token = site.sign_in("bob")["access_token"]
    assert site.asked("POST", "/keys", token, json={"account": "ann"}).status_code == 403
    assert site.get("/keys?account=ann", token).status_code == 403
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        answer = site.asked(method, f"/keys/{key.id}{path}", token)
        unknown = site.asked(method, f"/keys/{'z' * 12}{path}", token)
        assert problem(answer, 404)["code"] == problem(unknown, 404)["code"]
    admin = site.sign_in("ann")["access_token"]
    assert site.asked("POST", "/keys", admin, json={"account": "bob", "role": "admin"}).status_code == 422
    assert site.asked("POST", "/keys", admin, json={"account": "bob"}).json()["role"] == "editor"


def test_a_key_expires(site: Site) -> None:
    site.account("ann")
    made = site.auth.keys.create("ann", until=now_us() + 3_600_000_000)
    assert site.get("/auth/me", made.text).status_code == 200
    site.age_key(made.key.id)
    assert site.get("/auth/me", made.text).status_code == 401


def test_a_service_signs_in_with_a_key(site: Site) -> None:
    site.auth.accounts.create("ci", "editor", kind="service")
    made = site.auth.keys.create("ci", role="operator")
    found = site.token(grant_type="client_credentials", client_id="ci", client_secret=made.text).json()
    assert "refresh_token" not in found
    assert site.get("/auth/me", found["access_token"]).json()["role"] == "operator"
    header = {"Authorization": "Basic " + base64.b64encode(f"ci:{made.text}".encode()).decode()}
    again = site.http.post("/auth/token", data={"grant_type": "client_credentials"}, headers=header)
    assert again.status_code == 200
    site.account("ann")
    for client, secret in (("ann", made.text), ("ci", "wrong"), ("", ""), ("ci", made.text + "x")):
        answer = site.token(grant_type="client_credentials", client_id=client, client_secret=secret)
        refused(answer, "invalid_client", 401)
    site.auth.keys.revoke(made.key.id)
    assert site.get("/auth/me", found["access_token"]).status_code == 401, "it hangs from the key"
    refused(site.token(grant_type="password", username="ci", password=made.text), "invalid_grant")


def test_accounts_over_http(site: Site) -> None:
    site.account("ann")
    token = site.sign_in("ann")["access_token"]
    made = site.asked("POST", "/users", token, json={"name": "Bob", "role": "editor", "tags": ["ml", "etl", "ml"]})
    assert made.status_code == 201, made.text
    assert (made.json()["name"], made.json()["tags"]) == ("bob", ["etl", "ml"])
    site.sign_in("bob", made.json()["password"])
    assert problem(site.asked("POST", "/users", token, json={"name": "bob"}), 409)["code"] == "account-conflict"
    changed = site.asked("PUT", "/users/bob", token, json={"role": "viewer"}).json()
    assert (changed["role"], changed["tags"], changed["disabled"]) == ("viewer", ["etl", "ml"], False), "as it was"
    for change, tags, disabled in (
        ({"disabled": True}, ["etl", "ml"], True), ({}, ["etl", "ml"], True), ({"tags": ["etl"]}, ["etl"], True),
        ({"disabled": False}, ["etl"], False), ({"tags": None}, None, False),
    ):  # fmt: skip
        changed = site.asked("PUT", "/users/bob", token, json={"role": "viewer", **change}).json()
        assert (changed["tags"], changed["disabled"]) == (tags, disabled), change
    found = site.get("/users?limit=1", token).json()
    assert (found["total"], [each["name"] for each in found["items"]]) == (2, ["ann"])
    assert not any("password" in each for each in found["items"])
    password = site.asked("POST", "/users/bob/password", token).json()["password"]
    site.sign_in("bob", password)
    assert site.asked("DELETE", "/users/bob", token).status_code == 204
    assert problem(site.get("/users/bob", token), 404)["code"] == "account-not-found"
    for wrong in ({"name": "1"}, {"name": "local"}, {"name": "a b"}, {"name": "ä"}, {"name": "x", "role": "root"},
                  {"name": "x", "tags": []}, {"name": "x", "password": "short"}, {"name": "x", "disabled": False},
                  {"name": "x", "kind": "god"}, {"name": "x", "outside": "sub"}, {"name": 5}, [], {}):  # fmt: skip
        assert site.asked("POST", "/users", token, json=wrong).status_code == 422, wrong
    for change in ({"role": "viewer"}, {"role": "admin", "disabled": True}, {"role": "admin", "tags": ["x"]}):
        assert problem(site.asked("PUT", "/users/ann", token, json=change), 409)["code"] == "account-conflict"
    assert site.asked("DELETE", "/users/ann", token).status_code == 409
    mass = {"role": "viewer", "name": "eve", "password": "x"}
    assert site.asked("PUT", "/users/ann", token, json=mass).status_code == 422


def test_an_admin_of_tags_lets_nobody_in(site: Site) -> None:
    site.account("ann")
    site.account("eve", "admin", tags=["etl"])
    token = site.sign_in("eve")["access_token"]
    for path in ("/users", "/users/ann", "/audit", "/audit/verify", "/audit/export", "/keys?account=ann"):
        assert site.get(path, token).status_code == 403, path
    assert site.asked("POST", "/users", token, json={"name": "mine", "role": "admin"}).status_code == 403
    answer = site.asked("POST", "/keys", token, json={"account": "ann"})
    assert answer.status_code == 403


def test_many_attempts_at_once_are_counted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.account("ann")
    looked: list[str | None] = []
    site.verified(monkeypatch, looked)
    at = now_us()
    monkeypatch.setattr(pauses, "now_us", lambda: at)  # however long they take, they come in the first pause
    start, found = threading.Barrier(20), list[str]()

    def guess() -> None:
        start.wait()
        try:
            site.auth.sessions.sign_in("ann", "wrong wrong wrong", Actor("nobody"))
        except (NotSignedIn, SignInPaused) as error:
            found.append(type(error).__name__)

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert len(looked) == found.count("NotSignedIn") <= pauses.ACCOUNTS.free + 1
