"""Single rows of a table, for those who need a few: create, read, update, delete; each also for async code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.core.errors import ConfigurationError, DataError
from penstock.core.sqltext import quoted
from penstock.stores.warehouse.columns import Column
from penstock.stores.warehouse.database import Database, Session
from penstock.stores.warehouse.names import Name, listed

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

Row: TypeAlias = dict[str, Any]
Where: TypeAlias = Mapping[str, Any]
"""A value that a column has; None where it is empty; a list of values of which it has one; or a comparison and a value:
`{"total": (">=", 100)}`. All of them must hold."""

_COMPARISONS = ("=", "<>", "<", "<=", ">", ">=", "like")
_TOGETHER = 500


class Records:
    """The rows of a table. Values are parameters of the statements, and names are quoted, whatever they hold."""

    def __init__(self, asked: Callable[..., AbstractContextManager[Session]], table: Name, database: Database) -> None:
        self._asked = asked
        self._table = table
        self._database = database

    def create(self, rows: Row | Sequence[Row]) -> int:
        """Add rows to the table; how many. Columns that a row does not have get their default.

        Raises:
            SchemaRefused: one of them does not fit; none was added.
        """
        every = [rows] if isinstance(rows, Mapping) else list(rows)
        with self._asked(writing=True) as session, session.transaction():
            columns = self._columns(session)
            for start in range(0, len(every), _TOGETHER):
                self._insert(session, columns, every[start : start + _TOGETHER])
        return len(every)

    def create_once(self, rows: Sequence[Row], keys: Sequence[str]) -> int:
        """Add rows, but none that has the same keys as one that is there; how many were added.

        Args:
            rows: to add.
            keys: columns that no two rows share; they are the table's primary key.
        """
        added = 0
        with self._asked(writing=True) as session:
            columns = self._columns(session)
            for row in rows:
                values: list[Any] = []
                given = {name: self.value(columns, name, one, values) for name, one in row.items()}
                added += session.alone(self._database.add_once(self._table, given, keys), values)
        return added

    def read(
        self,
        where: Where | None = None,
        *,
        columns: Sequence[str] = (),
        order_by: Sequence[str] = (),
        limit: int | None = None,
    ) -> list[Row]:
        """Rows as dictionaries; JSON as the values it stands for.

        Args:
            where: which ones; all of them when left out.
            columns: only these.
            order_by: columns; the highest value first where a minus is before the name.
            limit: at most so many.
        """
        with self._asked() as session:
            known = self._columns(session)
            wanted = [self._column(known, name) for name in columns] or list(known.values())
            values: list[Any] = []
            sql = f"SELECT {listed([column.name for column in wanted])} FROM {self._table.sql}"
            sql += _conditions(known, self, where or {}, values)
            if order_by:
                sql += " ORDER BY " + ", ".join(self._ordered(known, name) for name in order_by)
            if limit is not None:
                sql += f" LIMIT {int(limit)}"
            rows = pa.Table.from_batches(list(session.read(sql, values, 65_536))).to_pylist()
        nested = [column.name for column in wanted if column.form == "json"]
        for row in rows:
            for name in nested:
                row[name] = None if row[name] is None else json.loads(row[name])
        return list(rows)

    def update(self, where: Where, values: Row) -> int:
        """Change rows; how many. An empty `where` is refused: say `execute("UPDATE ...")` to change all of them."""
        return self._change("UPDATE", where, values)

    def delete(self, where: Where) -> int:
        """Take rows away; how many. An empty `where` is refused."""
        return self._change("DELETE", where, {})

    async def acreate(self, rows: Row | Sequence[Row]) -> int:
        """`create`, for async code."""
        return await asyncio.to_thread(self.create, rows)

    async def aread(
        self,
        where: Where | None = None,
        *,
        columns: Sequence[str] = (),
        order_by: Sequence[str] = (),
        limit: int | None = None,
    ) -> list[Row]:
        """`read`, for async code."""
        return await asyncio.to_thread(self.read, where, columns=columns, order_by=order_by, limit=limit)

    async def aupdate(self, where: Where, values: Row) -> int:
        """`update`, for async code."""
        return await asyncio.to_thread(self.update, where, values)

    async def adelete(self, where: Where) -> int:
        """`delete`, for async code."""
        return await asyncio.to_thread(self.delete, where)

    def _change(self, verb: str, where: Where, values: Row) -> int:
        if not where:
            raise ConfigurationError(
                f"{verb} of {self._table} without a condition would be for all rows.",
                hint="name the rows, or say it in SQL with warehouse.execute(...)",
            )
        with self._asked(writing=True) as session:
            known = self._columns(session)
            given: list[Any] = []
            sql = f"DELETE FROM {self._table.sql}"
            if verb == "UPDATE":
                if not values:
                    return 0
                sets = [f"{quoted(name)} = {self.value(known, name, one, given)}" for name, one in values.items()]
                sql = f"UPDATE {self._table.sql} SET {', '.join(sets)}"
            return session.alone(sql + _conditions(known, self, where, given), given)

    def _insert(self, session: Session, known: Mapping[str, Column], rows: Sequence[Row]) -> None:
        """Add rows; those that have the same columns with one statement."""
        alike: dict[tuple[str, ...], list[Row]] = {}
        for row in rows:
            alike.setdefault(tuple(row), []).append(row)
        for names, some in alike.items():
            if not names:
                raise ConfigurationError(f"A row for {self._table} has no columns.")
            values: list[Any] = []
            each = [", ".join(self.value(known, name, row[name], values) for name in names) for row in some]
            told = self._database.listed_rows(each)
            session.run(f"INSERT INTO {self._table.sql} ({listed(names)}) {told}", values)

    def _columns(self, session: Session) -> dict[str, Column]:
        columns = {column.name: column for column in session.columns(self._table)}
        if not columns:
            raise DataError(f"There is no table {self._table}.", hint="it is made by the first rows that land in it")
        return columns

    def _column(self, known: Mapping[str, Column], name: str) -> Column:
        if name not in known:
            raise ConfigurationError(f"{self._table} has no column {name!r}.", hint=f"it has: {', '.join(known)}")
        return known[name]

    def _ordered(self, known: Mapping[str, Column], name: str) -> str:
        if name not in known and name.startswith("-"):
            return f"{quoted(self._column(known, name[1:]).name)} DESC"
        return quoted(self._column(known, name).name)

    def value(self, known: Mapping[str, Column], name: str, value: Any, values: list[Any]) -> str:
        """A value as a parameter of the type that its column has."""
        column = self._column(known, name)
        if column.form == "json" and value is not None:
            value = json.dumps(value, ensure_ascii=False, default=str)
        values.append(value)
        return self._database.cast(f"${len(values)}", column.sql)


def _conditions(known: Mapping[str, Column], records: Records, where: Where, values: list[Any]) -> str:
    parts = []
    for name, wanted in where.items():
        own = quoted(name)
        if wanted is None:
            records.value(known, name, None, [])
            parts.append(f"{own} IS NULL")
        elif isinstance(wanted, tuple):
            if len(wanted) != 2 or str(wanted[0]).lower() not in _COMPARISONS:
                raise ConfigurationError(
                    f"{name}: {wanted!r} is no comparison.",
                    hint=f'write (">=", 100); there are {", ".join(_COMPARISONS)}',
                )
            parts.append(f"{own} {wanted[0]} {records.value(known, name, wanted[1], values)}")
        elif isinstance(wanted, (list, set, frozenset)):
            some = [records.value(known, name, one, values) for one in wanted]
            parts.append(f"{own} IN ({', '.join(some)})" if some else "1 = 0")
        else:
            parts.append(f"{own} = {records.value(known, name, wanted, values)}")
    return f" WHERE {' AND '.join(parts)}" if parts else ""
