"""Signing in: a password, or a key, becomes a token for a quarter of an hour; a refresh token becomes the next one.

A refresh token is good once, and for half a minute more, since the answer to it may be lost: whoever asks again gets
other tokens, and those of the lost answer are good no more. One that comes later, or from such an answer, was stolen by
somebody; who of the two it is that comes, nobody knows, so the session ends for both.
"""

from __future__ import annotations

import contextlib
import hmac
import re
import secrets
from typing import NamedTuple

import msgspec

from penstock.control.auth import passwords
from penstock.control.auth.accounts import PERSON, Account, Accounts
from penstock.control.auth.keys import ApiKeys, digest, narrowed
from penstock.control.auth.log import Actor, AuditLog, Change, entry_of
from penstock.control.auth.pauses import Pauses
from penstock.control.auth.refusals import Refusals
from penstock.control.auth.signing import ACCESS_SECONDS, Signing
from penstock.core import typed
from penstock.core.access import ACCOUNT, KEY, SESSION, Credential, User
from penstock.core.clock import now_us
from penstock.core.errors import BadAccount, NotSignedIn, SignInPaused
from penstock.core.ports import Journal

REFRESH_US = 30 * 86_400_000_000
"""A session ends after so long, however often it is refreshed."""
AGAIN_US = 30_000_000
"""So long a refresh token that was used may come again."""
_SHAPE = re.compile(r"pr_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")
_encode = msgspec.json.Encoder().encode


class Session(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody is signed in.

    Attributes:
        digest: SHA-256 of the refresh token that is good.
        former: that of the one that was used last, at `refreshed_at`.
        address, agent: where they signed in.
    """

    id: str
    account: str
    digest: str
    created_at: int
    until: int
    former: str | None = None
    refreshed_at: int = 0
    address: str | None = None
    agent: str | None = None

    def was(self, used: str) -> bool:
        """Whether it is the refresh token that was used last."""
        return self.former is not None and hmac.compare_digest(self.former, used)

    def has(self, shown: str) -> bool:
        """Whether it is a refresh token of this session, the one that is good or the one before."""
        return hmac.compare_digest(self.digest, shown) or self.was(shown)

    def next(self, used: str, digest: str, now: int) -> Session | None:
        """With another refresh token in the place of the one that was used; None where that one is good no more."""
        if hmac.compare_digest(self.digest, used):
            return msgspec.structs.replace(self, digest=digest, former=used, refreshed_at=now)
        if self.was(used) and now - self.refreshed_at <= AGAIN_US:
            return msgspec.structs.replace(self, digest=digest)
        return None


class Tokens(NamedTuple):
    """What somebody gets who signs in."""

    access: str
    refresh: str | None
    role: str
    seconds: int = ACCESS_SECONDS


_session = typed.json_decoder(Session).decode


class Sessions:
    """Signs people and programs in and out.

    Args:
        journal: where sessions are.
        log: the audit.
        accounts: who can sign in.
        keys: what services sign in with.
        signing: makes tokens.
        pauses: after failures.
        refusals: writes the audit of failures.
    """

    def __init__(
        self,
        journal: Journal,
        log: AuditLog,
        accounts: Accounts,
        keys: ApiKeys,
        signing: Signing,
        pauses: Pauses,
        refusals: Refusals,
    ) -> None:
        self._journal = journal
        self._log = log
        self._accounts = accounts
        self._keys = keys
        self._signing = signing
        self._pauses = pauses
        self._refusals = refusals

    def sign_in(self, name: str, password: str, actor: Actor) -> Tokens:
        """With a password.

        Args:
            name: of the account.
            password: of it.
            actor: where the request comes from.

        Raises:
            NotSignedIn: one of the two is wrong, or the account is disabled; which it is, is not told.
            SignInPaused: there were too many failures.
        """
        self._attempt(name, actor)
        account = self._accounts.find(name)
        kept = account.password if account is not None and not account.disabled and account.kind == PERSON else None
        if not passwords.fits(kept, password) or account is None:
            self._refusals.record("SignInFailed", _target(name), actor)
            raise NotSignedIn("The name or the password is wrong.", hint="an admin can set another one")
        tokens = self.open(account, actor)
        self._pauses.succeeded(name, actor.address)
        if kept is not None and passwords.outdated(kept):
            self._rehash(account, password)
        return tokens

    def open(
        self, account: Account, actor: Actor, *, session_id: str | None = None, lasts_us: int = REFRESH_US
    ) -> Tokens:
        """A session of somebody who has shown who they are.

        Args:
            account: of whom.
            actor: where the request comes from.
            session_id: of it; made up when left out.
            lasts_us: it ends after so long.
        """
        session_id, now = session_id or secrets.token_hex(16), now_us()
        refresh = _refresh(session_id)
        session = Session(
            id=session_id,
            account=account.name,
            digest=digest(refresh),
            created_at=now,
            until=now + lasts_us,
            address=actor.address,
            agent=actor.agent,
        )
        who = actor._replace(who=account.name, role=account.role, via=f"{SESSION}/{session_id}")

        def work() -> Change:
            found = self._accounts.get(account.name)
            if found.disabled or found.password != account.password:
                raise NotSignedIn("The account was changed meanwhile.", hint="sign in again")
            return Change(entry_of("SignedIn", f"{ACCOUNT}/{account.name}", actor=who), [_kept(session)])

        self._log.change(work)
        return Tokens(self._signing.token(account.name, f"{SESSION}/{session_id}"), refresh, account.role)

    def by_key(self, client: str, text: str, actor: Actor) -> Tokens:
        """With the name of an account and one of its keys (OAuth2 client credentials); there is no refresh token.

        Raises:
            NotSignedIn: one of the two is wrong.
            SignInPaused: there were too many failures.
        """
        self._attempt(client, actor)
        key = self._keys.checked(text)
        account = self._accounts.find(key.account) if key is not None else None
        if key is None or account is None or account.disabled or account.name != client.strip().lower():
            self._refusals.record("SignInFailed", _target(client), actor)
            raise NotSignedIn("The client or its secret is wrong.", hint="the secret is one of the account's keys")
        self._pauses.succeeded(client, actor.address)
        self._keys.used(key)
        via = f"{KEY}/{key.id}"
        role = narrowed(account, key.role, key.tags, via).role
        self._log.record(
            "SignedIn",
            f"{ACCOUNT}/{account.name}",
            actor=actor._replace(who=account.name, role=role, via=via),
        )
        return Tokens(self._signing.token(account.name, via), None, role)

    def refresh(self, text: str, actor: Actor) -> Tokens:
        """The next tokens of a session.

        Raises:
            NotSignedIn: the refresh token is none, or was used before.
        """
        shape = _SHAPE.fullmatch(text)
        if shape is None:
            raise NotSignedIn("The refresh token cannot be used.", hint="sign in again")
        new, told = _refresh(shape[1]), ""
        made: list[Account] = []

        def work() -> Change:
            nonlocal told
            told = "The session has ended."
            made.clear()
            row, session = self._open_session(shape[1])
            account = self._accounts.find(session.account)
            who = actor._replace(who=session.account, via=row.name)
            if account is None or account.disabled:
                raise NotSignedIn(told, hint="sign in again")
            after = session.next(digest(text), digest(new), now_us())
            if after is None:
                told = "The refresh token was used before; the session has ended."
                return Change(entry_of("RefreshTokenReused", row.name, actor=who), (), [row])
            made.append(account)
            entry = entry_of("TokenRefreshed", row.name, actor=who._replace(role=account.role))
            return Change(entry, [_kept(after, row.seq)])

        self._log.change(work)
        if not made:
            raise NotSignedIn(told, hint="sign in again")
        return Tokens(self._signing.token(made[0].name, f"{SESSION}/{shape[1]}"), new, made[0].role)

    def end(self, via: str, actor: Actor | None = None) -> bool:
        """End a session, by its name; False where it had ended. Who did it, is asked of the request if not given."""

        def work() -> Change:
            row, session = self._open_session(via.removeprefix(f"{SESSION}/"))
            who = actor._replace(who=session.account, via=row.name) if actor is not None else None
            return Change(entry_of("SignedOut", row.name, detail=session.account, actor=who), (), [row])

        try:
            self._log.change(work)
        except NotSignedIn:
            return False
        return True

    def revoke(self, text: str, actor: Actor) -> None:
        """End the session that a token, of either kind, belongs to (RFC 7009); what is no token ends nothing."""
        shape = _SHAPE.fullmatch(text)
        if shape is not None:
            found = self._journal.credentials([f"{SESSION}/{shape[1]}"])
            if found and _session(found[0].data).has(digest(text)):
                self.end(shape[1], actor)
            return
        try:
            via = self._signing.checked(text)["via"]
        except NotSignedIn:
            return
        if via.startswith(f"{SESSION}/"):
            self.end(via, actor)

    def change_password(self, user: User, current: str, new: str, actor: Actor) -> None:
        """Somebody's own password; all their sessions end.

        Raises:
            BadAccount: the current one is another, or the new one cannot be.
            SignInPaused: there were too many failures.
        """
        account = self._accounts.get(user.name)
        self._attempt(user.name, actor)
        if not passwords.fits(account.password, current):
            self._refusals.record("PasswordRefused", _target(user.name), actor)
            raise BadAccount("the account", [("current_password", "is another one")])
        passwords.checked_password(new, account.name, hint="choose another one")
        self._accounts.set_password(user.name, new)
        self._pauses.succeeded(user.name, actor.address)

    def _attempt(self, name: str, actor: Actor) -> None:
        try:
            self._pauses.attempt(name, actor.address)
        except SignInPaused:
            self._refusals.record("SignInPaused", _target(name), actor)
            raise

    def _open_session(self, session_id: str) -> tuple[Credential, Session]:
        found = self._journal.credentials([f"{SESSION}/{session_id}"])
        session = _session(found[0].data) if found else None
        if session is None or session.until <= now_us():
            raise NotSignedIn("The session has ended.", hint="sign in again")
        return found[0], session

    def _rehash(self, account: Account, password: str) -> None:
        """Hash a password as it is done today, now that it is at hand; it stays what it is."""
        text = passwords.hashed(password)

        def work() -> Change:
            row = self._accounts.row(account.name)
            now = self._accounts.find(account.name)
            if row is None or now is None or now.password != account.password:
                raise NotSignedIn("The password was changed meanwhile.")
            after = msgspec.structs.replace(now, password=text)
            kept = Credential(name=row.name, owner=row.owner, data=_encode(after), seq=row.seq)
            return Change(entry_of("PasswordRehashed", row.name), [kept])

        with contextlib.suppress(NotSignedIn):
            self._log.change(work)


def _refresh(session_id: str) -> str:
    return f"pr_{session_id}_{secrets.token_urlsafe(32)}"


def _kept(session: Session, seq: int = 0) -> Credential:
    return Credential(
        name=f"{SESSION}/{session.id}", owner=session.account, data=_encode(session), seq=seq, until=session.until
    )


def _target(name: str) -> str:
    return f"{ACCOUNT}/{name.strip().lower()[:100]}"
