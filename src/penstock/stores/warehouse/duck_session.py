"""A connection to a DuckDB file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.errors import DataError, SinkUnavailable
from penstock.core.extras import require
from penstock.core.sqltext import quoted
from penstock.stores.warehouse.columns import Column
from penstock.stores.warehouse.database import Conflict, RowsRefused, Session
from penstock.stores.warehouse.names import Name, listed

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

duckdb: Any = require("duckdb", "data")

_ROWS = "penstock_rows"
_ROW_GROUP = 122_880
_BAD_VALUES = (duckdb.IntegrityError, duckdb.DataError, duckdb.InvalidInputException)


class DuckSession(Session):
    """A connection to the file."""

    def __init__(self, connection: Any, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._staged = 0

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """See `Session.run`."""
        rows = self.rows(sql, values)
        return rows[0][0] if rows and isinstance(rows[0][0], int) else 0

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `Session.rows`."""
        with translated(self._path):
            found: list[tuple[Any, ...]] = self._connection.execute(sql, list(values)).fetchall()
            return found

    def read(self, sql: str, values: Sequence[Any], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """See `Session.read`."""
        with translated(self._path):
            relation = self._connection.sql(sql, params=list(values) or None)
            if relation is None:
                raise DataError("This statement gives no rows.", hint="execute() is for statements without an answer")
            with closing(relation.to_arrow_reader(batch_rows)) as reader:
                empty = True
                for batch in reader:
                    empty = False
                    yield batch
                if empty:
                    yield pa.RecordBatch.from_pylist([], schema=reader.schema)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Session.transaction`."""
        self.run("BEGIN TRANSACTION")
        try:
            yield
        except BaseException:
            with suppress(duckdb.Error):
                self._connection.execute("ROLLBACK")
            raise
        self.run("COMMIT")

    @contextmanager
    def staged(self, rows: pa.Table, columns: Sequence[Column]) -> Iterator[str]:
        """See `Session.staged`."""
        self._staged += 1
        name = f"{_ROWS}_{self._staged}"
        with translated(self._path):
            self._connection.register(name, rows)
        taken = ", ".join(_taken(column) for column in columns)
        try:
            yield f"(SELECT {taken} FROM {name})"
        finally:
            with suppress(duckdb.Error):
                self._connection.unregister(name)

    def insert(self, table: Name, rows: pa.Table, columns: Sequence[Column]) -> None:
        """See `Session.insert`."""
        names = listed(tuple(column.name for column in columns))
        if rows.num_rows >= _ROW_GROUP:
            # When the file is closed, row groups that are partly filled are put together: of such large ones that takes
            # longer than it ever saves. It is as it was when the file is opened next.
            self.run("SET max_vacuum_tasks = 0")
        with self.staged(rows, columns) as staged:
            self.run(f"INSERT INTO {table.sql} ({names}) SELECT {names} FROM {staged} AS s")

    def columns(self, table: Name) -> list[Column]:
        """See `Session.columns`."""
        sql = (
            "SELECT column_name, data_type, is_nullable FROM duckdb_columns() WHERE database_name = current_database() "
            "AND schema_name = $1 AND table_name = $2 ORDER BY column_index"
        )
        found = self.rows(sql, (table.schema, table.table))
        if not found:
            return []
        with translated(self._path):
            schema = self._connection.sql(f"SELECT * FROM {table.sql} LIMIT 0").to_arrow_table().schema
        return [_column(name, sql, schema.field(at).type, null) for at, (name, sql, null) in enumerate(found)]


def _taken(column: Column) -> str:
    name = quoted(column.name)
    return name if column.form == "plain" else f"CAST({name} AS {column.sql}) AS {name}"


def _column(name: str, sql: str, kind: pa.DataType, nullable: bool) -> Column:
    if sql == "JSON":
        return Column(name, sql, pa.string(), "json", nullable)
    if sql == "UUID":
        return Column(name, sql, pa.string(), "uuid", nullable)
    if sql == "INTERVAL":
        return Column(name, sql, pa.duration("us"), "plain", nullable)
    if pa.types.is_dictionary(kind):
        return Column(name, sql, pa.string(), "text", nullable)
    return Column(name, sql, kind, "plain", nullable)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """DuckDB's errors in Penstock's words."""
    try:
        yield
    except duckdb.Error as error:
        text = str(error)
        if isinstance(error, duckdb.TransactionException) and "onflict" in text:
            raise Conflict(text) from error
        if isinstance(error, _BAD_VALUES):
            raise RowsRefused(text) from error
        if isinstance(error, (duckdb.OperationalError, duckdb.InternalError, duckdb.FatalException)):
            raise unavailable(path, error) from error
        raise DataError(f"DuckDB refused: {text}") from error


def unavailable(path: Path, error: Exception) -> SinkUnavailable:
    """The file cannot be used."""
    return SinkUnavailable(f"DuckDB cannot use {path}: {str(error).splitlines()[0]}")
