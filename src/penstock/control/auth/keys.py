"""API keys: for programs. What is kept of one is a hash; the key itself is shown once.

A key holds 256 random bits, so that nobody finds it by trying, and one round of SHA-256 is enough.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from penstock.control.auth.accounts import Account, Accounts, tag_mistakes
from penstock.control.auth.log import AuditLog, Change, entry_of
from penstock.core import typed
from penstock.core.access import KEY, ROLES, Credential, User
from penstock.core.clock import now_us
from penstock.core.errors import BadAccount, KeyNotFound
from penstock.core.ports import Journal

PREFIX = "pk_"
_SHAPE = re.compile(r"pk_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")
_USED_EVERY_US = 60_000_000
_LONGEST_US = 10 * 366 * 86_400_000_000
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_encode = msgspec.json.Encoder().encode


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key.

    Attributes:
        id: what follows `pk_` in the key; everybody may see it.
        account: whose it is.
        label: what it is for.
        role: at most the account's.
        tags: only what bears one of these is there for it; all that is there for the account, where None.
        digest: SHA-256 of the key.
        until: it is of no use from then on (microseconds).
    """

    id: str
    account: str
    role: str
    digest: str
    label: str = ""
    tags: tuple[str, ...] | None = None
    created_at: int = 0
    until: int | None = None

    def shown(self) -> dict[str, Any]:
        """What others may know of it."""
        names = ("id", "account", "label", "role", "tags", "created_at", "until")
        return {name: getattr(self, name) for name in names}


class MadeKey(NamedTuple):
    """A new key, with its text, which is shown once."""

    key: ApiKey
    text: str


_key = typed.json_decoder(ApiKey).decode


def usable(row: Credential | None) -> ApiKey | None:
    """The key in a row; None where there is no row, or the key has expired."""
    key = _key(row.data) if row is not None else None
    return None if key is None or (key.until is not None and key.until <= now_us()) else key


class ApiKeys:
    """Makes, finds and revokes keys.

    Args:
        journal: where they are.
        log: the audit.
        accounts: whose they are.
    """

    def __init__(self, journal: Journal, log: AuditLog, accounts: Accounts) -> None:
        self._journal = journal
        self._log = log
        self._accounts = accounts

    def all(self, account: str | None = None) -> list[ApiKey]:
        """Every key, or those of an account; the newest last."""
        found = [_key(each.data) for each in self._journal.credentials(kind=KEY, owner=account)]
        return sorted(found, key=lambda key: (key.created_at, key.id))

    def get(self, key_id: str) -> ApiKey:
        """One key, by its id.

        Raises:
            KeyNotFound: there is none.
        """
        return _key(self._row(key_id).data)

    def _row(self, key_id: str) -> Credential:
        wanted = key_id.removeprefix(PREFIX)[:12]
        found = self._journal.credentials([f"{KEY}/{wanted}"])
        if not found:
            raise KeyNotFound(f"There is no key {wanted!r}.")
        return found[0]

    def create(
        self,
        account: str,
        *,
        role: str | None = None,
        tags: Sequence[str] | None = None,
        label: str = "",
        until: int | None = None,
        by: User | None = None,
    ) -> MadeKey:
        """Make a key of an account.

        Args:
            account: its name.
            role: at most the account's; the account's when left out.
            tags: some of the account's; all of them when left out.
            label: what it is for.
            until: when it expires (microseconds); never when left out.
            by: who makes it; the key may do no more than they may.

        Raises:
            AccountNotFound: there is no such account.
            BadAccount: the key cannot be.
        """
        key_id = "".join(secrets.choice(_ALPHABET) for _ in range(12))
        text = f"{PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
        made: list[ApiKey] = []

        def work() -> Change:
            owner = self._accounts.get(account)
            key = ApiKey(
                id=key_id,
                account=owner.name,
                role=role or owner.role,
                digest=digest(text),
                label=label,
                tags=tuple(sorted(set(tags))) if tags is not None else None,
                created_at=now_us(),
                until=until,
            )
            _check(key, owner, by)
            made[:] = [key]
            return Change(entry_of("KeyCreated", f"{KEY}/{key_id}", after=key.shown()), [_kept(key)])

        self._log.change(work)
        return MadeKey(made[0], text)

    def revoke(self, key_id: str) -> None:
        """Make a key useless, at once.

        Raises:
            KeyNotFound: there is none.
        """

        def work() -> Change:
            row = self._row(key_id)
            return Change(entry_of("KeyRevoked", row.name, before=_key(row.data).shown()), (), [row])

        self._log.change(work)
        self._journal.drop_bookmark(_used(key_id.removeprefix(PREFIX)[:12]))

    def rotate(self, key_id: str, overlap_seconds: float = 0.0) -> MadeKey:
        """Another key in the place of one, which may be used for some time still.

        Raises:
            KeyNotFound: there is none.
        """
        new_id = "".join(secrets.choice(_ALPHABET) for _ in range(12))
        text = f"{PREFIX}{new_id}_{secrets.token_urlsafe(32)}"
        made: list[ApiKey] = []

        def work() -> Change:
            row = self._row(key_id)
            old, now = _key(row.data), now_us()
            new = msgspec.structs.replace(old, id=new_id, digest=digest(text), created_at=now)
            made[:] = [new]
            entry = entry_of("KeyRotated", row.name, before=old.shown(), after=new.shown())
            if overlap_seconds <= 0:
                return Change(entry, [_kept(new)], [row])
            ends = now + int(overlap_seconds * 1_000_000)
            rest = msgspec.structs.replace(old, until=min(old.until or ends, ends))
            return Change(entry, [_kept(new), _kept(rest, row.seq)])

        self._log.change(work)
        return MadeKey(made[0], text)

    def checked(self, text: str) -> ApiKey | None:
        """The key that this text is; None where it is none, or of no use any more."""
        shape = _SHAPE.fullmatch(text)
        found = self._journal.credentials([f"{KEY}/{shape[1]}"]) if shape is not None else []
        key = usable(found[0]) if found else None
        return key if key is not None and hmac.compare_digest(key.digest, digest(text)) else None

    def used(self, key: ApiKey) -> None:
        """Note that a key was used; once a minute is enough."""
        now, name = now_us(), _used(key.id)
        before = self._journal.bookmark(name)
        if before is None or now - before.saved_at >= _USED_EVERY_US:
            self._journal.keep_bookmark(name, before.seq if before is not None else 0, b"")

    def last_used(self, key: ApiKey) -> int | None:
        """When it was used last, to the minute."""
        found = self._journal.bookmark(_used(key.id))
        return found.saved_at if found is not None else None


def _used(key_id: str) -> str:
    return f"key-used/{key_id}"


def digest(text: str) -> str:
    """What is kept of a random text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _kept(key: ApiKey, seq: int = 0) -> Credential:
    return Credential(name=f"{KEY}/{key.id}", owner=key.account, data=_encode(key), seq=seq, until=key.until)


def narrowed(owner: Account, role: str, tags: tuple[str, ...] | None, via: str) -> User:
    """Who somebody is who signed in with a part of what an account may."""
    least = min(ROLES.index(owner.role), ROLES.index(role))
    if owner.tags is not None and tags is not None:
        both: tuple[str, ...] | None = tuple(sorted(set(owner.tags) & set(tags)))
    else:
        both = owner.tags if tags is None else tags
    return User(owner.name, ROLES[least], both, via)


def _check(key: ApiKey, owner: Account, by: User | None) -> None:
    mistakes: list[tuple[str, str]] = []
    if key.role not in ROLES:
        mistakes.append(("role", f"is one of {', '.join(ROLES)}"))
    elif ROLES.index(key.role) > ROLES.index(owner.role):
        mistakes.append(("role", f"is at most {owner.role}, which is that of {owner.name}"))
    elif by is not None and not by.may(key.role):
        mistakes.append(("role", f"is at most {by.role}, which is yours"))
    mistakes += tag_mistakes(key.tags)
    for known in dict.fromkeys((owner.tags, by.tags if by is not None else None)):
        if known is not None and key.tags is not None and not set(key.tags) <= set(known):
            mistakes.append(("tags", f"are some of {', '.join(known)}"))
    if len(key.label) > 200 or not (key.label.isprintable()):
        mistakes.append(("label", "is a line of at most 200 characters"))
    if key.until is not None and not key.created_at < key.until <= key.created_at + _LONGEST_US:
        mistakes.append(("expires_at", "is in the next ten years"))
    if mistakes:
        raise BadAccount("the key", mistakes)
