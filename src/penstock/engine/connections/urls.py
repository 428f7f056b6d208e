"""URLs that stand for the fields of a connection: `scheme://user:password@place?name=value`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from penstock.core.connections import Secret, Unfit

_ENCODED = "what is special in a name or a password is percent-encoded: @ is %40, / is %2F, ? is %3F, # is %23"


class Parts(NamedTuple):
    """A URL in parts.

    Attributes:
        user: before the `@`; None where there is none.
        password: behind the user.
        place: between `@` and `?`, as it is written.
        query: what follows the `?`, by name.
    """

    user: str | None
    password: Secret | None
    place: str
    query: dict[str, str]

    def named(self, user: str, password: str) -> dict[str, Any]:
        """User and password, as fields of these names."""
        given = {user: self.user, password: self.password}
        return {name: value for name, value in given.items() if value}


def url_parts(url: str, known: Iterable[str] = ()) -> Parts:
    """A URL in parts.

    Args:
        url: the URL.
        known: what may follow the `?`.

    Raises:
        Unfit: it is not clear which part is which, or something else follows the `?`.
    """
    rest, _, query = url.partition("://")[2].partition("?")
    if "#" in url or "@" in query:
        raise Unfit(_ENCODED)
    userinfo, at, place = rest.rpartition("@")
    user, _, password = userinfo.partition(":")
    found = dict(parse_qsl(query, keep_blank_values=True))
    if not set(found) <= set(known):
        raise Unfit(f"something behind the ? is not known; there {_are(known)}")
    return Parts(unquote(user) if at else None, Secret(unquote(password)) if password else None, place, found)


def _are(known: Iterable[str]) -> str:
    names = ", ".join(known)
    return f"are: {names}" if names else "is nothing for it"
