"""A table, and the rows that are brought to it in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from penstock.core.errors import SchemaRefused
from penstock.core.ports.data import Part, Rejected
from penstock.core.rows import rejections
from penstock.stores.warehouse.columns import Column, last_of, plain, shaped
from penstock.stores.warehouse.database import Database, Session
from penstock.stores.warehouse.evolution import Fitted, fit_table, spelled
from penstock.stores.warehouse.names import Name, folded, listed
from penstock.stores.warehouse.ways import Way

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class Done:
    """What became of rows."""

    landed: int = 0
    superseded: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    added: dict[str, str] = field(default_factory=dict)
    tables: dict[Name, int] = field(default_factory=dict)

    def add(self, other: Done, table: Name) -> None:
        """Count another part in."""
        self.tables[table] = self.tables.get(table, 0) + other.landed
        self.landed += other.landed
        self.superseded += other.superseded
        self.rejected += other.rejected
        self.added |= other.added


class Target:
    """A table in a transaction.

    Args:
        database: which one.
        session: in the transaction.
        table: its name.
        way: how it takes rows.
        where: names the batch, for what is rejected.
        called: the name of the table in the parts.
        like: the table whose place it will take, or itself.
    """

    history = False

    def __init__(
        self, database: Database, session: Session, table: Name, way: Way, where: str, called: str, like: Name
    ) -> None:
        self.database = database
        self.session = session
        self.table = table
        self.way = way
        self.where = where
        self.called = called
        self.like = like

    def carry_out(self, part: Part) -> Done:
        """Add, change or delete rows.

        Raises:
            SchemaRefused: the rows and the table do not go together.
            RowsRefused: the database does not take one of the rows.
        """
        if part.how == "truncate":
            if self.session.columns(self.table):
                self.truncate()
            return Done()
        merging = part.how != "append" or self.way.mode in ("merge", "history") or self._replaces_by_key
        if merging:
            self._check_keys(part)
        if not part.rows.num_rows:
            return Done(added=self._fitted(part.rows).added if part.how == "append" else {})
        if part.how == "delete":
            return self.delete(part.rows)
        return self.upsert(part.rows) if merging else self.append(part.rows)

    def append(self, rows: pa.Table) -> Done:
        """Add rows."""
        good, columns, done = self._good(rows, self._fitted(rows), keyed=False)
        if good.num_rows:
            self.session.insert(self.table, good, columns)
        done.landed = good.num_rows
        return done

    def upsert(self, rows: pa.Table) -> Done:
        """Add rows, or change those with the same keys; the last one of a key counts."""
        good, columns, done = self._good(rows, self._fitted(rows), keyed=True)
        self.database.key_index(self.session, self.table, self.way.keys)
        last = last_of(good, self.way.keys)
        if last.num_rows:
            names = [column.name for column in columns]
            with self.session.staged(last, columns) as staged:
                self.session.run(self.database.upsert(self.table, staged, names, self.way.keys))
        done.landed, done.superseded = last.num_rows, good.num_rows - last.num_rows
        return done

    def delete(self, rows: pa.Table) -> Done:
        """Take away the rows with these keys."""
        good, columns, done = self._good(rows, self._known(rows.select(list(self.way.keys))), keyed=True)
        if good.num_rows and columns:
            with self.session.staged(last_of(good, self.way.keys), columns) as staged:
                self.session.run(self.database.delete_matching(self.table, staged, self.way.keys))
        done.landed = good.num_rows
        return done

    def truncate(self) -> None:
        """Take away all rows."""
        self.session.run(self.database.empty(self.table))

    @property
    def _replaces_by_key(self) -> bool:
        return self.way.mode == "replace" and bool(self.way.keys)

    def _check_keys(self, part: Part) -> None:
        if not self.way.keys:
            raise SchemaRefused(
                f"Rows of {self.table} are to be changed or deleted, and it has no keys.",
                hint='say which columns tell its rows apart: keys=["id"]',
            )
        missing = [key for key in self.way.keys if key not in part.rows.schema.names]
        if missing and (part.rows.num_rows or part.how == "append"):
            raise SchemaRefused(
                f"The rows for {self.table} have no column {', '.join(map(repr, missing))}, which is one of its keys.",
                hint=f"they have: {', '.join(part.rows.schema.names)}",
            )

    def _fitted(self, rows: pa.Table) -> Fitted:
        return fit_table(
            self.database,
            self.session,
            self.table,
            rows,
            schema=self.way.schema,
            history=self.history,
            like=self.like,
        )

    def _known(self, rows: pa.Table) -> Fitted:
        """The rows beside the table as it is."""
        columns = self.session.columns(self.table)
        return Fitted(spelled(self.database, plain(rows), columns), columns, {})

    def _good(self, rows: pa.Table, fitted: Fitted, *, keyed: bool) -> tuple[pa.Table, list[Column], Done]:
        """The rows that fit, their columns, and what there is to tell of the others.

        Args:
            rows: as they came.
            fitted: beside the table.
            keyed: the keys must not be empty.
        """
        if not fitted.columns:  # there is no table, so there is nothing to be done to its rows
            return fitted.rows, [], Done()
        if not self.database.exact_names:
            known = {folded(column.name): column.name for column in fitted.columns}
            self.way = replace(self.way, keys=tuple(known.get(folded(key), key) for key in self.way.keys))
        keys = self.way.keys if keyed else ()
        fit = shaped(fitted.rows, fitted.columns, keys, not self.database.takes_nul)
        bad = rejections(rows, fit.misfits, self.where, self.called)
        return fit.rows, fit.columns, Done(rejected=bad, added=dict(fitted.added))


def swap(database: Database, session: Session, staging: Name, table: Name, given: set[str]) -> dict[str, str]:
    """Put the rows of one table in the place of those of another, which keeps all that hangs on it.

    Args:
        database: which one.
        session: in a transaction.
        staging: the one, which is gone afterwards.
        table: the other.
        given: columns that the rows had; the others get the table's defaults.

    Returns:
        Columns that were added or widened.
    """
    filled, columns = session.columns(staging), session.columns(table)
    if not columns:
        if not database.deferred:
            session.run(f"ALTER TABLE {staging.sql} RENAME TO {listed((table.table,))}")
            return {}
        session.run(f"CREATE TABLE IF NOT EXISTS {table.sql} ({', '.join(column.declared for column in filled)})")
        columns = session.columns(table)
    known = {column.name: column.sql for column in columns}
    added = {column.name: column.sql for column in filled if column.name not in known}
    wider = {column.name: column.sql for column in filled if known.get(column.name, column.sql) != column.sql}
    for name, sql in added.items():
        session.run(f"ALTER TABLE {table.sql} ADD COLUMN IF NOT EXISTS {listed((name,))} {sql}")
    session.run(database.empty(table))
    for name, sql in wider.items():
        database.change_type(session, table, name, sql)
    own = [column.name for column in filled if (column.name if database.exact_names else folded(column.name)) in given]
    names = listed(own or [column.name for column in filled])
    session.run(f"INSERT INTO {table.sql} ({names}) SELECT {names} FROM {staging.sql}")
    session.tidy(f"DROP TABLE {staging.sql}")
    return added | wider
