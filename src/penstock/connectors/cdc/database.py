"""The database that is followed: a connection to ask it things, and what it has answered."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.connectors.cdc.catalog import Catalog
from penstock.connectors.cdc.options import Options
from penstock.connectors.cdc.position import Where, shown
from penstock.connectors.cdc.relations import Relation, Table
from penstock.connectors.cdc.slots import Slot
from penstock.connectors.postgres.link import Address
from penstock.connectors.postgres.types import Types
from penstock.core.extras import require
from penstock.core.sqltext import quoted

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

    psycopg = require("psycopg", "postgres")

_log = logging.getLogger("penstock.cdc")


class Database:
    """Where changes come from.

    Args:
        address: of the database.
        options: of the source.
    """

    def __init__(self, address: Address, options: Options) -> None:
        self.address, self.options = address, options
        self.types = Types(self.session, options.types)
        self.slot = Slot(address, options.slot)
        self._session: psycopg.Connection[Any] | None = None

    def session(self) -> psycopg.Connection[Any]:
        """A connection to ask things; the same one as long as it lives."""
        if self._session is None or self._session.closed or self._session.broken:
            self._session = self.address.connect()
        return self._session

    def check(self) -> None:
        """See that the server can tell of changes."""
        Catalog(self.session(), self.types, self.options.wanted).check_server(str(self.address))

    def tables(self) -> dict[str, Table]:
        """The tables that are followed, as they are now."""
        return Catalog(self.session(), self.types, self.options.wanted).tables()

    def flush(self) -> None:
        """Have the server write all of its log to its disk, which is what it streams, and what a new slot waits for.

        It does so by itself, but only every 200 ms. A message in a transaction of its own is written at once.
        """
        session = self.session()
        with session.transaction():
            session.execute("SET LOCAL synchronous_commit = local")
            session.execute("SELECT pg_logical_emit_message(true, 'penstock', '')")

    def now(self) -> int:
        """How far the log goes: everything that anybody has been told to be committed is before."""
        self.flush()
        session = self.session()
        row = session.execute("SELECT (pg_current_wal_flush_lsn() - '0/0')::int8").fetchone()
        assert row is not None
        return int(row[0])

    def size(self, where: Where | None, tables: Sequence[tuple[str, str]]) -> int:
        """Bytes to be read, more or less: of the tables that are to be copied, or of the log."""
        todo = [quoted(*name) for name in tables if where is None or ".".join(name) not in where.copied]
        lsn = shown(where.lsn) if where is not None and not todo else None
        sql = (
            "SELECT coalesce(sum(pg_table_size(to_regclass(name))), 0)::int8 "
            "+ coalesce(pg_current_wal_lsn() - %s::pg_lsn, 0)::int8 FROM unnest(%s::text[]) AS name"
        )
        row = self.session().execute(sql.encode(), (lsn, todo)).fetchone()
        return max(0, int(row[0])) if row else 0

    def fetch(self, relation: Relation, keys: Sequence[Any], numbers: Sequence[int]) -> Any:
        """Columns of rows as they are now, where the log has left them out and no former value is to be had.

        A row that is gone has changed once more, and the log will say how.
        """
        columns = [relation.columns[number] for number in numbers]
        schema, name = relation.title.split(".", 1)
        on = [relation.columns[number] for number in relation.key]
        given = ", ".join(f"k{place}" for place in range(len(on)))
        wanted = ", ".join(column.kind.shown.format("t." + quoted(column.name)) for column in columns)
        matches = " AND ".join(
            f"{column.kind.shown.format('t.' + quoted(column.name))} = k{place}" for place, column in enumerate(on)
        )
        arrays = ", ".join(["%s::text[]"] * len(on))
        sql = f"SELECT {given}, {wanted} FROM unnest({arrays}) AS w({given}) JOIN {quoted(schema, name)} t ON {matches}"
        values = [key.to_pylist() for key in keys]
        try:
            rows = self.session().execute(sql.encode(), values).fetchall()
        except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable):
            rows = []
        found = {row[: len(on)]: row[len(on) :] for row in rows}
        each = [found.get(key, (None,) * len(columns)) for key in zip(*values, strict=True)]
        made = []
        for place, column in enumerate(columns):
            array, _ = column.kind.read(pa.array([row[place] for row in each], pa.string()))
            made.append(array)
        return pa.Table.from_arrays(made, names=[column.name for column in columns])

    def close(self) -> None:
        """Let go of the connection."""
        if self._session is not None:
            self._session.close()
            self._session = None
