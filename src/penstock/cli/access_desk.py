"""Accounts, API keys and the audit for commands: those of the journal at hand. `access_desk_remote` has the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, NamedTuple

from penstock.app import Penstock
from penstock.cli.acting import acting
from penstock.core.audit import AuditFilter
from penstock.core.clock import iso
from penstock.core.extras import LateModule

_reading: Any = LateModule("penstock.control.auth.reading")
Record = dict[str, Any]


def account_record(account: Any) -> Record:
    """An account as JSON."""
    told: Record = account.shown()
    return {**told, "created_at": iso(account.created_at), "changed_at": iso(account.changed_at)}


def key_record(key: Any, used: int | None) -> Record:
    """A key as JSON."""
    told: Record = key.shown()
    told.pop("until")
    times = {"created_at": iso(key.created_at), "expires_at": iso(key.until), "last_used_at": iso(used)}
    return {**told, **times}


class NewAccount(NamedTuple):
    """An account that was made; the password only where it was made up."""

    account: Record
    password: str | None


class NewKey(NamedTuple):
    """A key that was made, with its text, which is shown once."""

    text: str
    key: Record


class Verdict(NamedTuple):
    """Whether the audit is as it was written; `breaks` are the entries that are not, and what is wrong with each."""

    sound: bool
    entries: int
    head: str
    breaks: list[tuple[int, str]]


class _Acting:
    def __init__(self, penstock: Penstock) -> None:
        self._penstock = penstock

    def _auth(self) -> AbstractContextManager[Any]:
        return acting(lambda: nullcontext(self._penstock))


class LocalUsers(_Acting):
    """The accounts of the journal at hand, as records."""

    def all(self) -> list[Record]:
        """Every account, by name."""
        with self._auth() as auth:
            return [account_record(each) for each in auth.accounts.all()]

    def get(self, name: str) -> Record:
        """One of them."""
        with self._auth() as auth:
            return account_record(auth.accounts.get(name))

    def create(
        self, name: str, role: str, *, kind: Literal["user", "service"], tags: list[str] | None, password: str | None
    ) -> NewAccount:
        """Make one."""
        with self._auth() as auth:
            account, made = auth.accounts.create(name, role, kind=kind, tags=tags, password=password)
            return NewAccount(account_record(account), made)

    def change(self, name: str, **changes: Any) -> Record:
        """Change `role` and `tags`, or `disabled`."""
        with self._auth() as auth:
            return account_record(auth.accounts.change(name, **changes))

    def set_password(self, name: str, password: str | None) -> str | None:
        """Give it another password; gives one that was made up."""
        with self._auth() as auth:
            made: str | None = auth.accounts.set_password(name, password)
            return made

    def delete(self, name: str) -> None:
        """Remove it."""
        with self._auth() as auth:
            auth.accounts.delete(name)


class LocalKeys(_Acting):
    """The API keys of the journal at hand, as records."""

    def all(self, account: str | None) -> list[Record]:
        """Every key, or those of an account."""
        with self._auth() as auth:
            return [key_record(each, auth.keys.last_used(each)) for each in auth.keys.all(account)]

    def get(self, key_id: str) -> Record:
        """One of them."""
        with self._auth() as auth:
            return key_record(auth.keys.get(key_id), None)

    def create(
        self, account: str, *, role: str | None, tags: list[str] | None, label: str, until: int | None
    ) -> NewKey:
        """Make one."""
        with self._auth() as auth:
            return _made(auth.keys.create(account, role=role, tags=tags, label=label, until=until))

    def revoke(self, key_id: str) -> None:
        """Make it useless."""
        with self._auth() as auth:
            auth.keys.revoke(key_id)

    def rotate(self, key_id: str, overlap_seconds: float) -> NewKey:
        """Put another one in its place."""
        with self._auth() as auth:
            return _made(auth.keys.rotate(key_id, overlap_seconds))

    def rotate_signing(self) -> int:
        """Have tokens be signed with another key; how many former ones there are."""
        with self._auth() as auth:
            former: int = auth.signing.rotate()
            return former


def _made(made: Any) -> NewKey:
    return NewKey(made.text, key_record(made.key, None))


class LocalAudit:
    """The audit of the journal at hand."""

    def __init__(self, penstock: Penstock) -> None:
        self._journal = penstock.journal

    def listed(self, where: AuditFilter) -> list[Record]:
        """Entries, the newest first."""
        found: list[Record] = _reading.listed(self._journal, where)
        return found

    def verify(self, number: int | None, known: str | None) -> Verdict:
        """Compute every hash anew."""
        found = _reading.verify(self._journal, number, known)
        return Verdict(found.sound, found.entries, found.head, [*map(tuple, found.breaks)])

    def lines(self, form: Literal["ndjson", "csv"]) -> Iterator[bytes]:
        """Every entry, the oldest first."""
        lines: Iterator[bytes] = (_reading.as_csv if form == "csv" else _reading.ndjson)(self._journal)
        return lines
