"""What a saved connection says about a host."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from penstock.connectors.http.auth import ApiKey, Auth, Basic, Bearer, OAuth2ClientCredentials
from penstock.connectors.http.messages import origin_of, plain
from penstock.connectors.http.retries import Timeouts
from penstock.core.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.engine.connections.http import HttpConnection


class Host(NamedTuple):
    """A host, and how to talk to it; see `penstock.connectors.http.HttpApi`.

    Attributes:
        url: what to ask.
        auth: who we are.
        headers: to be sent.
        tls: certificates.
        timeouts: how long to wait.
        connections: how many at once.
    """

    url: str
    auth: Auth | None = None
    headers: Mapping[str, str] = {}
    tls: ssl.SSLContext | None = None
    timeouts: Timeouts = Timeouts()
    connections: int = 100


def host_of(connection: HttpConnection | str, url: str) -> Host:
    """What a connection says, or the one of this name.

    Args:
        connection: it, or its name.
        url: below its `base_url`; or a whole URL on the same host.

    Raises:
        ConfigurationError: the URL is on another host, which must not get the connection's credentials.
        ConnectionNotFound, ConnectionLocked, BadConnection: there is no such connection.
    """
    from penstock.engine.connections.http import HttpConnection

    known = HttpConnection.load(connection) if isinstance(connection, str) else connection
    base = known.base_url.rstrip("/")
    if not urlsplit(url).scheme:
        url = f"{base}/{url.lstrip('/')}" if url.strip("/") else known.base_url
    elif origin_of(url) != origin_of(base):
        raise ConfigurationError(
            f"{plain(url)} is not on the host of the connection, {origin_of(base)}.",
            hint="give a path below its base_url, such as 'orders'",
        )
    return Host(
        url=url,
        auth=_auth_of(known),
        headers=dict(known.headers or {}),
        tls=known.tls() if url.startswith("https:") else None,
        timeouts=Timeouts(connect=known.connect_timeout_seconds, read=known.timeout_seconds),
        connections=known.pool_max,
    )


def _auth_of(known: HttpConnection) -> Auth | None:
    if known.auth == "basic":
        return Basic(known.username or "", known.password or "")
    if known.auth == "bearer":
        return Bearer(known.token or "")
    if known.auth == "api-key":
        return ApiKey(known.api_key or "", **{known.api_key_in: known.api_key_name})
    if known.auth == "oauth2":
        return OAuth2ClientCredentials(
            known.token_url or "",
            known.client_id or "",
            known.client_secret or "",
            scope=known.scope or "",
            extra={"audience": known.audience} if known.audience else {},
            send="header" if known.client_auth == "basic" else "body",
        )
    return None
