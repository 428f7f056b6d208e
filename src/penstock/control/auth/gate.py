"""Who sent a request, by its bearer token: a signed one, or an API key."""

from __future__ import annotations

from penstock.control.auth.accounts import Account, Accounts, account_of
from penstock.control.auth.keys import PREFIX, ApiKey, ApiKeys, narrowed, usable
from penstock.control.auth.signing import Signing
from penstock.core.access import ACCOUNT, KEY, SESSION, User
from penstock.core.errors import NotSignedIn
from penstock.core.ports import Journal

_LONGEST = 4096


class Gate:
    """Lets in who shows what they got. It is looked up each time: what is revoked is of no use at once.

    Args:
        journal: where sessions are.
        accounts: who there is.
        keys: of programs.
        signing: checks signed tokens.
    """

    def __init__(self, journal: Journal, accounts: Accounts, keys: ApiKeys, signing: Signing) -> None:
        self._journal = journal
        self._accounts = accounts
        self._keys = keys
        self._signing = signing

    def enter(self, authorization: str) -> User:
        """Who somebody is.

        Args:
            authorization: the header.

        Raises:
            NotSignedIn: nobody, or nobody any more.
        """
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise NotSignedIn("Nobody is signed in." if not authorization else "Only bearer tokens are understood.")
        if len(text) > _LONGEST or not text.isascii():
            raise NotSignedIn("The token cannot be used.")
        text = text.strip()
        return self._by_key(text) if text.startswith(PREFIX) else self._by_token(text)

    def _by_key(self, text: str) -> User:
        key = self._keys.checked(text)
        if key is None:
            raise NotSignedIn("The key is none, was revoked, or has expired.", hint="an admin can make another one")
        user = self._user_of(key)
        self._keys.used(key)
        return user

    def _by_token(self, text: str) -> User:
        claims = self._signing.checked(text)
        name, via = claims["sub"], claims["via"]
        found = {row.name: row for row in self._journal.credentials([via, f"{ACCOUNT}/{name}"])}
        held, row = found.get(via), found.get(f"{ACCOUNT}/{name}")
        kind = via.partition("/")[0]
        key = usable(held) if kind == KEY else None
        if kind == KEY and (key is None or key.account != name):
            raise NotSignedIn("The key behind the token was revoked, or has expired.")
        if kind != KEY and (kind != SESSION or held is None or held.owner != name):
            raise NotSignedIn("The session has ended.", hint="sign in again")
        account = _let_in(account_of(row))
        return _as_key(account, key) if key is not None else User(account.name, account.role, account.tags, via)

    def _user_of(self, key: ApiKey) -> User:
        return _as_key(_let_in(self._accounts.find(key.account)), key)


def _as_key(account: Account, key: ApiKey) -> User:
    return narrowed(account, key.role, key.tags, f"{KEY}/{key.id}")


def _let_in(account: Account | None) -> Account:
    if account is None or account.disabled:
        raise NotSignedIn("The account is disabled, or gone.", hint="ask an admin")
    return account
