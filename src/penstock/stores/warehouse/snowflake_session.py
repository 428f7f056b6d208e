"""A connection to Snowflake."""

from __future__ import annotations

import re
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.errors import (
    ConfigurationError,
    DataError,
    PenstockError,
    PipeTakenOver,
    SinkUnavailable,
)
from penstock.core.extras import require
from penstock.core.sqltext import literal, quoted
from penstock.engine.connections.databases import SnowflakeConnection
from penstock.stores.warehouse.cloud import CloudSession, Statement, placed
from penstock.stores.warehouse.columns import Column
from penstock.stores.warehouse.database import Conflict, RowsRefused
from penstock.stores.warehouse.names import Name
from penstock.stores.warehouse.snowflake_values import (
    batch_of,
    bound,
    column_of,
    expression,
    file_of,
    schema_of,
    staging,
)

if TYPE_CHECKING:
    import pyarrow as pa

connector: Any = require("snowflake.connector", "snowflake")

_NOT_THERE = (2003, 2043)
"""A table, a schema or a database is not there, or we may not see it."""
_LOCKED = 625


class SnowflakeSession(CloudSession):
    """A session of the service."""

    def __init__(self, raw: Any, connection: SnowflakeConnection) -> None:
        super().__init__()
        self._raw = raw
        self._connection = connection

    @property
    def usable(self) -> bool:
        """Somebody else may have it next."""
        return not self._raw.is_closed()

    def close(self) -> None:
        """Let go of it."""
        with suppress(connector.Error):
            self._raw.close()

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """See `CloudSession.execute`."""
        with self._asked(sql, values) as cursor:
            return max(cursor.rowcount or 0, 0)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `Session.rows`."""
        with self._asked(sql, values) as cursor:
            return [tuple(row) for row in cursor.fetchall()]

    def read(self, sql: str, values: Sequence[Any], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """See `Session.read`."""
        with self._asked(sql, values) as cursor:
            if cursor.description is None:
                raise DataError("This statement gives no rows.", hint="execute() is for statements without an answer")
            schema = schema_of(cursor.description)
            first = True
            while (found := cursor.fetchmany(batch_rows)) or first:
                first = False
                yield batch_of(found, schema)

    def commit(self, statements: Sequence[Statement]) -> None:
        """See `CloudSession.commit`."""
        self.execute("BEGIN")
        try:
            for statement in statements:
                if self.execute(statement.sql, statement.values) != 1 and statement.claims:
                    raise PipeTakenOver()
            self.execute("COMMIT")
        except BaseException:
            with suppress(DataError, ConfigurationError, RowsRefused, Conflict):
                self.execute("ROLLBACK")
            raise

    def load(self, rows: pa.Table, columns: Sequence[Column]) -> tuple[str, str]:
        """See `CloudSession.load`: a file, the user's stage, a temporary table; values are cast when they are used."""
        each = uuid.uuid4().hex
        name = quoted(self.schema, f"penstock_rows_{each}")
        stage = f"@~/penstock/{each}"
        names = [f"C{number}" for number in range(len(columns))]
        kinds = [staging(column) for column in columns]
        declared = ", ".join(f"{short} {kind}" for short, kind in zip(names, kinds, strict=True))
        picked = ", ".join(f"$1:{short}::{kind}" for short, kind in zip(names, kinds, strict=True))
        self.execute(f"CREATE TEMPORARY TABLE {name} ({declared})")
        with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
            path = Path(folder, "rows.parquet")
            file_of(rows, columns, names, path)
            place = literal(f"file://{path.as_posix()}")
            self.execute(f"PUT {place} {stage} AUTO_COMPRESS = FALSE OVERWRITE = TRUE")
        self.execute(
            f"COPY INTO {name} FROM (SELECT {picked} FROM {stage}) FILE_FORMAT = (TYPE = PARQUET) "
            "ON_ERROR = ABORT_STATEMENT PURGE = TRUE"
        )
        taken = [expression(short, column) for short, column in zip(names, columns, strict=True)]
        return name, ", ".join(taken)

    def described(self, table: Name) -> list[Column]:
        """See `Session.columns`."""
        with translated(self._connection), self._raw.cursor() as cursor:
            try:
                found = cursor.execute(f"DESCRIBE TABLE {table.sql}").fetchall()
            except connector.ProgrammingError as error:
                if abs(error.errno or 0) in _NOT_THERE:
                    return []
                raise
        return [column_of(str(row[0]), str(row[1]), row[3] == "Y") for row in found]

    @contextmanager
    def _asked(self, sql: str, values: Sequence[Any]) -> Iterator[Any]:
        made, given = placed(sql, values, "?")
        with translated(self._connection), self._raw.cursor() as cursor:
            cursor.execute(made, [bound(value) for value in given] or None)
            yield cursor


@contextmanager
def translated(connection: SnowflakeConnection) -> Iterator[None]:
    """Errors of the connector in Penstock's words; without its frames, which know the password."""
    problem: Exception | None = None
    try:
        yield
    except connector.Error as error:
        problem = _translation(connection, error)
    if problem is not None:
        raise problem from None


def _translation(connection: SnowflakeConnection, error: Any) -> Exception:
    number, state = abs(int(getattr(error, "errno", None) or 0)), str(getattr(error, "sqlstate", None) or "")
    text = connection.redact(str(getattr(error, "msg", None) or error).strip())
    line = _one_line(text)
    place = f"snowflake://{connection.account}"
    if number == _LOCKED or "has locked table" in text or "deadlock" in text.lower():
        return Conflict(line)
    if number in _NOT_THERE:
        return DataError(f"Snowflake refused: {line}", hint="see that it is there, and that the role may use it")
    if 100_000 <= number < 101_000 or state.startswith("22"):
        return RowsRefused(line)
    if known := _known(place, text, number, line):
        return known
    if number in (1003, 904, 2140, 1007) or state.startswith("42"):
        return DataError(f"Snowflake refused: {line}")
    if isinstance(error, (connector.OperationalError, connector.InterfaceError)) or state.startswith("08"):
        return SinkUnavailable(f"{place} cannot be used: {line}", hint="check the account, the network and its status")
    return DataError(f"Snowflake refused: {line}")


def _known(place: str, text: str, number: int, line: str) -> PenstockError | None:
    """What people can mend themselves."""
    if number in (390_114, 390_195, 390_318):
        return SinkUnavailable(f"{place} does not accept our token any more: {line}", hint="open the warehouse anew")
    if 390_000 <= number < 391_000 or "Incorrect username or password" in text:
        return ConfigurationError(
            f"{place} does not let this user in: {line}", hint="correct user, password, key or role of the connection"
        )
    if number == 606 or "No active warehouse" in text:
        return ConfigurationError(
            f"{place} has nothing to compute with: {line}",
            hint="name a warehouse that the role may use: snowflake://...?warehouse=NAME",
        )
    if number in (90_073, 609) or "quota" in text or "suspended" in text:
        return SinkUnavailable(
            f"{place} does not compute now: {line}", hint="resume the warehouse, or ask for a larger quota, and go on"
        )
    if number == 3001:
        return DataError(f"Snowflake refused: {line}", hint="let the role of the connection do this (GRANT)")
    if number in (90_105, 90_106):
        return ConfigurationError(f"Snowflake refused: {line}", hint="check database and role of the connection")
    if "404 Not Found" in text or number in (290_404, 251_001):
        return ConfigurationError(
            f"There is no Snowflake account {place}: {line}", hint="it looks like orgname-account; see its page"
        )
    return None


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)[:500]
