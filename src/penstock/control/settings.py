"""How the server is set up: `[tool.penstock.server]`, and variables of the environment over it."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.errors import ConfigurationError
from penstock.engine.project import penstock_table, project_file


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Each field is also `PENSTOCK_SERVER_<NAME>` in the environment; a list is written with commas there.

    Attributes:
        host: the address it listens on. Only this machine's own, as long as nobody has to sign in.
        port: where it listens.
        cors_origins: pages of these origins may use the API from a browser.
        max_body_bytes: larger requests are refused.
        body_seconds: a request whose body has not come within so long is refused.
    """

    host: str = "127.0.0.1"
    port: int = 4300
    cors_origins: tuple[str, ...] = ()
    max_body_bytes: int = 4 * 1024 * 1024
    body_seconds: float = 30.0


def load_server_settings(
    environ: Mapping[str, str] | None = None, start: Path | None = None, **given: Any
) -> ServerSettings:
    """Settings: what is given, over the environment, over the project's file, over the defaults.

    Args:
        environ: the environment; this process's when left out.
        start: a folder of the project; the current one when left out.
        given: fields; None for those that are not given.

    Raises:
        ConfigurationError: a value that cannot be.
    """
    environ = os.environ if environ is None else environ
    file = project_file((Path.cwd() if start is None else start).absolute())
    table = penstock_table(file).get("server", {}) if file is not None else {}
    if not isinstance(table, dict):
        raise ConfigurationError(f"[tool.penstock.server] in {file} is no table.")
    values: dict[str, Any] = dict(table)
    for name in ServerSettings.__struct_fields__:
        text = environ.get(f"PENSTOCK_SERVER_{name.upper()}")
        if text:
            values[name] = [each.strip() for each in text.split(",")] if name == "cors_origins" else text
    values |= {name: value for name, value in given.items() if value is not None}
    try:
        settings = msgspec.convert(values, ServerSettings, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(ServerSettings.__struct_fields__)
        raise ConfigurationError(f"A setting of the server is wrong: {error}.", hint=f"there are: {known}") from None
    _check(settings)
    return settings


def _check(settings: ServerSettings) -> None:
    if not 0 <= settings.port <= 65_535:
        raise ConfigurationError(f"The port {settings.port} is not between 0 and 65535.")
    if settings.max_body_bytes < 1 or not settings.body_seconds > 0:
        raise ConfigurationError("max_body_bytes and body_seconds of the server must be greater than 0.")
    for origin in settings.cors_origins:
        if origin == "*" or not origin.startswith(("http://", "https://")):
            raise ConfigurationError(
                f"cors_origins: {origin!r} is no origin.", hint="name each page that may, such as https://ops.example"
            )
    try:
        here = settings.host == "localhost" or ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        here = False
    if not here:
        raise ConfigurationError(
            f"The server does not listen on {settings.host!r}: nobody has to sign in yet, so whoever reaches it could "
            "run your code.",
            hint="leave the host as it is (127.0.0.1), and reach it from elsewhere through ssh -L",
        )
