"""Alerts over real sockets, to stand-ins for Slack, Teams, Discord and any webhook: refused, slow and hostile."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.ports import nobody
from tests.unit.alert_sites import HOSTILE, SlackSite, alert
from tests.unit.api_server import Api, Reply, api
from tests.unit.certificates import certificate

from penstock.connections import (
    AlertmanagerConnection,
    DiscordConnection,
    SlackConnection,
    SmtpConnection,
    TeamsConnection,
    WebhookConnection,
)
from penstock.core.alerting import Channel
from penstock.core.connections import BadFields, Connection, ConnectionFailed
from penstock.core.errors import JournalUnavailable
from penstock.core.secrets import Secret
from penstock.core.sending import Hopeless, Unanswered
from penstock.journal import MemoryJournal
from penstock.observability.alerts import KINDS, deliver
from penstock.orchestrator.channels import Threads

SECRET = "whsec_" + b64encode(b"0123456789abcdef0123456789abcdef").decode()
PATH = "/services/T0/B0/top-secret-path"


@pytest.fixture
def server() -> Iterator[Api]:
    with api(lambda request: Reply(status=204)) as found:
        yield found


def made(kind: str, url: str, **more: Any) -> Connection:
    """A connection of this type to a server of the test's own."""
    if kind == "slack":
        return SlackConnection(token=Secret("xoxb-good"), api_url=f"{url}/api/", **more)
    if kind == "slack-hook":
        return SlackConnection(webhook_url=Secret(url + PATH), **more)
    if kind == "alertmanager":
        return AlertmanagerConnection(base_url=url, **more)
    kinds = {"teams": TeamsConnection, "discord": DiscordConnection, "webhook": WebhookConnection}
    return kinds[kind](url=Secret(url + PATH), **more)


def send(kind: str, connection: Connection, threads: Threads | None = None, **changes: Any) -> dict[str, Any]:
    name = kind.removesuffix("-hook")
    channel = Channel(type=name, connection="c", channel="#data" if kind == "slack" else None)  # type: ignore[arg-type]
    return dict(deliver(connection, channel, alert(**changes), threads or Threads(MemoryJournal(), "team")))


WEB = ["slack", "slack-hook", "teams", "discord", "webhook", "alertmanager"]
FAILURES: dict[str, tuple[Reply, type[Exception], float | None]] = {
    "429": (Reply(status=429, headers={"Retry-After": "7"}, body={"ok": False, "error": "ratelimited"}), Unanswered, 7),
    "500": (Reply(status=500, body={"ok": False, "error": "internal_error"}), Unanswered, None),
    "403": (Reply(status=403, body={"ok": False, "error": "invalid_auth"}), Hopeless, None),
    "garbage": (Reply(raw=b"\x16\x03\x01 nonsense\r\n\r\n"), Unanswered, None),
    "closed": (Reply(raw=b""), Unanswered, None),
}


@pytest.mark.parametrize("kind", WEB)
@pytest.mark.parametrize("failure", FAILURES)
def test_what_went_wrong_says_whether_to_try_again(server: Api, kind: str, failure: str) -> None:
    reply, wanted, rest = FAILURES[failure]
    server.site = lambda request: reply
    with pytest.raises(wanted) as caught:
        send(kind, made(kind, server.url, timeout_seconds=30))
    assert getattr(caught.value, "after_seconds", None) == rest
    for hidden in ("xoxb-good", "top-secret-path"):
        assert hidden not in str(caught.value)
    assert len(server.asked) == 1, "the outbox tries again, and nobody else"


@pytest.mark.parametrize("kind", WEB)
def test_nobody_there(kind: str) -> None:
    with pytest.raises(Unanswered, match="could not be reached"):
        send(kind, made(kind, nobody(), timeout_seconds=30))


@pytest.mark.parametrize("kind", WEB)
def test_one_that_does_not_answer(server: Api, kind: str) -> None:
    def silent(request: Any) -> Reply:
        server.hush.wait(30)
        return Reply()

    server.site = silent
    with pytest.raises(Unanswered):
        send(kind, made(kind, server.url, timeout_seconds=1.0))


@pytest.mark.parametrize("kind", WEB)
def test_one_that_answers_a_byte_at_a_time(server: Api, kind: str) -> None:
    server.site = lambda request: Reply(body=b"x" * 1000, drip=0.3)
    with pytest.raises(Unanswered, match="gave no answer within 1 s"):
        send(kind, made(kind, server.url, timeout_seconds=1.0))


@pytest.mark.parametrize("kind", WEB)
def test_a_redirect_is_not_followed(server: Api, kind: str) -> None:
    server.site = lambda request: Reply(status=302, headers={"Location": f"{server.url}/elsewhere"})
    with pytest.raises((Hopeless, Unanswered)):
        send(kind, made(kind, server.url, timeout_seconds=30))
    assert "/elsewhere" not in [request.path for request in server.asked]


@pytest.mark.parametrize("kind", WEB)
def test_a_certificate_that_nobody_vouches_for(tmp_path: Path, kind: str) -> None:
    authority, file = certificate(tmp_path)
    (tmp_path / "ca.pem").write_text(authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with api(lambda request: {"ok": True, "ts": "1.0"}, context) as found:
        url = found.url.replace("http:", "https:")
        with pytest.raises(Unanswered, match="certificate is not accepted"):
            send(kind, made(kind, url, timeout_seconds=30))
        assert send(kind, made(kind, url, timeout_seconds=30, ca_file=str(tmp_path / "ca.pem")))


def test_slack_keeps_what_is_about_one_run_in_one_thread() -> None:
    slack, journal = SlackSite(), MemoryJournal()
    with api(slack) as server:
        connection = made("slack", server.url)
        first = send("slack", connection, Threads(journal, "team"))
        second = send("slack", connection, Threads(journal, "team"))  # as another process would
        other = send("slack", connection, Threads(journal, "team"), thread="r2")
        apart = send("slack", connection, Threads(journal, "team"), thread=None)
        slack.says = [Reply({"ok": False, "error": "thread_not_found"})]
        anew = send("slack", connection, Threads(journal, "team"))
    assert [message.get("thread_ts") for message in slack.messages] == [None, first["ts"], None, None, None]
    assert second["thread"] == first["ts"]
    assert "thread" not in other
    assert "thread" not in apart
    assert Threads(journal, "team").get("r1") == anew["ts"]
    assert Threads(journal, "others").get("r1") is None


def test_a_thread_that_cannot_be_kept_sends_nothing_twice() -> None:
    class Away(MemoryJournal):
        def bookmark(self, name: str) -> Any:
            raise JournalUnavailable("it is away")

    slack = SlackSite()
    with api(slack) as server:
        assert send("slack", made("slack", server.url), Threads(Away(), "team"))["ts"]
    assert len(slack.messages) == 1


def test_slack_forgets_the_oldest_threads() -> None:
    threads = Threads(MemoryJournal(), "team")
    for number in range(510):
        threads.keep(f"r{number}", str(number))
    assert threads.get("r9") is None
    assert threads.get("r10") == "10"
    assert threads.get("r509") == "509"


@pytest.mark.parametrize("said", ["channel_not_found", "not_in_channel", "invalid_auth", "is_archived"])
def test_what_slack_will_not_take_another_time_either(said: str) -> None:
    with api(lambda request: {"ok": False, "error": said}) as server, pytest.raises(Hopeless, match=said):
        send("slack", made("slack", server.url))


def test_slack_needs_a_channel_with_a_token(server: Api) -> None:
    with pytest.raises(Hopeless, match="give `channel`"):
        deliver(
            made("slack", server.url),
            Channel(type="slack", connection="c"),
            alert(),
            Threads(MemoryJournal(), "team"),
        )


def test_a_signed_webhook(server: Api) -> None:
    send("webhook", made("webhook", server.url, secret=Secret(SECRET), token=Secret("tok")))
    send("webhook", made("webhook", server.url, secret=Secret(SECRET)))
    first, second = server.asked
    assert first.headers["webhook-id"] == second.headers["webhook-id"], "the same alert has the same id"
    assert first.headers["authorization"] == "Bearer tok"
    for request in server.asked:
        signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
        key = b64decode(SECRET.removeprefix("whsec_"))
        wanted = "v1," + b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert request.headers["webhook-signature"] == wanted
    assert first.json["type"] == "penstock.alert"
    assert first.json["data"]["more"] == {"duration": "3 s", "failed task": "load"}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("kind", WEB)
def test_nothing_in_an_alert_can_mention_anybody_or_break_out(server: Api, kind: str) -> None:
    server.site = lambda request: {"ok": True, "ts": "1.0"}
    hostile = {
        "title": HOSTILE,
        "message": HOSTILE,
        "automation": HOSTILE,
        "facts": {"flow": HOSTILE, "run": {"id": HOSTILE, "name": HOSTILE}},
        "more": {HOSTILE: HOSTILE},
        "log": f"```{HOSTILE}```",
        "link": "javascript:alert(1)",
        "thread": HOSTILE,
    }
    send(kind, made(kind, server.url), **hostile)
    (request,) = server.asked
    assert "bcc" not in request.headers
    texts = list(_texts(request.json)) if kind != "webhook" else []
    assert not [text for text in texts if "javascript:" in text or "\u202e" in text]
    if kind.startswith("slack"):
        marked = [each for each in _marked(request.json) if "<" in each or "```" in each.replace("```\n", "", 1)[:-3]]
        assert marked == []
    if kind == "discord":
        assert request.json["allowed_mentions"] == {"parse": []}
    if kind == "teams":
        assert not [text for text in texts if "](http" in text or text.startswith("**")]


def _marked(value: Any) -> Iterator[str]:
    """The texts that Slack reads as Markdown."""
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            yield value["text"]
        for name, each in value.items():
            if name == "text" and isinstance(each, str) and "type" not in value:
                yield each
            yield from _marked(each)
    elif isinstance(value, list):
        for each in value:
            yield from _marked(each)


def test_how_large_a_message_is_at_most(server: Api) -> None:
    server.site = lambda request: {"ok": True, "ts": "1.0"}
    long = "é*" * 20_000
    more = {f"fact {n}": long for n in range(30)}
    for kind in WEB:
        send(kind, made(kind, server.url), title=long, message=long, log=long, more=more)
    bodies = {kind: request.json for kind, request in zip(WEB, server.asked, strict=True)}
    blocks = bodies["slack"]["blocks"]
    assert len(blocks) <= 50
    assert all(len(block.get("text", {}).get("text", "")) <= 3000 for block in blocks)
    assert all(len(block.get("fields", ())) <= 10 for block in blocks)
    (embed,) = bodies["discord"]["embeds"]
    assert len(embed["title"]) <= 256
    assert len(embed["description"]) <= 4096
    assert len(embed["fields"]) <= 25
    sizes = [len(each["name"]) + len(each["value"]) for each in embed["fields"]]
    assert len(embed["title"]) + len(embed["description"]) + sum(sizes) <= 6000
    assert len(server.asked[WEB.index("teams")].body) <= 28_000


# ---------------------------------------------------------------------------------------------------- connections
def test_health() -> None:
    slack = SlackSite()
    with api(slack) as server:
        assert made("slack", server.url).test(30).told == "the bot bot of us"
        bad = SlackConnection(token=Secret("xoxb-bad"), api_url=f"{server.url}/api/")
        with pytest.raises(ConnectionFailed, match="invalid_auth"):
            bad.test(30)
    with api(lambda request: Reply({"name": "hook"})) as server:
        assert made("discord", server.url).test(30).told == "there is such a webhook"
        assert "only a message tells" in made("teams", server.url).test(30).told
        assert made("alertmanager", server.url).test(30).told == "ready"
    with api(lambda request: Reply(status=404)) as server:
        for kind in ("discord", "alertmanager"):
            with pytest.raises(ConnectionFailed, match="404") as caught:
                made(kind, server.url).test(30)
            assert "top-secret-path" not in str(caught.value)
    with api(lambda request: Reply(status=503)) as server, pytest.raises(ConnectionFailed, match="503"):
        made("teams", server.url).test(30)


@pytest.mark.parametrize(
    ("cls", "fields", "place"),
    [
        (SlackConnection, {}, "token"),
        (SlackConnection, {"token": "a", "webhook_url": "https://x.example/y"}, "token"),
        (SlackConnection, {"webhook_url": "ftp://x"}, "webhook_url"),
        (DiscordConnection, {"url": "nonsense top-secret-path"}, "url"),
        (AlertmanagerConnection, {"base_url": "http://a:b@c"}, "base_url"),
        (SmtpConnection, {"host": "h", "sender": "nobody"}, "sender"),
        (SmtpConnection, {"host": "h", "sender": "a@b.c\nBcc: x@y.z"}, "sender"),
        (SmtpConnection, {"host": "h", "sender": "a@b.c", "username": "u"}, "password"),
        (SmtpConnection, {"host": "h", "sender": "a@b.c", "username": "u", "password": "p", "tls": "none"}, "tls"),
    ],
    ids=str,
)
def test_connections_that_cannot_be(cls: type[Connection], fields: dict[str, Any], place: str) -> None:
    with pytest.raises(BadFields) as caught:
        cls.of(fields)
    assert place in [where for where, _ in caught.value.mistakes]
    assert "top-secret-path" not in str(caught.value)


def test_smtp_from_a_url() -> None:
    found = SmtpConnection.from_url("smtps://us%40er:p%2Fw@mail.example.com:2465?sender=a%40example.com")
    assert (found.host, found.port, found.tls, found.username) == ("mail.example.com", 2465, "tls", "us@er")
    assert found.password is not None
    assert found.password.reveal() == "p/w"


@pytest.mark.parametrize("way", ["drips", "silent", "gone", "no-mail"])
def test_a_mail_server_that_is_none(way: str) -> None:
    over = threading.Event()

    def answer(client: socket.socket) -> None:
        with client, suppress(OSError):
            if way == "no-mail":
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            while way in ("drips", "silent") and not over.wait(0.1):
                client.sendall(b"2" if way == "drips" else b"")

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def listen() -> None:
            with suppress(OSError):
                answer(listener.accept()[0])

        thread = threading.Thread(target=listen)
        thread.start()
        connection = SmtpConnection(
            host="127.0.0.1", port=listener.getsockname()[1], sender="a@example.com", timeout_seconds=0.5
        )
        with pytest.raises(Unanswered):
            deliver(
                connection,
                Channel(type="email", connection="c", to="b@example.com"),
                alert(),
                Threads(MemoryJournal(), "mail"),
            )
        over.set()
        thread.join()


def test_each_type_of_channel_has_its_type_of_connection() -> None:
    from penstock.engine.connections.types import type_named

    assert {type_named(kind).kind for kind in KINDS.values()} == set(KINDS.values())
