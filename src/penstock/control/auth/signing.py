"""Access tokens: JSON Web Tokens (RFC 7519, as RFC 9068 has them), signed with HMAC-SHA-256.

Whoever makes them is who checks them, so that there is no public key which could be taken for the secret of an HMAC.
The keys are a saved connection, sealed with the project's key; they have ids, and a former one is good for a while.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from penstock.core import typed
from penstock.core.access import SIGNING_KEYS
from penstock.core.clock import now_us
from penstock.core.connections import Connection
from penstock.core.errors import BadConnection, ConnectionNotFound, NotSignedIn
from penstock.core.extras import require
from penstock.core.secrets import Secret
from penstock.engine.connections.shelf import Shelf

CONNECTION = SIGNING_KEYS
ALGORITHM = "HS256"
AUDIENCE = "penstock-api"
ACCESS_SECONDS, TICKET_SECONDS = 900, 600
OVERLAP_US = 3_600_000_000
"""A former key is kept for so long; a token lives for less."""
_LEEWAY_SECONDS = 10
_RELOAD_SECONDS = 30.0
_KID = 16
_CLAIMS = ("exp", "iat", "nbf", "jti", "aud", "iss")


class _Kind(NamedTuple):
    """A kind of what is signed. None is taken for another.

    Attributes:
        typ: says so in the header.
        audience: who it is for.
        claims: texts in it.
        hint: what to do when its time is over.
    """

    typ: str
    audience: str
    claims: tuple[str, ...]
    hint: str


_TOKEN = _Kind("at+jwt", AUDIENCE, ("sub", "via"), "get another one with the refresh token")
_TICKET = _Kind("sign-in+jwt", "penstock-sign-in", ("back", "state", "challenge"), "begin again")


class SigningKeys(Connection):
    """The keys that tokens are signed with. Of a type of their own, so that nothing takes them for its own secret.

    Attributes:
        value: all of them, as JSON.
    """

    kind = "signing-keys"

    value: Secret

    def check(self, seconds: float) -> str:
        """See `Connection.check`: there is nothing to ask."""
        return "can be read"


class _SigningKey(msgspec.Struct, frozen=True):
    kid: str
    secret: str
    made_at: int

    @property
    def raw(self) -> bytes:
        """The key itself."""
        return base64.b64decode(self.secret)


_decode = typed.json_decoder(list[_SigningKey]).decode
_encode = msgspec.json.Encoder().encode


class Signing:
    """Makes and checks access tokens.

    Args:
        shelf: where the keys are.
        issuer: gives what tells this journal's tokens from others.
    """

    def __init__(self, shelf: Shelf, issuer: Callable[[], str]) -> None:
        self._shelf = shelf
        self._issuer = issuer
        self._lock = threading.Lock()
        self._keys: list[_SigningKey] = []
        self._loaded = float("-inf")

    def token(self, account: str, via: str, now: int | None = None) -> str:
        """A token that says who somebody is, for a quarter of an hour.

        Args:
            account: who.
            via: the name of what it hangs from, a session or a key; it is of no use without.
            now: the time (microseconds).
        """
        key = self._known()[0]
        at = (now_us() if now is None else now) // 1_000_000
        return self._made(key, _TOKEN, {"sub": account, "via": via}, at, ACCESS_SECONDS)

    def ticket(self, about: Mapping[str, str]) -> str:
        """What somebody takes along and brings back within ten minutes, unchanged. It lets nobody in."""
        return self._made(self._known()[0], _TICKET, about, now_us() // 1_000_000, TICKET_SECONDS)

    def _made(self, key: _SigningKey, kind: _Kind, about: Mapping[str, str], at: int, seconds: int) -> str:
        claims = {
            **about,
            "iss": self._issuer(),
            "aud": kind.audience,
            "jti": secrets.token_hex(16),
            "iat": at,
            "nbf": at,
            "exp": at + seconds,
        }
        headers = {"kid": key.kid, "typ": kind.typ}
        made: str = require("jwt", "server").encode(claims, key.raw, ALGORITHM, headers=headers)
        return made

    def checked(self, token: str) -> dict[str, str]:
        """What a token says.

        Raises:
            NotSignedIn: it is none of ours, was changed, or its time is over.
        """
        return self._checked(token, _TOKEN)

    def carried(self, ticket: str) -> dict[str, str]:
        """What a ticket says.

        Raises:
            NotSignedIn: it is none of ours, was changed, or its time is over.
        """
        return self._checked(ticket, _TICKET)

    def derived(self, ticket: str, label: str) -> str:
        """A secret that belongs to a ticket, and is in it for nobody else to see.

        Args:
            ticket: one that was made here, and checked.
            label: tells the secrets of a ticket from each other.

        Raises:
            NotSignedIn: its key is gone.
        """
        key = self._key(require("jwt", "server").get_unverified_header(ticket).get("kid"))
        if key is None:
            raise NotSignedIn("The sign-in took too long.", hint="begin again")
        digest = hmac.digest(key.raw, f"{label} {ticket}".encode(), "sha256")  # no token has a space in it
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def _checked(self, token: str, kind: _Kind) -> dict[str, str]:
        jwt = require("jwt", "server")
        try:
            header = jwt.get_unverified_header(token)
            key = self._key(header.get("kid"))
            if key is None or header.get("typ") != kind.typ:
                raise NotSignedIn("The token was not made here, or too long ago.")
            found: dict[str, Any] = jwt.decode(
                token,
                key.raw,
                algorithms=[ALGORITHM],
                audience=kind.audience,
                issuer=self._issuer(),
                leeway=_LEEWAY_SECONDS,
                options={"require": [*_CLAIMS, *kind.claims], "strict_aud": True},
            )
        except jwt.ExpiredSignatureError:
            raise NotSignedIn("The token's time is over.", hint=kind.hint) from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise NotSignedIn("The token cannot be used.") from None
        if not all(isinstance(found[name], str) for name in ("jti", *kind.claims)):
            raise NotSignedIn("The token cannot be used.")
        return found

    def prepare(self) -> None:
        """Have keys, so that nothing has to be made while somebody waits.

        Raises:
            ConnectionLocked: the keys are sealed with a key that is not here.
        """
        self._known()

    def rotate(self) -> int:
        """Sign with a new key from now on; returns how many former ones are good for a while."""
        with self._lock:
            now = now_us()
            # A key that was replaced an hour ago or more signed nothing that is still good.
            known = self._load() or []
            replaced_at = [now, *(key.made_at for key in known)]
            kept = [key for key, at in zip(known, replaced_at, strict=False) if now - at < OVERLAP_US]
            self._save([_made(now), *kept], overwrite=True)
            return len(kept)

    def _known(self) -> list[_SigningKey]:
        with self._lock:
            if time.monotonic() - self._loaded > _RELOAD_SECONDS:
                self._load()
            while not self._keys:
                try:
                    self._save([_made(now_us())], overwrite=False)
                except BadConnection:  # another server was faster
                    self._load()
            return self._keys

    def _key(self, kid: Any) -> _SigningKey | None:
        known = self._known()
        found = next((key for key in known if key.kid == kid), None)
        if found is None and isinstance(kid, str) and len(kid) == _KID:  # another server has made it, perhaps
            with self._lock:
                found = next((key for key in self._load() if key.kid == kid), None)
        return found

    def _load(self) -> list[_SigningKey]:
        try:
            self._keys = _decode(self._shelf.load(CONNECTION, SigningKeys).value.reveal())
        except ConnectionNotFound:
            self._keys = []
        self._loaded = time.monotonic()
        return self._keys

    def _save(self, keys: list[_SigningKey], *, overwrite: bool) -> None:
        text = Secret(_encode(keys).decode())
        self._shelf.save(SigningKeys(value=text), CONNECTION, overwrite=overwrite)
        self._keys, self._loaded = keys, time.monotonic()


def _made(now: int) -> _SigningKey:
    return _SigningKey(secrets.token_hex(_KID // 2), base64.b64encode(secrets.token_bytes(32)).decode(), now)
