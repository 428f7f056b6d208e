"""Who asks, and what they may do. Where nobody has to sign in, one user, on this machine, may do everything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from penstock.control.auth.log import ACTOR, Actor
from penstock.core.access import ROLES as ROLES
from penstock.core.access import User as User
from penstock.core.errors import NotAllowed, NotSignedIn, PenstockError

LOCAL = User("local", via="local")


def actor_of(request: Request, user: User | None = None) -> Actor:
    """Who acts with a request, and from where; nobody yet without a user."""
    return Actor(
        user.name if user is not None else "nobody",
        user.role if user is not None else None,
        user.via if user is not None else None,
        request.client.host if request.client is not None else None,
        request.scope.get("penstock.request_id"),
        request.headers.get("user-agent"),
        f"{request.method} {request.url.path}",
    )


async def current_user(request: Request) -> User:
    """Whoever sent the request; what is changed from here on is told to the audit as theirs.

    Raises:
        NotSignedIn: it is nobody, or nobody any more.
    """
    control = request.app.state.control
    user = LOCAL
    if control.settings.auth == "required":
        header = request.headers.get("authorization", "")
        try:
            user = await run_in_threadpool(control.auth.gate.enter, header)
        except NotSignedIn as error:
            if header:
                actor = actor_of(request)
                await run_in_threadpool(control.auth.refusals.record, "TokenRefused", "", actor, error.message)
            raise
    ACTOR.set(actor_of(request, user))
    request.scope["penstock.user"] = user.name
    return user


CurrentUser = Annotated[User, Depends(current_user)]


def _at_least(role: str) -> Callable[[Request, User], Awaitable[User]]:
    async def allowed(request: Request, user: CurrentUser) -> User:
        if not user.may(role):
            told = f"This takes the role {role}, and {user.name} has {user.role}."
            actor = actor_of(request, user)
            record = request.app.state.control.auth.refusals.record
            await run_in_threadpool(record, "RoleRefused", request.url.path, actor, told)
            raise NotAllowed(told)
        return user

    allowed.__dict__["role"] = role
    return allowed


Viewer = Annotated[User, Depends(_at_least("viewer"))]
Operator = Annotated[User, Depends(_at_least("operator"))]
Editor = Annotated[User, Depends(_at_least("editor"))]
Admin = Annotated[User, Depends(_at_least("admin"))]


def check_seen(user: User, tags: Iterable[str], missing: PenstockError) -> None:
    """Refuse what is not there for somebody, in the words in which it would be refused if it were not there at all.

    Args:
        user: who asks.
        tags: of the thing.
        missing: what would be said.
    """
    if not user.sees(tags):
        raise missing


def check_made(user: User, tags: Iterable[str]) -> None:
    """Refuse that somebody makes what would not be there for them.

    Raises:
        NotAllowed: it bears none of their tags.
    """
    if not user.sees(tags):
        raise NotAllowed(
            f"What {user.name} makes bears one of these tags: {', '.join(user.tags or ())}.", hint="add one of them"
        )


def check_all(user: User) -> None:
    """Refuse what is about everything to whom not everything is there.

    Raises:
        NotAllowed: their account has tags.
    """
    if user.tags is not None:
        raise NotAllowed(f"This is about everything, and for {user.name} there is only what bears their tags.")
