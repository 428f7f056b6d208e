"""Who asks. Signing in comes later; until then there is one user, on this machine, who may do everything."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import Depends


class User(msgspec.Struct, frozen=True):
    """Somebody who may use the API."""

    name: str


LOCAL = User("local")


async def current_user() -> User:
    """Whoever sent the request. Every route asks here, so that signing in has one place to go."""
    return LOCAL


CurrentUser = Annotated[User, Depends(current_user)]
