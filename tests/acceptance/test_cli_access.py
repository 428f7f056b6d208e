"""`penstock users`, `keys` and `audit`; and a server where everybody signs in, as its users have it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

import httpx
import pytest
from tests.acceptance.cli_lab import Cli
from tests.acceptance.duty_lab import Place, place

pytestmark = pytest.mark.acceptance
__all__ = ["place"]

REQUIRED = {"PENSTOCK_SERVER_AUTH": "required"}


def test_there_is_nobody_yet(cli: Cli) -> None:
    assert "There are no accounts yet" in cli.run("users", "list").out
    assert "There are no keys" in cli.run("keys", "list").out
    assert "No such entries" in cli.run("audit", "list").out
    assert "There are no entries" in cli.run("audit", "verify").out
    assert cli.json("users", "list") == {"accounts": []}
    for command in (("role", "ann", "viewer"), ("disable", "ann"), ("password", "ann"), ("delete", "ann", "--yes")):
        assert "There is no account 'ann'" in cli.run("users", *command, code=2).err
    assert "There is no account" in cli.run("keys", "create", "ann", code=2).err
    for command in ("revoke", "rotate"):
        assert "There is no key" in cli.run("keys", command, "abc", code=2).err


def test_the_life_of_accounts_and_keys(cli: Cli) -> None:
    told = cli.run("users", "create-admin", "Ann")
    assert "Created the user ann, admin." in told.out
    assert "It is shown only now." in told.out
    (cli.folder / "secret.txt").write_text("correct horse battery\n")
    made = cli.json("users", "create", "eve", "--role", "operator", "--tag", "etl", "--password-file", "secret.txt")
    assert (made["account"]["tags"], made["password"]) == (["etl"], None)
    assert "already" in cli.run("users", "create", "ann", code=2).err
    assert "role: is one of" in cli.run("users", "create", "bob", "--role", "root", code=2).err
    (cli.folder / "short.txt").write_text("short")
    assert "12 to 1,000" in cli.run("users", "create", "bob", "--password-file", "short.txt", code=2).err
    assert "cannot be read" in cli.run("users", "create", "bob", "--password-file", "nowhere", code=2).err
    assert "last admin" in cli.run("users", "role", "ann", "viewer", code=2).err
    assert "is editor, for ml." in cli.run("users", "role", "eve", "editor", "--tag", "ml").out
    assert "is operator, for ml." in cli.run("users", "role", "eve", "operator").out, "as it was"
    assert "not both" in cli.run("users", "role", "eve", "operator", "--tag", "ml", "--everything", code=2).err
    assert "is editor, for everything." in cli.run("users", "role", "eve", "editor", "--everything").out
    cli.run("users", "role", "eve", "editor", "--tag", "ml")
    assert "is disabled" in cli.run("users", "disable", "eve").out
    assert cli.json("users", "enable", "eve")["account"]["disabled"] is False
    assert len(cli.json("users", "password", "eve")["password"]) == 24
    assert "nobody to ask" in cli.run("users", "delete", "eve", code=2).err
    cli.run("users", "create", "ci", "--role", "operator", "--service")
    key = cli.json("keys", "create", "ci", "--label", "github", "--expires", "90d")
    assert key["key"].startswith("pk_")
    assert "no length of time" in cli.run("keys", "create", "ci", "--expires", "soon", code=2).err
    assert "role: is at most operator" in cli.run("keys", "create", "ci", "--role", "admin", code=2).err
    listed = cli.run("keys", "list")
    assert key["id"] in listed.out
    assert key["key"] not in listed.out
    rotated = cli.json("keys", "rotate", key["id"], "--overlap", "1h")
    assert len(cli.json("keys", "list", "--account", "ci")["keys"]) == 2
    assert cli.json("keys", "revoke", rotated["id"]) == {"revoked": rotated["id"]}
    assert "new key" in cli.run("keys", "rotate", "--signing").out
    assert "Name a key" in cli.run("keys", "rotate", code=2).err
    assert cli.json("users", "delete", "eve", "--yes") == {"deleted": "eve"}
    entries = cli.json("audit", "list", "--limit", 100)["entries"]
    assert {each["who"].partition(":")[0] for each in entries} == {"system"}
    assert {"AccountCreated", "AccountChanged", "PasswordChanged", "AccountDeleted", "KeyCreated", "KeyRotated",
            "KeyRevoked", "ConnectionSaved"} == {each["action"] for each in entries}  # fmt: skip
    assert key["key"] not in json.dumps(entries)


def test_the_audit_is_verified_and_exported(cli: Cli) -> None:
    cli.run("users", "create-admin", "ann")
    cli.run("keys", "create", "ann", "--label", "=1+1")
    found = cli.json("audit", "verify")
    noted = f"{found['entries']}:{found['head']}"
    assert f"Note: {noted}" in cli.run("audit", "verify", "--noted", noted).out
    assert "is not NUMBER:HASH" in cli.run("audit", "verify", "--noted", "x", code=2).err
    assert "Wrote 2 entries" in cli.run("audit", "export", "audit.csv").out
    assert len((cli.folder / "audit.csv").read_text().splitlines()) == 3
    lines = cli.run("audit", "export", "-").out.splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["AccountCreated", "KeyCreated"]
    assert "cannot be written" in cli.run("audit", "export", "nowhere/audit.csv", code=2).err
    assert "no format" in cli.run("audit", "export", "x", "--format", "xml", code=2).err
    assert "no time" in cli.run("audit", "list", "--since", "soon", code=2).err
    assert "KeyCreated" in cli.run("audit", "list", "--action", "KeyCreated").out
    connection = sqlite3.connect(cli.home / "journal.db")
    with connection:
        connection.execute("UPDATE events SET body = replace(body, 'ann', 'bob') WHERE type = 'Audited' AND seq = 1")
    connection.close()
    assert "Entry 1: it was changed." in cli.run("audit", "verify", code=1).out
    assert cli.json("audit", "verify", code=1)["sound"] is False


@pytest.fixture
def signed(place: Place) -> Iterator[tuple[Place, httpx.Client, str]]:
    """A server where everybody signs in, and the password of its admin."""
    password = place.cli.json("users", "create-admin", "ann")["password"]
    server = place.server("--host", "0.0.0.0", **REQUIRED)
    port = server.event("serving")["url"].rpartition(":")[2]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=60) as client:
        yield place, client, password


def test_a_server_where_everybody_signs_in(signed: tuple[Place, httpx.Client, str]) -> None:
    place, api, password = signed
    assert api.get("/workflows").status_code == 401
    form = {"grant_type": "password", "username": "ann", "password": password}
    token = api.post("/auth/token", data=form, headers={"Host": "ops.example"}).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert api.get("/workflows", headers=headers).json()["items"] == []
    place.cli.run("users", "create", "ci", "--role", "viewer", "--service")
    key = place.cli.json("keys", "create", "ci")["key"]
    assert api.get("/auth/me", headers={"Authorization": f"Bearer {key}"}).json()["name"] == "ci"
    place.cli.run("users", "disable", "ci")
    assert api.get("/auth/me", headers={"Authorization": f"Bearer {key}"}).status_code == 401
    place.cli.run("keys", "rotate", "--signing")
    assert api.get("/auth/me", headers=headers).status_code == 200
    found = api.get("/audit", headers=headers).json()["items"]
    assert found[-1]["action"] == "AccountCreated"
    assert {each["address"] for each in found if each["action"] == "SignedIn"} == {"127.0.0.1"}
    assert place.cli.json("audit", "verify")["sound"]


def test_without_signing_in_it_stays_on_this_machine(place: Place) -> None:
    answer = place.cli.run("server", "start", "--host", "0.0.0.0", "--port", 0, code=2)
    assert 'have everybody sign in (auth = "required")' in answer.err
