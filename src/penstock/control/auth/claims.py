"""Who somebody from an OpenID provider is here: a name, a role and tags, by what is claimed and the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from penstock.control.settings import OidcSettings
from penstock.core.access import ROLES
from penstock.core.errors import SignInRefused

_EVERYTHING = "*"
_MOST_TAGS = 100


class Claimed(NamedTuple):
    """Somebody, as the provider and the settings have them.

    Attributes:
        outside: who they are there, which never changes: its issuer and what it calls them.
        name: what their account is called, where one is made.
        role: what they may do; None where no group says so.
        tags: only what bears one of these is there for them; everything, where None.
    """

    outside: str
    name: str
    role: str | None
    tags: tuple[str, ...] | None


def outside_of(issuer: str, subject: str) -> str:
    """Tells somebody of a provider from everybody else, at any provider."""
    return f"{issuer}#{subject}"


def claimed(claims: Mapping[str, Any], settings: OidcSettings) -> Claimed:
    """Somebody by what is claimed of them.

    Raises:
        SignInRefused: the settings have no place for them.
    """
    groups = _groups(claims, settings.groups_claim)
    roles = [role for role in ROLES if not groups.isdisjoint(settings.roles.get(role, ()))]
    role = roles[-1] if roles else settings.default_role or None
    if role is None:
        raise SignInRefused("None of your groups may sign in here.", hint="ask an admin of Penstock, or of the groups")
    tags = _tags(groups, settings)
    outside = outside_of(settings.issuer, str(claims["sub"]))
    return Claimed(outside, _name(claims, settings.name_claim), role if settings.roles else None, tags)


def lacks(claims: Mapping[str, Any], settings: OidcSettings) -> bool:
    """Whether the provider should be asked for more than it said of its own."""
    wanted = [settings.name_claim, *([settings.groups_claim] if settings.roles or settings.tags else [])]
    return any(_found(claims, each) is None for each in wanted)


def _found(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, which may have dots in it, or by a way through several."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _groups(claims: Mapping[str, Any], path: str) -> set[str]:
    found = _found(claims, path)
    several = [found] if isinstance(found, str) else found
    return {each for each in several if isinstance(each, str)} if isinstance(several, list) else set()


def _tags(groups: set[str], settings: OidcSettings) -> tuple[str, ...] | None:
    if not settings.tags:
        return None
    found = {tag for group in groups for tag in settings.tags.get(group, ())}
    if _EVERYTHING in found:
        return None
    if not found:
        raise SignInRefused("There is nothing here for any of your groups.", hint="ask an admin of Penstock")
    return tuple(sorted(found)[:_MOST_TAGS])


def _name(claims: Mapping[str, Any], path: str) -> str:
    found = _found(claims, path)
    if path == "email" and claims.get("email_verified") is False:
        raise SignInRefused("The provider has not verified your email address.", hint="verify it there")
    if not isinstance(found, str) or not found.strip():
        raise SignInRefused(f"The provider tells no {path} of you.", hint="name_claim names another claim")
    return found.strip().lower()
