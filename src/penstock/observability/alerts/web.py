"""Channels that take JSON over HTTP: Teams, Discord, Alertmanager, and webhooks of any kind."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request

import msgspec

from penstock.core.alerting import Channel
from penstock.core.automation_checks import url_mistake
from penstock.core.clock import now_us
from penstock.core.connections import Connection
from penstock.core.model import Alert
from penstock.core.sending import Hopeless, Unanswered
from penstock.engine.connections.probing import why
from penstock.engine.posting import Posted, post, signed
from penstock.observability import messages

_AGAIN = frozenset({408, 425, 429})
_MOST_BYTES = 65_536
_LONGEST_REASON = 300


def teams(connection: Any, channel: Channel, alert: Alert, _: object) -> Mapping[str, Any]:
    """A message in Teams."""
    return _sent(connection, connection.url.reveal(), messages.teams(alert, alert.link))


def discord(connection: Any, channel: Channel, alert: Alert, _: object) -> Mapping[str, Any]:
    """A message in Discord."""
    return _sent(connection, connection.url.reveal(), messages.discord(alert, alert.link))


def alertmanager(connection: Any, channel: Channel, alert: Alert, _: object) -> Mapping[str, Any]:
    """An alert that begins or, where it resolves others, ends."""
    hold = {"hold_seconds": channel.hold_seconds} if channel.hold_seconds is not None else {}
    url = f"{connection.base_url.rstrip('/')}/api/v2/alerts"
    return _sent(connection, url, messages.alertmanager(alert, alert.link, **hold), bearer(connection.token))


def webhook(connection: Any, channel: Channel, alert: Alert, _: object) -> Mapping[str, Any]:
    """The alert as JSON, signed where there is a secret."""
    digest = hashlib.blake2b(alert.key.encode("utf-8", "replace"), digest_size=16).hexdigest()
    body = {"type": "penstock.alert", "timestamp": messages.when(alert), "data": msgspec.to_builtins(alert)}
    data = msgspec.json.encode(body)
    headers = {"Idempotency-Key": f"msg_{digest}", **bearer(connection.token)}
    if connection.secret is not None:
        try:
            headers |= signed(connection.secret.reveal(), f"msg_{digest}", now_us() // 1_000_000, data)
        except ValueError as error:
            raise Hopeless(f"The message cannot be signed: {error}.") from None
    return _sent(connection, connection.url.reveal(), data, headers)


def bearer(token: Any) -> dict[str, str]:
    """The header of a bearer token, if there is one."""
    return {"Authorization": f"Bearer {token.reveal()}"} if token is not None else {}


def _sent(connection: Any, url: str, body: Any, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    return {"status": posted(connection, url, body, headers).status}


def posted(connection: Any, url: str, body: Any, headers: Mapping[str, str] | None = None) -> Posted:
    """The answer of a server that took a message.

    Raises:
        Hopeless, Unanswered: see `deliver`. No secret of the connection is in the message.
    """
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    if told := url_mistake(url):
        raise Hopeless(f"The URL cannot be called: {told}.")
    host = urlsplit(url).hostname
    tls: ssl.SSLContext | None = connection.tls() if url.startswith("https:") else None
    sent = {"Content-Type": "application/json", "User-Agent": "penstock", **(headers or {})}
    try:
        answer = post(Request(url, data, sent, method="POST"), connection.timeout_seconds, tls, _MOST_BYTES)
    except TimeoutError:
        raise Unanswered(f"{host} gave no answer within {connection.timeout_seconds:g} s.") from None
    except (OSError, HTTPException, ValueError) as error:
        raise Unanswered(f"{host} could not be reached ({unreached(connection, error)}).") from None
    if 200 <= answer.status < 300:
        return answer
    told = f"{host} answered {answer.status}"
    if said := connection.redact(" ".join(answer.body.decode("utf-8", "replace").split()))[:_LONGEST_REASON]:
        told += f": {said}"
    if answer.status >= 500 or answer.status in _AGAIN:
        raise Unanswered(told, answer.rest_seconds)
    raise Hopeless(told)


def unreached(connection: Connection, error: Exception) -> str:
    """Why there was no answer, without what is secret."""
    reason = getattr(error, "reason", None)
    told, _ = why(reason if isinstance(reason, Exception) else error)
    return connection.redact(told)[:_LONGEST_REASON]
