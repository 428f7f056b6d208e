"""Accounts: people and services, what role they have, and what there is for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.control.auth import passwords
from penstock.control.auth.log import AuditLog, Change, entry_of
from penstock.core import typed
from penstock.core.access import ACCOUNT, ROLES, Credential, is_tag
from penstock.core.clock import now_us
from penstock.core.errors import AccountConflict, AccountNotFound, BadAccount
from penstock.core.ports import Journal

_NAME = re.compile(r"[a-z][a-z0-9._@-]{0,99}")
RESERVED = ("local", "system")
_encode = msgspec.json.Encoder().encode
PERSON, SERVICE = "user", "service"


class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who can sign in.

    Attributes:
        kind: user, who has a password, or service, which has keys only.
        tags: only what bears one of these is there for them; everything, where None.
        password: what is kept of it; None for one that cannot sign in with a password.
        outside: who they are at the OIDC provider, if they come from there.
    """

    name: str
    kind: str = PERSON
    role: str = "viewer"
    tags: tuple[str, ...] | None = None
    disabled: bool = False
    password: str | None = None
    outside: str | None = None
    created_at: int = 0
    changed_at: int = 0

    def shown(self) -> dict[str, Any]:
        """What others may know of it."""
        told = {name: getattr(self, name) for name in ("name", "kind", "role", "tags", "disabled", "outside")}
        return {**told, "created_at": self.created_at, "changed_at": self.changed_at}


_account = typed.json_decoder(Account).decode


def account_of(row: Credential | None) -> Account | None:
    """The account in a row, if there is one."""
    return _account(row.data) if row is not None else None


class Accounts:
    """Makes, changes and removes accounts.

    Args:
        journal: where they are.
        log: the audit.
    """

    def __init__(self, journal: Journal, log: AuditLog) -> None:
        self._journal = journal
        self._log = log

    def all(self) -> list[Account]:
        """Every account by name."""
        return [_account(each.data) for each in self._journal.credentials(kind=ACCOUNT)]

    def get(self, name: str) -> Account:
        """One account.

        Raises:
            AccountNotFound: there is none of this name.
        """
        found = self.find(name)
        if found is None:
            raise AccountNotFound(f"There is no account {name[:100]!r}.")
        return found

    def find(self, name: str) -> Account | None:
        """One account; None where there is none of this name."""
        return account_of(self.row(name))

    def row(self, name: str) -> Credential | None:
        """An account as the journal has it."""
        if not _NAME.fullmatch(name := name.strip().lower()):
            return None
        return next(iter(self._journal.credentials([f"{ACCOUNT}/{name}"])), None)

    def create(
        self,
        name: str,
        role: str,
        *,
        kind: str = PERSON,
        tags: Sequence[str] | None = None,
        password: str | None = None,
        outside: str | None = None,
    ) -> tuple[Account, str | None]:
        """Make an account.

        Args:
            name: of it.
            role: one of `ROLES`.
            kind: user or service.
            tags: only what bears one of these is there for it.
            password: of a user; one is made up when left out.
            outside: who it is at the OIDC provider; it has no password then.

        Returns:
            It, and the password where one was made up.

        Raises:
            BadAccount: it cannot be.
            AccountConflict: there is one of this name.
        """
        name = name.strip().lower()
        _check(name, role, tags, kind)
        made_up = None
        if kind == PERSON and outside is None and password is None:
            password = made_up = passwords.new_password()
        elif password is not None:
            passwords.checked_password(password, name)
        now = now_us()
        account = Account(
            name=name,
            kind=kind,
            role=role,
            tags=_sorted(tags),
            password=passwords.hashed(password) if password is not None else None,
            outside=outside,
            created_at=now,
            changed_at=now,
        )

        def work() -> Change:
            if self.row(name) is not None:
                raise AccountConflict(f"There is an account {name!r} already.", hint="give another name, or change it")
            return Change(entry_of("AccountCreated", f"{ACCOUNT}/{name}", after=account.shown()), [_kept(account)])

        self._log.change(work)
        return account, made_up

    def change(self, name: str, **changes: Any) -> Account:
        """Change the role, the tags, or whether an account is disabled; sessions of a disabled one end.

        Raises:
            AccountNotFound: there is none of this name.
            AccountConflict: nobody would be an admin any more.
            BadAccount: it cannot be.
        """
        made: list[Account] = []

        def work() -> Change:
            before, row = self._known(name)
            after = msgspec.structs.replace(before, **changes, changed_at=now_us())
            _check(after.name, after.role, after.tags, after.kind)
            after = msgspec.structs.replace(after, tags=_sorted(after.tags))
            self._check_last_admin(before, after)
            made[:] = [after]
            gone = self._of(after.name, "session") if after.disabled else []
            entry = entry_of("AccountChanged", row.name, before=before.shown(), after=after.shown())
            return Change(entry, [_kept(after, row.seq)], gone)

        self._log.change(work)
        return made[0]

    def set_password(self, name: str, password: str | None = None) -> str | None:
        """Give an account another password; its sessions end.

        Returns:
            The password, where one was made up.

        Raises:
            AccountNotFound: there is none of this name.
            BadAccount: it cannot be the password, or the account has none.
        """
        known = self.get(name)
        if known.kind != PERSON or known.outside is not None:
            raise BadAccount("the account", [("password", f"{known.name} has none: it signs in with keys, or by OIDC")])
        made_up = None
        if password is None:
            password = made_up = passwords.new_password()
        else:
            passwords.checked_password(password, known.name)
        text = passwords.hashed(password)

        def work() -> Change:
            before, row = self._known(name)
            after = msgspec.structs.replace(before, password=text, changed_at=now_us())
            entry = entry_of("PasswordChanged", row.name)
            return Change(entry, [_kept(after, row.seq)], self._of(after.name, "session"))

        self._log.change(work)
        return made_up

    def from_outside(self, outside: str) -> Account | None:
        """The account of somebody at the OpenID provider; None where they have none."""
        return next((each for each in self.all() if each.outside == outside), None)

    def link(self, name: str, outside: str) -> Account:
        """Have an account be that of somebody at the OpenID provider from now on. It has no password then.

        Args:
            name: of the account.
            outside: who it is there.

        Raises:
            AccountNotFound: there is none of this name.
            AccountConflict: they have another one.
            BadAccount: it is a service's.
        """
        made: list[Account] = []

        def work() -> Change:
            before, row = self._known(name)
            if before.kind != PERSON:
                raise BadAccount("the account", [("kind", "is a service, which signs in with keys")])
            other = self.from_outside(outside)
            if other is not None and other.name != before.name:
                raise AccountConflict(f"They are {other.name} already.", hint=f"penstock users delete {other.name}")
            after = msgspec.structs.replace(before, outside=outside, password=None, changed_at=now_us())
            made[:] = [after]
            entry = entry_of("AccountLinked", row.name, before=before.shown(), after=after.shown())
            return Change(entry, [_kept(after, row.seq)], self._of(after.name, "session"))

        self._log.change(work)
        return made[0]

    def delete(self, name: str) -> None:
        """Remove an account, with its keys and sessions.

        Raises:
            AccountNotFound: there is none of this name.
            AccountConflict: nobody would be an admin any more.
        """

        def work() -> Change:
            before, row = self._known(name)
            self._check_last_admin(before, None)
            gone = [row, *self._of(before.name, "key"), *self._of(before.name, "session")]
            return Change(entry_of("AccountDeleted", row.name, before=before.shown()), (), gone)

        self._log.change(work)

    def _known(self, name: str) -> tuple[Account, Credential]:
        row = self.row(name)
        if row is None:
            raise AccountNotFound(f"There is no account {name[:100]!r}.")
        return _account(row.data), row

    def _of(self, name: str, kind: str) -> list[Credential]:
        return self._journal.credentials(kind=kind, owner=name)

    def _check_last_admin(self, before: Account, after: Account | None) -> None:
        """Somebody must be able to let others in: who was the last one, stays."""
        if not _is_admin(before) or (after is not None and _is_admin(after)):
            return
        if not any(_is_admin(each) for each in self.all() if each.name != before.name):
            raise AccountConflict(
                f"{before.name} is the last admin: nobody could change that any more.",
                hint="make another one first: penstock users create-admin NAME",
            )


def _is_admin(account: Account) -> bool:
    return account.role == "admin" and not account.disabled and account.kind == PERSON and account.tags is None


def _kept(account: Account, seq: int = 0) -> Credential:
    return Credential(name=f"{ACCOUNT}/{account.name}", owner=account.name, data=_encode(account), seq=seq)


def _sorted(tags: Sequence[str] | None) -> tuple[str, ...] | None:
    return tuple(sorted(set(tags))) if tags is not None else None


def _check(name: str, role: str, tags: Sequence[str] | None, kind: str) -> None:
    mistakes: list[tuple[str, str]] = []
    if not _NAME.fullmatch(name):
        mistakes.append(("name", "a small letter first, then small letters, digits and . _ @ -, at most 100"))
    elif name in RESERVED:
        mistakes.append(("name", f"{name!r} is Penstock's own"))
    if role not in ROLES:
        mistakes.append(("role", f"is one of {', '.join(ROLES)}"))
    if kind not in (PERSON, SERVICE):
        mistakes.append(("kind", f"is {PERSON} or {SERVICE}"))
    mistakes += tag_mistakes(tags)
    if mistakes:
        raise BadAccount("the account", mistakes)


def tag_mistakes(tags: Sequence[str] | None) -> list[tuple[str, str]]:
    """What is wrong with the tags of a scope."""
    if tags is None:
        return []
    if not tags or len(tags) > 100:
        return [("tags", "are 1 to 100; leave them out for everything")]
    wrong = [tag for tag in tags if not is_tag(tag)]
    return [("tags", f"{tag[:50]!r} cannot be a tag") for tag in wrong]
