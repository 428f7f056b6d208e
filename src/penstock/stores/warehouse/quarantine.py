"""Tables for what cannot land: `<table>__rejected`, with the reason, the place and the record as it came."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from penstock.core.ports.data import Rejected
from penstock.stores.warehouse.database import Database, Session
from penstock.stores.warehouse.names import Name

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

SUFFIX = "__rejected"
_TEXTS = ("reason", "where", "raw", "pipe")


def table_of(database: Database, table: Name) -> Name:
    """Where the rejected records of a table are."""
    return table.beside(SUFFIX, database.longest_name)


def keep(
    database: Database, session: Session, name_of: Callable[[str], Name], rejected: Sequence[Rejected], pipe: str
) -> None:
    """Keep records that cannot land."""
    now = datetime.datetime.now(datetime.UTC)
    by_table: dict[Name, list[Rejected]] = {}
    for one in rejected:
        by_table.setdefault(table_of(database, name_of(one.table)), []).append(one)
    for table, some in by_table.items():
        if not session.columns(table):
            database.lock_tables(session, table)
            if not session.columns(table):
                database.make_schema(session, table.schema)
                session.run(_made(database, table))
        texts = [(one.reason, one.where, one.raw, pipe) for one in some]
        columns = [pa.array([_storable(text) for text in column], pa.string()) for column in zip(*texts, strict=True)]
        rows = pa.table(columns, names=list(_TEXTS))
        if database.deferred:  # a table has no defaults there
            rows = rows.append_column("at", pa.array([now] * len(some), pa.timestamp("us", "UTC")))
        known = {column.name: column for column in session.columns(table)}
        session.insert(table, rows, [known[name] for name in rows.schema.names])


def _storable(text: str) -> str:
    """Text that every database takes: what is no character is written as its number."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def _made(database: Database, table: Name) -> str:
    text, moment = database.sql_type(pa.string()), database.sql_type(pa.timestamp("us", "UTC"))
    now = "" if database.deferred else " DEFAULT now()"
    return (
        f'CREATE TABLE IF NOT EXISTS {table.sql} (reason {text} NOT NULL, "where" {text} NOT NULL, '
        f'raw {text} NOT NULL, pipe {text} NOT NULL, "at" {moment} NOT NULL{now})'
    )
