"""An OpenID provider, as it is asked: what it says of itself, what it signs with, and who somebody is.

It is believed in what it says of people, and in nothing else. Where requests go is bounded (`engine.egress`): to the
internet, to the provider's own host and to what the project allows; what comes back is bounded in size and time.
"""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit
from urllib.request import Request

import msgspec

from penstock.control.settings import OidcSettings, is_safe_url
from penstock.core import typed
from penstock.core.errors import ProviderUnavailable, SignInRefused
from penstock.core.extras import require
from penstock.engine.egress import Egress
from penstock.engine.posting import post

_log = logging.getLogger("penstock.control.auth")
_SECONDS = 10.0
_MOST_BYTES = 256 * 1024
_MOST_KEYS = 100
_FRESH_SECONDS = 3600.0
_AFTER_FAILURE_SECONDS = 5.0
_UNKNOWN_KEY_SECONDS = 30.0
_AT_ONCE = 4
_LEEWAY_SECONDS = 60
_SHORTEST_RSA = 2048
_FAMILIES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""All of them have a public key: nobody can sign with what the provider shows to everybody."""


class Metadata(msgspec.Struct, frozen=True):
    """What a provider says of itself (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class _Keys(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class Granted(msgspec.Struct, frozen=True):
    """What a code is worth (RFC 6749, section 5.1)."""

    id_token: str
    access_token: str = ""


class _Kept:
    """An answer that is kept for an hour; and a failure, for a moment."""

    def __init__(self, get: Callable[[], Any], clock: Callable[[], float]) -> None:
        self._get = get
        self._clock = clock
        self._found: Any = None
        self._failed: ProviderUnavailable | None = None
        self._at = float("-inf")
        self._lock = threading.Lock()

    def get(self, at_most: float = _FRESH_SECONDS) -> Any:
        """The answer, no older than so many seconds."""
        with self._lock:
            age = self._clock() - self._at
            if self._failed is not None and age < _AFTER_FAILURE_SECONDS:
                raise self._failed
            if self._failed is None and age < at_most:
                return self._found
            try:
                self._found, self._failed = self._get(), None
            except ProviderUnavailable as error:
                self._failed = error
                raise
            finally:
                self._at = self._clock()
            return self._found


class Provider:
    """An OpenID provider.

    Args:
        settings: which one.
        secret: gives what Penstock shows it of itself; None for a public client.
        allowed: hosts that may be asked though they are not of the internet; see `Egress`.
        clock: tells the time, in seconds.
    """

    def __init__(
        self,
        settings: OidcSettings,
        secret: Callable[[], str | None],
        allowed: tuple[str, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._secret = secret
        self._egress = Egress([urlsplit(settings.issuer).hostname or "", *allowed])
        self._metadata = _Kept(self._discovered, clock)
        self._keys = _Kept(self._fetched_keys, clock)
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Be one of the few who ask it at the same time: one that does not answer holds up no more than these.

        Raises:
            ProviderUnavailable: there are enough already.
        """
        if not self._turns.acquire(blocking=False):
            raise ProviderUnavailable("Too many sign in at the same time.", hint="try again in some seconds")
        try:
            yield
        finally:
            self._turns.release()

    @property
    def metadata(self) -> Metadata:
        """What it says of itself.

        Raises:
            ProviderUnavailable: nothing, or what cannot be.
        """
        found: Metadata = self._metadata.get()
        return found

    def _discovered(self) -> Metadata:
        url = f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        found: Metadata = self._asked(Request(url), Metadata)
        if found.issuer != self.settings.issuer:
            raise self._wrong(f"it calls itself {found.issuer[:200]!r}, and not {self.settings.issuer!r}")
        for place in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.userinfo_endpoint):
            if place is not None and not _is_endpoint(place, self.settings.issuer):
                raise self._wrong(f"it names {place[:200]!r}, which is not encrypted or no URL")
        return found

    def granted(self, code: str, verifier: str, redirect_uri: str) -> Granted:
        """What a code is worth.

        Raises:
            ProviderUnavailable: it does not answer.
            SignInRefused: nothing.
        """
        metadata, form = self.metadata, {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        form["redirect_uri"] = redirect_uri
        headers, secret = {}, self._secret()
        if secret is None or "client_secret_basic" not in metadata.token_endpoint_auth_methods_supported:
            form |= {"client_id": self.settings.client_id} | ({} if secret is None else {"client_secret": secret})
        else:
            pair = f"{quote_plus(self.settings.client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        request = Request(metadata.token_endpoint, data=urlencode(form).encode(), headers=headers)
        found: Granted = self._asked(request, Granted)
        return found

    def told_of(self, granted: Granted, claims: Mapping[str, Any]) -> dict[str, Any]:
        """What it tells of somebody when it is asked with their token; nothing where it cannot be asked.

        Raises:
            ProviderUnavailable, SignInRefused: it does not answer, or of somebody else.
        """
        place = self.metadata.userinfo_endpoint
        if place is None or not granted.access_token.isprintable() or not granted.access_token.isascii():
            return {}
        request = Request(place, headers={"Authorization": f"Bearer {granted.access_token}"})
        found: dict[str, Any] = self._asked(request, dict[str, Any])
        if found.get("sub") != claims["sub"]:
            raise SignInRefused("The provider tells of somebody else.")
        return found

    def claims(self, id_token: str, nonce: str) -> dict[str, Any]:
        """What it says of somebody, and has signed for this sign-in.

        Raises:
            ProviderUnavailable: its keys cannot be had.
            SignInRefused: it has not signed this, or for somebody else, or it is not about this sign-in.
        """
        jwt = require("jwt", "server")
        try:
            header = jwt.get_unverified_header(id_token)
            algorithm = header.get("alg")
            if algorithm not in _ALGORITHMS:
                raise SignInRefused(f"The provider signs with {str(algorithm)[:20]!r}, which proves nothing.")
            found: dict[str, Any] = jwt.decode(
                id_token,
                self._key(algorithm, header.get("kid")),
                algorithms=[algorithm],
                audience=self.settings.client_id,
                issuer=self.settings.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "sub", "aud", "iss", "nonce"]},
            )
        except jwt.ExpiredSignatureError:
            raise SignInRefused("What the provider says is over already.", hint="are the clocks right?") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise SignInRefused(f"What the provider says cannot be believed: {error}.") from None
        self._check(found, nonce)
        return found

    def _check(self, claims: dict[str, Any], nonce: str) -> None:
        subject, parties = claims["sub"], claims["aud"]
        if claims["nonce"] != nonce:
            raise SignInRefused("What the provider says is about another sign-in.", hint="begin again")
        if not (isinstance(subject, str) and 0 < len(subject) <= 255 and subject.isprintable()):
            raise SignInRefused("The provider does not say who it is.")
        alone = isinstance(parties, str) or len(parties) == 1
        if claims.get("azp", self.settings.client_id if alone else None) != self.settings.client_id:
            raise SignInRefused("What the provider says is for another client.")

    def _key(self, algorithm: str, kid: Any) -> Any:
        """The key that something was signed with. Unknown ones are asked for, but not all the time."""
        for at_most in (_FRESH_SECONDS, _UNKNOWN_KEY_SECONDS):
            fitting = [
                each
                for each in self._keys.get(at_most)
                if each.get("kty") == _FAMILIES[algorithm[:2]]
                and each.get("use", "sig") == "sig"
                and each.get("alg", algorithm) == algorithm
                and (kid is None or each.get("kid") == kid)
            ]
            if len(fitting) == 1:
                key = require("jwt", "server").PyJWK(fitting[0], algorithm).key
                if getattr(key, "key_size", _SHORTEST_RSA) < _SHORTEST_RSA and algorithm[:2] in ("RS", "PS"):
                    raise SignInRefused("The provider signs with a key that is too short.")
                return key
        raise SignInRefused("What the provider says was signed with a key that it does not have.")

    def _fetched_keys(self) -> list[dict[str, Any]]:
        found: _Keys = self._asked(Request(self.metadata.jwks_uri), _Keys)
        return found.keys[:_MOST_KEYS]

    def _asked(self, request: Request, kind: Any) -> Any:
        request.add_header("Accept", "application/json")
        place = request.full_url.partition("?")[0]
        try:
            answer = post(request, _SECONDS, most_bytes=_MOST_BYTES + 1, egress=self._egress)
        except (OSError, HTTPException, ValueError) as error:
            raise self._wrong(f"{place}: {getattr(error, 'reason', error)} ({type(error).__name__})") from None
        if answer.status != 200:
            told = f"{place} answers {answer.status}"
            if request.data is not None and answer.status in (400, 401, 403):
                _log.warning("The OpenID provider refuses: %s: %r", told, answer.body[:500])
                raise SignInRefused("The provider takes the sign-in back.", hint="begin again")
            raise self._wrong(told)
        if len(answer.body) > _MOST_BYTES:
            raise self._wrong(f"{place} answers more than {_MOST_BYTES:,} bytes")
        try:
            return typed.from_json(answer.body, kind)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise self._wrong(f"{place} answers what it should not: {error}") from None

    def _wrong(self, told: str) -> ProviderUnavailable:
        """What went wrong, for the log. Who signs in may be anybody, and is told less."""
        _log.warning("The OpenID provider %s: %s", self.settings.issuer, told.encode("unicode_escape").decode())
        return ProviderUnavailable("The OpenID provider does not answer as it should.")


def _is_endpoint(url: str, issuer: str) -> bool:
    """Whether secrets may go to a URL: it is encrypted, or the provider is on this machine altogether."""
    plain = url.partition("?")[0]
    return is_safe_url(plain) and (plain.startswith("https:") or issuer.startswith("http:"))
