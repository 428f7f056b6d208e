"""The types of connections: those that come with Penstock, those of installed packages, and those of the project.

A package gives a type with an entry point in the group `penstock.connectors` or `penstock.stores`, whose name is the
type's and which leads to its class.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from functools import cache

from penstock.core.connections import Connection
from penstock.core.errors import BadConnection, ConfigurationError

GROUPS = ("penstock.connectors", "penstock.stores")
_HERE = "penstock.engine.connections"
BUILT_IN = {
    "postgres": f"{_HERE}.postgres:PostgresConnection",
    "sql": f"{_HERE}.databases:SqlConnection",
    "http": f"{_HERE}.http:HttpConnection",
    "s3": f"{_HERE}.s3:S3Connection",
    "kafka": f"{_HERE}.kafka:KafkaConnection",
    "influx": f"{_HERE}.influx:InfluxConnection",
    "snowflake": f"{_HERE}.databases:SnowflakeConnection",
    "bigquery": f"{_HERE}.databases:BigQueryConnection",
    "secret": f"{_HERE}.secret:SecretConnection",
    "slack": f"{_HERE}.chats:SlackConnection",
    "smtp": f"{_HERE}.smtp:SmtpConnection",
    "teams": f"{_HERE}.chats:TeamsConnection",
    "discord": f"{_HERE}.chats:DiscordConnection",
    "webhook": f"{_HERE}.chats:WebhookConnection",
    "alertmanager": f"{_HERE}.chats:AlertmanagerConnection",
}
"""Found without a look through the installed packages, which takes longer than most commands."""

_DATABASE = re.compile(r"(sqlite|mysql|mariadb|oracle|mssql|duckdb|db2|cockroachdb|[a-z0-9]+\+[a-z0-9_]+)")


def types() -> dict[str, str]:
    """Where the class of each type is, as `module:class`, the built-in types first.

    Raises:
        ConfigurationError: two packages give a type of the same name.
    """
    return dict(_installed())


@cache
def _installed() -> dict[str, str]:
    from importlib.metadata import entry_points

    found = dict(BUILT_IN)
    for group in GROUPS:
        for point in sorted(entry_points(group=group), key=lambda point: point.name):
            if found.setdefault(point.name, point.value) != point.value:
                raise ConfigurationError(
                    f"Two packages give the connection type {point.name!r}: {found[point.name]} and {point.value}.",
                    hint="uninstall one of them",
                )
    return found


def type_named(kind: str) -> type[Connection]:
    """The class of a type.

    Raises:
        BadConnection: there is none of this name, or it cannot be imported.
    """
    place = BUILT_IN.get(kind) or _installed().get(kind)
    found = _class_at(kind, place) if place is not None else None
    found = found or next((cls for cls in _imported(Connection) if cls.kind == kind), None)
    if found is None:
        raise BadConnection(
            f"There is no connection type {kind[:60]!r}.",
            hint="penstock connection types lists those there are; install or import what has this one",
        )
    return found


def every_type() -> dict[str, type[Connection]]:
    """The class of each type: built in, installed, or imported by this process."""
    found = {kind: cls for kind, place in types().items() if (cls := _class_at(kind, place)) is not None}
    for cls in _imported(Connection):
        if cls.kind:
            found.setdefault(cls.kind, cls)
    return found


def type_of_scheme(scheme: str) -> type[Connection] | None:
    """The class of the type whose URLs begin so."""
    for kind, place in BUILT_IN.items():
        if (cls := _class_at(kind, place)) is not None and scheme in cls.schemes:
            return cls
    for cls in every_type().values():
        if scheme in cls.schemes:
            return cls
    return type_named("sql") if _DATABASE.fullmatch(scheme) else None


def _class_at(kind: str, place: str) -> type[Connection] | None:
    """The class; None where something else than connections is there.

    Raises:
        BadConnection: it cannot be imported, or its type is called otherwise.
    """
    module, _, name = place.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise BadConnection(
            f"The connection type {kind!r} ({place}) cannot be imported: {error}.", hint="install its package anew"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Connection)):
        return None
    if found.kind != kind:
        raise BadConnection(f"{place} calls its type {found.kind!r}, and its package calls it {kind!r}.")
    return found


def _imported(cls: type[Connection]) -> Iterator[type[Connection]]:
    for each in cls.__subclasses__():
        yield each
        yield from _imported(each)
