"""What the warehouse asks of a database, and how a database says no.

There are two kinds. DuckDB and PostgreSQL keep rows, indexes and locks, and whatever is done in a transaction is part
of it. Those in the cloud keep columns: they have no unique indexes and hardly any locks, and a statement that makes or
changes a table ends a transaction, or may not be in one. They are `deferred`; see `penstock.stores.warehouse.cloud`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from penstock.core.errors import PipeTakenOver
from penstock.core.sqltext import quoted
from penstock.stores.warehouse.names import Name, check, listed

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.stores.warehouse.columns import Column


class RowsRefused(Exception):
    """The database does not take these rows, for what is in them. The transaction is over."""


class Conflict(Exception):
    """Somebody else was at the same rows; the same transaction may succeed when it is tried again."""


class Session(ABC):
    """A connection. Values in statements are `$1`, `$2`, ...

    Every method raises SinkUnavailable, RowsRefused, Conflict or another DataError; never an error of a driver.
    """

    @abstractmethod
    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Execute a statement; how many rows it wrote (0 in a transaction that is carried out at its end)."""

    @abstractmethod
    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query. Moments come without trouble only through `read`."""

    @abstractmethod
    def read(self, sql: str, values: Sequence[Any], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """The rows of a query, at least one batch of them (which may be empty)."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing."""

    @abstractmethod
    def staged(self, rows: pa.Table, columns: Sequence[Column]) -> AbstractContextManager[str]:
        """Rows that a statement can select from, under the name that is given; with the types of these columns."""

    @abstractmethod
    def insert(self, table: Name, rows: pa.Table, columns: Sequence[Column]) -> None:
        """Add rows as fast as the database can."""

    @abstractmethod
    def columns(self, table: Name) -> list[Column]:
        """The columns of a table; none where there is no such table."""

    def alone(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Execute a statement in a transaction of its own; how many rows it wrote."""
        with self.transaction():
            return self.run(sql, values)

    def claim(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Execute a statement that writes one row as long as a pipe is ours; where it does not, nothing is committed.

        Raises:
            PipeTakenOver: it wrote none. A transaction that is carried out at its end raises it there.
        """
        if self.run(sql, values) != 1:
            raise PipeTakenOver()

    def tidy(self, sql: str) -> None:
        """Execute a statement that takes away what is not needed any more when the transaction is over."""
        self.run(sql)


class Database(ABC):
    """One kind of database at one place.

    Attributes:
        kind: its name, for messages.
        longest_name: bytes of a table's or a column's name.
        not_in_names: characters that no name of a column has.
        exact_names: `Id` and `id` are two columns.
        takes_nul: a text may hold the character NUL.
        lock_row: what a SELECT ends with that keeps others from the row until the transaction is over.
        deferred: its transactions are carried out as a whole at their end; tables are made and changed before.
        seconds: how long it is waited for.
        read_only: DuckDB and PostgreSQL refuse whatever writes.
    """

    kind: str
    longest_name: int
    not_in_names: str = "\0"
    exact_names: bool
    takes_nul: bool
    lock_row: str
    deferred: bool = False
    seconds: float
    read_only: bool = False

    @property
    @abstractmethod
    def namespace(self) -> str:
        """The system, as lineage names it."""

    @abstractmethod
    def place_of(self, name: str) -> str:
        """A table of this database, as lineage names it."""

    def check_schema(self, schema: str) -> None:
        """See that a schema can have this name.

        Raises:
            ConfigurationError: it cannot.
        """
        check(schema, self.longest_name)

    def check_mode(self, mode: str) -> None:  # noqa: B027 (most can do all of them)
        """See that a table can take rows so.

        Raises:
            ConfigurationError: it cannot.
        """

    @abstractmethod
    def session(self, *, writing: bool = False) -> AbstractContextManager[Session]:
        """A connection, for one thread.

        Args:
            writing: others of this process that write wait, where the database would refuse them.

        Raises:
            SinkUnavailable: not within the time allowed.
        """

    def held(self) -> AbstractContextManager[None]:
        """Sessions follow each other meanwhile: what is costly to open may stay open between them."""
        return nullcontext()

    @abstractmethod
    def close(self) -> None:
        """Let go of connections."""

    @abstractmethod
    def sql_type(self, kind: pa.DataType) -> str:
        """The type of a column for values of an Arrow type.

        Raises:
            SchemaRefused: there is none.
        """

    @abstractmethod
    def upsert(self, table: Name, staged: str, columns: Sequence[str], keys: Sequence[str]) -> str:
        """A statement that adds staged rows, or changes those that have the same keys."""

    def delete_matching(self, table: Name, staged: str, keys: Sequence[str]) -> str:
        """A statement that takes away the rows that have the keys of staged ones."""
        return f"DELETE FROM {table.sql} AS t USING {staged} AS s WHERE {same('t', 's', keys)}"

    def add_once(self, table: Name, given: Mapping[str, str], keys: Sequence[str]) -> str:
        """A statement that adds a row (an expression for each column), unless there is one with the same keys."""
        values = ", ".join(given.values())
        return (
            f"INSERT INTO {table.sql} ({listed(tuple(given))}) VALUES ({values}) "
            f"ON CONFLICT ({listed(tuple(keys))}) DO NOTHING"
        )

    def listed_rows(self, rows: Sequence[str]) -> str:
        """What an INSERT of several rows ends with; each of them is its expressions with commas between them."""
        return "VALUES " + ", ".join(f"({row})" for row in rows)

    def cast(self, value: str, sql_type: str) -> str:
        """An expression, made one of that type."""
        return f"CAST({value} AS {sql_type})"

    def primary_key(self, keys: Sequence[str]) -> str:
        """What is said in a table's declaration of its keys."""
        return f"PRIMARY KEY ({listed(tuple(keys))})"

    def named(self, *names: str) -> str:
        """A name as a user's statement has it."""
        return quoted(*names)

    def as_written(self, sql: str) -> str:
        """A user's statement, which is in the database's own words, for `run`, `alone` and `read` of a session."""
        return sql

    def make_schema(self, session: Session, schema: str) -> None:
        """Make a schema where there is none."""
        make_schema(session, schema)

    @abstractmethod
    def key_index(self, session: Session, table: Name, keys: Sequence[str]) -> None:
        """See that rows can be found by these columns, and (where upserts need it) that they are unique."""

    @abstractmethod
    def empty(self, table: Name) -> str:
        """A statement that takes all rows away."""

    def can_widen(self, kind: pa.DataType, wide: pa.DataType) -> bool:
        """A column for values of one type can become one for values of another, which holds all of them."""
        return True

    @abstractmethod
    def change_type(self, session: Session, table: Name, column: str, sql_type: str) -> None:
        """Give a column another type that holds all its values."""

    @abstractmethod
    def fixed_columns(self, session: Session, table: Name) -> set[str]:
        """Columns whose type cannot be changed, because something else depends on it."""

    @abstractmethod
    def lock_tables(self, session: Session, table: Name) -> None:
        """Keep others from making or changing this table until the transaction is over."""

    @abstractmethod
    def analyze(self, session: Session, table: Name) -> None:
        """Count anew what the planner goes by."""

    @abstractmethod
    def indexes(self, session: Session, table: Name) -> Mapping[str, str]:
        """The indexes of a table, and the statements that made them."""


def same(left: str, right: str, keys: Sequence[str]) -> str:
    """A condition: two rows have the same keys."""
    return " AND ".join(f"{left}.{quoted(key)} = {right}.{quoted(key)}" for key in keys)


def make_schema(session: Session, schema: str) -> None:
    """Make a schema where there is none; in one that is there, no right to make schemas is needed."""
    if not session.rows("SELECT 1 FROM information_schema.schemata WHERE schema_name = $1", (schema,)):
        session.run(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
