"""`[tool.penstock.alerts]`: channels, routes, what is told out of the box, and every mistake with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penstock.automations import Notify
from penstock.core.alerting import alert_settings
from penstock.core.errors import BadAlerts, ConfigurationError
from penstock.orchestrator.automations import automations_in_project
from penstock.orchestrator.routing import Routing

S = 1_000_000
TEAM = {"type": "slack", "connection": "slack", "channel": "#data"}
MAIL = {"type": "email", "connection": "mail", "to": "a@example.com"}


@pytest.mark.parametrize(
    ("table", "place", "told"),
    [
        ({"channels": {"x": {"type": "pager", "connection": "c"}}}, "channels.x.type", "Invalid enum value"),
        ({"channels": {"x": {"type": "slack"}}}, "channels.x", "missing required field `connection`"),
        ({"channels": {"x": {**TEAM, "chanel": "#a"}}}, "channels.x.chanel", "no such option"),
        ({"channels": {"x": {**TEAM, "to": "a@example.com"}}}, "channels.x.to", "is for email"),
        ({"channels": {"x": {"type": "email", "connection": "c"}}}, "channels.x.to", "is missing"),
        ({"channels": {"x": {**MAIL, "to": "a@example.com\nBcc: b@example.com"}}}, "channels.x.to", "no email address"),
        ({"channels": {"x": {**TEAM, "title": "{oh no}"}}}, "channels.x.title", "is no fact"),
        ({"channels": {"x": {**TEAM, "digest": "at noon"}}}, "channels.x.digest", "cron"),
        ({"channels": {"x": {**TEAM, "digest": "@daily", "group_seconds": 5}}}, "channels.x.digest", "together"),
        ({"channels": {"x": {**TEAM, "group_seconds": -1}}}, "channels.x.group_seconds", "is not between"),
        ({"channels": {"console": TEAM}}, "channels.console", "cannot be the name"),
        ({"channels": [TEAM]}, "alerts.channels", "write [tool.penstock.alerts.channels.NAME]"),
        ({"routes": {"to": "x"}}, "alerts.routes", "write [[tool.penstock.alerts.routes]]"),
        ({"routes": [{"to": "nowhere"}]}, "routes[0].to", "there is no channel 'nowhere'"),
        ({"routes": [{"to": "routes"}]}, "routes[0].to", "cannot lead to the routes"),
        ({"routes": [{"to": "file", "where": {"a b": "x"}}]}, "routes[0].where", "cannot name a fact"),
        ({"to": "team"}, "alerts.to", "there is no channel 'team'"),
        ({"runs": "maybe"}, "alerts.runs", "Invalid enum value"),
        ({"cool_down_seconds": 0}, "alerts.cool_down_seconds", "is not between"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_is_told_with_its_place(table: dict[str, Any], place: str, told: str) -> None:
    with pytest.raises(BadAlerts) as caught:
        alert_settings(table)
    assert any(place in where and told in what for where, what in caught.value.mistakes), caught.value.mistakes


def test_every_mistake_is_told_when_it_is_declared(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(
        '[tool.penstock.alerts.channels.a]\ntype = "slack"\n[tool.penstock.alerts.channels.b]\ntype = "email"\n'
        'connection = "mail"\nto = "nobody"\n'
    )
    with pytest.raises(ConfigurationError) as caught:
        automations_in_project(file)
    assert "channels.a" in caught.value.message
    assert "channels.b.to" in caught.value.message


def test_a_place_that_is_not_there_is_told_when_it_is_declared(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(
        '[tool.penstock.automations.mine]\ntrigger = { event = "RunFailed" }\n'
        'actions = [{ type = "notify", message = "x", to = ["file", "teem"] }]\n'
    )
    with pytest.raises(ConfigurationError, match=r"actions\[0\]\.to: there is no place 'teem'"):
        automations_in_project(file)


def test_what_is_told_out_of_the_box(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text('[tool.penstock.alerts]\nchecks = "off"\nruns = "all"\ndeadlines = true\n')
    assert sorted(automations_in_project(file)) == ["deadline-missed", "run-completed", "run-failed", "run-recovered"]
    file.write_text('[tool.penstock.alerts]\nruns = "failed"\ncool_down_seconds = 60\n')
    found = automations_in_project(file)
    assert sorted(found) == ["check-error", "run-failed", "run-recovered"]
    assert (found["run-failed"].trigger.cool_down_seconds, found["run-failed"].trigger.per) == (60, "flow")


@pytest.mark.parametrize(
    ("match", "facts", "wanted"),
    [
        ("first", {"tags": ["prod"], "flow": "etl"}, ["team", "mail"]),
        ("all", {"tags": ["prod"], "flow": "etl"}, ["team", "mail", "file"]),
        ("first", {"tags": ["dev"], "flow": "fetch-users"}, ["mail"]),
        ("first", {"tags": ["dev"], "flow": "etl"}, ["file"]),
        ("all", {}, ["file"]),
    ],
    ids=["prod", "prod-all", "fetch", "dev", "nothing"],
)
def test_routes(match: str, facts: dict[str, Any], wanted: list[str]) -> None:
    table = {
        "match": match,
        "channels": {"team": TEAM, "mail": MAIL},
        "routes": [
            {"to": ["team", "mail"], "where": {"tags": "prod", "level": "error"}},
            {"to": "mail", "where": {"flow": "fetch-*"}},
            {"to": "file"},
        ],
    }
    owed = Routing(alert_settings(table))(Notify("x", level="error", to="routes"), facts, 0)
    assert [to for each in owed for to in ([each.do["to"]] if isinstance(each.do["to"], str) else each.do["to"])] == (
        sorted(wanted, key=["file", "team", "mail"].index)
    )
    assert [each.lane for each in owed] == [
        None if to == "file" else f"alerts/{to}" for to in (sorted(wanted, key=["file", "team", "mail"].index))
    ]


def test_an_alert_that_no_route_takes_is_owed_nowhere() -> None:
    table = {"channels": {"team": TEAM}, "routes": [{"to": "team", "where": {"tags": "prod"}}]}
    assert Routing(alert_settings(table))(Notify("x", to="routes"), {"tags": ["dev"]}, 0) == []


def test_groups_are_told_once_a_window() -> None:
    routing = Routing(alert_settings({"channels": {"team": {**TEAM, "group_seconds": 60, "group_by": "flow"}}}))

    def due(at: int, flow: str = "etl") -> int:
        (owed,) = routing(Notify("x", to="team"), {"flow": flow}, at * S)
        return (owed.due_at or 0) // S

    assert [due(at) for at in (1000, 1010, 1059)] == [1000, 1060, 1060]
    assert due(1020, "other") == 1020
    assert [due(at) for at in (1061, 1119)] == [1120, 1120], "the window goes on while there is something in it"
    assert due(1200) == 1200
    assert due(500) == 500, "a clock that was set back holds nothing up"


def test_a_digest_is_due_when_it_says() -> None:
    table = {"channels": {"team": {**TEAM, "digest": "0 8 * * *", "timezone": "Europe/Berlin"}}}
    at = 1_767_225_600 * S  # 2026-01-01T00:00Z
    (owed,) = Routing(alert_settings(table))(Notify("x", to="team"), {}, at)
    assert owed.due_at == at + 7 * 3600 * S
    assert owed.do["group"] == "digest"
