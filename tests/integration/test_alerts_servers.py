"""Alerts to a real mail server, read back from its mailbox, and to a real Alertmanager."""

from __future__ import annotations

import email
import email.policy
import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest
from tests.conftest import service_url
from tests.patience import until
from tests.unit.alert_sites import HOSTILE, Stand, Told, alert

from penstock.connections import AlertmanagerConnection, SmtpConnection
from penstock.core.alerting import Channel
from penstock.core.clock import clock_of, now_us
from penstock.core.connections import ConnectionFailed
from penstock.core.secrets import Secret
from penstock.core.sending import Hopeless, Unanswered
from penstock.journal import MemoryJournal
from penstock.observability.alerts import deliver
from penstock.orchestrator import outbox
from penstock.orchestrator.channels import Threads

pytestmark = pytest.mark.integration


class Mail:
    """The mail server, and its mailbox."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.query = dict(parse_qsl(parts.query))
        self.folder = Path(self.query["mail"])
        self.fields: dict[str, Any] = {
            "host": parts.hostname,
            "port": parts.port,
            "username": parts.username,
            "password": parts.password,
            "sender": "penstock@example.com",
            "ca_file": self.query["ca"],
        }

    def connection(self, **changes: Any) -> SmtpConnection:
        return SmtpConnection.of({**self.fields, **changes})

    def found(self, address: str) -> list[Any]:
        """The messages for an address; the mailbox is everybody's."""
        files = (self.folder / "new").glob("*")
        read = [email.message_from_bytes(each.read_bytes(), policy=email.policy.default) for each in files]
        return [each for each in read if address in str(each["Envelope-to"])]


@pytest.fixture
def mail() -> Mail:
    return Mail(service_url("smtp"))


def somebody() -> str:
    return f"{uuid4().hex}@example.com"


def send(connection: SmtpConnection, *to: str, **changes: Any) -> dict[str, Any]:
    channel = Channel(type="email", connection="mail", to=to)
    return dict(deliver(connection, channel, alert(**changes), Threads(MemoryJournal(), "mail")))


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_message_is_in_the_mailbox(mail: Mail, tls: str) -> None:
    port = int(mail.query["tls_port"]) if tls == "tls" else mail.fields["port"]
    first, second = somebody(), somebody()
    told = send(mail.connection(tls=tls, port=port), first, second)
    (message,) = until(lambda: mail.found(first), "the message")
    until(lambda: mail.found(second), "the message for the other one")
    assert message["Message-ID"] == told["message_id"]
    assert message["Subject"] == "[error] etl Failed"
    assert message["References"] == message["In-Reply-To"] != message["Message-ID"]
    text = message.get_body(("plain",)).get_content()
    html = message.get_body(("html",)).get_content()
    for each in ("it broke", "failed task", "load", "two", "https://penstock.example.com/api/v1/runs/r1"):
        assert each in text
        assert each in html


def test_messages_about_one_run_belong_together(mail: Mail) -> None:
    one = somebody()
    for key, thread in (("a/1/0", "r1"), ("b/2/0", "r1"), ("c/3/0", "r2"), ("a/1/0", "r1")):
        send(mail.connection(), one, key=key, thread=thread)
    messages = until(lambda: found if len(found := mail.found(one)) == 4 else None, "four messages")
    assert len({each["References"] for each in messages}) == 2
    assert len({each["Message-ID"] for each in messages}) == 3, "the same alert has the same id"


def test_no_text_becomes_a_header_or_a_tag(mail: Mail) -> None:
    one, other = somebody(), somebody()
    hostile = HOSTILE.replace("all@example.com", other)
    send(
        mail.connection(),
        one,
        title=hostile,
        message=hostile,
        automation=hostile,
        more={hostile: hostile},
        facts={"flow": hostile},
        log=hostile,
        link="javascript:alert(1)",
        key=hostile,
        thread=hostile,
    )
    (message,) = until(lambda: mail.found(one), "the message")
    assert message["Bcc"] is None
    assert mail.found(other) == []
    html = message.get_body(("html",)).get_content()
    assert "<script>" not in html
    assert "javascript:" not in html


def test_who_is_not_there_does_not_keep_it_from_the_others(mail: Mail) -> None:
    one = somebody()
    told = send(mail.connection(), "nobody@example.com", one)
    assert told["refused"] == ["nobody@example.com"]
    until(lambda: mail.found(one), "the message")
    with pytest.raises(Hopeless, match="takes none of the recipients: 550"):
        send(mail.connection(), "nobody@example.com")
    with pytest.raises(Unanswered, match="451 come back later"):
        send(mail.connection(), "later@example.com")


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"password": "wrong-password"}, Hopeless, "535"),
        ({"username": None, "password": None}, Hopeless, "550 sign in first"),
        ({"ca_file": None}, Unanswered, "certificate is not accepted"),
        ({"tls": "tls"}, Unanswered, "there is no TLS with it"),
        ({"port": 9}, Unanswered, "connection refused"),
        ({"host": "nowhere.invalid"}, Unanswered, "could not be reached"),
    ],
    ids=["password", "nobody", "authority", "no-tls", "port", "host"],
)
def test_what_keeps_a_message_from_being_sent(
    mail: Mail, changes: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told) as caught:
        send(mail.connection(**changes, timeout_seconds=30), somebody())
    assert "wrong-password" not in str(caught.value)


def test_the_health_test_signs_in_and_sends_nothing(mail: Mail) -> None:
    assert mail.connection().test(10).told == "it lets us in"
    with pytest.raises(ConnectionFailed, match="does not let us in"):
        mail.connection(password="wrong-password").test(10)
    with pytest.raises(ConnectionFailed, match="certificate is not accepted"):
        mail.connection(ca_file=None).test(10)


def test_a_message_whose_answer_was_lost_comes_again_with_its_id(mail: Mail) -> None:
    """An attempt that was begun, and whose process died: the outbox sends it again."""
    one, clock = somebody(), Stand()
    table = {"channels": {"mail": {"type": "email", "connection": "mail", "to": one}}}
    with clock_of(clock):
        world = Told(clock, table, {"mail": mail.connection()})
        world.on("mail", title="Trouble")
        world.emit()
        world.automations.evaluator.turn(clock.at)
        outside = world.automations.actions.outside
        outside._record = lambda *given: False if len(given) > 2 else type(outside)._record(outside, *given)  # type: ignore[method-assign]
        outside.turn(clock.at)
        assert outside.settle(30)
        after = Told(clock, table, {"mail": mail.connection()}, world.journal)
        after.settle(61)
        assert [each.state for each in outbox.alerts_of(after.journal)] == ["told"]
    messages = until(lambda: found if len(found := mail.found(one)) == 2 else None, "both messages")
    assert len({each["Message-ID"] for each in messages}) == 1


# ---------------------------------------------------------------------------------------------------- Alertmanager
def test_alertmanager_is_told_and_told_when_it_is_over() -> None:
    url, name = service_url("alertmanager"), f"run-failed-{uuid4().hex}"
    connection = AlertmanagerConnection(base_url=url)
    channel = Channel(type="alertmanager", connection="am")

    def firing() -> list[Any]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{url}/api/v2/alerts?active=true&filter=alertname%3D{name}", timeout=10) as answer:
            found: list[Any] = json.load(answer)
            return found

    def tell(**changes: Any) -> None:
        deliver(connection, channel, alert(at=now_us(), **changes), Threads(MemoryJournal(), "am"))

    assert connection.test(10).told == "ready"
    tell(automation=name, title=HOSTILE, message=HOSTILE)
    tell(automation=name)
    (found,) = until(firing, "the alert")
    assert found["labels"] == {"alertname": name, "severity": "error", "service": "penstock", "flow": "etl"}
    assert found["annotations"]["run_id"] == "r1"
    assert found["generatorURL"] == "https://penstock.example.com/api/v1/runs/r1"
    tell(automation="run-recovered", resolves=name)
    until(lambda: not firing(), "the end of the alert")


def test_alertmanager_refuses_with_its_reason() -> None:
    connection = AlertmanagerConnection(base_url=f"{service_url('alertmanager')}/nowhere", token=Secret("top-secret"))
    with pytest.raises(Hopeless, match="answered 404") as caught:
        deliver(connection, Channel(type="alertmanager", connection="am"), alert(), Threads(MemoryJournal(), "am"))
    assert "top-secret" not in str(caught.value)
