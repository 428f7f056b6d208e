"""Who asks: by a key, by a token, or by a name and a password, or a code, that get one."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from penstock.core.errors import ConfigurationError
from penstock.core.secrets import Secret
from penstock.remote.calls import Call

_TOKEN = ("auth", "token")


class Tokens(msgspec.Struct, frozen=True):
    """What a server answers to who signs in (RFC 6749, section 5.1)."""

    access_token: str
    token_type: str = "bearer"
    expires_in: float | None = None
    refresh_token: str | None = None


class Identity:
    """Who asks. Nobody, where nothing is given: enough for a server on the same machine.

    Args:
        api_key: a key of the server's.
        token: a token that somebody else got.
        user: a name, with `password`; a service account's id with its secret where `client` is true.
        password: goes with it.
        client: sign in as a service account.

    Raises:
        ConfigurationError: several are given, or only half of one.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        token: str | None = None,
        user: str | None = None,
        password: str | None = None,
        client: bool = False,
    ) -> None:
        if sum(each is not None for each in (api_key, token, user)) > 1:
            raise ConfigurationError("Give an API key, a token, or a user with a password: one of them.")
        if (user is None) != (password is None):
            raise ConfigurationError("A user needs a password, and a password a user.")
        shown = api_key if api_key is not None else token
        if shown is not None and not (shown.isascii() and shown.isprintable() and shown.strip()):
            raise ConfigurationError("The key or token has characters that none has.", hint="was it copied as a whole?")
        self.header = None if shown is None else f"Bearer {shown.strip()}"
        self._user = user
        self._password = Secret(password or "")
        self._client = client
        self._refresh: Secret | None = None

    def claim(self) -> bool:
        """Whether nobody else has tokens renewed for the same sign-in just now; nobody does until `release`."""
        return True

    def release(self) -> None:
        """Let others have tokens renewed."""

    @property
    def refresh(self) -> Secret | None:
        """What the next tokens are got with."""
        return self._refresh

    @property
    def known(self) -> bool:
        """Whether the server is told who asks."""
        return self.header is not None or self._user is not None

    @property
    def renewable(self) -> bool:
        """Whether tokens can be had, or had anew."""
        return self._user is not None

    def calls(self) -> Iterator[Call[Tokens]]:
        """What gets tokens, the cheapest first."""
        if self._refresh is not None:
            yield self._asking(grant_type="refresh_token", refresh_token=self._refresh.reveal())
        if self._client:
            yield self._asking(
                grant_type="client_credentials",
                client_id=self._user or "",
                client_secret=self._password.reveal(),
            )
        else:
            yield self._asking(grant_type="password", username=self._user or "", password=self._password.reveal())

    @staticmethod
    def _asking(**form: str) -> Call[Tokens]:
        return Call(method="POST", path=_TOKEN, answer=Tokens, form=form, repeatable=False)

    def take(self, tokens: Tokens) -> None:
        """Use these tokens from now on."""
        self.header = f"Bearer {tokens.access_token}"
        self._refresh = Secret(tokens.refresh_token) if tokens.refresh_token else None


class CodeIdentity(Identity):
    """Who a browser has come back for, with a code that gets tokens, once.

    Args:
        code: it came with.
        verifier: what the challenge was made of that it went away with (RFC 7636).
        redirect_uri: where it came back to.
    """

    renewable = True
    known = True

    def __init__(self, code: str, verifier: str, redirect_uri: str) -> None:
        super().__init__()
        self._form = {"code": code, "code_verifier": verifier, "redirect_uri": redirect_uri}

    def calls(self) -> Iterator[Call[Tokens]]:
        """See `Identity`."""
        if self._refresh is not None:
            yield self._asking(grant_type="refresh_token", refresh_token=self._refresh.reveal())
        else:
            yield self._asking(grant_type="authorization_code", **self._form)
