"""DuckDB: types, statements and limits of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.core.errors import ConfigurationError, SchemaRefused, SinkUnavailable
from penstock.core.sqltext import quoted
from penstock.stores.warehouse.columns import is_json, is_list, is_text, is_uuid
from penstock.stores.warehouse.database import Database, Session, same
from penstock.stores.warehouse.duck_file import file_at
from penstock.stores.warehouse.duck_session import DuckSession, translated
from penstock.stores.warehouse.names import Name, folded, listed

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa


_PLAIN = {
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint8": "UTINYINT",
    "uint16": "USMALLINT",
    "uint32": "UINTEGER",
    "uint64": "UBIGINT",
    "halffloat": "REAL",
    "float": "REAL",
    "double": "DOUBLE",
    "date32[day]": "DATE",
    "date64[ms]": "DATE",
    "null": "VARCHAR",
}


class DuckDatabase(Database):
    """A DuckDB file.

    Args:
        path: where it is; it is made when it is first opened.
        seconds: how long to wait for another process that has it open.
    """

    kind = "DuckDB"
    longest_name = 255
    exact_names = False
    takes_nul = True
    lock_row = ""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path = path.absolute()
        self.seconds = seconds
        self._file = file_at(self.path)

    @property
    def namespace(self) -> str:
        """See `Database.namespace`."""
        return f"duckdb://{self.path}"

    def place_of(self, name: str) -> str:
        """See `Database.place_of`."""
        return name

    def check_schema(self, schema: str) -> None:
        """See `Database.check_schema`: DuckDB calls the database as the file is called, without what follows a dot."""
        super().check_schema(schema)
        if folded(schema) == folded(self.path.name.split(".")[0]):
            raise ConfigurationError(
                f"DuckDB cannot tell the schema {schema} from the file {self.path.name}.",
                hint=f"name the file otherwise: {schema}_warehouse.duckdb",
            )

    @contextmanager
    def session(self, *, writing: bool = False) -> Iterator[Session]:
        """See `Database.session`."""
        with ExitStack() as held:
            if writing:
                if not self._file.writer.acquire(timeout=self.seconds):
                    raise SinkUnavailable(f"Another thread has been writing to {self.path} for {self.seconds:g} s.")
                held.callback(self._file.writer.release)
            connection = held.enter_context(self._file.connection(self.seconds, read_only=self.read_only))
            with translated(self.path):
                connection.execute("SET TimeZone = 'UTC'")
            yield DuckSession(connection, self.path)

    def held(self) -> AbstractContextManager[None]:
        """See `Database.held`."""
        return self._file.held()

    def close(self) -> None:
        """See `Database.close`; nothing is held when no pipe is open."""

    def sql_type(self, kind: pa.DataType) -> str:
        """See `Database.sql_type`."""
        t = pa.types
        if name := _PLAIN.get(str(kind)):
            return name
        if is_uuid(kind):
            return "UUID"
        if is_json(kind):
            return "JSON"
        if is_text(kind):
            return "VARCHAR"
        if t.is_decimal(kind):
            whole, after = kind.precision - min(kind.scale, 0), max(kind.scale, 0)
            return f"DECIMAL({whole},{after})" if whole <= 38 else "VARCHAR"
        if t.is_timestamp(kind):
            naive = "TIMESTAMP_NS" if kind.unit == "ns" else "TIMESTAMP"
            return "TIMESTAMP WITH TIME ZONE" if kind.tz else naive
        if t.is_time(kind):
            return "TIME"
        if t.is_duration(kind):
            return "INTERVAL"
        if t.is_binary(kind) or t.is_large_binary(kind) or t.is_binary_view(kind) or t.is_fixed_size_binary(kind):
            return "BLOB"
        if is_list(kind):
            return f"{self.sql_type(kind.value_type)}[]"
        raise SchemaRefused(f"DuckDB has no type for Arrow's {kind}.", hint="cast the column before it is landed")

    def upsert(self, table: Name, staged: str, columns: Sequence[str], keys: Sequence[str]) -> str:
        """See `Database.upsert`."""
        others = [column for column in columns if column not in keys]
        change = ", ".join(f"{quoted(name)} = s.{quoted(name)}" for name in others)
        matched = f"WHEN MATCHED THEN UPDATE SET {change} " if others else ""
        return (
            f"MERGE INTO {table.sql} AS t USING {staged} AS s ON {same('t', 's', keys)} {matched}"
            f"WHEN NOT MATCHED THEN INSERT ({listed(tuple(columns))}) VALUES ({listed(tuple(columns), 's.')})"
        )

    def key_index(self, session: Session, table: Name, keys: Sequence[str]) -> None:
        """See `Database.key_index`: DuckDB joins fast without one, and has nobody else write meanwhile."""

    def empty(self, table: Name) -> str:
        """See `Database.empty`."""
        return f"DELETE FROM {table.sql}"

    def change_type(self, session: Session, table: Name, column: str, sql_type: str) -> None:
        """See `Database.change_type`; DuckDB changes no table that has indexes, so they are made again."""
        indexes = self.indexes(session, table)
        for name in indexes:
            session.run(f"DROP INDEX {quoted(table.schema)}.{quoted(name)}")
        session.run(f"ALTER TABLE {table.sql} ALTER COLUMN {quoted(column)} SET DATA TYPE {sql_type}")
        for statement in indexes.values():
            session.run(statement)

    def fixed_columns(self, session: Session, table: Name) -> set[str]:
        """See `Database.fixed_columns`: those in indexes and constraints."""
        of = "database_name = current_database() AND schema_name = $1 AND table_name = $2"
        indexed = f"SELECT expressions FROM duckdb_indexes() WHERE {of}"
        checked = f"SELECT unnest(constraint_column_names) FROM duckdb_constraints() WHERE {of}"
        checked += " AND constraint_type <> 'NOT NULL'"
        values = (table.schema, table.table)
        expressions = " ".join(str(row[0]) for row in session.rows(indexed, values))
        named = {column.name for column in session.columns(table) if column.name in expressions}
        return named | {str(row[0]) for row in session.rows(checked, values)}

    def lock_tables(self, session: Session, table: Name) -> None:
        """See `Database.lock_tables`: nobody else writes meanwhile."""

    def analyze(self, session: Session, table: Name) -> None:
        """See `Database.analyze`."""
        session.run(f"ANALYZE {table.sql}")

    def indexes(self, session: Session, table: Name) -> Mapping[str, str]:
        """See `Database.indexes`."""
        sql = (
            "SELECT index_name, sql FROM duckdb_indexes() WHERE database_name = current_database() "
            "AND schema_name = $1 AND table_name = $2 ORDER BY index_name"
        )
        return {name: statement for name, statement in session.rows(sql, (table.schema, table.table)) if statement}
