"""A DuckDB database in memory that stands in for a warehouse in the cloud: sqlglot translates its SQL.

What it proves: that the driver, the protocol and Penstock's transactions fit together, and that the statements can be
read as that dialect. What it does not: that the service itself accepts them, or how quick or how strict it is.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

T = exp.DataType.Type
Changed = Callable[[exp.Expression], exp.Expression]
EPOCH = datetime.datetime(1970, 1, 1)


class Refused(Exception):
    """The statement is refused.

    Attributes:
        kind: `syntax`, `missing`, `column`, `value`, `null`, `conflict`.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True)
class Answer:
    """What a statement gave.

    Attributes:
        names: of the columns; none where it gives no rows.
        types: of DuckDB.
        rows: of the answer.
        wrote: rows that it wrote.
    """

    names: list[str]
    types: list[str]
    rows: list[tuple[Any, ...]]
    wrote: int = 0


_KINDS = (
    (sqlglot.errors.SqlglotError, "syntax"),
    (duckdb.ParserException, "syntax"),
    (duckdb.CatalogException, "missing"),
    (duckdb.BinderException, "column"),
    (duckdb.TransactionException, "conflict"),
    (duckdb.ConstraintException, "null"),
    (duckdb.Error, "value"),
)


class DuckHouse:
    """Statements of a dialect, executed by DuckDB.

    Args:
        dialect: as sqlglot calls it.
        changed: makes of a part of a statement what DuckDB has for it.
    """

    def __init__(self, dialect: str, changed: Changed) -> None:
        self._dialect, self._changed = dialect, changed
        self._duck = duckdb.connect(":memory:")
        self._duck.execute("SET TimeZone = 'UTC'")
        self.seen: list[str] = []

    def close(self) -> None:
        """Forget everything."""
        self._duck.close()

    def cursor(self) -> Any:
        """A connection, with transactions of its own."""
        made = self._duck.cursor()
        made.execute("SET TimeZone = 'UTC'")
        return made

    def translated(self, sql: str) -> str:
        """A statement as DuckDB has it."""
        try:
            return _translated(sql, self._dialect, self._changed)
        except sqlglot.errors.SqlglotError as error:
            raise Refused("syntax", str(error)) from error

    def ask(self, cursor: Any, sql: str, values: Sequence[Any] = ()) -> Answer:
        """Execute a statement of the dialect."""
        self.seen.append(sql)
        return self.ask_duck(cursor, self.translated(sql), values)

    def ask_duck(self, cursor: Any, sql: str, values: Sequence[Any] = ()) -> Answer:
        """Execute a statement of DuckDB's own."""
        try:
            if sql.lstrip().upper().startswith(("SELECT", "WITH")):
                described = cursor.execute(f"DESCRIBE {sql}", list(values)).fetchall()
                rows = cursor.execute(sql, list(values)).fetchall()
                return Answer([one[0] for one in described], [one[1] for one in described], rows)
            found = cursor.execute(sql, list(values)).fetchall()
        except Exception as error:
            kind = next((kind for cls, kind in _KINDS if isinstance(error, cls)), None)
            if kind is None:
                raise
            raise Refused(kind, str(error)) from error
        wrote = found[0][0] if found and isinstance(found[0][0], int) else 0
        return Answer([], [], [], wrote)

    def columns(self, schema: str, table: str) -> list[tuple[str, str, bool]]:
        """The columns of a table: name, DuckDB's type, whether it may be empty; whatever case the names are in."""
        sql = (
            "SELECT column_name, data_type, is_nullable FROM duckdb_columns() WHERE lower(schema_name) = lower($1) "
            "AND lower(table_name) = lower($2) ORDER BY column_index"
        )
        return [
            (str(name), str(kind), bool(null))
            for name, kind, null in self.cursor().execute(sql, [schema, table]).fetchall()
        ]

    def tables(self, schema: str) -> list[str]:
        """The tables of a schema."""
        sql = "SELECT table_name FROM duckdb_tables() WHERE lower(schema_name) = lower($1) ORDER BY 1"
        return [str(row[0]) for row in self.cursor().execute(sql, [schema]).fetchall()]


@lru_cache(1_000)
def _translated(sql: str, dialect: str, changed: Changed) -> str:
    return str(sqlglot.parse_one(sql, read=dialect).transform(changed).sql(dialect="duckdb"))


def retyped(kinds: dict[Any, str]) -> Changed:
    """Change types.

    Args:
        kinds: DuckDB's type for each of them; the others stay.
    """

    def changed(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.DataType) and node.this in kinds:
            return exp.DataType.build(kinds[node.this], dialect="duckdb")
        return node

    return changed


def digits(sql: str) -> tuple[int, int]:
    """Precision and scale of DuckDB's `DECIMAL(p,s)`."""
    precision, scale = sql.removeprefix("DECIMAL(").removesuffix(")").split(",")
    return int(precision), int(scale)


def microseconds(moment: datetime.datetime) -> int:
    """Since 1970."""
    plain = moment.astimezone(datetime.UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return (plain - EPOCH) // datetime.timedelta(microseconds=1)


def decimal_text(value: Any) -> str:
    return format(value, "f") if isinstance(value, decimal.Decimal) else str(value)
