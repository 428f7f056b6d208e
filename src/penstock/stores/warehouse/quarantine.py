"""Tables for what cannot land: `<table>__rejected`, with the reason, the place and the record as it came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from penstock.core.ports.data import Rejected
from penstock.stores.warehouse.columns import Column
from penstock.stores.warehouse.database import Database, Session
from penstock.stores.warehouse.evolution import make_schema
from penstock.stores.warehouse.names import Name

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

SUFFIX = "__rejected"
_TEXTS = ("reason", "where", "raw", "pipe")
_MADE = (
    'CREATE TABLE {table} (reason text NOT NULL, "where" text NOT NULL, raw text NOT NULL, pipe text NOT NULL, '
    '"at" timestamp with time zone NOT NULL DEFAULT now())'
)


def table_of(database: Database, table: Name) -> Name:
    """Where the rejected records of a table are."""
    return table.beside(SUFFIX, database.longest_name)


def keep(
    database: Database, session: Session, name_of: Callable[[str], Name], rejected: Sequence[Rejected], pipe: str
) -> None:
    """Keep records that cannot land."""
    by_table: dict[Name, list[Rejected]] = {}
    for one in rejected:
        by_table.setdefault(table_of(database, name_of(one.table)), []).append(one)
    for table, some in by_table.items():
        if not session.columns(table):
            database.lock_tables(session, table)
            if not session.columns(table):
                make_schema(session, table.schema)
                session.run(_MADE.format(table=table.sql))
        texts = [(one.reason, one.where, one.raw, pipe) for one in some]
        columns = [pa.array([_storable(text) for text in column], pa.string()) for column in zip(*texts, strict=True)]
        session.insert(
            table, pa.table(columns, names=list(_TEXTS)), [Column(name, "text", pa.string()) for name in _TEXTS]
        )


def _storable(text: str) -> str:
    """Text that every database takes: what is no character is written as its number."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
