"""Alerts from outside: a real mail server and a stand-in are told, by servers that are killed, too."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest
from tests.acceptance.duty_lab import Place, place
from tests.conftest import service_url
from tests.integration.test_alerts_servers import Mail
from tests.patience import until
from tests.unit.alert_sites import SlackSite
from tests.unit.api_server import Api, Reply, api

pytestmark = pytest.mark.acceptance
__all__ = ["place"]

SETTINGS = """
[tool.penstock]
public_url = "https://penstock.example.com"

[tool.penstock.alerts]
runs = "failed"
checks = "off"

[tool.penstock.alerts.channels.team]
type = "slack"
connection = "team"
channel = "#data"
"""
MAIL = """
[tool.penstock.alerts.channels.mail]
type = "email"
connection = "mail"
to = "{to}"

[[tool.penstock.alerts.routes]]
to = ["team", "mail"]
"""
TEAM = """
[[tool.penstock.alerts.routes]]
to = "team"
"""


def connections(site: Api, place: Place, patience: int = 30) -> None:
    """Where the server finds the stand-in for Slack."""
    team = {"type": "slack", "token": "xoxb-good", "api_url": f"{site.url}/api/", "timeout_seconds": patience}
    place.cli.environ["PENSTOCK_CONNECTION_TEAM"] = json.dumps(team)


def alerts(place: Place, state: str) -> list[dict[str, Any]]:
    return [each for each in place.cli.json("alerts", "list")["alerts"] if each["state"] == state]


@pytest.mark.integration
def test_a_run_that_fails_and_completes_again_is_told(place: Place) -> None:
    url, to = service_url("smtp"), f"{uuid4().hex}@example.com"
    query, slack = dict(parse_qsl(urlsplit(url).query)), SlackSite()
    plain = url.partition("?")[0]
    with api(slack) as site:
        connections(site, place)
        place.cli.environ["PENSTOCK_CONNECTION_MAIL"] = f"{plain}?sender=penstock%40example.com&ca_file={query['ca']}"
        place.declare(SETTINGS + MAIL.format(to=to))
        place.cli.run("automations", "declare")
        place.deploy("mends", "--name", "mends")
        server = place.server()
        run_id = place.trigger("mends")
        assert place.ended(run_id)["state"] == "Failed"
        until(lambda: len(slack.messages) == 1, "the message in Slack")
        (mail,) = until(lambda: Mail(url).found(to), "the mail")
        (place.folder / "mended").touch()
        assert place.ended(place.trigger("mends"))["state"] == "Completed"
        until(lambda: len(slack.messages) == 2, "that it completes again")
        assert server.end() == 0
    text = mail.get_body(("plain",)).get_content()
    for told in (run_id, "mends Failed", f"https://penstock.example.com/api/v1/runs/{run_id}", "duration: "):
        assert told in text
    assert "ValueError: it is not mended" in text
    first, second = slack.messages
    assert "mends Failed" in first["text"]
    assert "mends Completed" in second["text"]
    assert run_id in json.dumps(first["blocks"])
    assert len(alerts(place, "told")) == 4
    assert "Traceback" not in server.err


@pytest.mark.chaos
def test_a_server_that_is_killed_tells_when_it_is_there_again(place: Place) -> None:
    slack = SlackSite()
    slack.says = [Reply(status=503)]
    with api(slack) as site:
        connections(site, place)
        place.declare(SETTINGS + TEAM)
        place.cli.run("automations", "declare")
        place.deploy("fails", "--name", "fails")
        server = place.server()
        assert place.ended(place.trigger("fails"))["state"] == "Failed"
        until(lambda: alerts(place, "waiting") and not slack.says, "the first attempt")
        server.kill()
        again = place.server()
        until(lambda: alerts(place, "told"), "the message")
        assert again.end() == 0
    assert len(slack.messages) == 1
    assert alerts(place, "waiting") == []


def test_two_servers_tell_once(place: Place) -> None:
    slack = SlackSite()
    with api(slack) as site:
        connections(site, place)
        place.declare(SETTINGS + TEAM)
        place.cli.run("automations", "declare")
        place.deploy("fails", "--name", "fails")
        servers = [place.server(), place.server()]
        runs = [place.trigger("fails") for _ in range(4)]
        assert {place.ended(run)["state"] for run in runs} == {"Failed"}
        until(lambda: len(alerts(place, "told")) == 4, "the messages")
        assert [server.end() for server in servers] == [0, 0]
    told = [json.dumps(message) for message in slack.messages]
    assert len(told) == 4
    assert all(sum(run in message for message in told) == 1 for run in runs)


def test_one_that_hangs_delays_no_run(place: Place) -> None:
    with api(lambda request: Reply()) as site:

        def hang(request: Any) -> Reply:
            site.hush.wait(60)
            return Reply()

        site.site = hang
        connections(site, place, patience=5)
        place.declare(SETTINGS + TEAM)
        place.cli.run("automations", "declare")
        place.deploy("fails", "--name", "fails")
        server = place.server()
        first = place.trigger("fails")
        until(lambda: site.asked, "the first attempt")
        second = place.trigger("fails")
        assert [place.ended(run)["state"] for run in (first, second)] == ["Failed", "Failed"]
        assert alerts(place, "told") == []
        assert server.end() == 0


def test_what_could_not_be_told_is_listed_and_tried_anew(place: Place) -> None:
    slack = SlackSite()
    slack.says = [Reply({"ok": False, "error": "channel_not_found"})]
    with api(slack) as site:
        connections(site, place)
        place.declare(SETTINGS + TEAM)
        place.cli.run("automations", "declare")
        place.deploy("fails", "--name", "fails")
        server = place.server()
        assert place.ended(place.trigger("fails"))["state"] == "Failed"
        (failed,) = until(lambda: alerts(place, "failed"), "the refusal")
        assert failed["error"] == "Slack says channel_not_found."
        assert "channel_not_found" in place.cli.run("alerts", "list", "--failed").out
        assert place.cli.run("alerts", "retry", "--all").out == "1 alert will be tried again.\n"
        until(lambda: slack.messages, "the message")
        assert place.cli.run("alerts", "retry", "--all").out == "0 alerts will be tried again.\n"
        assert "again already" in place.cli.run("alerts", "retry", failed["id"], code=2).err
        assert place.cli.run("alerts", "test", "team").out == "✓ team took the message.\n"
        assert server.end() == 0


def test_without_a_connection_it_is_off_and_the_doctor_says_so(place: Place) -> None:
    place.declare(SETTINGS + TEAM)
    found = place.cli.json("doctor")
    assert found["ok"] is True
    (check,) = [each for each in found["checks"] if each["name"] == "alerts"]
    assert check["detail"] == "team (slack): off: there is no connection 'team'"
    place.cli.environ["PENSTOCK_CONNECTION_TEAM"] = '{"type": "discord", "url": "https://x.example/y"}'
    found = place.cli.json("doctor", code=1)
    assert "is of the type discord, and not slack" in found["checks"][-1]["detail"]


def test_what_is_set_up_wrongly_is_told_with_its_option(place: Place) -> None:
    place.declare(SETTINGS.replace('"slack"', '"pager"') + TEAM)
    for command in (("automations", "declare"), ("server", "start", "--port", "0"), ("alerts", "test", "team")):
        told = place.cli.run(*command, code=2).err
        assert "tool.penstock.alerts.channels.team.type" in told
        assert "Traceback" not in told
    assert "alerts.channels.team.type" in json.dumps(place.cli.json("doctor", code=1)["checks"])


def test_silences(place: Place) -> None:
    made = place.cli.json("alerts", "silence", "flow=a*", "flow=b", "--for", "2h", "--reason", "moving")["silence"]
    assert (made["where"], made["state"], made["reason"]) == ({"flow": ["a*", "b"]}, "on", "moving")
    later = place.cli.json("alerts", "silence", "--for", "1h", "--from", "2999-01-01T00:00Z", code=2)
    assert "in more than a year" in later["error"]["message"]
    assert "flow=a*,b" in place.cli.run("alerts", "silences").out
    assert place.cli.run("alerts", "silences", "--end", made["id"][:5]).out == "It is over.\n"
    assert place.cli.run("alerts", "silences", "--end", made["id"]).out == "It was over already.\n"
    assert place.cli.run("alerts", "silences").out == "There are no silences.\n"
    assert [each["state"] for each in place.cli.json("alerts", "silences", "--all")["silences"]] == ["over"]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("silence",), "Say for how long"),
        (("silence", "--for", "soon"), "is no length of time"),
        (("silence", "--for", "0s"), "more than nothing"),
        (("silence", "nonsense", "--for", "1h"), "is no filter"),
        (("silence", "a b=1", "--for", "1h"), "cannot name a fact"),
        (("silence", "--for", "1h", "--from", "noon"), "is no time"),
        (("silences", "--end", "nothing"), "There is no silence"),
        (("retry",), "Say which alerts"),
        (("retry", "x", "--all"), "Say which alerts"),
        (("retry", "it/1/0"), "There is no alert"),
        (("test", "nobody"), "There is no channel"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_mistakes(place: Place, args: tuple[str, ...], told: str) -> None:
    process = place.cli.start("alerts", *args)
    answer = place.cli.end(process)
    assert answer.code in (1, 2)
    assert told in answer.err
    assert "Traceback" not in answer.err
