"""How the server is set up: `[tool.penstock.server]`, and variables of the environment over it."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from penstock.core import typed
from penstock.core.access import ROLES, is_tag
from penstock.core.errors import ConfigurationError
from penstock.core.networks import network_of
from penstock.engine.connections.environment import Environment
from penstock.engine.project import penstock_table, project_file

_LISTS = ("cors_origins", "known_hosts", "trusted_proxies", "scopes")
_TABLES = ("roles", "tags")


class OidcSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Signing in through an OpenID provider; `PENSTOCK_SERVER_OIDC_<NAME>`, but for the tables.

    Attributes:
        issuer: of the provider, exactly as it calls itself.
        client_id: what the provider knows Penstock as.
        secret: the connection of the type `secret` that holds the client's secret; none for a public client.
        scopes: what is asked for.
        name_claim: what the name of an account is made of.
        groups_claim: where somebody's groups are; with dots, inside each other.
        roles: each role's groups. Whoever is in several has the highest.
        tags: each group's tags; `*` is everything. Whoever is in none of these groups is refused.
        default_role: of those who are in no group of `roles`; they are refused where there is none.
        sign_up: who comes for the first time gets an account.
        session_hours: who has signed in so does it again after that.
    """

    issuer: str
    client_id: str
    secret: str = ""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    name_claim: str = "preferred_username"
    groups_claim: str = "groups"
    roles: dict[str, tuple[str, ...]] = {}
    tags: dict[str, tuple[str, ...]] = {}
    default_role: str = ""
    sign_up: bool = True
    session_hours: float = 12.0


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Each field is also `PENSTOCK_SERVER_<NAME>` in the environment or in `.env`; a list is written with commas there.

    Attributes:
        auth: `none`: whoever can reach it may do everything, so it listens on this machine only; or `required`.
        host: the address it listens on.
        port: where it listens.
        cors_origins: pages of these origins may use the API from a browser.
        max_body_bytes: larger requests are refused.
        max_file_bytes: larger files are refused.
        known_hosts: names that it is reached by; other names are refused. All names are taken where everybody signs
            in and none is given.
        trusted_proxies: addresses and networks of proxies that say where requests come from (X-Forwarded-For).
        echo_sql: log what is asked of the journal's database, and how long that took.
        redis_url: keep answers that take long in this Redis instead of in this process.
        body_seconds: a request whose headers, and then whose body, have not come within so long is refused.
        oidc: signing in through an OpenID provider.
    """

    auth: str = "none"
    host: str = "127.0.0.1"
    port: int = 4300
    cors_origins: tuple[str, ...] = ()
    max_body_bytes: int = 4 * 1024 * 1024
    max_file_bytes: int = 1024 * 1024 * 1024
    known_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    echo_sql: bool = False
    redis_url: str = ""
    body_seconds: float = 30.0
    oidc: OidcSettings | None = None


def load_server_settings(
    environ: Mapping[str, str] | None = None, start: Path | None = None, **given: Any
) -> ServerSettings:
    """Settings: what is given, over the environment, over `.env`, over the project's file, over the defaults.

    Args:
        environ: the environment; this process's when left out.
        start: a folder of the project; the current one when left out.
        given: fields; None for those that are not given.

    Raises:
        ConfigurationError: a value that cannot be.
    """
    file = project_file((Path.cwd() if start is None else start).absolute())
    said = Environment(os.environ if environ is None else environ, file.parent if file is not None else None)
    table = penstock_table(file).get("server", {}) if file is not None else {}
    if not isinstance(table, dict):
        raise ConfigurationError(f"[tool.penstock.server] in {file} is no table.")
    values = dict(table) | _said(said, "PENSTOCK_SERVER_", ServerSettings, but=("oidc",))
    oidc = _said(said, "PENSTOCK_SERVER_OIDC_", OidcSettings, but=_TABLES)
    if oidc and isinstance(values.get("oidc", {}), dict):
        values["oidc"] = {**values.get("oidc", {}), **oidc}
    values |= {name: value for name, value in given.items() if value is not None}
    try:
        settings = typed.convert(values, ServerSettings, strict=False)
    except msgspec.ValidationError as error:
        kind = OidcSettings if "$.oidc" in str(error) else ServerSettings
        known = ", ".join(kind.__struct_fields__)
        raise ConfigurationError(f"A setting of the server is wrong: {error}.", hint=f"there are: {known}") from None
    _check(settings)
    return settings


def _said(said: Environment, prefix: str, kind: type[msgspec.Struct], but: Collection[str]) -> dict[str, Any]:
    """What variables of the environment say of fields."""
    found: dict[str, Any] = {}
    for name in set(kind.__struct_fields__) - set(but):
        if text := said.get(f"{prefix}{name.upper()}"):
            found[name] = [each.strip() for each in text.split(",")] if name in _LISTS else text
    return found


def _check(settings: ServerSettings) -> None:
    if not 0 <= settings.port <= 65_535:
        raise ConfigurationError(f"The port {settings.port} is not between 0 and 65535.")
    if min(settings.max_body_bytes, settings.max_file_bytes) < 1 or not settings.body_seconds > 0:
        raise ConfigurationError(
            "max_body_bytes, max_file_bytes and body_seconds of the server must be greater than 0."
        )
    if settings.redis_url and not settings.redis_url.startswith(("redis://", "rediss://", "unix://")):
        raise ConfigurationError("redis_url is no address of a Redis.", hint="write it like redis://127.0.0.1:6379/0")
    for origin in settings.cors_origins:
        if origin == "*" or not origin.startswith(("http://", "https://")):
            raise ConfigurationError(
                f"cors_origins: {origin!r} is no origin.", hint="name each page that may, such as https://ops.example"
            )
    for proxy in settings.trusted_proxies:
        if network_of(proxy) is None:
            raise ConfigurationError(
                f"trusted_proxies: {proxy!r} is no address and no network.", hint="such as 10.0.0.7 or 10.0.0.0/8"
            )
    if settings.auth not in ("none", "required"):
        raise ConfigurationError(f"auth of the server is {settings.auth!r}.", hint="set it to none or required")
    if settings.auth == "none" and not is_local(settings.host):
        raise ConfigurationError(
            f"The server does not listen on {settings.host!r} as long as nobody has to sign in: whoever reaches it "
            "could run your code.",
            hint='have everybody sign in (auth = "required"), or leave the host as it is (127.0.0.1)',
        )
    if settings.oidc is not None:
        _check_oidc(settings.oidc, settings.auth)


def _check_oidc(settings: OidcSettings, auth: str) -> None:
    def wrong(told: str, hint: str | None = None) -> ConfigurationError:
        return ConfigurationError(f"[tool.penstock.server.oidc]: {told}.", hint=hint)

    if auth != "required":
        raise wrong("nobody has to sign in", 'set auth = "required" below [tool.penstock.server]')
    if not is_safe_url(settings.issuer):
        raise wrong(f"{settings.issuer!r} is no issuer", "such as https://login.example.com, without what follows a ?")
    if not settings.client_id:
        raise wrong("client_id is empty", "the provider gives it, where Penstock is registered as a client")
    if "openid" not in settings.scopes:
        raise wrong("scopes are without openid", 'such as scopes = ["openid", "profile", "groups"]')
    for role in (*settings.roles, settings.default_role or ROLES[0]):
        if role not in ROLES:
            raise wrong(f"{role!r} is no role", f"there are {', '.join(ROLES)}")
    if not settings.roles and not settings.default_role:
        raise wrong("nobody would be let in", 'say roles = {operator = ["a group"]}, or default_role = "viewer"')
    for group, tags in settings.tags.items():
        if not tags or not all(map(is_tag, tags)):
            raise wrong(f"the tags of the group {group!r} cannot be", 'such as ["etl", "ml"]; ["*"] is everything')
    if not 0 < settings.session_hours <= 720:
        raise wrong("session_hours is greater than 0 and at most 720")


def is_safe_url(url: str) -> bool:
    """Whether nobody on the way reads or changes what goes to a URL: https, or this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    plain = not (parts.username or parts.password or parts.query or parts.fragment) and url.isprintable()
    return bool(host) and plain and (parts.scheme == "https" or (parts.scheme == "http" and is_local(host or "")))


def is_local(host: str) -> bool:
    """Whether nobody but this machine reaches an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
