"""Who may do what: roles, accounts, what they sign in with, and how a journal keeps that.

What is kept is in no event, for it holds hashes of passwords and keys: a table of its own has it, one row for each
thing, changed in the transaction that appends to the audit who changed it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

import msgspec

ROLES = ("viewer", "operator", "editor", "admin")
"""Each may do what those before it may: look; run, cancel and answer; make and change; decide who may."""
ACCOUNT, SESSION, KEY, GRANT = "account", "session", "key", "grant"
SIGNING_KEYS = "penstock-signing-keys"
"""The connection with the keys that tokens are signed with."""


def challenge_of(verifier: str) -> str:
    """What is shown of a secret by whoever begins to sign in, and shows the secret in the end (RFC 7636, S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def is_tag(text: str) -> bool:
    """Whether a scope can be made of this."""
    return 0 < len(text) <= 100 and text.isprintable()


class User(msgspec.Struct, frozen=True):
    """Somebody who may use the API.

    Attributes:
        name: who it is.
        role: one of `ROLES`.
        tags: only what bears one of these tags is there for them; everything, where None.
        via: the name of what they signed in with.
    """

    name: str
    role: str = "admin"
    tags: tuple[str, ...] | None = None
    via: str | None = None

    def may(self, role: str) -> bool:
        """Whether they may do what takes this role."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def sees(self, tags: Iterable[str]) -> bool:
        """Whether a thing with these tags is there for them."""
        return self.tags is None or not set(self.tags).isdisjoint(tags)


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """Something that decides who may, as the journal has it.

    Attributes:
        name: `account/NAME`, `session/ID`, `key/ID` or `grant/ID`.
        owner: the account that it belongs to; an account is its own.
        data: JSON that only `control.auth` understands.
        seq: how often it was kept, from 1; 0 for one that is to be made.
        until: of no use from then on (microseconds), and then removed some time.
    """

    name: str
    owner: str
    data: bytes
    seq: int = 0
    until: int | None = None
