"""Who we are, as a server wants to be told. None of these shows its secret."""

from __future__ import annotations

import base64
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote_plus

from penstock.core.errors import SourceUnavailable
from penstock.core.secrets import Secret

_EARLY_SECONDS = 30.0

Post = Callable[[str, Mapping[str, str], Mapping[str, str]], Any]
"""Posts a form with headers to a URL, with the usual retries, and gives what the JSON answer says."""


@dataclass(frozen=True)
class Signature:
    """What makes a request ours.

    Attributes:
        headers: to be sent.
        query: parameters that no log shows.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


class Auth(ABC):
    """Signs requests to the host that a source was made for, and to no other."""

    @abstractmethod
    def sign(self, post: Post) -> Signature:
        """What to send with the next request."""

    @abstractmethod
    def secrets(self) -> Iterable[str]:
        """What no message may show."""

    def renew(self, used: Signature) -> bool:
        """The server did not accept this; True when the next signature may be another one."""
        return False

    def parameters(self) -> tuple[str, ...]:
        """Parameters of the query that carry a secret: servers like to repeat them, and no position may hold them."""
        return ()

    def mistakes(self) -> list[tuple[str, str]]:
        """What is wrong with it."""
        return []


def _headers_are_sendable(name: str, *values: str) -> list[tuple[str, str]]:
    fine = all(value.isprintable() and value.isascii() for value in values)
    return [] if fine else [(name, "has characters that no HTTP header can have")]


@dataclass(frozen=True, repr=False)
class Basic(Auth):
    """User and password, with every request.

    Args:
        user: whom the server knows.
        password: never shown.
    """

    user: str
    password: str | Secret

    def __post_init__(self) -> None:
        object.__setattr__(self, "password", Secret(self.password))

    def sign(self, post: Post) -> Signature:
        """See `Auth.sign`."""
        return Signature({"Authorization": f"Basic {_basic(self.user, _open(self.password))}"})

    def secrets(self) -> Iterable[str]:
        """See `Auth.secrets`."""
        return (_open(self.password), _basic(self.user, _open(self.password)))

    def mistakes(self) -> list[tuple[str, str]]:
        """See `Auth.mistakes`."""
        return [("auth.user", "may not have a colon")] if ":" in self.user else []

    def __repr__(self) -> str:
        return f"Basic({self.user!r}, '***')"


@dataclass(frozen=True, repr=False)
class Bearer(Auth):
    """A token.

    Args:
        token: the token, or a function that gives one; it is called again when the server does not accept the last one.
    """

    token: str | Secret | Callable[[], str]
    _known: list[str] = field(default_factory=list, init=False, compare=False)

    def __post_init__(self) -> None:
        if not callable(self.token):
            object.__setattr__(self, "token", Secret(self.token))

    def sign(self, post: Post) -> Signature:
        """See `Auth.sign`."""
        if not self._known:
            self._known.append(self.token() if callable(self.token) else _open(self.token))
        return Signature({"Authorization": f"Bearer {self._known[-1]}"})

    def secrets(self) -> Iterable[str]:
        """See `Auth.secrets`."""
        return tuple(self._known) if callable(self.token) else (_open(self.token),)

    def renew(self, used: Signature) -> bool:
        """See `Auth.renew`."""
        if not callable(self.token):
            return False
        if used == self.sign(_nothing):
            self._known[:] = [self.token()]
        return True

    def mistakes(self) -> list[tuple[str, str]]:
        """See `Auth.mistakes`."""
        return [] if callable(self.token) else _headers_are_sendable("auth.token", _open(self.token))

    def __repr__(self) -> str:
        return "Bearer('***')"


@dataclass(frozen=True, repr=False)
class ApiKey(Auth):
    """A key in a header or in the query.

    Args:
        key: never shown, and never part of a position.
        header: the header that carries it; `X-API-Key` when neither this nor `query` is given.
        query: the parameter that carries it.
    """

    key: str | Secret
    header: str = ""
    query: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", Secret(self.key))

    def sign(self, post: Post) -> Signature:
        """See `Auth.sign`."""
        if self.query:
            return Signature(query={self.query: _open(self.key)})
        return Signature({self.header or "X-API-Key": _open(self.key)})

    def secrets(self) -> Iterable[str]:
        """See `Auth.secrets`."""
        return (_open(self.key),)

    def parameters(self) -> tuple[str, ...]:
        """See `Auth.parameters`."""
        return (self.query,) if self.query else ()

    def mistakes(self) -> list[tuple[str, str]]:
        """See `Auth.mistakes`."""
        found = [] if self.query else _headers_are_sendable("auth.key", _open(self.key), self.header)
        if self.query and self.header:
            found.append(("auth", "the key goes into a header or into the query, not both"))
        return found

    def __repr__(self) -> str:
        where = f"query={self.query!r}" if self.query else f"header={self.header or 'X-API-Key'!r}"
        return f"ApiKey('***', {where})"


@dataclass(frozen=True, repr=False)
class OAuth2ClientCredentials(Auth):
    """A token that a token server gives for a client's id and secret (RFC 6749, section 4.4).

    The token is kept in memory until shortly before it expires, or until the server does not accept it any more. All
    threads of a source share it.

    Args:
        token_url: where tokens are asked for. Redirects are not followed.
        client_id: whom the token server knows.
        client_secret: never shown.
        scope: names joined by spaces.
        extra: further fields of the request, such as `audience`.
        send: id and secret in a `header` (Basic), or in the `body`.
    """

    token_url: str
    client_id: str
    client_secret: str | Secret
    scope: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    send: Literal["header", "body"] = "header"
    _token: list[tuple[str, float]] = field(default_factory=list, init=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "client_secret", Secret(self.client_secret))

    def sign(self, post: Post) -> Signature:
        """See `Auth.sign`.

        Raises:
            SourceUnavailable: the token server gives no token.
        """
        with self._lock:
            if not self._token or time.monotonic() >= self._token[0][1]:
                self._token[:] = [self._asked(post)]
            return Signature({"Authorization": f"Bearer {self._token[0][0]}"})

    def _asked(self, post: Post) -> tuple[str, float]:
        form = {"grant_type": "client_credentials", **({"scope": self.scope} if self.scope else {}), **self.extra}
        headers = {}
        if self.send == "body":
            form |= {"client_id": self.client_id, "client_secret": _open(self.client_secret)}
        else:
            pair = _basic(quote_plus(self.client_id), quote_plus(_open(self.client_secret)))
            headers["Authorization"] = f"Basic {pair}"
        asked = time.monotonic()
        told = post(self.token_url, headers, form)
        token = told.get("access_token") if isinstance(told, dict) else None
        if not isinstance(token, str) or not token or _headers_are_sendable("", token):
            raise SourceUnavailable(
                "The token server's answer has no access_token.", hint="check token_url, and what the server expects"
            )
        if str(told.get("token_type", "bearer")).lower() != "bearer":
            kind = str(told["token_type"])[:40]
            raise SourceUnavailable(
                f"The token server gives tokens of the type {kind!r}; only bearer tokens can be used."
            )
        return token, asked + _lifetime(told.get("expires_in"))

    def secrets(self) -> Iterable[str]:
        """See `Auth.secrets`."""
        pair = _basic(quote_plus(self.client_id), quote_plus(_open(self.client_secret)))
        return (_open(self.client_secret), pair, *(token for token, _ in list(self._token)))

    def renew(self, used: Signature) -> bool:
        """See `Auth.renew`."""
        with self._lock:
            if self._token and used.headers.get("Authorization") == f"Bearer {self._token[0][0]}":
                self._token.clear()
        return True

    def mistakes(self) -> list[tuple[str, str]]:
        """See `Auth.mistakes`."""
        from penstock.connectors.http.messages import url_mistakes

        found = url_mistakes("auth.token_url", self.token_url)
        if self.send not in ("header", "body"):
            found.append(("auth.send", f"is 'header' or 'body', not {self.send!r}"))
        return found

    def __repr__(self) -> str:
        scope = f", scope={self.scope!r}" if self.scope else ""
        return f"OAuth2ClientCredentials({self.token_url!r}, {self.client_id!r}, '***'{scope})"


def _lifetime(told: Any) -> float:
    """Seconds to use a token for; for ever where the server does not tell."""
    try:
        seconds = float(told)
    except (TypeError, ValueError):
        return float("inf")
    return seconds - min(_EARLY_SECONDS, seconds / 10) if seconds > 0 else 0.0


def _open(secret: str | Secret) -> str:
    return secret.reveal() if isinstance(secret, Secret) else secret


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _nothing(url: str, headers: Mapping[str, str], form: Mapping[str, str]) -> Any:
    raise AssertionError("a known token is not asked for")
