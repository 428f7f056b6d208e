"""What `access_desk` has at hand, asked for over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from penstock.cli.access_desk import NewAccount, NewKey, Record, Verdict
from penstock.core.audit import AuditFilter
from penstock.core.clock import iso
from penstock.core.errors import ConfigurationError
from penstock.remote import Client
from penstock.remote.calls import first
from penstock.remote.resources import access

_ENDS: dict[str, bytes] = {"ndjson": b"\n", "csv": b"\r\n"}


class RemoteUsers:
    """The accounts of a server; see `LocalUsers`."""

    def __init__(self, client: Client) -> None:
        self._all = client.users

    def all(self) -> list[Record]:
        """See `LocalUsers`."""
        return [msgspec.to_builtins(each) for each in self._all.list()]

    def get(self, name: str) -> Record:
        """See `LocalUsers`."""
        found: Record = msgspec.to_builtins(self._all.get(_named(name)))
        return found

    def create(
        self, name: str, role: str, *, kind: Literal["user", "service"], tags: list[str] | None, password: str | None
    ) -> NewAccount:
        """See `LocalUsers`."""
        made = msgspec.to_builtins(self._all.create(name, role=role, kind=kind, tags=tags, password=password))
        told = made.pop("password")
        return NewAccount(made, told)

    def change(self, name: str, **changes: Any) -> Record:
        """See `LocalUsers`."""
        known = self._all.get(_named(name))
        found: Record = msgspec.to_builtins(self._all.update(known.name, **{"role": known.role, **changes}))
        return found

    def set_password(self, name: str, password: str | None) -> str | None:
        """See `LocalUsers`."""
        return self._all.set_password(_named(name), password).password

    def delete(self, name: str) -> None:
        """See `LocalUsers`."""
        self._all.delete(_named(name))


def _named(name: str) -> str:
    """As accounts are called; a server takes a name as it stands."""
    return name.strip().lower()


class RemoteKeys:
    """The API keys of a server; see `LocalKeys`."""

    def __init__(self, client: Client) -> None:
        self._all = client.keys

    def all(self, account: str | None) -> list[Record]:
        """See `LocalKeys`; without an account those of whoever asks."""
        return [_key(each) for each in self._all.list(account=account)]

    def get(self, key_id: str) -> Record:
        """See `LocalKeys`."""
        return _key(self._all.get(key_id))

    def create(
        self, account: str, *, role: str | None, tags: list[str] | None, label: str, until: int | None
    ) -> NewKey:
        """See `LocalKeys`."""
        made = self._all.create(account=_named(account), role=role, tags=tags, label=label, expires_at=iso(until))
        return _made(made)

    def revoke(self, key_id: str) -> None:
        """See `LocalKeys`."""
        self._all.revoke(key_id)

    def rotate(self, key_id: str, overlap_seconds: float) -> NewKey:
        """See `LocalKeys`."""
        return _made(self._all.rotate(key_id, overlap_seconds=overlap_seconds))

    def rotate_signing(self) -> int:
        """See `LocalKeys`."""
        raise ConfigurationError(
            "The keys that tokens are signed with are changed where the server is.",
            hint="penstock keys rotate --signing there, without --server",
        )


def _made(made: access.MadeKey) -> NewKey:
    return NewKey(made.key, _key(made))


def _key(told: access.Key) -> Record:
    record: Record = msgspec.to_builtins(told)
    record.pop("key", None)
    return record


class RemoteAudit:
    """The audit of a server; see `LocalAudit`."""

    def __init__(self, client: Client) -> None:
        self._all = client.audit

    def listed(self, where: AuditFilter) -> list[Record]:
        """See `LocalAudit`."""
        found = first(
            where.limit,
            lambda page: self._all.list(
                who=where.who, action=where.action, target=where.target, since=iso(where.since), limit=page
            ),
        )
        return [msgspec.to_builtins(each) for each in found]

    def verify(self, number: int | None, known: str | None) -> Verdict:
        """See `LocalAudit`."""
        found = self._all.verify(number=number, hash=known)
        return Verdict(
            found.sound, found.entries, found.head, [(each["number"], each["told"]) for each in found.breaks]
        )

    def lines(self, form: Literal["ndjson", "csv"]) -> Iterator[bytes]:
        """See `LocalAudit`."""
        end, rest = _ENDS[form], b""
        for chunk in self._all.export(form):
            *whole, rest = (rest + chunk).split(end)
            yield from (line + end for line in whole)
        if rest:
            yield rest
