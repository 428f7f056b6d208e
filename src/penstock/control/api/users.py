"""`/api/v1/users` and `/api/v1/keys`: who may sign in, and with what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from penstock.control.access import Admin, User, Viewer, check_all
from penstock.control.api.auth_models import (
    AccountChange,
    AccountIn,
    AccountOut,
    KeyIn,
    KeyOut,
    MadeAccountOut,
    MadeKeyOut,
    PasswordIn,
    PasswordOut,
    RotateIn,
)
from penstock.control.auth import ApiKey, Auth
from penstock.control.bodies import BODIES, Raw, parsed
from penstock.control.models import Page
from penstock.control.wiring import TheAuth, tell_place
from penstock.core.errors import BadAccount, KeyNotFound, NotAllowed

users = APIRouter(prefix="/users", tags=["access"])
keys = APIRouter(prefix="/keys", tags=["access"])
_Skip = Annotated[int, Query(ge=0, le=1_000_000)]
_Limit = Annotated[int, Query(ge=1, le=500)]


@users.get("")
def list_users(auth: TheAuth, user: Admin, skip: _Skip = 0, limit: _Limit = 50) -> Page[AccountOut]:
    """List accounts by name."""
    check_all(user)
    found = auth.accounts.all()
    items = [AccountOut.of(each) for each in found[skip : skip + limit]]
    return Page(items=items, total=len(found), skip=skip, limit=limit, next=None)


@users.post("", status_code=201, openapi_extra=BODIES.of(AccountIn, {"name": "ann", "role": "editor"}))
def create_user(response: Response, raw: Raw, auth: TheAuth, user: Admin) -> MadeAccountOut:
    """Make an account. A password that is made up is in the answer, once."""
    _refuse_key(user, "accounts", "penstock users create")
    check_all(user)
    wanted = parsed(AccountIn, raw)
    account, password = auth.accounts.create(
        wanted.name, wanted.role, kind=wanted.kind, tags=wanted.tags, password=wanted.password
    )
    tell_place(response, "users", account.name)
    response.headers["Cache-Control"] = "no-store"
    return MadeAccountOut(**AccountOut.of(account).model_dump(), password=password)


@users.get("/{name}")
def get_user(name: str, auth: TheAuth, user: Admin) -> AccountOut:
    """One account."""
    check_all(user)
    return AccountOut.of(auth.accounts.get(name))


@users.put("/{name}", openapi_extra=BODIES.of(AccountChange, {"role": "operator", "tags": ["etl"]}))
def change_user(name: str, raw: Raw, auth: TheAuth, user: Admin) -> AccountOut:
    """Change what an account may do; what is left out stays. It is so at once, also for who is signed in."""
    _refuse_key(user, "accounts", "penstock users role")
    check_all(user)
    wanted = parsed(AccountChange, raw).model_dump(exclude_unset=True)
    return AccountOut.of(auth.accounts.change(name, **wanted))


@users.delete("/{name}", status_code=204)
def delete_user(name: str, auth: TheAuth, user: Admin) -> None:
    """Remove an account, with its keys and sessions. What it did stays in the audit."""
    check_all(user)
    auth.accounts.delete(name)


@users.post("/{name}/password", openapi_extra=BODIES.of(PasswordIn, {}, needed=False))
def set_password(name: str, response: Response, raw: Raw, auth: TheAuth, user: Admin) -> PasswordOut:
    """Give an account another password; its sessions end."""
    _refuse_key(user, "passwords", "penstock users password")
    check_all(user)
    response.headers["Cache-Control"] = "no-store"
    return PasswordOut(password=auth.accounts.set_password(name, parsed(PasswordIn, raw).password))


@keys.get("")
def list_keys(
    auth: TheAuth,
    user: Viewer,
    account: Annotated[str | None, Query(max_length=100, description="of somebody else; for admins")] = None,
    skip: _Skip = 0,
    limit: _Limit = 50,
) -> Page[KeyOut]:
    """List one's own keys, or somebody's."""
    found = auth.keys.all(_whose(auth, user, account))
    items = [KeyOut.of(each, auth.keys.last_used(each)) for each in found[skip : skip + limit]]
    return Page(items=items, total=len(found), skip=skip, limit=limit, next=None)


@keys.post("", status_code=201, openapi_extra=BODIES.of(KeyIn, {"label": "ci", "role": "operator"}, needed=False))
def create_key(response: Response, raw: Raw, auth: TheAuth, user: Viewer) -> MadeKeyOut:
    """Make a key of one's own, or of somebody. It is in the answer, once."""
    _refuse_key(user, "keys", "penstock keys create")
    wanted = parsed(KeyIn, raw)
    account = _whose(auth, user, wanted.account)
    try:
        until = wanted.until()
    except (ValueError, OverflowError):
        raise BadAccount("the key", [("expires_at", "is a time such as 2027-01-31T00:00:00Z")]) from None
    made = auth.keys.create(
        account, role=wanted.role, tags=wanted.tags, label=wanted.label, until=until, by=user
    )  # fmt: skip
    tell_place(response, "keys", made.key.id)
    response.headers["Cache-Control"] = "no-store"
    return MadeKeyOut(**KeyOut.of(made.key).model_dump(), key=made.text)


@keys.get("/{key_id}")
def get_key(key_id: str, auth: TheAuth, user: Viewer) -> KeyOut:
    """One key, without the key."""
    found = _seen(auth, user, key_id)
    return KeyOut.of(found, auth.keys.last_used(found))


@keys.delete("/{key_id}", status_code=204)
def revoke_key(key_id: str, auth: TheAuth, user: Viewer) -> None:
    """Make a key useless, at once, and the tokens that were got with it."""
    auth.keys.revoke(_seen(auth, user, key_id).id)


@keys.post(
    "/{key_id}/rotate", status_code=201, openapi_extra=BODIES.of(RotateIn, {"overlap_seconds": 3600}, needed=False)
)
def rotate_key(key_id: str, response: Response, raw: Raw, auth: TheAuth, user: Viewer) -> MadeKeyOut:
    """Another key in the place of one, which may be used for some time still."""
    _refuse_key(user, "keys", "penstock keys rotate")
    made = auth.keys.rotate(_seen(auth, user, key_id).id, parsed(RotateIn, raw).overlap_seconds)
    response.headers["Cache-Control"] = "no-store"
    return MadeKeyOut(**KeyOut.of(made.key).model_dump(), key=made.text)


def _whose(auth: Auth, user: User, account: str | None) -> str:
    """The account that is meant, if they may."""
    if account is None or account.strip().lower() == user.name:
        return user.name
    if not user.may("admin"):
        raise NotAllowed("The keys of others are for admins.")
    check_all(user)
    return auth.accounts.get(account).name


def _seen(auth: Auth, user: User, key_id: str) -> ApiKey:
    found = auth.keys.get(key_id)
    if found.account != user.name and not (user.may("admin") and user.tags is None):
        raise KeyNotFound(f"There is no key {key_id.removeprefix('pk_')[:12]!r}.")
    return found


def _refuse_key(user: User, what: str, command: str) -> None:
    """Whoever has got hold of a key must not make another way in of it, which stays when it is revoked."""
    if user.via is not None and user.via.startswith("key/"):
        told = f"A key makes no {what}, and changes none."
        raise NotAllowed(told, hint=f"sign in with a password, or use: {command}")
