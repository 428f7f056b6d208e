"""`penstock automations` and `penstock events`: declared, fired by real runs, shown, paused, tried out and deleted."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.cli_lab import Cli
from tests.acceptance.duty_lab import FLOWS, Place, place
from tests.patience import until
from tests.unit.web import web

pytestmark = pytest.mark.acceptance
__all__ = ["place"]

TELL = """
[tool.penstock.automations.tell-me]
description = "Tells of every failure"
trigger = { event = "RunFailed", where = { flow = "f*" } }
actions = [{ type = "notify", message = "{flow} failed: {message}", to = "file" }]
"""


def table(place: Place, name: str, flow: str) -> str:
    return (
        f'[tool.penstock.deployments.{name}]\nflow = "{FLOWS}:{flow}"\nparameters = {{ folder = "{place.folder}" }}\n'
    )


def firings(cli: Cli, name: str) -> list[dict[str, Any]]:
    """Those whose actions have all ended."""
    found = cli.json("automations", "show", name)["firings"]
    return [each for each in found if all(a["state"] in ("done", "failed") for a in each["actions"])]


def test_a_failure_starts_a_run_tells_people_and_calls_a_url(place: Place) -> None:
    with web() as server:
        place.declare(
            table(place, "fails", "fails")
            + table(place, "repair", "quick")
            + TELL
            + f"""
[tool.penstock.automations.repair]
trigger = {{ event = "RunFailed", where = {{ deployment = "fails" }} }}
actions = [
    {{ type = "run-deployment", deployment = "repair", parameters = {{ word = "on-{{run.id}}" }}, tags = ["again"] }},
    {{ type = "call", url = "{server.url}/${{HOOK}}", headers = {{ Authorization = "Bearer ${{TOKEN}}" }} }},
    {{ type = "emit-event", event = "repair.begun", about = "{{deployment}}", facts = {{ state = "{{run.state}}" }} }},
]
"""
        )
        served = place.serve(HOOK="a-secret-path", TOKEN="a-secret-token", PENSTOCK_CALL_HOSTS="127.0.0.1")
        assert {each["name"] for each in place.cli.json("automations", "list")["automations"]} == {"tell-me", "repair"}
        failed = place.trigger("fails")
        (fired,) = until(lambda: firings(place.cli, "repair"), "the repair")
        assert fired["facts"]["run"]["id"] == failed
        ran, called, emitted = fired["actions"]
        assert [each["state"] for each in (ran, called, emitted)] == ["done"] * 3
        run = place.ended(ran["facts"]["run"])
        assert (run["state"], run["parameters"]["word"], run["tags"]) == ("Completed", f"on-{failed}", ["again"])
        (asked,) = server.asked
        assert (asked.path, asked.headers["Authorization"]) == ("/a-secret-path", "Bearer a-secret-token")
        assert asked.body["facts"]["run"]["id"] == failed
        assert asked.headers["Idempotency-Key"] == f"{fired['id']}/1"
        (event,) = place.cli.json("events", "list", "--type", "repair.*")["events"]
        assert (event["about"], event["facts"]) == ("fails", {"state": "Failed"})
        until(lambda: firings(place.cli, "tell-me"), "the alert")
        (alert,) = (place.cli.home / "alerts.jsonl").read_text().splitlines()
        assert json.loads(alert)["message"].startswith("fails failed: ")
        assert served.end() == 0
    kept = b"".join(each.read_bytes() for each in place.cli.home.rglob("*") if each.is_file())
    assert b"a-secret" not in kept + served.err.encode()
    shown = place.cli.run("automations", "show", "repair").out
    assert "✓ call done" in shown
    assert "RunFailed  fails" in shown


def test_a_promise_that_is_broken_starts_a_run(place: Place) -> None:
    late = table(place, "late", "gated").replace("parameters", "promises = { duration_seconds = 0.2 }\nparameters")
    place.declare(
        late
        + table(place, "look", "quick")
        + """
[tool.penstock.automations.hurry]
trigger = { event = "DeadlineMissed", where = { promise = "duration" } }
actions = [{ type = "run-deployment", deployment = "look", parameters = { word = "{promise}" } }]
"""
    )
    served = place.serve()
    run_id = place.trigger("late")
    place.here("gate")
    (fired,) = until(lambda: firings(place.cli, "hurry"), "the firing")
    assert fired["facts"]["run_id"] == run_id
    assert place.ended(fired["actions"][0]["facts"]["run"])["state"] == "Completed"
    place.open("gate")
    assert place.ended(run_id)["state"] == "Completed"
    assert served.end() == 0


def test_declaring_listing_pausing_and_deleting(cli: Cli) -> None:
    (cli.folder / "pyproject.toml").write_text(TELL)
    assert "no automations yet" in cli.run("automations", "list").out
    assert cli.json("automations", "declare")["automations"] == [{"name": "tell-me", "changed": True}]
    assert cli.json("automations", "declare", "tell-me")["automations"] == [{"name": "tell-me", "changed": False}]
    listed = cli.run("automations", "list").out
    assert "tell-me" in listed
    assert "notify file" in listed
    shown = cli.run("automations", "show", "tell-me").out
    assert "Tells of every failure" in shown
    assert "flow is f*" in shown
    assert "It has not fired." in shown
    assert "tell-me is paused." in cli.run("automations", "pause", "tell-me").out
    assert "already" in cli.run("automations", "pause", "tell-me").out
    assert cli.json("automations", "list")["automations"][0]["paused"] is True
    assert cli.json("automations", "declare")["automations"][0]["changed"] is False
    assert cli.json("automations", "resume", "tell-me")["changed"] is True
    assert "add --yes" in cli.run("automations", "delete", "tell-me", code=2).err
    assert cli.json("automations", "delete", "tell-me", "--yes") == {"deleted": "tell-me"}
    assert "There is no automation" in cli.run("automations", "show", "tell-me", code=2).err


def test_deploying_a_project_declares_its_automations(place: Place) -> None:
    place.declare(table(place, "fails", "fails") + TELL)
    dry = place.cli.json("deploy", "--dry-run")
    assert dry["automations"] == [{"name": "tell-me", "change": "new"}]
    assert place.cli.json("automations", "list")["automations"] == []
    assert "automation tell-me  new" in place.cli.run("deploy").out
    assert place.cli.json("deploy", "fails")["automations"] == []
    assert place.cli.json("deploy")["automations"] == [{"name": "tell-me", "change": "unchanged"}]
    place.declare(table(place, "fails", "fails") + TELL.replace('"file"', '"console"'))
    assert place.cli.json("deploy")["automations"] == [{"name": "tell-me", "change": "changed"}]
    place.declare(table(place, "other", "fails") + TELL.replace("RunFailed", "RunFialed"))
    told = place.cli.run("deploy", code=2).err
    assert "did you mean RunFailed?" in told
    assert [each["name"] for each in place.cli.json("deployments", "list")["deployments"]] == ["fails"]


def test_trying_out(cli: Cli) -> None:
    (cli.folder / "pyproject.toml").write_text(
        TELL.replace('where = { flow = "f*" }', 'where = { flow = "f*" }, count = 2, within_seconds = 600')
    )
    events = [
        {"event": "RunFailed", "flow": "fetch", "message": "no route", "at": "2026-01-01T00:00:00Z"},
        {"event": "RunFailed", "flow": "other", "at": "2026-01-01T00:01:00Z"},
        {"event": "RunFailed", "flow": "find", "at": "2026-01-01T00:02:00Z"},
    ]
    (cli.folder / "events.json").write_text(json.dumps(events))
    told = cli.json("automations", "test", "tell-me", "--event", "events.json")["events"]
    assert [each["outcome"] for each in told] == ["counted", "ignored", "fires"]
    assert told[2]["actions"][0]["message"] == "find failed: ?"
    assert "1 firing; nothing was done" in cli.run("automations", "test", "tell-me", "--event", "events.json").out
    assert not cli.home.exists(), "nothing is recorded"
    for text, why in (("{", "is no JSON"), ("[]", "holds no events"), ('{"flow": "x"}', "has no name")):
        (cli.folder / "events.json").write_text(text)
        assert why in cli.run("automations", "test", "tell-me", "--event", "events.json", code=2).err
    assert "cannot be read" in cli.run("automations", "test", "tell-me", "--event", "none.json", code=2).err
    assert "declares none" in cli.run("automations", "test", "none", "--event", "events.json", code=2).err


def test_events(cli: Cli, tmp_path: Path) -> None:
    assert "Nothing has happened yet." in cli.run("events", "list").out
    given = ["--about", "orders", "--fact", "rows=1200", "--fact", "day=2026-01-31", "--fact", 'who={"a": [1]}']
    made = cli.json("events", "emit", "orders.imported", *given)["event"]
    assert made["facts"] == {"rows": 1200, "day": "2026-01-31", "who": {"a": [1]}}
    for _ in range(2):
        assert "✓ orders.checked" in cli.run("events", "emit", "orders.checked", "--key", "today").out
    found = cli.json("events", "list", "--type", "orders.*")["events"]
    assert [each["event"] for each in found] == ["orders.imported", "orders.checked"]
    assert [e["event"] for e in cli.json("events", "list", "--about", "orders")["events"]] == ["orders.imported"]
    following = cli.start("events", "follow", "--type", "orders.*", "--since", "1h", "--json")
    assert following.stdout is not None
    assert [json.loads(following.stdout.readline())["event"] for _ in range(2)] == ["orders.imported", "orders.checked"]
    cli.run("events", "emit", "other")
    cli.run("events", "emit", "orders.shipped")
    assert json.loads(following.stdout.readline())["event"] == "orders.shipped"
    following.send_signal(signal.SIGINT)
    assert cli.end(following).code in (0, 130)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["events", "emit", "RunFailed"], "an event of Penstock's own"),
        (["events", "emit", "a*"], "must not hold any of"),
        (["events", "emit", " "], "without space around it"),
        (["events", "emit", "a", "--fact", "rows"], "is not NAME=VALUE"),
        (["events", "emit", "a", "--fact", "x=1", "--fact", "x=2"], "is given twice"),
        (["events", "emit", "a", "--fact", f"x={'y' * 70_000}"], "there is room for"),
        (["events", "list", "--since", "soon"], "is no time"),
        (["automations", "declare"], "declares no automations"),
        (["automations", "pause", "none"], "There is no automation 'none'"),
        (["automations", "delete", "none", "--yes"], "There is no automation 'none'"),
    ],
)
def test_mistakes(cli: Cli, command: list[str], told: str) -> None:
    answer = cli.run(*command, code=2)
    assert told in answer.err
    assert "Traceback" not in answer.err
