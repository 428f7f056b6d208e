"""A query that is made into a table or a view, in one transaction, and without a row leaving the database."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from penstock.core.errors import DataError, SchemaRefused, SinkUnavailable
from penstock.core.sqltext import quoted
from penstock.stores.warehouse import made
from penstock.stores.warehouse.columns import Column, is_text, wider
from penstock.stores.warehouse.database import Database, RowsRefused, Session, same
from penstock.stores.warehouse.made import Asked, Made
from penstock.stores.warehouse.names import Name, listed

Kind: TypeAlias = Literal["table", "view", "incremental"]
Strategy: TypeAlias = Literal["append", "delete+insert", "merge"]
OnChange: TypeAlias = Literal["evolve", "fail", "ignore"]
Query: TypeAlias = tuple[str, Sequence[Any]]
"""A query, and the values that `$1`, `$2`, ... in it stand for."""

_LINE = re.compile(r"^LINE (\d+):", re.MULTILINE)


class QueryRefused(DataError):
    """The database does not execute this query.

    Attributes:
        line: of the query, from 1; None where the database does not say.
    """

    code = "query-refused"
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index that a table is to have."""

    columns: tuple[str, ...]
    unique: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be made.

    Attributes:
        ask: gives the query; it is told whether rows are added to what is there.
        kind: `table`: its rows take the place of those that were there; `view`; `incremental`: they are added.
        keys: of `incremental`: the columns that tell one row from another.
        strategy: of `incremental`: `append` adds rows; `delete+insert` and `merge` let a row take the place of the one
            with the same keys. The latter keeps what the columns that the query does not have hold.
        on_change: of `incremental`, when the query has other columns than the table: `evolve` adds and widens columns,
            `ignore` leaves new ones out, `fail` refuses.
        indexes: that the table is to have.
        afresh: of `incremental`: begin anew.
        adopt: take the place of a table or a view that no query was made into before.
        made_for: names the task run; what was made for it already is not made again.
    """

    ask: Callable[[bool], Query]
    kind: Kind = "table"
    keys: tuple[str, ...] = ()
    strategy: Strategy = "append"
    on_change: OnChange = "evolve"
    indexes: tuple[Index, ...] = ()
    afresh: bool = False
    adopt: bool = False
    made_for: str | None = None


def materialize(database: Database, asked: Asked, table: Name, plan: Plan) -> Made:
    """Make a query into a table or a view.

    Args:
        database: which one.
        asked: gives a connection.
        table: what is made.
        plan: how.

    Raises:
        QueryRefused: the database does not execute the query.
        SchemaRefused: the rows and the table that is there do not go together.
        SinkUnavailable: the database cannot be reached, or others were at the same rows.
    """
    began = time.monotonic()
    made.prepare(database, asked, table.schema)
    with asked(writing=True) as session, session.transaction():
        database.lock_tables(session, table)
        if done := made.known(session, table, plan.made_for):
            return done
        found = _found(session, table)
        adding = plan.kind == "incremental" and found == "table" and not plan.afresh
        if found and not adding:
            _check_ours(session, table, plan, found)
        sql, values = plan.ask(adding)
        if plan.kind == "view":
            rows = _view(session, table, sql, values, found)
        elif adding:
            rows = _Addition(database, session, table, plan).carried_out(sql, values)
        else:
            rows = _replaced(database, session, table, (sql, values), found)
        for index in plan.indexes if plan.kind != "view" else ():
            _see_index(database, session, table, index)
        done = Made(plan.kind, rows, time.monotonic() - began, sql)
        made.keep(session, table, plan.made_for, done)
        return done


def _found(session: Session, table: Name) -> str:
    """`table` or `view`, or nothing."""
    sql = "SELECT table_type FROM information_schema.tables WHERE table_schema = $1 AND table_name = $2"
    found = session.rows(sql, (table.schema, table.table))
    return ("view" if "VIEW" in str(found[0][0]) else "table") if found else ""


def _check_ours(session: Session, table: Name, plan: Plan, found: str) -> None:
    if plan.adopt or made.is_ours(session, table):
        return
    raise SchemaRefused(
        f"There is a {found} {table} that no SQL model made, and this one would take its place.",
        hint="give the model another alias or schema, drop what is there, or let the model have it with adopt=True",
    )


def _view(session: Session, table: Name, sql: str, values: Sequence[Any], found: str) -> int:
    if found:
        session.run(f"DROP {found.upper()} {table.sql}")
    with _refusals(f"CREATE VIEW {table.sql} AS", sql) as statement:
        session.run(statement, values)
    return 0


def _replaced(database: Database, session: Session, table: Name, query: Query, found: str) -> int:
    """Put the rows of a query in the place of all that is there.

    Where the columns are the same, the table stays, with all that hangs on it.
    """
    new = _staged(database, session, table, query)
    rows = int(session.rows(f"SELECT count(*) FROM {new.sql}")[0][0])
    before, after = session.columns(table) if found == "table" else [], session.columns(new)
    if before and {each.name: each.sql for each in before} == {each.name: each.sql for each in after}:
        names = listed([column.name for column in after])
        session.run(database.empty(table))
        session.run(f"INSERT INTO {table.sql} ({names}) SELECT {names} FROM {new.sql}")
        session.run(f"DROP TABLE {new.sql}")
        return rows
    if found:
        session.run(f"DROP {found.upper()} {table.sql}")
    session.run(f"ALTER TABLE {new.sql} RENAME TO {quoted(table.table)}")
    return rows


def _staged(database: Database, session: Session, table: Name, query: Query) -> Name:
    """A table beside this one, with the rows of a query."""
    new = table.beside("__model", database.longest_name)
    session.run(f"DROP TABLE IF EXISTS {new.sql}")
    with _refusals(f"CREATE TABLE {new.sql} AS", query[0]) as statement:
        session.run(statement, query[1])
    return new


class _Addition:
    """Rows of a query that are added to a table."""

    def __init__(self, database: Database, session: Session, table: Name, plan: Plan) -> None:
        self._database = database
        self._session = session
        self._table = table
        self._plan = plan

    def carried_out(self, sql: str, values: Sequence[Any]) -> int:
        """Add the rows; how many there were."""
        session, table, plan = self._session, self._table, self._plan
        new = _staged(self._database, session, table, (sql, values))
        rows = int(session.rows(f"SELECT count(*) FROM {new.sql}")[0][0])
        names = self._fitted(session.columns(new))
        if plan.strategy != "append":
            self._check_keys(new, names)
        if plan.strategy == "delete+insert":
            session.run(f"DELETE FROM {table.sql} AS t USING {new.sql} AS s WHERE {same('t', 's', plan.keys)}")
        if plan.strategy == "merge":
            self._database.key_index(session, table, plan.keys)
            session.run(self._database.upsert(table, new.sql, names, plan.keys))
        else:
            session.run(f"INSERT INTO {table.sql} ({listed(names)}) SELECT {listed(names)} FROM {new.sql}")
        session.run(f"DROP TABLE {new.sql}")
        return rows

    def _fitted(self, columns: Sequence[Column]) -> list[str]:
        """Make the table fit the rows; the columns that they are written to."""
        there = {column.name: column for column in self._session.columns(self._table)}
        missing = [column for column in columns if column.name not in there]
        names = ", ".join(column.name for column in missing)
        if missing and self._plan.on_change == "fail":
            raise SchemaRefused(
                f"The query has columns that {self._table} does not have: {names}.",
                hint='let them be added with on_schema_change="evolve", or make the table anew with full_refresh=True',
            )
        for column in missing if self._plan.on_change == "evolve" else ():
            self._session.run(f"ALTER TABLE {self._table.sql} ADD COLUMN {quoted(column.name)} {column.sql}")
        for column in columns:
            if column.name in there:
                self._see_type(there[column.name], column)
        return [c.name for c in columns if c.name in there or self._plan.on_change == "evolve"]

    def _see_type(self, old: Column, new: Column) -> None:
        """See that the column holds the values as they are; a database would round or cut them without a word."""
        if old.sql == new.sql or (is_text(old.kind) and is_text(new.kind) and old.form == new.form == "plain"):
            return
        kind = wider(old.kind, new.kind) if old.form == new.form == "plain" else None
        if kind is not None and kind == old.kind:
            return
        widens = kind is not None and kind == new.kind and self._plan.on_change == "evolve"
        if widens and old.name not in self._database.fixed_columns(self._session, self._table):
            self._database.change_type(self._session, self._table, old.name, new.sql)
            return
        raise SchemaRefused(
            f"The column {old.name} of {self._table} is {old.sql}, and the query gives {new.sql}.",
            hint=f"write CAST(... AS {old.sql}) AS {old.name}, or make the table anew with full_refresh=True",
        )

    def _check_keys(self, new: Name, names: Sequence[str]) -> None:
        keys, table = self._plan.keys, self._table
        missing = [key for key in keys if key not in names]
        if missing:
            raise SchemaRefused(
                f"The query has no column {', '.join(missing)}, which is in the unique_key of {table}.",
                hint=f"it has: {', '.join(names)}",
            )
        empty = " OR ".join(f"{quoted(key)} IS NULL" for key in keys)
        if self._session.rows(f"SELECT 1 FROM {new.sql} WHERE {empty} LIMIT 1"):
            raise SchemaRefused(
                f"The query gives rows for {table} in which the unique_key ({', '.join(keys)}) is empty.",
                hint="leave them out in the query (WHERE ... IS NOT NULL), or take another key",
            )
        again = f"SELECT {listed(keys)} FROM {new.sql} GROUP BY {listed(keys)} HAVING count(*) > 1 LIMIT 1"
        if found := self._session.rows(again):
            told = ", ".join(f"{key} {value!r}" for key, value in zip(keys, found[0], strict=True))
            raise SchemaRefused(
                f"The query gives several rows for {table} with the same unique_key, such as {told}.",
                hint="group by the key in the query, or name all the columns that tell its rows apart",
            )


def _see_index(database: Database, session: Session, table: Name, index: Index) -> None:
    suffix = "_".join(("", *index.columns, "unique" if index.unique else "index"))
    name = Name(table.schema, table.table + suffix).beside("", database.longest_name).table
    kind = "UNIQUE INDEX" if index.unique else "INDEX"
    session.run(f"CREATE {kind} IF NOT EXISTS {quoted(name)} ON {table.sql} ({listed(index.columns)})")


@contextmanager
def _refusals(head: str, sql: str) -> Iterator[str]:
    """The statement around a query; where the database refuses it, the line of the query is told.

    Args:
        head: what stands before the query, on a line of its own.
        sql: the query.

    Raises:
        QueryRefused: it was refused.
    """
    statement = f"{head}\n{sql}\n"
    try:
        yield statement
    except SinkUnavailable:
        raise
    except (DataError, RowsRefused) as error:
        text = error.message if isinstance(error, DataError) else str(error)
        refused = QueryRefused(text.split("\n\nLINE", 1)[0].strip(), hint=getattr(error, "hint", None))
        line = _line(error, text, statement)
        refused.line = line - 1 if line is not None and line > 1 else None
        raise refused from error


def _line(error: Exception, text: str, statement: str) -> int | None:
    """The line of a statement that a database complains of: PostgreSQL tells the character, DuckDB the line."""
    position = getattr(getattr(error.__cause__, "diag", None), "statement_position", None)
    if position is not None:
        return statement[: int(position) - 1].count("\n") + 1
    found = _LINE.search(text)
    return int(found[1]) if found else None
