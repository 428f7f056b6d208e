"""`penstock --server URL` for all that is no run: what is planned, what happens, who may, what is sent where."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import httpx
import pytest
from tests.acceptance.cli_lab import Answer
from tests.acceptance.duty_lab import Duty, Place, place
from tests.acceptance.test_cli_remote import told, url_of, without_hint
from tests.patience import until
from tests.ports import own_port

pytestmark = pytest.mark.acceptance
__all__ = ["place"]

FLOW = '''
import os
import time

from penstock import flow, task


@task
def step(number: int) -> int:
    open(f"step{number}.here", "w").close()
    while not os.path.exists(f"step{number}.go"):
        time.sleep(0.01)
    return number


@flow
def nightly(day: str = "monday") -> list[int]:
    """Counts to three."""
    return [step(number) for number in (1, 2, 3)]
'''
PROJECT = """
[tool.penstock.deployments.nightly]
flow = "nightly.py:nightly"
description = "Every night."
cron = "0 3 * * *"
timezone = "Europe/Paris"
tags = ["etl"]
parameters = { day = "sunday" }

[tool.penstock.automations.tell-me]
description = "says so"
trigger = { event = "orders.imported", count = 2, within_seconds = 60, where = { about = "orders" } }
actions = [{ type = "emit-event", event = "seen" }]

[tool.penstock.limits]
database = 3
api = { per_second = 10, burst = 20 }
"""
READ = [
    "deployments list",
    "deployments list --flow nightly --json",
    "deployments list --pool nope",
    "deployments show nightly",
    "deployments show nightly --next 2 --json",
    "automations list",
    "automations list --json",
    "automations show tell-me",
    "automations show tell-me --json",
    "automations test tell-me --event events.json",
    "automations test tell-me --event events.json --json",
    "events list --type orders.*",
    "events list --type orders.* --about orders --since 1h --json",
    "pools list",
    "pools list --json",
    "pools show default",
    "limits list",
    "limits list --json",
    "dataset list --json",
    "users list",
    "users list --json",
    "keys list --account ci",
    "keys list --account ci --json",
    "audit list --limit 3",
    "audit list --action AccountCreated --json",
    "audit verify --json",
    "audit export - --format csv",
    "audit export audit.ndjson --json",
    "webhook list",
    "webhook deliveries",
    "webhook deliveries shop --json",
    "webhook delivery DELIVERY",
    "webhook delivery DELIVERY --json",
    "webhook test shop --body events.json --unsigned",
    "alerts list --json",
    "alerts silences",
    "alerts silences --all --json",
    "connection list",
    "connection show crm",
]
WRONG = [
    "deployments show nope",
    "deployments pause nope",
    "deployments pause nightly --schedule nope",
    "deployments delete nope",
    "deployments run nope",
    "automations show nope",
    "automations delete nope --yes",
    "automations pause nope",
    "pools show nope",
    "events list --since nope",
    "users role nope editor",
    "users create ann --role admin",
    "keys revoke nope",
    "keys create nope",
    "webhook show nope",
    "webhook delivery nope",
    "alerts retry nope",
    "alerts silences --end nope",
    "alerts test nope",
    "connection show nope",
    "connection delete nope --yes",
]


@pytest.fixture
def server(place: Place) -> Duty:
    """A server on a journal with something of each kind."""
    (place.folder / "nightly.py").write_text(FLOW)
    place.declare(PROJECT)
    (place.folder / "events.json").write_text('[{"event": "orders.imported", "about": "orders"}]')
    place.cli.run("deploy")
    place.cli.run("limits", "apply")
    return place.server("--port", own_port())


def test_commands_about_plans_say_the_same_of_a_journal_and_of_a_server(place: Place, server: Duty) -> None:
    cli, there = place.cli, ("--server", url_of(server))
    made = cli.json(*there, "events", "emit", "orders.imported", "--about", "orders", "--fact", "rows=3", "--key", "k")
    again = cli.json(*there, "events", "emit", "orders.imported", "--about", "orders", "--fact", "rows=3", "--key", "k")
    assert made == again
    delivery = something_of_each(place, there, url_of(server))
    lines = [line.replace("DELIVERY", delivery[-8:]).split() for line in (*READ, *WRONG)]
    of_journal, of_server = said(place, lines), said(place, lines, PENSTOCK_SERVER=url_of(server))
    differing = []
    for line, here, remote in zip((*READ, *WRONG), of_journal, of_server, strict=True):
        assert remote.code == here.code == (0 if line in READ else 2), (line, here, remote)
        assert line in WRONG or not here.err, line
        mean = meant if "--json" in line else told
        if (mean(remote.out), without_hint(remote.err)) != (mean(here.out), without_hint(here.err)):
            differing.append((line, here, remote))
    assert not differing


SAY = """
import io, json, sys
from penstock.cli.root import call

answers = []
for words in json.load(sys.stdin):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    sys.stdout, sys.stderr = streams
    code = call(words)
    answers.append([code, *(each.buffer.getvalue().decode() for each in streams)])
sys.__stdout__.write(json.dumps(answers))
"""


def said(place: Place, lines: list[list[str]], **environ: str) -> list[Answer]:
    """What many commands say, one after the other in one process."""
    ours = {"cwd": place.folder, "env": {**place.cli.environ, **environ}, "input": json.dumps(lines)}
    ended = subprocess.run([sys.executable, "-c", SAY], capture_output=True, text=True, check=False, **ours)
    assert ended.returncode == 0, ended.stderr
    return [Answer(*each) for each in json.loads(ended.stdout)]


def something_of_each(place: Place, there: tuple[str, str], url: str) -> str:
    """Accounts, keys, a webhook with a delivery, a silence and a connection, all made by the server; the delivery."""
    cli = place.cli
    assert cli.json(*there, "users", "create", "Ann", "--role", "editor", "--tag", "etl")["password"]
    cli.run(*there, "users", "create", "ci", "--service", "--role", "operator")
    assert "operator" in cli.run(*there, "users", "role", "ann", "operator").out
    key = cli.json(*there, "keys", "create", "ci", "--label", "tests", "--expires", "90d")
    other = cli.json(*there, "keys", "rotate", key["id"], "--overlap", "1h")
    assert (key["key"] != other["key"], other["account"]) == (True, "ci")
    cli.run(*there, "webhook", "create", "shop", "--signature", "none", "--description", "of the shop")
    assert httpx.post(f"{url}/hooks/shop", json={"id": 7}).status_code == 202
    cli.run(*there, "alerts", "silence", "flow=fetch-*", "--for", "2h", "--reason", "moving")
    saved = cli.json(*there, "connection", "create", "http", "crm", "--base-url", "https://crm.example/v1")
    assert (saved["connection"]["name"], saved["connection"]["type"]) == ("crm", "http")
    assert "of the shop" in cli.run(*there, "webhook", "show", "shop").out
    (delivery,) = cli.json("webhook", "deliveries")["deliveries"]
    found: str = delivery["id"]
    return found


def meant(out: str) -> Any:
    """An answer without what only a journal tells: folders of automations, streams of deliveries, keys of seals."""
    answer = json.loads(out)
    if isinstance(answer, dict):
        for kind, name in (("automation", "folder"), ("delivery", "stream"), ("connection", "key")):
            for each in (answer.get(kind, {}), *answer.get(f"{kind}s", answer.get("deliveries", ()))):
                each.pop(name, None)
    return answer


def test_what_is_planned_there_is_planned_here(place: Place, server: Duty) -> None:
    cli, there = place.cli, ("--server", url_of(server))
    assert "paused" in cli.run(*there, "deployments", "pause", "nightly").out
    assert cli.json("deployments", "show", "nightly")["deployment"]["paused"] is True
    assert cli.json(*there, "deployments", "resume", "nightly")["deployment"]["paused"] is False
    assert "tell-me is paused" in cli.run(*there, "automations", "pause", "tell-me").out
    assert "is paused already" in cli.run(*there, "automations", "pause", "tell-me").out
    assert cli.json("automations", "resume", "tell-me")["changed"] is True
    assert cli.json(*there, "automations", "delete", "tell-me", "--yes") == {"deleted": "tell-me"}
    assert cli.json("automations", "list") == {"automations": []}
    refused = cli.run(*there, "deployments", "run", "nightly", "--at", "in 15m", code=2)
    assert "due now" in refused.err
    wrong = cli.run(*there, "deployments", "delete", "nightly")
    assert "Deleted the deployment nightly" in wrong.out
    assert cli.json("deployments", "list")["deployments"] == []


def test_a_server_tells_of_datasets_what_is_on_record(place: Place, server: Duty) -> None:
    cli, there = place.cli, ("--server", url_of(server))
    (place.folder / "orders.csv").write_text("id,amount\n1,2.5\n2,3.5\n")
    cli.run("ingest", "orders.csv", "orders.parquet")
    listed = cli.json(*there, "dataset", "list")
    assert listed == cli.json("dataset", "list")
    (known,) = [each for each in listed["datasets"] if each["written_at"] is not None]
    here, remote = cli.json("dataset", "show", known["name"]), cli.json(*there, "dataset", "show", known["name"])
    assert remote["dataset"].pop("rows") is None
    here["dataset"].pop("rows")
    assert [each["name"] for each in remote["dataset"].pop("columns")] == ["id", "amount"]
    here["dataset"].pop("columns")
    assert remote == here
    events = cli.json(*there, "dataset", "history", known["name"])["events"]
    assert events == cli.json("dataset", "history", known["name"])["events"]
    assert events[-1]["landed"] == 2
    assert known["name"] in cli.run(*there, "dataset", "show", known["name"]).out


def test_a_run_is_paused_over_a_restart_of_its_server_and_goes_on(place: Place, server: Duty) -> None:
    cli, url = place.cli, url_of(server)
    there = ("--server", url)
    run = cli.json(*there, "deployments", "run", "nightly", "-p", "day=friday")["run"]["id"]
    place.here("step1")
    assert "pauses before its next step" in cli.run(*there, "runs", "pause", run, "--reason", "the house is moved").out
    asked = cli.json("runs", "pause", run)["run"]
    assert (asked["state"], asked["pause_requested"]) == ("Running", True)
    place.open("step1")
    until(lambda: place.run(run)["state"] == "Paused", "it pauses")
    assert not (place.folder / "step2.here").exists()
    assert "the house is moved" in cli.run(*there, "runs", "show", run).out
    assert "is paused" in cli.run(*there, "runs", "pause", run).out
    port = url.rpartition(":")[2]
    server.kill_all()
    place.server("--port", port)
    following = cli.start(*there, "runs", "resume", run, "--json")  # of a server that it never met, it asks for 3 s
    for number in (2, 3):
        place.here(f"step{number}")
        place.open(f"step{number}")
    ended = cli.end(following)
    assert (ended.code, ended.json["run"]["id"], ended.json["run"]["state"]) == (0, run, "Completed")
    assert cli.run(*there, "runs", "pause", run, code=2).err.startswith("Error: Run ")


@pytest.mark.parametrize(
    "line", ["automations declare", "limits set database 3", "pools pause etl", "dataset compact x"]
)
def test_what_is_for_the_journal_at_hand_says_so(place: Place, line: str) -> None:
    refused = place.cli.run("--server", "http://127.0.0.1:1", *line.split(), code=2)
    assert "works with the journal at hand" in refused.err
