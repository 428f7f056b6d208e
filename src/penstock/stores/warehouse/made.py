"""The table `penstock_models`: what was made of queries, in the schema of the tables and views that were."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

from penstock.stores.warehouse.database import Database, Session
from penstock.stores.warehouse.evolution import make_schema
from penstock.stores.warehouse.names import Name

TABLE = "penstock_models"
_KEPT_DAYS = 30
_MADE = """
CREATE TABLE {table} (
  model text NOT NULL, made_for text, kind text NOT NULL, "rows" bigint NOT NULL, seconds double precision NOT NULL,
  query text NOT NULL, made_at timestamp with time zone NOT NULL DEFAULT now())
"""
_ADDED = 'INSERT INTO {table} (model, made_for, kind, "rows", seconds, query) VALUES ($1, $2, $3, $4, $5, $6)'
_FOUND = 'SELECT kind, "rows", seconds, query FROM {table} WHERE model = $1 AND made_for = $2'
_OLD = f"""
DELETE FROM {{table}} WHERE model = $1 AND made_at < now() - INTERVAL '{_KEPT_DAYS} days'
AND made_at < (SELECT max(made_at) FROM {{table}} WHERE model = $1)
"""


class Made(NamedTuple):
    """What a query was made into.

    Attributes:
        kind: `table`, `view` or `incremental`.
        rows: how many were written; 0 for a view.
        seconds: it took.
        query: as it was executed.
    """

    kind: str
    rows: int
    seconds: float
    query: str


Asked = Callable[..., AbstractContextManager[Session]]


def prepare(database: Database, asked: Asked, schema: str) -> None:
    """See that the schema and its table of models are there; others may do the same at this moment."""
    table = Name(schema, TABLE)
    with asked(writing=True) as session:
        if session.columns(table):
            return
        with session.transaction():
            database.lock_tables(session, table)
            if not session.columns(table):
                make_schema(session, schema)
                session.run(_MADE.format(table=table.sql))


def known(session: Session, model: Name, made_for: str | None) -> Made | None:
    """What was made for the same task run before; None where nothing was."""
    if made_for is None:
        return None
    found = session.rows(_FOUND.format(table=_table(model)), (model.table, made_for))
    return Made(*found[0]) if found else None


def is_ours(session: Session, model: Name) -> bool:
    """A query was made into this table or view before."""
    return bool(session.rows(f"SELECT 1 FROM {_table(model)} WHERE model = $1 LIMIT 1", (model.table,)))


def keep(session: Session, model: Name, made_for: str | None, made: Made) -> None:
    """Write down what was made, and forget what nobody comes back to; the last one stays."""
    session.run(_OLD.format(table=_table(model)), (model.table,))
    session.run(_ADDED.format(table=_table(model)), (model.table, made_for, *made))


def _table(model: Name) -> str:
    return Name(model.schema, TABLE).sql
