"""Where calls may go, and how they are signed."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.web import Web, web

from penstock.control.webhooks import Request, Signature
from penstock.control.webhooks.requests import Refused
from penstock.control.webhooks.signatures import verify
from penstock.core.automations import Call
from penstock.core.errors import ConnectionNotFound
from penstock.core.events import now_us
from penstock.core.model import OwedAction
from penstock.core.networks import address_of, customer_of, is_public
from penstock.core.sending import Hopeless
from penstock.engine.egress import Egress, NotReachable
from penstock.engine.posting import signed
from penstock.orchestrator.calls import calls


@pytest.fixture
def server() -> Iterator[Web]:
    with web() as found:
        yield found


def owed(**facts: Any) -> OwedAction:
    return OwedAction(
        firing="a/1", action=0, automation="a", due_at=0, attempt=0, under_way=False, do={}, facts=facts, chain=(),
        fired_at=0,
    )  # fmt: skip


def no_secret(name: str) -> str:
    raise ConnectionNotFound(f"There is no connection {name!r}.")


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("8.8.8.8", True), ("127.0.0.1", False), ("10.1.2.3", False), ("192.168.0.1", False), ("172.16.0.1", False),
        ("169.254.169.254", False), ("0.0.0.0", False), ("100.64.0.1", False), ("224.0.0.1", False), ("::1", False),
        ("::ffff:127.0.0.1", False), ("fe80::1", False), ("fc00::1", False), ("2606:4700::1111", True),
        ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False), ("::", False), ("255.255.255.255", False),
    ],
)  # fmt: skip
def test_what_is_of_the_internet(text: str, public: bool) -> None:
    address = address_of(text)
    assert address is not None
    assert is_public(address) is public


def test_who_counts_as_one_sender() -> None:
    assert customer_of("::ffff:10.0.0.1") == "10.0.0.1"
    assert customer_of("2001:db8::1") == customer_of("2001:db8::ffff") != customer_of("2001:db8:0:1::1")
    assert customer_of("somewhere") == "somewhere"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "0x7f.1", "127.1"])
def test_a_call_does_not_reach_this_machine(server: Web, host: str) -> None:
    port = server.url.rpartition(":")[2]
    send = calls(Egress(), no_secret)
    with pytest.raises(Hopeless) as refused:
        send(owed(), Call(f"http://{host}:{port}/"))
    assert "call_hosts" in str(refused.value)
    assert server.asked == []


@pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.0/8", "local*", " LOCALHOST "])
def test_what_is_allowed_is_reached(server: Web, allowed: str) -> None:
    host = "localhost" if "ocal" in allowed.lower() else "127.0.0.1"
    send = calls(Egress([allowed]), no_secret)
    found = send(owed(rows=3), Call(server.url.replace("127.0.0.1", host)))
    assert found == {"status": 200}
    assert server.asked[0].body["facts"] == {"rows": 3}


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(
    server: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(server.url.rpartition(":")[2])
    answers = iter([[("93.184.216.34", port)], [("127.0.0.1", port)]])
    asked = []

    def rebinding(host: str, port: int, **options: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in next(answers)]

    reached = []
    monkeypatch.setattr("penstock.engine.egress.socket.getaddrinfo", rebinding)
    monkeypatch.setattr(socket.socket, "connect", lambda self, place: reached.append(place))
    Egress().connect(("rebinding.example", port), 1.0).close()
    assert (asked, reached) == (["rebinding.example"], [("93.184.216.34", port)]), "it is looked up once"
    with pytest.raises(NotReachable):
        Egress().connect(("rebinding.example", port), 1.0)


def test_of_several_addresses_only_the_public_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    places = [("10.0.0.1", 80), ("93.184.216.34", 80)]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
    monkeypatch.setattr("penstock.engine.egress.socket.getaddrinfo", lambda *a, **o: found)
    reached = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, place: reached.append(place))
    Egress().connect(("two.example", 80), 1.0).close()
    assert reached == [("93.184.216.34", 80)]


def test_a_proxy_is_not_asked_for_what_may_not_be_reached(monkeypatch: pytest.MonkeyPatch, server: Web) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    send = calls(Egress(), no_secret)
    with pytest.raises(Hopeless):
        send(owed(), Call("http://169.254.169.254/latest/meta-data"))
    assert server.asked == []


def test_a_signed_call(server: Web) -> None:
    send = calls(Egress(["127.0.0.1"]), lambda name: {"out": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}[name])
    send(owed(rows=3), Call(server.url, sign="out"))
    (asked,) = server.asked
    headers = tuple((name, asked.headers[name]) for name in ("Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"))
    body = json.dumps(asked.body, separators=(",", ":")).encode()
    sender = verify(
        Signature("standard"), ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], Request(headers=headers, body=body)
    )
    assert sender.delivery == "a/1/0"
    verify(
        Signature("standard"), ["other", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], Request(headers=headers, body=body)
    )
    with pytest.raises(Hopeless, match="no secret 'gone'"):
        calls(Egress(["127.0.0.1"]), no_secret)(owed(), Call(server.url, sign="gone"))


@pytest.mark.parametrize("secret", ["open sesame", "bm8gcHJlZml4", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "Ümläut"])
def test_what_is_signed_here_is_known_here(secret: str) -> None:
    at = now_us()
    headers = tuple(signed(secret, "id-1", at // 1_000_000, b"{}").items())
    verify(Signature("standard"), ["another", secret], Request(headers=headers, body=b"{}", at=at))
    with pytest.raises(Refused, match="not that of one"):
        verify(Signature("standard"), ["another"], Request(headers=headers, body=b"{}", at=at))


@pytest.mark.parametrize("secret", ["whsec_", "whsec_no base64", ""])
def test_a_secret_that_signs_nothing(server: Web, secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        signed(secret, "id-1", 1, b"{}")
    with pytest.raises(Hopeless, match="cannot be signed with 'out'") as refused:
        calls(Egress(["127.0.0.1"]), lambda name: secret)(owed(), Call(server.url, sign="out"))
    assert "no base64" not in str(refused.value)
    with pytest.raises(Refused) as known:
        verify(Signature("standard"), [secret], Request(headers=(
            ("webhook-id", "1"), ("webhook-timestamp", "1"), ("webhook-signature", "v1,x")), at=1_000_000))  # fmt: skip
    assert known.value.reason == "secrets"
