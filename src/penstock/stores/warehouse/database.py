"""What the warehouse asks of a database, and how a database says no."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from penstock.core.sqltext import quoted
from penstock.stores.warehouse.names import Name, check

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
        """Execute a statement; how many rows it wrote."""

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


class Database(ABC):
    """One kind of database at one place.

    Attributes:
        kind: its name, for messages.
        longest_name: bytes of a table's or a column's name.
        exact_names: `Id` and `id` are two columns.
        takes_nul: a text may hold the character NUL.
        lock_row: what a SELECT ends with that keeps others from the row until the transaction is over.
        seconds: how long it is waited for.
    """

    kind: str
    longest_name: int
    exact_names: bool
    takes_nul: bool
    lock_row: str
    seconds: float

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

    @abstractmethod
    def session(self, *, writing: bool = False) -> AbstractContextManager[Session]:
        """A connection, for one thread.

        Args:
            writing: others of this process that write wait, where the database would refuse them.

        Raises:
            SinkUnavailable: not within the time allowed.
        """

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

    @abstractmethod
    def key_index(self, session: Session, table: Name, keys: Sequence[str]) -> None:
        """See that rows can be found by these columns, and (where upserts need it) that they are unique."""

    @abstractmethod
    def empty(self, table: Name) -> str:
        """A statement that takes all rows away."""

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
