"""HTTP APIs."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote_plus, urlencode

from penstock.core.connections import Connection, ConnectionFailed, Range, Seconds, Secret
from penstock.engine.connections.probing import ask, tls_context, url_mistakes
from penstock.engine.connections.urls import url_parts

_NEEDS = {
    "none": (),
    "basic": ("username", "password"),
    "bearer": ("token",),
    "api-key": ("api_key",),
    "oauth2": ("token_url", "client_id", "client_secret"),
}
_TAKES = {**_NEEDS, "oauth2": (*_NEEDS["oauth2"], "scope", "audience")}
_TELLING = ("authorization", "cookie", "proxy-authorization", "x-api-key", "api-key", "x-auth-token")


class HttpConnection(Connection):
    """An HTTP API.

    Attributes:
        base_url: where it is, such as https://api.example.com/v2.
        auth: how it knows us: by name and password, a bearer token, an API key, or OAuth2 client credentials.
        username: for basic.
        password: for basic.
        token: for bearer.
        api_key: for api-key.
        api_key_name: the header, or the parameter of the query, that holds the API key.
        api_key_in: whether it is a header or in the query.
        token_url: for oauth2: where tokens are to be had.
        client_id: for oauth2.
        client_secret: for oauth2.
        scope: for oauth2: what the token is wanted for.
        audience: for oauth2: for whom.
        client_auth: for oauth2: whether id and secret are sent as basic authentication, or in the form.
        headers: sent with every request; none of them may be secret.
        verify: the server's certificate is checked.
        ca_file: a file with the authorities that may sign it, instead of the system's.
        client_cert: a file with a certificate of our own.
        client_key: a file with its key, if that is another one.
        connect_timeout_seconds: how long connecting may take.
        timeout_seconds: how long the server may take to go on with its answer.
        pool_max: how many connections at once at most.
        health_path: what the health test asks for, below base_url.
    """

    kind = "http"
    schemes = ("http", "https")

    base_url: str
    auth: Literal["none", "basic", "bearer", "api-key", "oauth2"] = "none"
    username: str | None = None
    password: Secret | None = None
    token: Secret | None = None
    api_key: Secret | None = None
    api_key_name: str = "X-API-Key"
    api_key_in: Literal["header", "query"] = "header"
    token_url: str | None = None
    client_id: str | None = None
    client_secret: Secret | None = None
    scope: str | None = None
    audience: str | None = None
    client_auth: Literal["basic", "form"] = "basic"
    headers: dict[str, str] | None = None
    verify: bool = True
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    connect_timeout_seconds: Seconds = 10.0
    timeout_seconds: Seconds = 30.0
    pool_max: Annotated[int, Range(1, 1000)] = 20
    health_path: str = "/"

    @classmethod
    def parts(cls, url: str) -> dict[str, Any]:
        """See `Connection.parts`: `https://user:password@host/path` is basic authentication."""
        parts = url_parts(url)
        given: dict[str, Any] = {"base_url": f"{url.partition('://')[0]}://{parts.place}"}
        return given if parts.user is None else given | {"auth": "basic"} | parts.named("username", "password")

    @classmethod
    def asks(cls, given: Mapping[str, object]) -> list[str]:
        """See `Connection.asks`: what the chosen way wants."""
        if "url" in given:
            return []
        needed = _NEEDS.get(str(given.get("auth", "none")), ())
        return [name for name in needed if cls.fields()[name].secret]

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """See `Connection.mistakes`."""
        for name in ("base_url", "token_url"):
            yield from url_mistakes(name, getattr(self, name))
        for name in _NEEDS[self.auth]:
            if getattr(self, name) is None:
                yield name, f"is missing: auth is {self.auth}"
        others = {name: way for way, names in _TAKES.items() for name in names if name not in _TAKES[self.auth]}
        for name, way in others.items():
            if getattr(self, name) is not None:
                yield name, f"is for {way}, and auth is {self.auth}"
        for name in self.headers or ():
            if name.lower() in _TELLING:
                yield "headers", f"{name} would be shown: use auth, and token or api_key"
        if self.client_key is not None and self.client_cert is None:
            yield "client_key", "is the key of a certificate: give client_cert too"

    def tls(self) -> ssl.SSLContext:
        """What TLS is done with.

        Raises:
            ConnectionFailed: a certificate cannot be read.
        """
        return tls_context(self.verify, self.ca_file, self.client_cert, self.client_key)

    def check(self, seconds: float) -> str:
        """See `Connection.check`."""
        seconds = min(seconds, self.connect_timeout_seconds + self.timeout_seconds)
        headers, query = dict(self.headers or {}), ""
        if self.auth == "basic":
            headers["Authorization"] = _basic(self.username or "", _text(self.password))
        elif self.auth in ("bearer", "oauth2"):
            token = _text(self.token) if self.auth == "bearer" else self._fetched_token(seconds)
            headers["Authorization"] = f"Bearer {token}"
        elif self.auth == "api-key" and self.api_key_in == "header":
            headers[self.api_key_name] = _text(self.api_key)
        elif self.auth == "api-key":
            query = "?" + urlencode({self.api_key_name: _text(self.api_key)})
        path = self.health_path.lstrip("/")
        url = f"{self.base_url.rstrip('/')}/{path}" if path else self.base_url
        status = ask(url + query, seconds, headers=headers, tls=self.tls()).status
        if status in (401, 403, 407):
            raise ConnectionFailed(f"it answered {status}: it does not let us in", hint="check auth and its fields")
        if status >= 500:
            raise ConnectionFailed(f"it answered {status}", hint="it is there, but not well: try again later")
        known = "; nothing tells whether it knows us" if self.auth != "none" and status >= 400 else ""
        return f"answered {status}{known}"

    def _fetched_token(self, seconds: float) -> str:
        """An access token for client credentials (RFC 6749, section 4.4)."""
        form = {"grant_type": "client_credentials", "scope": self.scope, "audience": self.audience}
        headers = {"Accept": "application/json"}
        user, secret = self.client_id or "", _text(self.client_secret)
        if self.client_auth == "basic":
            headers["Authorization"] = _basic(quote_plus(user), quote_plus(secret))
        else:
            form |= {"client_id": user, "client_secret": secret}
        sent = urlencode({name: value for name, value in form.items() if value is not None}).encode()
        answer = ask(self.token_url or "", seconds, headers=headers, form=sent, tls=self.tls())
        try:
            told = json.loads(answer.body) if answer.status == 200 else {}
        except ValueError:
            told = {}
        token = told.get("access_token") if isinstance(told, dict) else None
        if not isinstance(token, str):
            raise ConnectionFailed(
                f"token_url answered {answer.status} and gave no token",
                hint="check token_url, client_id, client_secret",
            )
        return token


def _text(secret: Secret | None) -> str:
    return secret.reveal() if secret is not None else ""


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
