"""What can be wrong with who asks, and with what is asked of accounts and keys."""

from __future__ import annotations

from penstock.core.errors.base import Mistaken, NotFound, PenstockError


class AccessError(PenstockError):
    """It is not allowed, or cannot be."""

    code = "access"


class NotSignedIn(AccessError):
    """Nobody is signed in, or not any more."""

    code = "not-signed-in"
    hint = "sign in (penstock login URL, or POST /api/v1/auth/token), or send an API key as a bearer token"


class NotAllowed(AccessError):
    """This takes another role."""

    code = "not-allowed"
    hint = "ask an admin for it"


class SignInPaused(AccessError):
    """There were too many failures; nothing is looked at for a while.

    Attributes:
        seconds: for how long.
    """

    code = "sign-in-paused"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Signing in failed too often. Try again in {seconds} s.", hint="wait, then try again")
        self.seconds = seconds


class AccountNotFound(NotFound, AccessError):
    """There is no such account."""

    code = "account-not-found"
    hint = "penstock users list shows those there are"


class KeyNotFound(NotFound, AccessError):
    """There is no such key."""

    code = "key-not-found"
    hint = "penstock keys list shows those there are"


class AccountConflict(AccessError):
    """Another account has the name, or what is left would not do."""

    code = "account-conflict"


class BadAccount(Mistaken, AccessError):
    """An account, a password or a key that cannot be."""

    code = "bad-account"


class ProviderUnavailable(AccessError):
    """The OpenID provider does not answer, or not as one does."""

    code = "provider-unavailable"
    hint = "try again; the log of the server says what is wrong"


class SignInRefused(AccessError):
    """Who comes from the OpenID provider is not let in."""

    code = "sign-in-refused"
    hint = "ask an admin"
