"""Trying an automation out on events given by hand."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.automations import Automation, Call, EmitEvent, Notify, RunDeployment, Trigger
from penstock.core.errors import ConfigurationError
from penstock.orchestrator.rehearsal import rehearse


def told(trigger: Trigger, *events: dict[str, Any], actions: tuple[Any, ...] = (Notify("x"),)) -> list[tuple[str, str]]:
    automation = Automation(name="it", trigger=trigger, actions=actions)
    return [(each.outcome, each.why) for each in rehearse(automation, events)]


def at(seconds: int, event: str = "go", **facts: Any) -> dict[str, Any]:
    return {"event": event, "at": f"2026-01-01T00:{seconds // 60:02}:{seconds % 60:02}Z", **facts}


def test_counting() -> None:
    trigger = Trigger(event="go", count=2, within_seconds=60, cool_down_seconds=60)
    assert told(trigger, at(0), at(1, "other"), at(90), at(91), at(100)) == [
        ("counted", "1 of 2"),
        ("ignored", "it waits for go"),
        ("counted", "1 of 2"),
        ("fires", "it fires"),
        ("ignored", "it has fired, and rests until 2026-01-01T00:02:31.000000Z"),
    ]


def test_silences() -> None:
    trigger = Trigger(event="end", after="begin", missing_seconds=60, per="about")
    assert told(trigger, at(0, "begin", about="a"), at(1, "begin", about="b"), at(30, "end", about="a")) == [
        ("waits", "it fires if nothing is heard until 2026-01-01T00:01:00.000000Z"),
        ("waits", "it fires if nothing is heard until 2026-01-01T00:01:01.000000Z"),
        ("counted", "it waits for nothing any more"),
    ]
    late = told(trigger, at(0, "begin", about="a"), at(90, "end", about="a"))
    assert late[1] == ("fires", "nothing was heard until 2026-01-01T00:01:00.000000Z, so it fired then")


def test_what_would_be_done() -> None:
    actions = (
        RunDeployment("report", {"rows": "{facts.rows}", "none": "{facts.none}"}),
        EmitEvent("seen", "{about}"),
        Call("https://example.org/${HOOK}", body={"text": "{about} {facts.none}"}),
        Notify("{about} {facts.none}"),
    )
    automation = Automation(name="it", trigger=Trigger(event="go"), actions=actions)
    (fired,) = rehearse(automation, [at(0, about="orders", facts={"rows": 7})])
    report, seen, hook, notice = fired.actions
    assert report["error"] == "There is no fact 'facts.none'."
    assert seen["about"] == "orders"
    assert (hook["url"], hook["body"]) == ("https://example.org/${HOOK}", {"text": "orders ?"})
    assert notice["message"] == "orders ?"


@pytest.mark.parametrize("why", [{"flow": "tidy"}, {}, {"flow": ["a", "b"]}])
def test_why_not(why: dict[str, Any]) -> None:
    ((outcome, reason),) = told(Trigger(event="go", where={"flow": "fetch"}), at(0, **why))
    assert outcome == "ignored"
    assert reason.startswith("flow is ")
    assert reason.endswith('and must be "fetch"')


@pytest.mark.parametrize("event", [{}, {"event": 5}, {"event": "go", "at": "soon"}, {"event": "go", "at": True}])
def test_events_that_are_none(event: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"has no name|is no time"):
        told(Trigger(event="go"), event)
