"""`penstock webhook`: created, tried out, and what came is shown and delivered again."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tests.acceptance.cli_lab import Cli

pytestmark = pytest.mark.acceptance

TEMPLATE = """{
  "event": "git.{{ headers["x-github-event"] }}",
  "resource": "{{ body.repository }}"
}
"""
RECEIVE = """
import hashlib, hmac, sys
from penstock.app import load_settings, Penstock
from penstock.control.webhooks import Receiver, Request
body = sys.argv[2].encode()
mac = hmac.new(b"open sesame", body, hashlib.sha256).hexdigest()
headers = {"X-Hub-Signature-256": "sha256=" + mac, "X-GitHub-Delivery": sys.argv[1], "X-GitHub-Event": "push"}
headers["Content-Type"] = "application/json"
app = Penstock(load_settings())
sent = Request(headers=tuple(headers.items()), body=body, client="10.0.0.1")
print(Receiver(app.journal, lambda name: "open sesame").receive("git", sent).status)
app.close()
"""


def prepared(cli: Cli) -> None:
    (cli.folder / "git.j2").write_text(TEMPLATE)
    (cli.folder / "push.json").write_text('{"repository": "ann/\\"shop\\""}')
    environ = {**cli.environ, "PENSTOCK_CONNECTION_GIT_HOOK": '{"type": "secret", "value": "open sesame"}'}
    cli.environ.update(environ)
    told = cli.run("webhook", "create", "git", "--signature", "github", "--secret", "git-hook", "--template", "git.j2")
    assert "Created the webhook git." in told.out
    assert "There is no secret" not in told.out


def send(cli: Cli, delivery: str, body: str) -> str:
    command = [sys.executable, "-c", RECEIVE, delivery, body]
    done = subprocess.run(command, cwd=cli.folder, env=cli.environ, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_no_webhooks_yet(cli: Cli) -> None:
    assert "There are no webhooks yet" in cli.run("webhook", "list").out
    assert cli.json("webhook", "deliveries") == {"deliveries": []}
    for command in (("show",), ("test",), ("delete", "--yes"), ("deliveries",)):
        assert "There is no webhook 'git'" in cli.run("webhook", *command, "git", code=2).err
    for command in ("delivery", "redeliver"):
        assert "There is no delivery" in cli.run("webhook", command, "x", code=2).err


def test_its_life(cli: Cli) -> None:
    prepared(cli)
    (listed,) = cli.json("webhook", "list")["webhooks"]
    assert (listed["slug"], listed["signature"]["scheme"], listed["path"]) == ("git", "github", "/hooks/git")
    shown = cli.run("webhook", "show", "git").out
    assert '"resource": "{{ body.repository }}"' in shown
    assert "already" in cli.run("webhook", "create", "git", "--signature", "none", code=2).err
    assert "nobody to ask" in cli.run("webhook", "delete", "git", code=2).err
    assert cli.json("webhook", "delete", "git", "--yes") == {"deleted": "git"}


def test_it_is_tried_out(cli: Cli) -> None:
    prepared(cli)
    sample = ("webhook", "test", "git", "--body", "push.json", "--header", "X-GitHub-Event: push")
    fine = cli.json(*sample, "--unsigned")
    assert fine["events"] == [{"event": "git.push", "resource": 'ann/"shop"', "payload": {}}]
    answer = cli.run(*sample, code=1)
    assert "X-Hub-Signature-256 is missing" in answer.out
    assert "git.push" in answer.out
    broken = cli.run("webhook", "test", "git", "--unsigned", code=1)
    assert "line 2" in broken.out
    assert cli.json("webhook", "deliveries") == {"deliveries": []}


def test_without_a_signature_nobody_is_verified(cli: Cli) -> None:
    cli.run("webhook", "create", "open", "--signature", "none", "--allow", "127.0.0.0/8")
    assert "Nobody knows who sent it" in cli.run("webhook", "test", "open").out
    assert cli.json("webhook", "test", "open")["verified"] is None
    assert cli.json("webhook", "test", "open", "--client", "10.0.0.1", code=1)["verified"] is False


def test_what_came_and_redelivery(cli: Cli) -> None:
    prepared(cli)
    assert [send(cli, *each) for each in (("d1", '{"repository": "a"}'), ("d1", '{"repository": "a"}'))] == [
        "accepted",
        "duplicate",
    ]
    assert send(cli, "d2", "{}") == "failed"
    failed, accepted = cli.json("webhook", "deliveries", "git")["deliveries"]
    assert (failed["status"], accepted["status"], accepted["address"]) == ("failed", "accepted", "10.0.0.1")
    assert "has no attribute 'repository'" in cli.run("webhook", "deliveries", "--status", "failed").out
    shown = cli.json("webhook", "delivery", "d1")
    assert shown["events"] == [{"event": "git.push", "resource": "a", "payload": {}}]
    assert shown["delivery"]["request"]["body"] == '{"repository": "a"}'
    assert "git.push" in cli.run("webhook", "delivery", accepted["id"]).out
    assert cli.run("webhook", "redeliver", "d2", code=1)
    (cli.folder / "map.json").write_text(json.dumps({"event": "git.other"}))
    create = ("webhook", "create", "git", "--signature", "github", "--secret", "git-hook", "--mapping", "map.json")
    assert "Overwrote" in cli.run(*create, "--overwrite").out
    assert cli.json("webhook", "redeliver", failed["id"])["delivery"]["status"] == "accepted"
    assert "duplicate" in cli.run("webhook", "redeliver", failed["id"], "--json").out
    assert "git.other" in cli.run("events", "list", "--json").out
    assert "no status" in cli.run("webhook", "deliveries", "--status", "odd", code=2).err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--signature", "md5"), "'md5' is none of"),
        (("--signature", "github"), "there is none, and github needs one"),
        (("--signature", "none", "--template", "nowhere.j2"), "cannot be read"),
        (("--signature", "none", "--template", "latin.j2"), "is not UTF-8 (byte 1)"),
        (("--signature", "none", "--schema", "odd.json"), "is no JSON schema"),
        (("--signature", "none", "--allow", "x"), "no address"),
        (("--signature", "none", "--secret", "a,b"), "cannot be read"),
        (("--signature", "none", "--secret", "a,until=never"), "webhook"),
    ],
    ids=range(8),
)
def test_mistakes(cli: Cli, options: tuple[str, ...], told: str) -> None:
    (cli.folder / "latin.j2").write_bytes(b"x\xfc")
    (cli.folder / "odd.json").write_text('{"$schema": 5}')
    answer = cli.run("webhook", "create", "x", *options, code=2)
    assert told in answer.err
    assert "Traceback" not in answer.err
