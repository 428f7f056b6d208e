"""Signing in through an OpenID provider: the authorization code flow with PKCE, on both sides.

Whoever signs in (the command line) asks Penstock, which sends their browser to the provider. The provider sends it
back with a code; Penstock learns from the provider who it is, and sends the browser on, to a place on the machine of
whoever asked, with a code of its own, which is of use once, for a minute, and only to whoever began.

Until somebody has shown who they are nothing is kept: a ticket that was made here, and that the browser carries, says
what the sign-in is about. The nonce and the verifier are derived from it with a key that is only here.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import re
import secrets
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec

from penstock.control.auth.accounts import Account, Accounts
from penstock.control.auth.claims import Claimed, claimed, lacks
from penstock.control.auth.keys import digest
from penstock.control.auth.log import ACTOR, Actor, AuditLog, Change, entry_of
from penstock.control.auth.provider import Provider
from penstock.control.auth.refusals import Refusals
from penstock.control.auth.sessions import Sessions, Tokens
from penstock.control.auth.signing import TICKET_SECONDS, Signing
from penstock.core import typed
from penstock.core.access import ACCOUNT, GRANT, SESSION, Credential, challenge_of
from penstock.core.clock import now_us
from penstock.core.errors import (
    AccessError,
    AccountConflict,
    BadAccount,
    NotSignedIn,
    PenstockError,
    ProviderUnavailable,
    SignInRefused,
)
from penstock.core.ports import Journal

CALLBACK = "/api/v1/auth/oidc/callback"
_GOOD_US = 60_000_000
_KEPT_US = (TICKET_SECONDS + 60) * 1_000_000
"""What was of use once is remembered for longer than any ticket that could make it of use again."""
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_CODE = re.compile(r"pc_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")
_LONGEST_STATE = 500
_HERE = ("127.0.0.1", "::1")
_OAUTH: dict[type[PenstockError], str] = {ProviderUnavailable: "temporarily_unavailable"}
_encode = msgspec.json.Encoder().encode
_log = logging.getLogger("penstock.control.auth")


class _Grant(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody has shown who they are, and may fetch tokens.

    Attributes:
        digest: of the code.
        challenge: of whoever began.
        back: where the code was sent to.
        until: it is of no use from then on.
        session: begun with it; it was used then.
    """

    digest: str
    challenge: str
    back: str
    until: int
    session: str | None = None


_grant = typed.json_decoder(_Grant).decode


class Returned(NamedTuple):
    """What the provider sends a browser back with."""

    state: str
    code: str | None = None
    iss: str | None = None
    error: str | None = None


class SignOn:
    """Signs people in who have shown the provider who they are.

    Args:
        provider: to whom.
        journal: where codes are.
        log: the audit.
        accounts: who there is.
        sessions: begins them.
        signing: makes tickets.
        refusals: writes the audit of failures.
        public_url: where browsers reach this server.
    """

    def __init__(
        self,
        provider: Provider,
        journal: Journal,
        log: AuditLog,
        accounts: Accounts,
        sessions: Sessions,
        signing: Signing,
        refusals: Refusals,
        public_url: str,
    ) -> None:
        self.provider = provider
        self._journal = journal
        self._log = log
        self._accounts = accounts
        self._sessions = sessions
        self._signing = signing
        self._refusals = refusals
        self._callback = public_url.rstrip("/") + CALLBACK

    def begin(self, back: str, state: str, challenge: str) -> str:
        """Where to send the browser of somebody who wants to sign in.

        Args:
            back: where it is sent in the end: a place on the machine that it is on.
            state: goes there with it, unchanged.
            challenge: SHA-256, as PKCE has it, of what whoever asks shows in the end (RFC 7636).

        Raises:
            SignInRefused: something of this cannot be.
        """
        if not is_loopback(back):
            raise SignInRefused("redirect_uri is no place on your machine.", hint="such as http://127.0.0.1:49152/")
        if not (0 < len(state) <= _LONGEST_STATE and state.isascii() and state.isprintable()):
            raise SignInRefused("state is not a line of some characters.", hint="make up another one")
        if not _CHALLENGE.fullmatch(challenge):
            raise SignInRefused("code_challenge is none of S256.", hint="see RFC 7636")
        try:
            with self.provider.turn():
                place = self.provider.metadata.authorization_endpoint
        except ProviderUnavailable as error:
            return _with(back, error=_OAUTH[type(error)], error_description=error.message, state=state)
        ticket = self._signing.ticket({"back": back, "state": state, "challenge": challenge})
        verifier = self._signing.derived(ticket, "verifier")
        return _with(
            place,
            response_type="code",
            client_id=self.provider.settings.client_id,
            redirect_uri=self._callback,
            scope=" ".join(self.provider.settings.scopes),
            state=ticket,
            nonce=self._signing.derived(ticket, "nonce"),
            code_challenge=challenge_of(verifier),
            code_challenge_method="S256",
        )

    def finish(self, returned: Returned, actor: Actor) -> str:
        """Where to send the browser that the provider has sent back.

        Raises:
            NotSignedIn: it brings no ticket, or one that is too old; then nobody knows where it should go.
        """
        ticket = self._signing.carried(returned.state)
        back, state = ticket["back"], ticket["state"]
        try:
            account = self._shown(returned, actor, ticket["jti"])
            code = self._granted(account, ticket, actor)
        except AccessError as error:
            self._refusals.record("SignInFailed", f"oidc/{self.provider.settings.issuer}", actor, error.message)
            kind = _OAUTH.get(type(error), "access_denied")
            told = f"{error.message} {error.hint or ''}".strip()
            return _with(back, error=kind, error_description=told, state=state)
        except PenstockError as error:  # it is the server's own, and nothing for whoever signs in
            _log.error("Nobody can sign in through the OpenID provider: %s", error.message)
            told = "The server cannot let anybody in: its log says why."
            return _with(back, error="server_error", error_description=told, state=state)
        return _with(back, code=code, state=state)

    def _shown(self, returned: Returned, actor: Actor, ticket_id: str) -> Account:
        """The account of whoever the provider has sent."""
        settings = self.provider.settings
        if self._journal.credentials([f"{GRANT}/{ticket_id}"]):
            raise SignInRefused("This sign-in is over already.", hint="begin again")
        with self.provider.turn():
            said = self.provider.metadata.authorization_response_iss_parameter_supported
            if returned.iss != settings.issuer and (said or returned.iss is not None):
                raise SignInRefused("Another provider has answered.", hint="begin again")
            if returned.error is not None or not returned.code:
                raise SignInRefused(f"The provider says: {(returned.error or 'nothing')[:100]}.", hint="begin again")
            granted = self.provider.granted(
                returned.code, self._signing.derived(returned.state, "verifier"), self._callback
            )
            claims = self.provider.claims(granted.id_token, self._signing.derived(returned.state, "nonce"))
            if lacks(claims, settings):
                claims = {**self.provider.told_of(granted, claims), **claims}
        who = claimed(claims, settings)
        with _acting(actor._replace(who=who.name[:100], via=f"oidc/{settings.issuer}")):
            return self._account(who)

    def _account(self, who: Claimed) -> Account:
        """Their account; made, or changed, as the settings say."""
        known = self._accounts.from_outside(who.outside)
        if known is None:
            return self._made(who)
        if known.disabled:
            raise SignInRefused("The account is disabled.")
        changes: dict[str, Any] = {}
        if self.provider.settings.tags and who.tags != known.tags:
            changes["tags"] = who.tags
        if who.role is not None and who.role != known.role:
            changes["role"] = who.role
        return self._accounts.change(known.name, **changes) if changes else known

    def _made(self, who: Claimed) -> Account:
        settings, subject = self.provider.settings, who.outside.removeprefix(f"{self.provider.settings.issuer}#")
        if not settings.sign_up:
            hint = f"an admin can make one: penstock users create NAME, then penstock users link NAME {subject}"
            raise SignInRefused(f"There is no account for {subject} yet.", hint=hint)
        try:
            role = who.role or settings.default_role
            account, _ = self._accounts.create(who.name, role, tags=who.tags, outside=who.outside)
        except AccountConflict:
            same = self._accounts.from_outside(who.outside)
            if same is not None:  # they have signed in twice at the same time
                return same
            hint = f"where it is theirs, an admin can say so: penstock users link {who.name} {subject}"
            raise SignInRefused(f"There is an account {who.name} already, of somebody else.", hint=hint) from None
        except BadAccount as error:
            told = "; ".join(f"{field} {mistake}" for field, mistake in error.mistakes)
            raise SignInRefused(f"An account cannot be called {who.name[:100]!r}: {told}.") from None
        return account

    def _granted(self, account: Account, ticket: dict[str, str], actor: Actor) -> str:
        """A code with which whoever began gets tokens."""
        code, now = f"pc_{ticket['jti']}_{secrets.token_urlsafe(32)}", now_us()
        name = f"{GRANT}/{ticket['jti']}"
        kept = _Grant(
            digest=digest(code), challenge=ticket["challenge"], back=ticket["back"], until=now + _GOOD_US
        )  # fmt: skip
        row = Credential(name=name, owner=account.name, data=_encode(kept), until=now + _KEPT_US)
        who = actor._replace(who=account.name, role=account.role, via=f"oidc/{self.provider.settings.issuer}")

        def work() -> Change:
            if self._journal.credentials([name]):
                raise SignInRefused("This sign-in is over already.", hint="begin again")
            return Change(entry_of("IdentityShown", f"{ACCOUNT}/{account.name}", actor=who), [row])

        self._log.change(work)
        return code

    def redeem(self, code: str, verifier: str, back: str, actor: Actor) -> Tokens:
        """Tokens for a code.

        Args:
            code: that the browser was sent back with.
            verifier: what the challenge was made of.
            back: where it was sent back to.
            actor: where the request comes from.

        Raises:
            NotSignedIn: it is none, is of no use any more, or somebody else's. If it is used twice, what was got with
                it ends.
        """
        shape = _CODE.fullmatch(code)
        wrong = NotSignedIn("The code is of no use.", hint="begin again")
        if shape is None:
            raise wrong
        name, session_id = f"{GRANT}/{shape[1]}", secrets.token_hex(16)
        found: list[tuple[str, _Grant]] = []

        def work() -> Change:
            row = next(iter(self._journal.credentials([name])), None)
            if row is None or not hmac.compare_digest(_grant(row.data).digest, digest(code)):
                raise wrong
            found[:] = [(row.owner, before := _grant(row.data))]
            used = msgspec.structs.replace(before, session=before.session or session_id)
            kept = Credential(name=name, owner=row.owner, data=_encode(used), seq=row.seq, until=row.until)
            deed = "CodeUsed" if before.session is None else "CodeUsedAgain"
            return Change(entry_of(deed, f"{ACCOUNT}/{row.owner}", actor=actor), [kept])

        self._log.change(work)
        owner, grant = found[0]
        if grant.session is not None:
            self._sessions.end(f"{SESSION}/{grant.session}", actor)
            raise wrong
        if grant.until <= now_us() or grant.back != back or not _fits(verifier, grant.challenge):
            raise wrong
        lasts = int(self.provider.settings.session_hours * 3_600_000_000)
        account = self._accounts.get(owner)
        return self._sessions.open(account, actor, session_id=session_id, lasts_us=lasts)


def is_loopback(url: str) -> bool:
    """Whether a browser that is sent there stays on its machine (RFC 8252, section 7.3)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    bare = not (parts.username or parts.password or parts.query or parts.fragment)
    return parts.scheme == "http" and host in _HERE and bool(port) and bare and url.isascii() and url.isprintable()


def _fits(verifier: str, challenge: str) -> bool:
    return verifier.isascii() and hmac.compare_digest(challenge_of(verifier), challenge)


def _with(url: str, **query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


@contextlib.contextmanager
def _acting(actor: Actor) -> Iterator[None]:
    """What is changed is told to the audit as that of somebody."""
    token = ACTOR.set(actor)
    try:
        yield
    finally:
        ACTOR.reset(token)
