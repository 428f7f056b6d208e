"""Passwords: hashed with Argon2id (RFC 9106) as argon2-cffi sets it up; looked at a few at a time."""

from __future__ import annotations

import secrets
import threading
import unicodedata
from functools import lru_cache
from typing import Any

from penstock.core.errors import BadAccount
from penstock.core.extras import require

EXTRA = "server"
SHORTEST, LONGEST = 12, 1000
_AT_ONCE = threading.BoundedSemaphore(2)
"""Each takes 64 MiB and a good part of a core while it is looked at."""


@lru_cache(maxsize=1)
def _hasher() -> Any:
    return require("argon2", EXTRA).PasswordHasher()


@lru_cache(maxsize=1)
def _nobodys() -> str:
    """A hash that no password has, for accounts that are not there: they take as long as others."""
    return hashed(secrets.token_urlsafe(32))


def new_password() -> str:
    """A password of 144 random bits."""
    return secrets.token_urlsafe(18)


def checked_password(text: str, name: str, hint: str = "leave it out, and one is made up") -> str:
    """A password that an account can have.

    Args:
        text: the password.
        name: of the account.
        hint: what to do about one that cannot be.

    Raises:
        BadAccount: it is too short or too long, or easy to guess.
    """
    wrong = None
    if not SHORTEST <= len(text) <= LONGEST:
        wrong = f"must have {SHORTEST} to {LONGEST:,} characters"
    elif name in text.lower():
        wrong = "must not contain the name of the account"
    elif len(set(text)) < 5:
        wrong = "must have at least five different characters"
    elif any("\ud800" <= character <= "\udfff" for character in text):
        wrong = "must not contain half surrogate pairs"
    if wrong is not None:
        raise BadAccount("the account", [("password", wrong)], hint=hint)
    return text


def hashed(password: str) -> str:
    """What is kept of a password."""
    with _AT_ONCE:
        found: str = _hasher().hash(_plain(password))
    return found


def fits(kept: str | None, password: str) -> bool:
    """Whether this is the password. Without one to compare with it takes as long, and is not."""
    if len(password) > LONGEST:  # nobody has one, and to make it plain would take very long
        kept, password = None, ""
    known = kept if kept is not None else _nobodys()
    errors = require("argon2.exceptions", EXTRA)
    with _AT_ONCE:
        try:
            _hasher().verify(known, _plain(password))
        except (errors.VerificationError, errors.InvalidHashError):
            return False
    return kept is not None


def outdated(kept: str) -> bool:
    """Whether it was hashed in a way that is not used any more."""
    return bool(_hasher().check_needs_rehash(kept))


def _plain(password: str) -> bytes:
    """The same bytes for what looks the same, however it was typed."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
