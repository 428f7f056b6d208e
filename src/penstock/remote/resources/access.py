"""Who may ask, and who did what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from penstock.remote.answers import Page, Part
from penstock.remote.calls import Call, K, Resource, changed, chunks, given, got, listing, operation, removed, told


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who the server takes the client for."""

    name: str
    role: str
    tags: list[str] | None = None
    via: str | None = None


class Methods(msgspec.Struct, frozen=True, kw_only=True):
    """How one signs in to a server.

    Attributes:
        required: who is not signed in may do nothing.
        oidc: the OpenID provider, where there is one.
    """

    required: bool
    oidc: str | None = None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody, or a service, that may sign in."""

    name: str
    kind: str
    role: str
    created_at: str
    changed_at: str
    tags: list[str] | None = None
    disabled: bool = False
    outside: str | None = None


class MadeAccount(Account, frozen=True, kw_only=True):
    """An account that was just made; its password is shown this once."""

    password: str | None = None


class NewPassword(msgspec.Struct, frozen=True, kw_only=True):
    """A password that was made up; shown this once."""

    password: str | None = None


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An API key, without what is secret of it."""

    id: str
    account: str
    label: str
    role: str
    created_at: str
    tags: list[str] | None = None
    expires_at: str | None = None
    last_used_at: str | None = None


class MadeKey(Key, frozen=True, kw_only=True):
    """An API key that was just made; the key itself is shown this once."""

    key: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the audit."""

    number: int
    who: str
    action: str
    target: str
    previous: str
    hash: str
    at: str | None = None
    role: str | None = None
    detail: str | None = None
    via: str | None = None
    address: str | None = None
    request: str | None = None
    agent: str | None = None
    route: str | None = None
    before: Any = None
    after: Any = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the audit is as it was written."""

    sound: bool
    entries: int
    head: str
    breaks: list[dict[str, Any]] = []


class Access(Resource[K]):
    """Who asks, and their session."""

    @operation
    def methods(self) -> Call[Methods]:
        """How one signs in."""
        return got(Methods, "auth", "methods")

    @operation
    def me(self) -> Call[Me]:
        """Who the server takes the client for."""
        return got(Me, "auth", "me")

    @operation
    def logout(self) -> Call[None]:
        """End one's own session."""
        return told(None, "auth", "logout")

    @operation
    def change_password(self, current_password: str, new_password: str) -> Call[None]:
        """Have another password; all of one's sessions end."""
        body = {"current_password": current_password, "new_password": new_password}
        return told(None, "auth", "password", body=body)


class Users(Resource[K]):
    """Accounts."""

    @listing
    def list(self, *, limit: int = 200) -> Call[Account]:
        """Every account, by name."""
        return got(Page[Account], "users", limit=limit)

    @operation
    def create(
        self,
        name: str,
        *,
        role: str = "viewer",
        kind: Literal["user", "service"] = "user",
        tags: Sequence[str] | None = None,
        password: str | None = None,
    ) -> Call[MadeAccount]:
        """Make an account; a password is made up where none is given."""
        scope = None if tags is None else [*tags]
        return told(MadeAccount, "users", body=given(name=name, role=role, kind=kind, tags=scope, password=password))

    @operation
    def get(self, name: str) -> Call[Account]:
        """One account."""
        return got(Account, "users", name)

    @operation
    def update(
        self,
        name: str,
        *,
        role: str,
        tags: Sequence[str] | UnsetType | None = UNSET,
        disabled: bool | UnsetType = UNSET,
    ) -> Call[Account]:
        """Change what an account may do.

        Args:
            name: of the account.
            role: what it may do.
            tags: there is only what bears one of these; None for everything. As it is when left out.
            disabled: nobody signs in as it. As it is when left out.
        """
        wanted = {"role": role, "tags": [*tags] if isinstance(tags, Sequence) else tags, "disabled": disabled}
        body = {field: value for field, value in wanted.items() if value is not UNSET}
        return changed(Account, "users", name, body=body)

    @operation
    def delete(self, name: str) -> Call[None]:
        """Remove an account; its keys go with it."""
        return removed("users", name)

    @operation
    def set_password(self, name: str, password: str | None = None) -> Call[NewPassword]:
        """Give somebody another password; one is made up where none is given."""
        return told(NewPassword, "users", name, "password", body=given(password=password))


class Keys(Resource[K]):
    """API keys."""

    @listing
    def list(self, *, account: str | None = None, limit: int = 200) -> Call[Key]:
        """Every key that one may see."""
        return got(Page[Key], "keys", account=account, limit=limit)

    @operation
    def create(
        self,
        *,
        account: str | None = None,
        role: str | None = None,
        tags: Sequence[str] | None = None,
        label: str = "",
        expires_at: str | None = None,
    ) -> Call[MadeKey]:
        """Make a key; the key itself is told this once."""
        scope = None if tags is None else [*tags]
        body = given(account=account, role=role, tags=scope, label=label, expires_at=expires_at)
        return told(MadeKey, "keys", body=body)

    @operation
    def get(self, key_id: str) -> Call[Key]:
        """One key."""
        return got(Key, "keys", key_id)

    @operation
    def revoke(self, key_id: str) -> Call[None]:
        """Have a key be good for nothing."""
        return removed("keys", key_id)

    @operation
    def rotate(self, key_id: str, *, overlap_seconds: float | None = None) -> Call[MadeKey]:
        """Make another key in the place of one, which holds for a while yet."""
        return told(MadeKey, "keys", key_id, "rotate", body=given(overlap_seconds=overlap_seconds))


class Audit(Resource[K]):
    """Who did what to what."""

    @listing
    def list(
        self,
        *,
        who: str | None = None,
        action: str | None = None,
        target: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int = 200,
    ) -> Call[Entry]:
        """Entries that fit, the newest first."""
        return got(
            Part[Entry], "audit", who=who, action=action, target=target, since=since, until=until, limit=limit
        )  # fmt: skip

    @operation
    def verify(self, *, number: int | None = None, hash: str | None = None) -> Call[Verdict]:
        """Whether the entries are as they were written; and whether one that somebody has noted is still there."""
        return got(Verdict, "audit", "verify", number=number, hash=hash)

    @chunks
    def export(self, format: Literal["ndjson", "csv"] = "ndjson") -> Call[bytes]:
        """All of it, as a text that comes piece by piece."""
        return Call(method="GET", path=("audit", "export"), answer=bytes, query={"format": format})
