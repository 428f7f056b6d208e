"""What goes over the wire about accounts, keys, tokens and the audit."""

from __future__ import annotations

import datetime
from typing import Any

from pydantic import BaseModel, Field

from penstock.control.auth import Account, ApiKey
from penstock.control.models import Shape
from penstock.core.clock import iso


class TokenIn(BaseModel):
    """What asks for a token, as a form (RFC 6749)."""

    grant_type: str = Field(description="password, client_credentials, refresh_token or authorization_code")
    username: str = ""
    password: str = ""
    client_id: str = Field("", description="of a service: the name of its account")
    client_secret: str = Field("", description="of a service: one of its API keys")
    refresh_token: str = ""
    code: str = Field("", description="that a browser came back with")
    code_verifier: str = Field("", description="what the challenge was made of (RFC 7636)")
    redirect_uri: str = Field("", description="where it came back to")


class TokenOut(BaseModel):
    """What somebody gets who signs in."""

    access_token: str
    token_type: str = "Bearer"
    expires_in: int
    refresh_token: str | None = None
    scope: str = Field(description="the role")


class MethodsOut(BaseModel):
    """How one signs in."""

    required: bool = Field(description="who is not signed in may do nothing")
    oidc: str | None = Field(description="the OpenID provider, where there is one")


class RevokeIn(BaseModel):
    """A token, as a form (RFC 7009)."""

    token: str


class MeOut(BaseModel):
    """Who somebody is."""

    name: str
    role: str
    tags: list[str] | None
    via: str | None


class OwnPasswordIn(Shape):
    """Another password of one's own."""

    current_password: str = Field(max_length=1000)
    new_password: str = Field(max_length=1000)


class PasswordIn(Shape):
    """Another password of somebody; one is made up when left out."""

    password: str | None = Field(None, max_length=1000)


class AccountIn(Shape):
    """An account to be made."""

    name: str = Field(min_length=1, max_length=100)
    kind: str = Field("user", description="user, or service, which has keys and no password")
    role: str = "viewer"
    tags: list[str] | None = Field(None, description="only what bears one of these is there for it")
    password: str | None = Field(None, max_length=1000, description="of a user; one is made up when left out")


class AccountChange(Shape):
    """What is to change of an account."""

    role: str
    tags: list[str] | None = Field(default=None, description="null: there is everything for it; left out: as it is")
    disabled: bool = Field(default=False, description="left out: as it is")


class AccountOut(BaseModel):
    """An account."""

    name: str
    kind: str
    role: str
    tags: list[str] | None
    disabled: bool
    outside: str | None
    created_at: str
    changed_at: str

    @classmethod
    def of(cls, account: Account) -> AccountOut:
        """The answer for an account."""
        return cls.model_validate({**account.shown(), **_times(account.created_at, account.changed_at)})


class MadeAccountOut(AccountOut):
    """A new account; the password is shown once, where one was made up."""

    password: str | None = None


class PasswordOut(BaseModel):
    """A password that was made up; it is shown once."""

    password: str | None


class KeyIn(Shape):
    """A key to be made."""

    account: str | None = Field(None, description="whose it is; one's own when left out")
    role: str | None = Field(None, description="at most the account's, which it has when left out")
    tags: list[str] | None = None
    label: str = Field("", max_length=200)
    expires_at: str | None = Field(None, description="such as 2027-01-31T00:00:00Z")

    def until(self) -> int | None:
        """When it expires, in microseconds.

        Raises:
            ValueError: it is no time, or has no offset.
        """
        if self.expires_at is None:
            return None
        at = datetime.datetime.fromisoformat(self.expires_at)
        if at.tzinfo is None:
            raise ValueError("a time needs its offset")
        return (at - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(microseconds=1)


class RotateIn(Shape):
    """For how long the former key may be used still."""

    overlap_seconds: float = Field(0.0, ge=0, le=30 * 86_400)


class KeyOut(BaseModel):
    """A key, without the key."""

    id: str
    account: str
    label: str
    role: str
    tags: list[str] | None
    created_at: str
    expires_at: str | None
    last_used_at: str | None

    @classmethod
    def of(cls, key: ApiKey, last_used: int | None = None) -> KeyOut:
        """The answer for a key."""
        told = {"created_at": iso(key.created_at), "expires_at": iso(key.until), "last_used_at": iso(last_used)}
        return cls.model_validate({**key.shown(), **told})


class MadeKeyOut(KeyOut):
    """A new key; it is shown once."""

    key: str


class EntryOut(BaseModel):
    """An entry of the audit."""

    number: int
    at: str | None
    who: str
    role: str | None
    action: str
    target: str
    detail: str | None
    via: str | None
    address: str | None
    request: str | None
    agent: str | None
    route: str | None
    before: Any
    after: Any
    previous: str
    hash: str


class VerdictOut(BaseModel):
    """Whether the audit is as it was written."""

    sound: bool
    entries: int
    head: str
    breaks: list[dict[str, Any]]


def _times(created_at: int, changed_at: int) -> dict[str, str | None]:
    return {"created_at": iso(created_at), "changed_at": iso(changed_at)}
