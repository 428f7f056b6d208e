"""Signatures: the vectors of those who publish some, and what is refused."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.webhook_senders import NOW, SECRETS, signed, vectors

from penstock.control.webhooks import Signature
from penstock.control.webhooks.hooks import HookSecret
from penstock.control.webhooks.requests import Refused, Request
from penstock.control.webhooks.signatures import ALGORITHMS, verify

VECTORS = vectors()
SCHEMES = {"github": "github", "slack": "slack", "standard-webhooks": "standard", "stripe": "stripe"}


WITH_SECRET = ("github", "gitlab", "slack", "stripe", "standard", "hmac", "basic", "bearer")
SIGNING = ("github", "slack", "stripe", "standard", "hmac")


def scheme_of(name: str, **more: Any) -> Signature:
    return Signature(name, **{"header": "X-Sign" if name == "hmac" else None, **more})


def request(headers: dict[str, str], body: bytes, at: int = NOW) -> Request:
    return Request(headers=tuple(headers.items()), body=body, at=at * 1_000_000)


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_published_vectors(vector: dict[str, Any]) -> None:
    scheme = SCHEMES[vector["scheme"].split(" ")[0]]
    names = {
        "github": ("X-Hub-Signature-256", ""),
        "slack": ("X-Slack-Signature", "X-Slack-Request-Timestamp"),
        "standard": ("webhook-signature", "webhook-timestamp"),
        "stripe": ("Stripe-Signature", ""),
    }
    signature, time = names[scheme]
    headers = {signature: vector["signature"], **({time: vector["timestamp"]} if time else {})}
    if scheme == "standard":
        headers["webhook-id"] = vector["msg_id"]
    asked = request(headers, vector["payload"].encode(), int(vector.get("timestamp", NOW)))
    if vector["valid"]:
        assert verify(Signature(scheme), [vector["secret"]], asked).delivery == vector.get("msg_id")
        with pytest.raises(Refused):
            verify(Signature(scheme), [vector["secret"][:-8] + "AAAAAAA="], asked)
    else:
        with pytest.raises(Refused) as refusal:
            verify(Signature(scheme), [vector["secret"]], asked)
        assert refusal.value.reason == "signature"


def test_the_vectors_are_of_each_kind(test_data: Path) -> None:
    assert {vector["scheme"].split(" ")[0] for vector in VECTORS} == set(SCHEMES)
    assert [vector["valid"] for vector in VECTORS].count(False) == 1


@pytest.mark.parametrize("name", WITH_SECRET)
def test_one_of_several_secrets_counts_and_no_other(name: str) -> None:
    right, body = SECRETS.get(name, "right one"), b'{"a": 1}'
    other = "whsec_" + base64.b64encode(b"other").decode()
    asked = request(signed(name, right, body), body)
    verify(scheme_of(name), [other, right], asked)
    verify(scheme_of(name), [right, other], asked)
    for secrets, reason in (([other], "signature"), ([], "secrets")):
        with pytest.raises(Refused) as refusal:
            verify(scheme_of(name), secrets, asked)
        assert refusal.value.reason == reason
        assert right not in refusal.value.message
    with pytest.raises(Refused):
        verify(scheme_of(name), [right], request({}, body))
    for header in signed(name, right, body):
        twice = Request(headers=(*asked.headers, (header.lower(), "x")), body=body, at=asked.at)
        with pytest.raises(Refused) as refusal:
            verify(scheme_of(name), [right], twice)
        assert refusal.value.reason == "headers"


@pytest.mark.parametrize("name", SIGNING)
@settings(max_examples=40, deadline=None)
@given(body=st.binary(min_size=1, max_size=200), data=st.data())
def test_no_changed_bit_passes(name: str, body: bytes, data: st.DataObject) -> None:
    secret = SECRETS.get(name, "right one")
    headers = signed(name, secret, body)
    verify(scheme_of(name), [secret], request(headers, body))
    part = data.draw(st.sampled_from(["body", *headers]))
    whole = bytearray(body if part == "body" else headers[part].encode())
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    changed = bytes(whole)
    asked = request(headers, changed) if part == "body" else request({**headers, part: changed.decode("latin-1")}, body)
    with pytest.raises(Refused):
        verify(scheme_of(name), [secret], asked)


@pytest.mark.parametrize("name", ["slack", "stripe", "standard"])
def test_the_replay_window(name: str) -> None:
    secret, body = SECRETS.get(name, "right one"), b"{}"
    headers = signed(name, secret, body)
    for away, fine in ((0, True), (300, True), (-300, True), (301, False), (-301, False), (10**9, False)):
        asked = request(headers, body, NOW + away)
        if fine:
            verify(scheme_of(name), [secret], asked)
        else:
            with pytest.raises(Refused) as refusal:
                verify(scheme_of(name), [secret], asked)
            assert refusal.value.reason == "timestamp"
    verify(scheme_of(name, tolerance_seconds=600.0), [secret], request(headers, body, NOW + 600))
    key = next(header for header in headers if "time" in header.lower() or name == "stripe")
    for wrong in ("", "now", "-1", "1e9", "٣", "9" * 400):
        given_time = f"t={wrong},v1=00" if name == "stripe" else wrong
        with pytest.raises(Refused):
            verify(scheme_of(name), [secret], request({**headers, key: given_time}, body))


@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_plain_hmac(algorithm: str, encoding: str) -> None:
    mac = hmac.new("schlüssel".encode(), b"%d.body" % NOW, algorithm).digest()
    told = mac.hex() if encoding == "hex" else base64.b64encode(mac).decode()
    scheme = scheme_of("hmac", algorithm=algorithm, encoding=encoding, prefix="v=", timestamp_header="X-Time")
    asked = request({"x-sign": f"v={told}", "x-time": str(NOW)}, b"body")
    assert verify(scheme, ["schlüssel"], asked).delivery == hashlib.sha256(b"%d.body" % NOW).hexdigest()
    for wrong in (told, f"V={told}", f"v={told} ", f"v={told}="):
        with pytest.raises(Refused):
            verify(scheme, ["schlüssel"], request({"x-sign": wrong, "x-time": str(NOW)}, b"body"))


def test_several_signatures_in_one_header() -> None:
    right = signed("stripe", "right one", b"{}")["Stripe-Signature"]
    verify(Signature("stripe"), ["right one"], request({"Stripe-Signature": f"{right},v1=00,v0=11"}, b"{}"))
    secret = SECRETS["standard"]
    headers = signed("standard", secret, b"{}")
    headers["webhook-signature"] = f"v1a,xyz {headers['webhook-signature']} v1,AAAA"
    verify(Signature("standard"), [secret], request(headers, b"{}"))
    headers["webhook-signature"] += " v1,AAAA" * 20
    with pytest.raises(Refused, match=r"There are 2\d signatures"):
        verify(Signature("standard"), [secret], request(headers, b"{}"))
    with pytest.raises(Refused) as refusal:
        verify(Signature("standard"), ["whsec_no base64!"], request(signed("standard", secret, b"{}"), b"{}"))
    assert refusal.value.reason == "secrets"


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["Authorization", "X-Sign", "Stripe-Signature"]), st.text()), st.text())
def test_whatever_the_headers_are_it_is_refused_and_nothing_else(headers: dict[str, str], secret: str) -> None:
    for name in ("basic", "bearer", "hmac", "stripe"):
        with pytest.raises(Refused):
            verify(scheme_of(name), [secret + "x"], request(headers, b"body"))


def test_when_a_secret_is_valid() -> None:
    day = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
    at = int(day.timestamp() * 1_000_000)
    former, next_ = HookSecret("a", until=day), HookSecret("b", since=day)
    assert (former.valid(at - 1), former.valid(at)) == (True, False)
    assert (next_.valid(at - 1), next_.valid(at)) == (False, True)
    assert HookSecret("c").valid(0)


def test_what_a_signature_cannot_be() -> None:
    wrong = Signature("hmac", 0.0, None, "md5", "base32", "", "a b", "x:y")
    places = [where.removeprefix("signature.") for where, _ in wrong.mistakes()]
    assert places == ["tolerance_seconds", "header", "algorithm", "encoding", "timestamp_header", "delivery_header"]
    assert Signature("sha").mistakes()[0][0] == "signature.scheme"
