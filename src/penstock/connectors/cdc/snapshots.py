"""Rows of tables as they were at a place in the log, for as long as it takes to copy them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from penstock.connectors.cdc.position import parsed
from penstock.connectors.cdc.relations import Table
from penstock.connectors.cdc.stream import Link
from penstock.connectors.postgres.copying import Chunk, chunks
from penstock.connectors.postgres.link import Address
from penstock.core.extras import require
from penstock.core.sqltext import literal, quoted

if TYPE_CHECKING:
    import psycopg
else:
    psycopg = require("psycopg", "postgres")

_WAIT_FOR_LOCKS = "30s"
_REWRITTEN = """
SELECT bool_or(c.relfilenode IS DISTINCT FROM coalesce(pg_relation_filenode(c.oid), 0))
FROM pg_partition_tree({0}::regclass) t JOIN pg_class c ON c.oid = t.relid WHERE c.relkind = 'r'
UNION ALL SELECT c.relfilenode IS DISTINCT FROM pg_relation_filenode(c.oid)
FROM pg_class c WHERE c.oid = {0}::regclass AND c.relkind = 'r'
"""


class Snapshot:
    """The database as it was at a place in the log: with all transactions that were committed before, and no other.

    A replication slot of its own says which place that is, and is gone again as soon as the snapshot is taken.

    Args:
        address: of the database.
        slot: the name of the permanent slot, which names the passing one.

    Attributes:
        lsn: the place in the log.
        moment: when, in microseconds since 1970.
        began: on the clock that never goes back.
    """

    def __init__(self, address: Address, slot: str) -> None:
        self._address = address
        self._name = f"{slot[:40]}_copy_{secrets.token_hex(4)}"
        self._connection: psycopg.Connection[Any] | None = None
        self.lsn = 0
        self.system = ""
        self.began = time.monotonic()
        self.moment = int(time.time() * 1_000_000)

    def open(self) -> Iterator[None]:
        """Take it; comes back from time to time while transactions run that began before.

        Raises:
            psycopg.Error: as the server says.
        """
        link = Link(self._address)
        try:
            self.system = link.identify()
            command = f'CREATE_REPLICATION_SLOT "{self._name}" TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT'
            yield from link.ask(command.encode())
            self.lsn = parsed(link.value(1))
            exported = link.value(2)
            self._connection = self._address.connect()
            self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._connection.execute(f"SET TRANSACTION SNAPSHOT {literal(exported)}")
            self._connection.execute("SELECT 1")
        except BaseException:
            self.close()
            raise
        finally:
            link.close()

    def hold(self, table: Table) -> bool:
        """Keep a table from being rewritten while it is copied; false where that has happened already.

        A rewritten or truncated table is empty for those who look at it as it was before.
        """
        assert self._connection is not None
        self._connection.execute(f"SET LOCAL lock_timeout = '{_WAIT_FOR_LOCKS}'")
        self._connection.execute(f"LOCK TABLE {table.sql} IN ACCESS SHARE MODE")
        name = literal(quoted(table.schema, table.name))
        return not any(row[0] for row in self._connection.execute(_REWRITTEN.format(name)).fetchall())

    def rows(self, table: Table, after: tuple[str, ...] | None, *, rows: int, size: int) -> Iterator[Chunk]:
        """A table's rows after a key, in the order of its key.

        Raises:
            psycopg.Error: as the server says.
        """
        assert self._connection is not None
        columns = {column.name: column for column in table.columns}
        selected = ", ".join(column.selected for column in table.columns)
        keys = [columns[name] for name in table.key]
        shown = "".join(f", {column.kind.shown.format(quoted(column.name))}" for column in keys)
        conditions = [f"({table.filter})"] if table.filter else []
        if after is not None:
            names = ", ".join(quoted("t", column.name) for column in keys)
            values = ", ".join(f"{literal(value)}::{column.sql}" for value, column in zip(after, keys, strict=True))
            conditions.append(f"({names}) > ({values})")
        query = f"SELECT {selected}{shown} FROM {table.sql} AS t"
        query += f" WHERE {' AND '.join(conditions)}" if conditions else ""
        query += f" ORDER BY {', '.join(quoted('t', name) for name in table.key)}" if table.key else ""
        yield from chunks(self._connection, query, len(table.columns) + len(keys), rows=rows, size=size)

    @property
    def seconds(self) -> float:
        """How old it is."""
        return time.monotonic() - self.began

    def close(self) -> None:
        """Let go of it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
