"""BigQuery, through Google's client; rows are loaded as Parquet by load jobs.

What `penstock.stores.warehouse.cloud` says of transactions holds here: all statements of one are a script of one job,
which BigQuery carries out or rolls back by itself, whatever becomes of the process that asked for it. A schema is a
dataset. Penstock's own statements are written with quoted names as in all other databases, and get BigQuery's quotes
on their way; those of users are sent as they are, but for `$1`, `$2`, ..., which become parameters.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock.core.errors import ConfigurationError, SchemaRefused
from penstock.engine.connections.databases import BigQueryConnection
from penstock.stores.warehouse.bigquery_session import BigQuerySession, Verbatim, translated
from penstock.stores.warehouse.bigquery_values import base_of
from penstock.stores.warehouse.cloud import CloudDatabase
from penstock.stores.warehouse.columns import is_json, is_list, is_text, is_uuid
from penstock.stores.warehouse.database import Session
from penstock.stores.warehouse.names import Name

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_PLAIN = {
    "bool": "BOOL",
    "int8": "INT64",
    "int16": "INT64",
    "int32": "INT64",
    "int64": "INT64",
    "uint8": "INT64",
    "uint16": "INT64",
    "uint32": "INT64",
    "uint64": "NUMERIC(20, 0)",
    "halffloat": "FLOAT64",
    "float": "FLOAT64",
    "double": "FLOAT64",
    "date32[day]": "DATE",
    "date64[ms]": "DATE",
    "null": "STRING",
}


class BigQueryDatabase(CloudDatabase):
    """A project of BigQuery.

    Args:
        connection: where it is, and who we are.
        seconds: how long to wait for an answer; a query itself may take as long as it takes.
    """

    kind = "BigQuery"
    longest_name = 300
    not_in_names = '\0!"$()*,./;?@[\\]^`{}~'
    json_type = "JSON"

    def __init__(self, connection: BigQueryConnection, seconds: float) -> None:
        self._connection = connection
        self.seconds = seconds
        self._made: Any = None
        self._lock = threading.Lock()

    @property
    def namespace(self) -> str:
        """See `Database.namespace`."""
        return "bigquery"

    def place_of(self, name: str) -> str:
        """See `Database.place_of`."""
        return f"{self._connection.project}.{name}"

    def check_schema(self, schema: str) -> None:
        """See `Database.check_schema`."""
        super().check_schema(schema)
        if not re.fullmatch(r"\w+", schema):
            raise ConfigurationError(
                f"BigQuery can have no dataset with the name {schema!r}.", hint="use letters, digits and _"
            )

    @contextmanager
    def session(self, *, writing: bool = False) -> Iterator[Session]:
        """See `Database.session`."""
        yield BigQuerySession(self._client(), self._connection, self.seconds)

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._connected()
            return self._made

    def _connected(self) -> Any:
        with translated(self._connection):
            try:
                return self._connection.client()
            except (OSError, ValueError) as error:  # their texts may hold the key
                problem = ConfigurationError(
                    f"The credentials for BigQuery cannot be read: {type(error).__name__}.",
                    hint="see that credentials_file or credentials_json is the key of a service account, as JSON",
                )
        raise problem

    def close(self) -> None:
        """See `Database.close`."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    def named(self, *names: str) -> str:
        """See `Database.named`."""
        return ".".join(f"`{name}`" for name in names)

    def as_written(self, sql: str) -> str:
        """See `Database.as_written`."""
        return Verbatim(sql)

    def make_schema(self, session: Session, schema: str) -> None:
        """See `Database.make_schema`."""
        assert isinstance(session, BigQuerySession)
        session.make_dataset(schema)

    def sql_type(self, kind: pa.DataType) -> str:
        """See `Database.sql_type`."""
        t = pa.types
        if name := _PLAIN.get(str(kind)):
            return name
        if is_json(kind) or is_list(kind):
            return "JSON"
        if is_text(kind) or is_uuid(kind):
            return "STRING"
        if t.is_decimal(kind):
            whole, after = kind.precision - min(kind.scale, 0), max(kind.scale, 0)
            if after <= 9 and whole - after <= 29:
                return f"NUMERIC({whole}, {after})"
            return f"BIGNUMERIC({whole}, {after})" if after <= 38 and whole - after <= 38 else "STRING"
        if t.is_timestamp(kind):
            return "TIMESTAMP" if kind.tz else "DATETIME"
        if t.is_time(kind):
            return "TIME"
        if t.is_binary(kind) or t.is_large_binary(kind) or t.is_binary_view(kind) or t.is_fixed_size_binary(kind):
            return "BYTES"
        raise SchemaRefused(f"BigQuery has no type for Arrow's {kind}.", hint="cast the column before it is landed")

    def cast(self, value: str, sql_type: str) -> str:
        """See `Database.cast`; a number in JSON that no float is equal to becomes the nearest one."""
        if sql_type == self.json_type:
            return f"PARSE_JSON({value}, wide_number_mode=>'round')"
        return f"CAST({value} AS {base_of(sql_type)})"

    def primary_key(self, keys: Sequence[str]) -> str:
        """See `Database.primary_key`."""
        return f"{super().primary_key(keys)} NOT ENFORCED"

    def empty(self, table: Name) -> str:
        """See `Database.empty`."""
        return f"DELETE FROM {table.sql} WHERE true"

    def can_widen(self, kind: pa.DataType, wide: pa.DataType) -> bool:
        """See `Database.can_widen`: numbers that are exact become others that are."""
        t = pa.types
        return bool(t.is_decimal(wide) and (t.is_decimal(kind) or t.is_integer(kind)))
