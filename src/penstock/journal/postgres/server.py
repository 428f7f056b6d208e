"""Reaching a PostgreSQL server, and finding or making the journal's tables there.

The tables are in a schema of their own, `penstock`, so that a journal can share a database with other tables.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock.core.errors import ConfigurationError, JournalCorrupt
from penstock.core.extras import require
from penstock.journal.postgres.failures import Refused, journal_error, opening_error, unavailable
from penstock.journal.postgres.link import Session, rows_of
from penstock.journal.postgres.statements import PLACES
from penstock.journal.versions import HEAD, POSTGRES_SCHEMA, check_version, schema_sql

if TYPE_CHECKING:
    import psycopg
    from psycopg import conninfo
else:
    psycopg = require("psycopg", "postgres")
    conninfo = psycopg.conninfo

TABLES_LOCK = 0x70656E73746F636B
"""The advisory lock under which tables are made or changed: the word penstock in ASCII."""
_CONNECT_SECONDS = 10


def address(url: str) -> dict[str, Any]:
    """The connection parameters in a URL.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        return dict(conninfo.conninfo_to_dict(url))
    except psycopg.ProgrammingError:
        raise ConfigurationError(
            "The journal's database URL cannot be read.",
            hint="it looks like postgresql://user:password@host:5432/database, special characters percent-encoded",
        ) from None


def place_of(parameters: dict[str, Any]) -> str:
    """The address without the password, for messages."""
    host, port = parameters.get("host") or "localhost", parameters.get("port") or 5432
    user = f"{parameters['user']}@" if parameters.get("user") else ""
    return f"postgresql://{user}{host}:{port}/{parameters.get('dbname') or parameters.get('user') or ''}"


def connect(parameters: dict[str, Any], seconds: float, outage_seconds: float) -> psycopg.Connection[Any]:
    """A connection that notices when the server's machine is gone."""
    patience = {
        "application_name": "penstock",
        "connect_timeout": max(2, min(_CONNECT_SECONDS, math.ceil(seconds))),
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": int(outage_seconds * 1000),
    }
    return psycopg.Connection.connect(
        **{**patience, **parameters, "client_encoding": "UTF8"}, autocommit=True, prepare_threshold=None
    )


def connect_for_migration(parameters: dict[str, Any], seconds: float) -> psycopg.Connection[Any]:
    """A connection for Alembic, which holds the lock under which tables change until it is closed."""
    connection = connect(parameters, seconds, seconds)
    try:
        connection.execute(f"SET search_path = {POSTGRES_SCHEMA}; SET lock_timeout = {int(seconds * 1000)}")
        connection.execute("SELECT pg_advisory_lock(%s)", (TABLES_LOCK,))
        connection.execute(_make_schema_sql())
        connection.autocommit = False
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Translate psycopg's own errors, where its connections are used directly."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise opening_error(place, str(error)) or unavailable(place, _CONNECT_SECONDS, str(error)) from error
        raise journal_error(Refused(error.sqlstate, str(error)), place) from error


def settings_sql(statement_seconds: float) -> str:
    """What every session needs.

    Whatever is asked often is asked for few rows, and in the order of an index. A planner that knows too little of the
    tables (new ones, or such as grew a lot) would rather go through all of one, which is never right here. Where it has
    to all the same, the price it puts on that would make it compile the query, for longer than anything here takes.
    """
    return (
        f"SET search_path = {POSTGRES_SCHEMA}; SET statement_timeout = {int(statement_seconds * 1000)}; "
        "SET standard_conforming_strings = on; SET default_transaction_isolation = 'read committed'; "
        "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; "
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )


def ensure_tables(session: Session, place: str, deadline: float) -> None:
    """Find the journal's tables, or make them; however many processes come at once, one of them makes them.

    Raises:
        JournalOutdated, JournalTooNew, JournalCorrupt, ConfigurationError: nothing was touched.
    """
    if not _has_journal(session, place, deadline):
        with session.transaction(deadline):
            session.query("SELECT pg_advisory_xact_lock(?::int8)", (TABLES_LOCK,), deadline)
            if not _has_journal(session, place, deadline):
                _check_encoding(session, place, deadline)
                if not rows_of(
                    session.query("SELECT 1 FROM pg_namespace WHERE nspname = ?", (POSTGRES_SCHEMA,), deadline)
                ):
                    session.script(f"CREATE SCHEMA {POSTGRES_SCHEMA}", deadline)
                session.script(schema_sql("postgresql"), deadline)
                session.query("INSERT INTO alembic_version VALUES (?)", (HEAD,), deadline)
    found = rows_of(session.query("SELECT version_num FROM alembic_version", (), deadline))
    check_version(found[0][0] if found else "(none)", place)
    _renumber_if_moved(session, deadline)


def _make_schema_sql() -> str:
    """CREATE SCHEMA IF NOT EXISTS would ask for more rights than somebody needs for whom the schema was made."""
    return (
        f"DO $$ BEGIN IF to_regnamespace('{POSTGRES_SCHEMA}') IS NULL "
        f"THEN CREATE SCHEMA {POSTGRES_SCHEMA}; END IF; END $$"
    )


def _has_journal(session: Session, place: str, deadline: float) -> bool:
    sql = (
        "SELECT relname::text FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE nspname = ? AND relkind = 'r'"
    )
    tables = {row[0] for row in rows_of(session.query(sql, (POSTGRES_SCHEMA,), deadline))}
    if tables and "alembic_version" not in tables:
        raise JournalCorrupt(
            f"The schema {POSTGRES_SCHEMA} in {place} holds tables, but no Penstock journal. It was not touched.",
            hint="rename that schema, or name another database",
        )
    return bool(tables)


def _check_encoding(session: Session, place: str, deadline: float) -> None:
    encoding = rows_of(session.query("SELECT current_setting('server_encoding')", (), deadline))[0][0]
    if encoding != "UTF8":
        raise ConfigurationError(
            f"The database {place} has the encoding {encoding}, which cannot hold every text.",
            hint="create it with: createdb --encoding=UTF8 --template=template0 NAME",
        )


_MOVED = f"SELECT max(position) >= (pg_snapshot_xmax(pg_current_snapshot())::text::int8 << {PLACES}) FROM events"
_RENUMBER = """
CREATE TEMPORARY TABLE places ON COMMIT DROP AS
  SELECT position AS old, row_number() OVER (ORDER BY position) AS new FROM penstock.events;
CREATE INDEX ON places (old);
UPDATE cursors SET position = (SELECT coalesce(max(new), 0) FROM places WHERE old <= cursors.position);
UPDATE events SET position = -new FROM places WHERE position = old;
UPDATE events SET position = -position;
"""


def _renumber_if_moved(session: Session, deadline: float) -> None:
    """Positions come from the server's transaction numbers, and a dump may be restored where those are lower."""
    if not rows_of(session.query(_MOVED, (), deadline))[0][0]:
        return
    with session.transaction(deadline):
        session.query("SELECT pg_advisory_xact_lock(?::int8)", (TABLES_LOCK,), deadline)
        session.script("LOCK TABLE events IN ACCESS EXCLUSIVE MODE", deadline)
        if rows_of(session.query(_MOVED, (), deadline))[0][0]:
            session.script(_RENUMBER, deadline)
