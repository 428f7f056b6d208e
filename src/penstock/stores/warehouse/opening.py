"""The database behind a URL, a path or a connection."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote

from penstock.core.connections import Connection
from penstock.core.errors import ConfigurationError
from penstock.core.ports import home_folder
from penstock.engine.connections.databases import BigQueryConnection, SnowflakeConnection
from penstock.engine.connections.postgres import PostgresConnection
from penstock.stores.warehouse.database import Database


def url_of(url: str | os.PathLike[str] | None) -> str:
    """A URL, or `duckdb:` and the whole path of a file."""
    text = os.fspath(home_folder() / "warehouse.duckdb" if url is None else url)
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() == "duckdb":
        text = unquote(rest.removeprefix("//").removeprefix("/")) if rest.startswith("//") else rest
    elif "://" in text:
        return text
    return f"duckdb:{text and Path(text).absolute()}"


def database_at(url: str | Connection, seconds: float) -> Database:
    """The database that a URL or a connection names."""
    if isinstance(url, Connection):
        return _connected(url, seconds)
    scheme, _, rest = url.partition(":")
    if scheme == "duckdb":
        return _duckdb(Path(rest), seconds)
    if scheme.lower() in ("postgresql", "postgres"):
        from penstock.stores.warehouse.postgres import PostgresDatabase

        return PostgresDatabase(url, seconds)
    if scheme.lower() in ("snowflake", "bigquery"):
        kind = SnowflakeConnection if scheme.lower() == "snowflake" else BigQueryConnection
        return _connected(kind.from_url(url), seconds)
    raise ConfigurationError(
        f"There is no warehouse for {scheme.lower()}:// URLs.",
        hint="it is duckdb:///path.duckdb, postgresql://user:password@host:5432/database, "
        "snowflake://user:password@account/database or bigquery://project",
    )


def _connected(connection: Connection, seconds: float) -> Database:
    if isinstance(connection, SnowflakeConnection):
        from penstock.stores.warehouse.snowflake import SnowflakeDatabase

        return SnowflakeDatabase(connection, seconds)
    if isinstance(connection, BigQueryConnection):
        from penstock.stores.warehouse.bigquery import BigQueryDatabase

        return BigQueryDatabase(connection, seconds)
    if isinstance(connection, PostgresConnection):
        return database_at(connection.url(), seconds)
    raise ConfigurationError(
        f"There is no warehouse behind a {connection.kind} connection.",
        hint="it is one of the type postgres, snowflake or bigquery",
    )


def _duckdb(path: Path, seconds: float) -> Database:
    from penstock.stores.warehouse.duck import DuckDatabase

    if path.name in ("", ":memory:"):
        raise ConfigurationError(
            "A warehouse in memory would be gone after each commit.", hint="name a file: duckdb:///shop.duckdb"
        )
    return DuckDatabase(path, seconds)
