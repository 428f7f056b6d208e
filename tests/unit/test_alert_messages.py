"""Alerts in the words of Slack, Discord, Teams, Alertmanager and email: whole, within limits, and nothing gets out."""

from __future__ import annotations

import email as emails
import json
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import ConfigurationError
from penstock.core.model import Alert
from penstock.observability.messages import alertmanager, discord, email, slack, teams

FACTS = {"flow": "shop", "run": {"name": "amber-otter", "id": "r1"}, "state": "Failed", "deployment": None}
ALERT = Alert(
    key="f1/0", at=1_750_000_000_000_000, automation="tell-me", title="shop failed", message="No answer.\nTwice.",
    level="error", facts=FACTS,
)  # fmt: skip
LINK = "https://penstock.example/runs/r1"
HOSTILE = (
    "<!channel> <script>alert(1)</script> [x](http://evil) @everyone *b* \r\nBcc: a@b.c\r\n\r\n\u202e\0\ud800 &amp;"
)


def hostile(text: str = HOSTILE) -> Alert:
    return Alert(key=text, at=0, automation=text, title=text, message=text, level="error", facts={"flow": text})


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [each for inner in value.values() for each in texts(inner)]
    if isinstance(value, list):
        return [each for inner in value for each in texts(inner)]
    return [value] if isinstance(value, str) else []


def test_slack() -> None:
    made = slack(ALERT, LINK)
    assert made["text"] == "\N{CROSS MARK} shop failed"
    kinds = [block["type"] for block in made["blocks"]]
    assert kinds == ["header", "section", "section", "actions", "context"]
    assert made["blocks"][1]["text"]["text"] == "No answer.\nTwice."
    told = [field["text"] for field in made["blocks"][2]["fields"]]
    assert told == ["*automation*\ntell-me", "*flow*\nshop", "*run*\namber-otter", "*state*\nFailed", "*run id*\nr1"]
    assert made["blocks"][3]["elements"][0]["url"] == LINK
    assert made["blocks"][4]["elements"][0]["text"] == "error, 2025-06-15T15:06:40Z"


def test_discord_and_teams() -> None:
    (embed,) = discord(ALERT, LINK)["embeds"]
    assert (embed["title"], embed["description"], embed["url"]) == ("shop failed", "No answer.\nTwice.", LINK)
    assert [field["name"] for field in embed["fields"]] == ["automation", "flow", "run", "state", "run id"]
    card = teams(ALERT, LINK)["attachments"][0]["content"]
    assert [block["text"] for block in card["body"][:2]] == ["shop failed", "No answer.\nTwice."]
    assert {"title": "run", "value": "amber\\-otter"} in card["body"][2]["facts"]
    assert card["actions"][0]["url"] == LINK


def test_alertmanager() -> None:
    labels = {"alertname": "tell-me", "severity": "error", "service": "penstock", "flow": "shop"}
    told = {"summary": "shop failed", "description": "No answer.\nTwice.", "run": "amber-otter", "state": "Failed"}
    (made,) = alertmanager(ALERT, LINK)
    assert (made["labels"], made["annotations"]) == (labels, {**told, "run_id": "r1"})
    assert (made["startsAt"], made["generatorURL"]) == ("2025-06-15T15:06:40Z", LINK)


def test_email() -> None:
    made = email(ALERT, "penstock@example.com", ["ann@example.com", "bob@example.com"], LINK)
    read = emails.message_from_bytes(made.as_bytes(), policy=default)
    assert isinstance(read, EmailMessage)
    assert read["Subject"] == "[error] shop failed"
    assert [str(each) for each in read["To"].addresses] == ["ann@example.com", "bob@example.com"]
    assert read["Date"].datetime.timestamp() == ALERT.at / 1_000_000
    plain, rich = (read.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert rich is not None
    assert "No answer.\nTwice." in plain.get_content().replace("\r\n", "\n")
    assert f'href="{LINK}"' in rich.get_content()
    again = email(ALERT, "penstock@example.com", ["ann@example.com"])
    assert again["Message-ID"] == made["Message-ID"]


def test_nothing_gets_out() -> None:
    for made in (slack(hostile()), discord(hostile()), teams(hostile()), alertmanager(hostile())):
        json.dumps(made, ensure_ascii=False).encode()
        assert not any(sign in text for text in texts(made) for sign in "\0\u202e\r")
    marked = [text for block in slack(hostile())["blocks"] for text in texts(block) if "channel" in text]
    assert [text for text in marked[1:] if "<" in text] == [], "the header is plain text"
    assert discord(hostile())["allowed_mentions"] == {"parse": []}
    for made in (discord(hostile()), teams(hostile())):
        assert not any("](" in text for text in texts(made))
    for link in (
        "javascript:alert(1)",
        'https://a"b',
        "https://a b",
        "http://",
        "ftp://a/b",
        "https://[x",
        "\nhttps://a/",
    ):
        for function in (slack, discord, teams, alertmanager):
            assert "actions" not in json.dumps(function(ALERT, link))
            assert link not in texts(function(ALERT, link))
        assert "href" not in email(ALERT, "a@b.c", ["a@b.c"], link).as_string()


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)


@settings(max_examples=60, deadline=None)
@given(st.text() | st.just(HOSTILE))
def test_headers_and_html_hold_whatever_is_said(text: str) -> None:
    made = email(hostile(text), "a@b.c", ["d@e.f"])
    read = emails.message_from_bytes(made.as_bytes(), policy=default)
    assert isinstance(read, EmailMessage)
    names = ["Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    assert sorted(read.keys()) == sorted(names)
    rich, tags = read.get_body(("html",)), _Tags()
    assert rich is not None
    tags.feed(rich.get_content())
    assert tags.found == {"html", "body", "h2", "p", "table", "tr", "td"}


@pytest.mark.parametrize("wrong", ["", "ann", "a@b.c\nBcc: x@y.z", "a@b.c, d@e.f", "Ann <a@b.c>", "a@b c"])
def test_addresses_that_are_none(wrong: str) -> None:
    for sender, to in ((wrong, ["a@b.c"]), ("a@b.c", [wrong])):
        with pytest.raises(ConfigurationError, match="no email address"):
            email(ALERT, sender, to)
    with pytest.raises(ConfigurationError, match="nobody"):
        email(ALERT, "a@b.c", [])


def test_the_limits_that_each_documents() -> None:
    long = hostile("<&*" * 20_000)
    made = slack(long, LINK)
    assert len(made["blocks"][0]["text"]["text"]) <= 150
    assert len(made["blocks"][1]["text"]["text"]) <= 3000
    assert all(len(field["text"]) <= 2000 for field in made["blocks"][2]["fields"])
    (embed,) = discord(long)["embeds"]
    assert len(embed["title"]) <= 256
    assert len(embed["description"]) <= 4096
    assert sum(map(len, texts(embed))) <= 6000
    assert len(json.dumps(teams(long))) <= 28_000
