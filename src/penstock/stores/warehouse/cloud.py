"""What the warehouses in the cloud have in common: columns instead of rows, and transactions that hold no tables.

In Snowflake, a statement that makes or changes a table commits the transaction it is in; in BigQuery, it may not be in
one, nor may a load. Neither keeps a key unique, and BigQuery has no locks. So a transaction is deferred:

1. While it goes on, tables are made and widened, rows are loaded into staging tables, and queries are answered, all of
   it at once. Nothing of this changes a row that somebody can see; what is left when a process dies is an empty table
   or column, or a staging table.
2. Statements that change rows are kept, and carried out together at the end, in one transaction of the database.
   The last of them moves the pipe's position where its owner is still the same, and must change one row. Whoever was
   taken over meanwhile changes none, and his transaction is rolled back: in Snowflake because the owner's row is locked
   from that statement on, in BigQuery because of two transactions that change one table only one is committed.
3. What is not needed any more is dropped when it was committed. A process that dies before leaves it behind.

Rows are merged by one MERGE, which others that change the same table wait for or are in conflict with, so that it
needs no unique index. A table that is filled to take the place of another is called after whoever began to fill it:
one who was taken over cannot empty it.

What is weaker than in DuckDB and PostgreSQL: keys that are not unique already are not told; a row that only the
database itself finds fault with (a text that is too long for a column that others made, say) takes its batch with it.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.core.errors import ConfigurationError, DataError, PenstockError
from penstock.core.sqltext import quoted
from penstock.stores.warehouse.columns import Column
from penstock.stores.warehouse.database import Conflict, Database, RowsRefused, Session, same
from penstock.stores.warehouse.names import Name, listed

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_AT_ONCE = re.compile(r"\s*(CREATE|ALTER|DROP)\b", re.IGNORECASE)
_PARTS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|/\*.*?\*/|\$(\d+)|[^'"`$/-]+|.""", re.DOTALL)


class Statement(NamedTuple):
    """A statement that waits for the end of its transaction.

    Attributes:
        sql: as the warehouse writes it.
        values: what `$1`, `$2`, ... stand for.
        claims: it must write one row.
    """

    sql: str
    values: Sequence[Any]
    claims: bool = False


class CloudSession(Session):
    """A connection whose transactions are deferred."""

    def __init__(self) -> None:
        self._waiting: list[Statement] | None = None
        self._untidy: list[str] = []
        self._staged: list[str] = []
        self.schema = ""

    @abstractmethod
    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Execute a statement now, in a transaction of its own; how many rows it wrote."""

    @abstractmethod
    def commit(self, statements: Sequence[Statement]) -> None:
        """Carry out statements in one transaction.

        Raises:
            PipeTakenOver: one of them was to write a row and wrote none; nothing was committed.
        """

    @abstractmethod
    def load(self, rows: pa.Table, columns: Sequence[Column]) -> tuple[str, str]:
        """Load rows into a staging table; its name in a statement, and what to select from it for these columns."""

    @abstractmethod
    def described(self, table: Name) -> list[Column]:
        """See `Session.columns`."""

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """See `Session.run`."""
        if self._waiting is None or _AT_ONCE.match(sql):
            return self.execute(sql, values)
        self._waiting.append(Statement(sql, values))
        return 0

    def alone(self, sql: str, values: Sequence[Any] = ()) -> int:
        """See `Session.alone`."""
        return self.execute(sql, values)

    def claim(self, sql: str, values: Sequence[Any] = ()) -> None:
        """See `Session.claim`."""
        if self._waiting is None:
            super().claim(sql, values)
        else:
            self._waiting.append(Statement(sql, values, claims=True))

    def tidy(self, sql: str) -> None:
        """See `Session.tidy`."""
        self._untidy.append(sql)
        if self._waiting is None:
            self._tidied()

    def columns(self, table: Name) -> list[Column]:
        """See `Session.columns`; rows are staged in the schema that was asked about last, which is there then."""
        self.schema = table.schema
        return self.described(table)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Session.transaction`."""
        self._waiting, self._untidy = [], []
        try:
            yield
            waiting, self._waiting = self._waiting, None
            if waiting:
                self.commit(waiting)
            self._tidied()
        finally:
            self._waiting, self._untidy = None, []
            self._unstaged()

    @contextmanager
    def staged(self, rows: pa.Table, columns: Sequence[Column]) -> Iterator[str]:
        """See `Session.staged`; the staging table is there until the transaction is over."""
        name, taken = self.load(rows, columns)
        self._staged.append(name)
        try:
            yield f"(SELECT {taken} FROM {name})"
        finally:
            if self._waiting is None:
                self._unstaged()

    def insert(self, table: Name, rows: pa.Table, columns: Sequence[Column]) -> None:
        """See `Session.insert`."""
        names = listed(tuple(column.name for column in columns))
        with self.staged(rows, columns) as staged:
            self.run(f"INSERT INTO {table.sql} ({names}) SELECT {names} FROM {staged} AS s")

    def _tidied(self) -> None:
        untidy, self._untidy = self._untidy, []
        for sql in untidy:
            with suppress(PenstockError, RowsRefused, Conflict):  # what was committed stays so
                self.execute(sql)

    def _unstaged(self) -> None:
        staged, self._staged = self._staged, []
        for name in staged:
            with suppress(PenstockError, RowsRefused, Conflict):
                self.execute(f"DROP TABLE IF EXISTS {name}")


class CloudDatabase(Database):
    """A database whose transactions are deferred."""

    exact_names = False
    takes_nul = False
    lock_row = ""
    deferred = True
    json_type: str

    def check_mode(self, mode: str) -> None:
        """See `Database.check_mode`."""
        if mode == "history":
            raise ConfigurationError(
                f'{self.kind} keeps no history of a table yet: mode="history" is for DuckDB and PostgreSQL.',
                hint='land with mode="append", and tell the versions in a query or a view',
            )

    def upsert(self, table: Name, staged: str, columns: Sequence[str], keys: Sequence[str]) -> str:
        """See `Database.upsert`."""
        others = [column for column in columns if column not in keys]
        change = ", ".join(f"{quoted(name)} = s.{quoted(name)}" for name in others)
        matched = f"WHEN MATCHED THEN UPDATE SET {change} " if others else ""
        return (
            f"MERGE INTO {table.sql} AS t USING {staged} AS s ON {same('t', 's', keys)} {matched}"
            f"WHEN NOT MATCHED THEN INSERT ({listed(tuple(columns))}) VALUES ({listed(tuple(columns), 's.')})"
        )

    def delete_matching(self, table: Name, staged: str, keys: Sequence[str]) -> str:
        """See `Database.delete_matching`."""
        return f"MERGE INTO {table.sql} AS t USING {staged} AS s ON {same('t', 's', keys)} WHEN MATCHED THEN DELETE"

    def add_once(self, table: Name, given: Mapping[str, str], keys: Sequence[str]) -> str:
        """See `Database.add_once`."""
        row = ", ".join(f"{value} AS {quoted(name)}" for name, value in given.items())
        names = tuple(given)
        return (
            f"MERGE INTO {table.sql} AS t USING (SELECT {row}) AS s ON {same('t', 's', keys)} "
            f"WHEN NOT MATCHED THEN INSERT ({listed(names)}) VALUES ({listed(names, 's.')})"
        )

    def listed_rows(self, rows: Sequence[str]) -> str:
        """See `Database.listed_rows`; Snowflake takes no functions in VALUES."""
        return " UNION ALL ".join(f"SELECT {row}" for row in rows)

    def cast(self, value: str, sql_type: str) -> str:
        """See `Database.cast`."""
        return f"PARSE_JSON({value})" if sql_type == self.json_type else f"CAST({value} AS {sql_type})"

    def key_index(self, session: Session, table: Name, keys: Sequence[str]) -> None:
        """See `Database.key_index`: there are none, and a MERGE needs none."""

    def change_type(self, session: Session, table: Name, column: str, sql_type: str) -> None:
        """See `Database.change_type`."""
        session.run(f"ALTER TABLE {table.sql} ALTER COLUMN {quoted(column)} SET DATA TYPE {sql_type}")

    def fixed_columns(self, session: Session, table: Name) -> set[str]:
        """See `Database.fixed_columns`: none, views are looked through when they are read."""
        return set()

    def lock_tables(self, session: Session, table: Name) -> None:
        """See `Database.lock_tables`: tables and columns are made where there are none, which two may do at once."""

    def analyze(self, session: Session, table: Name) -> None:
        """See `Database.analyze`: it is done all the time."""

    def indexes(self, session: Session, table: Name) -> Mapping[str, str]:
        """See `Database.indexes`."""
        return {}


def placed(sql: str, values: Sequence[Any], mark: str) -> tuple[str, list[Any]]:
    """A statement with marks instead of `$1`, `$2`, ..., and the value for each mark, in their order.

    Args:
        sql: the statement; a `$1` in a text, a name or a comment is none of them.
        values: what they stand for; without any, the statement is as it was.
        mark: what the driver knows: `?`.

    Raises:
        DataError: there are not as many values as the statement has places for.
    """
    if not values:
        return sql, []
    found: list[Any] = []
    used: set[int] = set()

    def put(matched: re.Match[str]) -> str:
        if matched[1] is None:
            return matched[0]
        number = int(matched[1])
        if not 1 <= number <= len(values):
            raise DataError(f"The statement has a ${number}, and there are {len(values)} values.")
        used.add(number)
        found.append(values[number - 1])
        return mark

    made = _PARTS.sub(put, sql)
    if len(used) != len(values):
        raise DataError(f"There are {len(values)} values, and the statement has places for {len(used)} of them.")
    return made, found


def in_pieces(sql: str) -> Iterator[tuple[str, int | None]]:
    """A statement in texts, names, comments, places for values (with their number) and what is between them."""
    for matched in _PARTS.finditer(sql):
        yield matched[0], None if matched[1] is None else int(matched[1])
