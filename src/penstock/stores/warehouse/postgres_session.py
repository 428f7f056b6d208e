"""A connection to PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from penstock.core.errors import ConfigurationError, DataError, PenstockError, SinkUnavailable
from penstock.core.extras import require
from penstock.core.sqltext import quoted
from penstock.stores.warehouse.columns import Column
from penstock.stores.warehouse.copying import copied, has_binary
from penstock.stores.warehouse.database import Conflict, RowsRefused, Session
from penstock.stores.warehouse.fetching import batches
from penstock.stores.warehouse.names import Name, listed

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

    psycopg = require("psycopg", "postgres")

_ANALYZE_ROWS = 1_000
_CONFLICTS = ("40001", "40P01")
_GONE = ("08", "53", "57", "58", "25006", "25P03", "55P03")
_BAD_VALUES = ("21", "22", "23", "54", "P0001")
_COLUMNS = """
SELECT attname::text, format_type(atttypid, atttypmod), NOT attnotnull FROM pg_attribute
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""


class PostgresSession(Session):
    """A connection to the server."""

    def __init__(self, connection: psycopg.Connection[Any], place: str) -> None:
        self._connection = connection
        self._place = place
        self._staged = 0

    @property
    def usable(self) -> bool:
        """Somebody else may have it next."""
        idle = psycopg.pq.TransactionStatus.IDLE
        return not self._connection.closed and self._connection.info.transaction_status == idle

    def answers(self) -> bool:
        """The server is still there."""
        try:
            self._connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def close(self) -> None:
        """Let go of the connection."""
        with suppress(psycopg.Error):
            self._connection.close()

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """See `Session.run`."""
        with translated(self._place):
            return max(self._connection.execute(sql, values or None).rowcount, 0)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `Session.rows`."""
        with translated(self._place):
            found: list[tuple[Any, ...]] = self._connection.execute(sql, values or None).fetchall()
            return found

    def read(self, sql: str, values: Sequence[Any], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """See `Session.read`; a cursor on the server hands the rows out."""
        with translated(self._place):
            yield from batches(self._connection, sql, values, batch_rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Session.transaction`."""
        self.run("BEGIN")
        try:
            yield
        except BaseException:
            with suppress(psycopg.Error):
                self._connection.execute("ROLLBACK")
            raise
        self.run("COMMIT")

    @contextmanager
    def staged(self, rows: pa.Table, columns: Sequence[Column]) -> Iterator[str]:
        """See `Session.staged`."""
        self._staged += 1
        name = f"penstock_rows_{self._staged}"
        loaded = [_loaded(column) for column in columns]
        declared = ", ".join(f"{quoted(column.name)} {column.sql}" for column in loaded)
        self.run(f"CREATE TEMPORARY TABLE {name} ({declared}) ON COMMIT DROP")
        self._copy(f"pg_temp.{name}", rows, loaded)
        if rows.num_rows > _ANALYZE_ROWS:
            self.run(f"ANALYZE pg_temp.{name}")
        taken = ", ".join(_taken(column) for column in columns)
        yield f"(SELECT {taken} FROM pg_temp.{name})"
        self.run(f"DROP TABLE pg_temp.{name}")

    def insert(self, table: Name, rows: pa.Table, columns: Sequence[Column]) -> None:
        """See `Session.insert`."""
        if all(column.form != "text" for column in columns):
            self._copy(table.sql, rows, columns)
            return
        names = listed(tuple(column.name for column in columns))
        with self.staged(rows, columns) as staged:
            self.run(f"INSERT INTO {table.sql} ({names}) SELECT {names} FROM {staged} AS s")

    def _copy(self, table: str, rows: pa.Table, columns: Sequence[Column]) -> None:
        names = listed(tuple(column.name for column in columns))
        with (
            translated(self._place),
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT binary)") as copy,
        ):
            for piece in copied(rows, columns):
                copy.write(piece)

    def columns(self, table: Name) -> list[Column]:
        """See `Session.columns`."""
        return [column_of(*found) for found in self.rows(_COLUMNS, (table.sql,))]


def _loaded(column: Column) -> Column:
    return Column(column.name, "text", column.kind) if column.form == "text" else column


def _taken(column: Column) -> str:
    name = quoted(column.name)
    return f"CAST({name} AS {column.sql}) AS {name}" if column.form == "text" else name


_KINDS: dict[str, Any] = {
    "boolean": lambda: pa.bool_(),
    "smallint": lambda: pa.int16(),
    "integer": lambda: pa.int32(),
    "bigint": lambda: pa.int64(),
    "real": lambda: pa.float32(),
    "double precision": lambda: pa.float64(),
    "text": lambda: pa.string(),
    "character varying": lambda: pa.string(),
    "bytea": lambda: pa.binary(),
    "date": lambda: pa.date32(),
    "time without time zone": lambda: pa.time64("us"),
    "timestamp without time zone": lambda: pa.timestamp("us"),
    "timestamp with time zone": lambda: pa.timestamp("us", "UTC"),
    "interval": lambda: pa.duration("us"),
}


def column_of(name: str, sql: str, nullable: bool) -> Column:
    """A column by the type that PostgreSQL shows."""
    if made := _KINDS.get(sql):
        return Column(name, sql, made(), "plain", nullable)
    if sql in ("json", "jsonb"):
        return Column(name, sql, pa.string(), "json", nullable)
    if sql == "uuid":
        return Column(name, sql, pa.string(), "uuid", nullable)
    if digits := re.fullmatch(r"numeric\((\d+),(\d+)\)", sql):
        precision, scale = int(digits[1]), int(digits[2])
        if precision <= 76 and scale <= precision:
            made = pa.decimal128 if precision <= 38 else pa.decimal256
            return Column(name, sql, made(precision, scale), "plain", nullable)
    if re.fullmatch(r"character(?: varying)?\(\d+\)", sql):
        return Column(name, sql, pa.string(), "plain", nullable)
    element = sql.removesuffix("[]")
    if element != sql and has_binary(element) and element in _KINDS:
        return Column(name, sql, pa.list_(_KINDS[element]()), "plain", nullable)
    return Column(name, sql, pa.string(), "text", nullable)


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Errors of psycopg in Penstock's words."""
    try:
        yield
    except psycopg.Error as error:
        raise _translation(place, error) from error


def _translation(place: str, error: psycopg.Error) -> Exception:
    state, text = error.sqlstate or "", str(error).strip()
    line = text.splitlines()[0] if text else type(error).__name__
    if state in _CONFLICTS:
        return Conflict(line)
    if state.startswith(("28", "3D")):
        return _refused_at_the_door(place, line)
    if state == "53100":
        return SinkUnavailable(f"The disk of {place} is full: {line}", hint="free some space, then go on")
    if not state or state.startswith(_GONE):
        wrong = any(
            words in text for words in ("authentication failed", "does not exist", "pg_hba.conf", "no password")
        )
        if not state and wrong:
            return _refused_at_the_door(place, line)
        return SinkUnavailable(f"{place} cannot be used: {line}")
    if state.startswith(_BAD_VALUES):
        return RowsRefused(line)
    hint = "let the user of the URL do this (GRANT), or make the schema for it" if state == "42501" else None
    return DataError(f"PostgreSQL refused ({state}): {line}", hint=hint)


def _refused_at_the_door(place: str, line: str) -> PenstockError:
    return ConfigurationError(f"{place} does not let this user in: {line}", hint="correct the URL of the warehouse")
