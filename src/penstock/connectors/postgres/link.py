"""Connections to a PostgreSQL server that data is read from, and what can go wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock.core.errors import ConfigurationError, DataError, PenstockError, SourceUnavailable
from penstock.core.extras import require
from penstock.core.ports.data import Place

if TYPE_CHECKING:
    import psycopg
    from psycopg import conninfo
else:
    psycopg = require("psycopg", "postgres")
    conninfo = psycopg.conninfo

_PATIENCE = {"connect_timeout": 10, "keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 3}
_SETTINGS = {
    "datestyle": "ISO",
    "intervalstyle": "iso_8601",
    "timezone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "row_security": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "wal_sender_timeout": "2min",
}
"""The same value has the same text, whoever asks and wherever: and a row that may not be seen is an error."""

_NO_ENTRY = ("authentication failed", "no password supplied", "pg_hba.conf", "is not permitted to log in")
_NOT_NOW = ("53300", "57P", "08", "55006", "55P03")


class Lost(Exception):
    """The connection is gone, or the server does not answer."""


class Address:
    """Where a database is, and how to get in.

    Args:
        url: `postgresql://user:password@host:5432/database`, or libpq's `host=... dbname=...`.

    Raises:
        ConfigurationError: it is neither.
    """

    def __init__(self, url: str) -> None:
        try:
            self._parameters: dict[str, Any] = dict(conninfo.conninfo_to_dict(url))
        except psycopg.ProgrammingError:
            raise ConfigurationError(
                "The database URL cannot be read.",
                hint="it looks like postgresql://user:password@host:5432/database, special characters percent-encoded",
            ) from None
        host, port = self._parameters.get("host") or "localhost", self._parameters.get("port") or 5432
        self.server = f"{host}:{port}"
        self.database = str(self._parameters.get("dbname") or self._parameters.get("user") or "")

    def __str__(self) -> str:
        return f"postgresql://{self.server}/{self.database}"

    def place(self, name: str) -> Place:
        """A thing in the database, as lineage names it."""
        return Place(f"postgres://{self.server}", f"{self.database}.{name}")

    def connect(self, *, replication: bool = False) -> psycopg.Connection[Any]:
        """A connection on which values have the same text everywhere.

        Raises:
            SourceUnavailable: the server cannot be reached, or has no room.
            ConfigurationError: it lets nobody in with this user and password.
        """
        settings = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
        more: dict[str, Any] = {"client_encoding": "UTF8", "application_name": "penstock"}
        more["options"] = " ".join(filter(None, (self._parameters.get("options"), settings)))
        if replication:
            more["replication"] = "database"
        with self.translated():
            return psycopg.Connection.connect(**{**_PATIENCE, **self._parameters, **more}, autocommit=True)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Say psycopg's own errors in Penstock's words."""
        try:
            yield
        except psycopg.Error as error:
            raise self._said(error) from error

    def _said(self, error: psycopg.Error) -> PenstockError:
        text = _first(str(error))
        state = error.sqlstate
        if state is None and "does not exist" in text and "database" in text:
            return ConfigurationError(f"{self} is no database: {text}", hint="correct the name at the end of the URL")
        if state is None and any(words in text for words in _NO_ENTRY):
            return ConfigurationError(
                f"{self} does not let this user in: {text}",
                hint="correct the user and the password in the URL (percent-encode special characters)",
            )
        if state is None or state.startswith(_NOT_NOW):
            return SourceUnavailable(f"{self} cannot be used: {text}")
        if state == "42501":
            return ConfigurationError(
                f"{self} does not allow this: {text}",
                hint="a superuser can grant it: GRANT SELECT ON TABLE ... TO ...; ALTER ROLE ... REPLICATION",
            )
        if state == "53400":
            return ConfigurationError(
                f"{self} has no room for another replication slot or sender: {text}",
                hint="raise max_replication_slots and max_wal_senders, or drop slots that nobody reads",
            )
        if state in ("42P01", "42703", "42601", "42883", "22P02", "42P10"):
            return ConfigurationError(f"{self} does not understand this: {text}", hint="correct the table or the query")
        return DataError(f"{self} refused ({state}): {text}")


def is_passing(error: BaseException) -> bool:
    """Whether an error of psycopg may be gone at the next try: the server went away, or is not ready."""
    if isinstance(error, Lost):
        return True
    state = getattr(error, "sqlstate", None)
    return isinstance(error, psycopg.OperationalError) and (state is None or state.startswith(_NOT_NOW))


def qualified(table: str) -> tuple[str, str]:
    """The schema and the name in `schema.name`, either of them perhaps in double quotes.

    Raises:
        ConfigurationError: it is no such name.
    """
    parts: list[str] = []
    rest = table
    while rest:
        if rest.startswith('"'):
            end = rest.replace('""', "__").find('"', 1)
            part, rest = rest[1:end].replace('""', '"') if end > 0 else "", rest[end + 1 :] if end > 0 else ""
        else:
            part, dot, rest = rest.partition(".")
            rest = dot + rest
        parts.append(part)
        if rest and not (rest.startswith(".") and len(rest) > 1):
            parts.append("")
        rest = rest[1:]
    if not 1 <= len(parts) <= 2 or not all(parts):
        raise ConfigurationError(
            f"{table!r} is no name of a table.", hint='write schema.table, or "Schema"."Table" where it needs quotes'
        )
    return (parts[0], parts[1]) if len(parts) == 2 else ("public", parts[0])


def _first(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"
