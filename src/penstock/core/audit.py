"""The audit: who did what to what, from where, and what it was before and after, each entry bound to the one before it.

Entries are the records of one stream. The hash of an entry is made of all that is in it and of the hash of the entry
before: whoever changes, removes or inserts one has to change all that follow, up to one whose hash somebody has noted.
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

import msgspec

from penstock.core.events import Event

STREAM = "audit/log"
FIRST = ""
"""What the first entry has in the place of the hash before it."""
_encode = msgspec.json.Encoder(order="deterministic").encode


class Audited(Event, frozen=True, omit_defaults=True, kw_only=True):
    """Somebody did something, or was refused.

    Attributes:
        number: of the entry, from 1; that of its record in the stream.
        who: the account.
        action: what was done: the name of the event that it made, or a word such as SignInFailed.
        target: to what: the stream of the thing, or the name of it.
        role: that of the account, at that time.
        via: what they signed in with: a session, a key; or where from: cli, local.
        address: where the request came from.
        request: its id, which the server's log has as well.
        agent: the program that sent it, as it says of itself.
        route: what was asked for, such as `POST /api/v1/workflows`.
        before, after: as JSON, with secrets left out.
        detail: for people.
        previous: the hash of the entry before.
        hash: of this one.
    """

    stored: ClassVar[str] = "Audited"
    number: int
    who: str
    action: str
    target: str = ""
    role: str | None = None
    via: str | None = None
    address: str | None = None
    request: str | None = None
    agent: str | None = None
    route: str | None = None
    before: str | None = None
    after: str | None = None
    detail: str | None = None
    previous: str = FIRST
    hash: str = ""


AUDIT: tuple[type[Event], ...] = (Audited,)


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries to list, the newest first.

    Attributes:
        who, action: exactly these.
        target: the thing, exactly.
        since, until: from then on, and before then (microseconds).
        before: only entries with a lower number.
        limit: at most so many.
    """

    who: str | None = None
    action: str | None = None
    target: str | None = None
    since: int | None = None
    until: int | None = None
    before: int | None = None
    limit: int = 100


def chained(entry: Audited, number: int, previous: str) -> Audited:
    """The entry in its place behind another one."""
    placed = msgspec.structs.replace(entry, number=number, previous=previous, hash="")
    return msgspec.structs.replace(placed, hash=hash_of(placed))


def hash_of(entry: Audited) -> str:
    """SHA-256 over all that is in an entry but its own hash."""
    content: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(entry, hash=""))
    return hashlib.sha256(_encode(content)).hexdigest()
