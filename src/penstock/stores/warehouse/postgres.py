"""PostgreSQL, through psycopg; rows are loaded with binary COPY."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock.core.errors import ConfigurationError, SchemaRefused
from penstock.core.extras import require
from penstock.core.sqltext import quoted
from penstock.stores.warehouse.columns import is_json, is_list, is_text, is_uuid
from penstock.stores.warehouse.copying import has_binary
from penstock.stores.warehouse.database import Database, RowsRefused, Session
from penstock.stores.warehouse.names import Name, listed
from penstock.stores.warehouse.postgres_session import PostgresSession, translated

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa
    from psycopg import conninfo
else:
    from penstock.core.rows.arrow import pa

    psycopg = require("psycopg", "postgres")
    conninfo = psycopg.conninfo

_IDLE = 4
_STALE_SECONDS = 30.0
_FROZEN = "60s"
"""A process that stands still in a transaction must not keep its pipe from the one that takes over."""
_PLAIN = {
    "bool": "boolean",
    "int8": "smallint",
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "uint8": "smallint",
    "uint16": "integer",
    "uint32": "bigint",
    "uint64": "numeric(20,0)",
    "halffloat": "real",
    "float": "real",
    "double": "double precision",
    "date32[day]": "date",
    "date64[ms]": "date",
    "null": "text",
}
_UNIQUE_INDEXES = """
SELECT array(SELECT attname::text FROM unnest(i.indkey::int2[]) AS key
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = key)
FROM pg_index i WHERE indrelid = to_regclass($1) AND indisunique AND indisvalid AND indimmediate
AND indpred IS NULL AND indexprs IS NULL
"""
_IN_VIEWS = """
SELECT DISTINCT attname::text FROM pg_depend d
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = to_regclass($1)
"""


class PostgresDatabase(Database):
    """A PostgreSQL database.

    Args:
        url: `postgresql://user:password@host:port/database`, or whatever libpq understands.
        seconds: how long to wait for a connection, or for a lock.
    """

    kind = "PostgreSQL"
    longest_name = 63
    exact_names = True
    takes_nul = False
    lock_row = " FOR UPDATE"

    def __init__(self, url: str, seconds: float) -> None:
        try:
            self._parameters: dict[str, Any] = dict(conninfo.conninfo_to_dict(url))
        except psycopg.ProgrammingError:
            raise ConfigurationError(
                "The URL of the warehouse cannot be read.",
                hint="it looks like postgresql://user:password@host:5432/database, special characters percent-encoded",
            ) from None
        self.seconds = seconds
        self._idle: list[tuple[PostgresSession, float]] = []
        self._lock = threading.Lock()

    @property
    def namespace(self) -> str:
        """See `Database.namespace`."""
        parameters = self._parameters
        return f"postgres://{parameters.get('host') or 'localhost'}:{parameters.get('port') or 5432}"

    def place_of(self, name: str) -> str:
        """See `Database.place_of`."""
        return f"{self._parameters.get('dbname') or self._parameters.get('user') or 'postgres'}.{name}"

    @contextmanager
    def session(self, *, writing: bool = False) -> Iterator[Session]:
        """See `Database.session`."""
        session = self._taken()
        try:
            yield session
        except BaseException:
            session.close()
            raise
        with self._lock:
            if len(self._idle) < _IDLE and session.usable:
                self._idle.append((session, time.monotonic()))
                return
        session.close()

    def _taken(self) -> PostgresSession:
        while True:
            with self._lock:
                if not self._idle:
                    break
                session, since = self._idle.pop()
            if time.monotonic() - since < _STALE_SECONDS or session.answers():
                return session
            session.close()
        return PostgresSession(self._connect(), self.namespace)

    def _connect(self) -> psycopg.Connection[Any]:
        patience = {
            "application_name": "penstock",
            "connect_timeout": max(2, math.ceil(min(self.seconds, 10))),
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
        }
        options = (
            f"{self._parameters.get('options') or ''} -c lock_timeout={int(self.seconds * 1000)} "
            f"-c idle_in_transaction_session_timeout={_FROZEN} -c timezone=UTC "
            r"-c default_transaction_isolation=read\ committed -c standard_conforming_strings=on"
        )
        if self.read_only:
            options += " -c default_transaction_read_only=on"
        settings = {**patience, **self._parameters, "options": options.strip(), "client_encoding": "UTF8"}
        settings |= {"autocommit": True, "prepare_threshold": None, "cursor_factory": psycopg.RawCursor}
        with translated(self.namespace):
            return psycopg.Connection.connect(**settings)

    def close(self) -> None:
        """See `Database.close`."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session, _ in idle:
            session.close()

    def sql_type(self, kind: pa.DataType) -> str:
        """See `Database.sql_type`."""
        t = pa.types
        if name := _PLAIN.get(str(kind)):
            return name
        if is_uuid(kind):
            return "uuid"
        if is_json(kind):
            return "jsonb"
        if is_text(kind):
            return "text"
        if t.is_decimal(kind):
            return f"numeric({kind.precision - min(kind.scale, 0)},{max(kind.scale, 0)})"
        if t.is_timestamp(kind):
            return "timestamp with time zone" if kind.tz else "timestamp without time zone"
        if t.is_time(kind):
            return "time without time zone"
        if t.is_duration(kind):
            return "interval"
        if t.is_binary(kind) or t.is_large_binary(kind) or t.is_binary_view(kind) or t.is_fixed_size_binary(kind):
            return "bytea"
        if is_list(kind):
            inner = self.sql_type(kind.value_type)
            return f"{inner}[]" if has_binary(inner) else "jsonb"
        raise SchemaRefused(f"PostgreSQL has no type for Arrow's {kind}.", hint="cast the column before it is landed")

    def upsert(self, table: Name, staged: str, columns: Sequence[str], keys: Sequence[str]) -> str:
        """See `Database.upsert`; ordered by key, so that two at once do not wait for each other."""
        others = [column for column in columns if column not in keys]
        change = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in others)
        names = listed(tuple(columns))
        return (
            f"INSERT INTO {table.sql} ({names}) SELECT {names} FROM {staged} AS s ORDER BY {listed(tuple(keys))} "
            f"ON CONFLICT ({listed(tuple(keys))}) DO {f'UPDATE SET {change}' if others else 'NOTHING'}"
        )

    def key_index(self, session: Session, table: Name, keys: Sequence[str]) -> None:
        """See `Database.key_index`."""
        found = session.rows(_UNIQUE_INDEXES, (table.sql,))
        if any(sorted(columns) == sorted(keys) for (columns,) in found):
            return
        try:
            session.run(f"CREATE UNIQUE INDEX ON {table.sql} ({listed(tuple(keys))})")
        except RowsRefused as error:
            raise SchemaRefused(
                f"{table} has several rows with the same {', '.join(keys)}: {error}",
                hint="name keys that are unique, or take the duplicates out",
            ) from error

    def empty(self, table: Name) -> str:
        """See `Database.empty`; readers go on seeing the rows until the commit, which they would not with TRUNCATE."""
        return f"DELETE FROM {table.sql}"

    def change_type(self, session: Session, table: Name, column: str, sql_type: str) -> None:
        """See `Database.change_type`."""
        name = quoted(column)
        session.run(f"ALTER TABLE {table.sql} ALTER COLUMN {name} TYPE {sql_type} USING {name}::{sql_type}")

    def fixed_columns(self, session: Session, table: Name) -> set[str]:
        """See `Database.fixed_columns`: those that views show."""
        return {str(row[0]) for row in session.rows(_IN_VIEWS, (table.sql,))}

    def lock_tables(self, session: Session, table: Name) -> None:
        """See `Database.lock_tables`."""
        session.rows("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))::text", (f"penstock/{table}",))

    def analyze(self, session: Session, table: Name) -> None:
        """See `Database.analyze`."""
        session.run(f"ANALYZE {table.sql}")

    def indexes(self, session: Session, table: Name) -> Mapping[str, str]:
        """See `Database.indexes`."""
        sql = "SELECT indexname::text, indexdef FROM pg_indexes WHERE schemaname = $1 AND tablename = $2 ORDER BY 1"
        return dict(session.rows(sql, (table.schema, table.table)))
