"""Those who send webhooks, as their specifications say they sign: made here without Penstock's code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

from penstock.control.webhooks import Request

DATA = Path(os.environ.get("PENSTOCK_TEST_DATA", ROOT.parent / "shared" / "data")) / "webhooks"
NOW = 1_750_000_000


def vectors() -> list[dict[str, Any]]:
    """Published signatures."""
    file = DATA / "signature_vectors.json"
    return json.loads(file.read_text()) if file.exists() else []


def signed(scheme: str, secret: str, body: bytes, at: int = NOW) -> dict[str, str]:
    """The headers that a sender adds."""
    key = secret.encode()
    if scheme == "github":
        return {"X-Hub-Signature-256": "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()}
    if scheme == "slack":
        mac = hmac.new(key, b"v0:%d:%b" % (at, body), hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": str(at), "X-Slack-Signature": f"v0={mac}"}
    if scheme == "stripe":
        return {"Stripe-Signature": f"t={at},v1={hmac.new(key, b'%d.%b' % (at, body), hashlib.sha256).hexdigest()}"}
    if scheme == "standard":
        mac = hmac.new(base64.b64decode(secret[6:]), b"msg_1.%d.%b" % (at, body), hashlib.sha256).digest()
        told = {"webhook-id": "msg_1", "webhook-timestamp": str(at)}
        return {**told, "webhook-signature": f"v1,{base64.b64encode(mac).decode()}"}
    if scheme == "hmac":
        return {"X-Sign": hmac.new(key, body, hashlib.sha256).hexdigest()}
    if scheme == "gitlab":
        return {"X-Gitlab-Token": secret}
    if scheme == "basic":
        return {"Authorization": f"Basic {base64.b64encode(key).decode()}"}
    return {"Authorization": f"Bearer {secret}"} if scheme == "bearer" else {}


SECRETS = {"standard": "whsec_" + base64.b64encode(b"k" * 24).decode(), "basic": "ann:pass word"}


def numbered(number: int, at: int) -> tuple[Request, str]:
    """The same request for the same number, and the secret it is signed with."""
    secret, body = SECRETS["standard"], b'{"order": "%d"}' % number
    key = base64.b64decode(secret[6:])
    mac = hmac.new(key, b"msg_%d.%d.%b" % (number, at, body), hashlib.sha256).digest()
    headers = {
        "webhook-id": f"msg_{number}",
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
        "content-type": "application/json",
    }
    return Request(headers=tuple(headers.items()), body=body, at=at * 1_000_000), secret
