"""Snowflake, through its own connector; rows are loaded as Parquet files through the user's stage.

What `penstock.stores.warehouse.cloud` says of transactions holds here. Names are those of Snowflake: `id` and `ID` are
one column, which Snowflake calls ID and Penstock id, so that nobody has to quote anything. A table that others made
with a quoted name in lower case cannot be reached.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.core.errors import ConfigurationError, SchemaRefused
from penstock.core.sqltext import quoted
from penstock.engine.connections.databases import SnowflakeConnection
from penstock.stores.warehouse.cloud import CloudDatabase
from penstock.stores.warehouse.columns import is_json, is_list, is_text, is_uuid
from penstock.stores.warehouse.database import Session
from penstock.stores.warehouse.names import Name
from penstock.stores.warehouse.snowflake_session import SnowflakeSession, connector, translated

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_IDLE = 2
_LONGEST = 255
_PLAIN = {
    "bool": "BOOLEAN",
    "int8": "NUMBER(19,0)",
    "int16": "NUMBER(19,0)",
    "int32": "NUMBER(19,0)",
    "int64": "NUMBER(19,0)",
    "uint8": "NUMBER(19,0)",
    "uint16": "NUMBER(19,0)",
    "uint32": "NUMBER(19,0)",
    "uint64": "NUMBER(20,0)",
    "halffloat": "FLOAT",
    "float": "FLOAT",
    "double": "FLOAT",
    "date32[day]": "DATE",
    "date64[ms]": "DATE",
    "null": "VARCHAR",
}


class SnowflakeDatabase(CloudDatabase):
    """A database in a Snowflake account.

    Args:
        connection: where it is, and who we are.
        seconds: how long to wait for a connection, or for a lock.

    Raises:
        ConfigurationError: it names no database.
    """

    kind = "Snowflake"
    longest_name = _LONGEST
    json_type = "VARIANT"

    def __init__(self, connection: SnowflakeConnection, seconds: float) -> None:
        if not connection.database:
            raise ConfigurationError(
                "The Snowflake connection names no database.",
                hint="it stands behind the account: snowflake://user:password@account/database?warehouse=...",
            )
        self._connection = connection
        self.seconds = seconds
        self._idle: list[SnowflakeSession] = []
        self._lock = threading.Lock()
        self._last_words = partial(_closed, self._idle)

    @property
    def namespace(self) -> str:
        """See `Database.namespace`."""
        return f"snowflake://{self._connection.account}"

    def place_of(self, name: str) -> str:
        """See `Database.place_of`."""
        return f"{self._connection.database}.{name}"

    @contextmanager
    def session(self, *, writing: bool = False) -> Iterator[Session]:
        """See `Database.session`."""
        with self._lock:
            session = self._idle.pop() if self._idle else None
        session = session or SnowflakeSession(self._connected(), self._connection)
        try:
            yield session
        except BaseException:
            session.close()
            raise
        with self._lock:
            if len(self._idle) < _IDLE and session.usable:
                self._idle.append(session)
                return
        session.close()

    def _connected(self) -> Any:
        with translated(self._connection):
            made = connector.connect(**parameters(self._connection, self.seconds))
        atexit.unregister(self._last_words)
        atexit.register(self._last_words)  # before the connector's own, which complains of what is open
        return made

    def close(self) -> None:
        """See `Database.close`."""
        atexit.unregister(self._last_words)
        with self._lock:
            _closed(self._idle)

    def make_schema(self, session: Session, schema: str) -> None:
        """See `Database.make_schema`."""
        known = "SELECT 1 FROM information_schema.schemata WHERE schema_name = $1"
        if not session.rows(known, (schema.upper(),)):
            session.run(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")

    def sql_type(self, kind: pa.DataType) -> str:
        """See `Database.sql_type`."""
        t = pa.types
        if name := _PLAIN.get(str(kind)):
            return name
        if is_json(kind) or is_list(kind):
            return "VARIANT"
        if is_text(kind) or is_uuid(kind):
            return "VARCHAR"
        if t.is_decimal(kind):
            whole, after = kind.precision - min(kind.scale, 0), max(kind.scale, 0)
            return f"NUMBER({whole},{after})" if whole <= 38 and after <= 37 else "VARCHAR"
        if t.is_timestamp(kind):
            return "TIMESTAMP_TZ(6)" if kind.tz else "TIMESTAMP_NTZ(6)"
        if t.is_time(kind):
            return "TIME(6)"
        if t.is_binary(kind) or t.is_large_binary(kind) or t.is_binary_view(kind) or t.is_fixed_size_binary(kind):
            return "BINARY"
        raise SchemaRefused(f"Snowflake has no type for Arrow's {kind}.", hint="cast the column before it is landed")

    def empty(self, table: Name) -> str:
        """See `Database.empty`."""
        return f"DELETE FROM {table.sql}"

    def can_widen(self, kind: pa.DataType, wide: pa.DataType) -> bool:
        """See `Database.can_widen`: a number gets more digits before the point, and nothing else."""
        t = pa.types
        if not t.is_decimal(wide) or not (t.is_decimal(kind) or t.is_integer(kind)):
            return False
        return bool(wide.scale == (kind.scale if t.is_decimal(kind) else 0) and wide.precision <= 38)


def _closed(idle: list[SnowflakeSession]) -> None:
    while idle:
        idle.pop().close()


def parameters(connection: SnowflakeConnection, seconds: float) -> dict[str, Any]:
    """What the connector's `connect` takes. The password is in it."""
    given: dict[str, Any] = connection.parameters()
    wait = max(1, round(seconds))
    given["login_timeout"] = min(given["login_timeout"], wait)
    given["session_parameters"] = {
        "QUOTED_IDENTIFIERS_IGNORE_CASE": True,
        "TIMEZONE": "UTC",
        "LOCK_TIMEOUT": wait,
        "QUERY_TAG": "penstock",
        "BINARY_INPUT_FORMAT": "HEX",
    }
    return given | {
        "autocommit": True,
        "paramstyle": "qmark",
        "application": "penstock",
    }
