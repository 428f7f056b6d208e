"""Who sent a request: the signatures of those who send webhooks, each as its own documentation specifies it.

| scheme | specification |
|---|---|
| github | docs.github.com, "Validating webhook deliveries": HMAC-SHA256 of the body in X-Hub-Signature-256 |
| gitlab | docs.gitlab.com, "Webhooks": the secret itself in X-Gitlab-Token |
| slack | api.slack.com, "Verifying requests from Slack": HMAC-SHA256 of `v0:TIME:BODY` in X-Slack-Signature |
| stripe | docs.stripe.com, "Verify webhook signatures manually": HMAC-SHA256 of `TIME.BODY` in Stripe-Signature |
| standard | standardwebhooks.com, version 1: HMAC-SHA256 of `ID.TIME.BODY` in webhook-signature |
| basic, bearer | RFC 7617, RFC 6750 |

Every comparison takes the same time wherever two texts differ, and every secret is tried.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from penstock.control.webhooks.requests import Refused, Request
from penstock.engine.posting import standard_key, standard_signature

ALGORITHMS = ("sha256", "sha384", "sha512", "sha1")
_MOST_SIGNATURES = 20
_DIGITS = re.compile(r"[0-9]{1,12}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a webhook knows its sender.

    Attributes:
        scheme: github, gitlab, slack, stripe, standard, hmac, basic, bearer or none.
        tolerance_seconds: how far the time in a request may be from now, where there is one.
        header: of hmac: the header with the signature.
        algorithm: of hmac: sha256, sha384, sha512 or sha1.
        encoding: of hmac: hex or base64.
        prefix: of hmac: what stands before the signature.
        timestamp_header: of hmac: the header with the time (seconds), which is signed too: `TIME.BODY`.
        delivery_header: the header with the sender's id of the delivery, where the scheme has none.
    """

    scheme: str
    tolerance_seconds: float = 300.0
    header: str | None = None
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    timestamp_header: str | None = None
    delivery_header: str | None = None

    def mistakes(self) -> list[tuple[str, str]]:
        """Everything that is wrong with it."""
        found = []
        if self.scheme not in SCHEMES:
            found.append(("signature.scheme", f"{self.scheme!r} is none of {', '.join(SCHEMES)}"))
        if not 0 < self.tolerance_seconds <= 86_400:
            found.append(("signature.tolerance_seconds", "must be above 0, and a day at most"))
        if self.scheme == "hmac" and self.header is None:
            found.append(("signature.header", "is missing: hmac needs the header with the signature"))
        if self.algorithm not in ALGORITHMS:
            found.append(("signature.algorithm", f"{self.algorithm!r} is none of {', '.join(ALGORITHMS)}"))
        if self.encoding not in _ENCODINGS:
            found.append(("signature.encoding", f"{self.encoding!r} is none of {', '.join(_ENCODINGS)}"))
        for field in ("header", "timestamp_header", "delivery_header"):
            name = getattr(self, field)
            if name is not None and not _TOKEN.fullmatch(name):
                found.append((f"signature.{field}", f"{name!r} cannot be the name of a header"))
        return found


class Sender(NamedTuple):
    """What a signature proves.

    Attributes:
        delivery: the id of the delivery; None where the body tells it, or nothing does.
    """

    delivery: str | None


def verify(signature: Signature, secrets: Sequence[str], request: Request) -> Sender:
    """Find out whether a request is from somebody who knows one of these secrets.

    Raises:
        Refused: it is not, or is too old.
    """
    if signature.scheme != "none" and not secrets:
        raise Refused("secrets", "This webhook has no secret that is valid now.")
    found = SCHEMES[signature.scheme](signature, secrets, request)
    if found.delivery is None and signature.delivery_header is not None:
        return Sender(_needed(request, signature.delivery_header))
    return found


def _github(signature: Signature, secrets: Sequence[str], request: Request) -> Sender:
    given = _needed(request, "X-Hub-Signature-256")
    _match([given], [f"sha256={_mac('sha256', each, request.body).hex()}" for each in _keys(secrets)])
    return Sender(request.header("X-GitHub-Delivery"))


def _gitlab(signature: Signature, secrets: Sequence[str], request: Request) -> Sender:
    _match([_needed(request, "X-Gitlab-Token")], secrets)
    return Sender(request.header("Idempotency-Key") or request.header("X-Gitlab-Event-UUID"))


def _slack(signature: Signature, secrets: Sequence[str], request: Request) -> Sender:
    time = _fresh(_needed(request, "X-Slack-Request-Timestamp"), signature, request)
    given = _needed(request, "X-Slack-Signature")
    signed = b"v0:" + time + b":" + request.body
    _match([given], [f"v0={_mac('sha256', each, signed).hex()}" for each in _keys(secrets)])
    return Sender(None)


def _stripe(signature: Signature, secrets: Sequence[str], request: Request) -> Sender:
    parts = [part.partition("=")[::2] for part in _needed(request, "Stripe-Signature").split(",")]
    times, given = ([value for name, value in parts if name == wanted] for wanted in ("t", "v1"))
    if len(times) != 1 or not given:
        raise Refused("signature", "The header Stripe-Signature has no time, or no signature of version v1.")
    signed = _fresh(times[0], signature, request) + b"." + request.body
    _match(given, [_mac("sha256", each, signed).hex() for each in _keys(secrets)])
    return Sender(None)


def _standard(signature: Signature, secrets: Sequence[str], request: Request) -> Sender:
    delivery = _needed(request, "webhook-id")
    time = _fresh(_needed(request, "webhook-timestamp"), signature, request)
    given = _needed(request, "webhook-signature").split(" ")
    try:
        keys = [standard_key(each) for each in secrets]
    except ValueError as error:
        raise Refused("secrets", f"Of a secret of this webhook: {error}.") from None
    _match(given, [standard_signature(key, _bytes(delivery), time, request.body) for key in keys])
    return Sender(delivery)


def _hmac(signature: Signature, secrets: Sequence[str], request: Request) -> Sender:
    signed = request.body
    if signature.timestamp_header is not None:
        time = _needed(request, signature.timestamp_header)
        signed = _fresh(time, signature, request) + b"." + signed
    given = _needed(request, signature.header or "")
    encoded = _ENCODINGS[signature.encoding]
    macs = [_mac(signature.algorithm, key, signed) for key in _keys(secrets)]
    _match([given], [signature.prefix + encoded(mac) for mac in macs])
    own = None if signature.delivery_header is not None else hashlib.sha256(signed).hexdigest()
    return Sender(own)


def _basic(signature: Signature, secrets: Sequence[str], request: Request) -> Sender:
    given = _after(_needed(request, "Authorization"), "basic")
    _match([given], [base64.b64encode(_bytes(each)).decode() for each in secrets])
    return Sender(request.header("Idempotency-Key") if signature.delivery_header is None else None)


def _bearer(signature: Signature, secrets: Sequence[str], request: Request) -> Sender:
    _match([_after(_needed(request, "Authorization"), "bearer")], secrets)
    return Sender(request.header("Idempotency-Key") if signature.delivery_header is None else None)


def _none(signature: Signature, secrets: Sequence[str], request: Request) -> Sender:
    return Sender(request.header("Idempotency-Key") if signature.delivery_header is None else None)


SCHEMES: dict[str, Callable[[Signature, Sequence[str], Request], Sender]] = {
    "github": _github,
    "gitlab": _gitlab,
    "slack": _slack,
    "stripe": _stripe,
    "standard": _standard,
    "hmac": _hmac,
    "basic": _basic,
    "bearer": _bearer,
    "none": _none,
}
_ENCODINGS: dict[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "base64": lambda mac: base64.b64encode(mac).decode(),
}


def _keys(secrets: Sequence[str]) -> list[bytes]:
    return [_bytes(each) for each in secrets]


def _mac(algorithm: str, key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, algorithm)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _needed(request: Request, name: str) -> str:
    found = request.header(name)
    if not found:
        raise Refused("signature", f"The header {name} is missing.")
    return found


def _after(given: str, scheme: str) -> str:
    word, _, rest = given.partition(" ")
    if word.lower() != scheme:
        raise Refused("signature", f"The header Authorization does not begin with {scheme.capitalize()}.")
    return rest


def _fresh(text: str, signature: Signature, request: Request) -> bytes:
    """The time in a request, as it is signed."""
    if not _DIGITS.fullmatch(text):
        raise Refused("timestamp", "The time of the request is no number of seconds.")
    away = request.at / 1_000_000 - int(text)
    if abs(away) > signature.tolerance_seconds:
        told = f"{away:,.0f} seconds old" if away > 0 else f"{-away:,.0f} seconds ahead"
        raise Refused("timestamp", f"The request is {told}; {signature.tolerance_seconds:,.0f} are allowed.")
    return text.encode("ascii")


def _match(given: Sequence[str], expected: Sequence[str]) -> None:
    """One of those given must be one of those expected; all are compared."""
    if len(given) > _MOST_SIGNATURES:
        raise Refused("signature", f"There are {len(given)} signatures, and {_MOST_SIGNATURES} at most are looked at.")
    same = [hmac.compare_digest(_bytes(each), _bytes(wanted)) for each in given for wanted in expected]
    if not any(same):
        raise Refused("signature", "The signature is not that of one of the secrets.")
