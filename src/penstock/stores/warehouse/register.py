"""The table `penstock_pipes`: how far each pipe has come, in the schema that its rows land in."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, TypeAlias

from penstock.core.errors import PipeTakenOver
from penstock.core.ports.data import Counts, Position
from penstock.stores.warehouse.database import Database, Session
from penstock.stores.warehouse.evolution import make_schema
from penstock.stores.warehouse.names import Name

Filling: TypeAlias = dict[str, list[str]]

TABLE = "penstock_pipes"
_MADE = """
CREATE TABLE {table} (
  target text NOT NULL, pipe text NOT NULL, epoch bigint NOT NULL, owner text NOT NULL, position json,
  "read" bigint NOT NULL, landed bigint NOT NULL, superseded bigint NOT NULL, rejected bigint NOT NULL,
  filling json, updated_at timestamp with time zone NOT NULL DEFAULT now(), PRIMARY KEY (target, pipe))
"""
_TAKEN = """
INSERT INTO {table} AS p (target, pipe, epoch, owner, "read", landed, superseded, rejected)
VALUES ($1, $2, 1, $3, 0, 0, 0, 0)
ON CONFLICT (target, pipe) DO UPDATE SET epoch = p.epoch + 1, owner = excluded.owner, updated_at = now()
RETURNING CAST(position AS text), "read", landed, superseded, rejected, CAST(filling AS text)
"""
_RECORDED = """
UPDATE {table} SET position = CAST($4 AS json), "read" = $5, landed = $6, superseded = $7, rejected = $8,
filling = CAST($9 AS json), updated_at = now() WHERE target = $1 AND pipe = $2 AND owner = $3
"""


@dataclass(frozen=True, slots=True)
class Pipe:
    """What is known of a pipe.

    Attributes:
        table: where it is kept.
        target: the sink's name in the schema.
        name: the pipe's name in the sink.
        owner: whoever opened it last.
        position: the last one committed.
        counts: of all commits.
        filling: tables that are being filled to take the place of others, and the columns that their rows had; None
            where nothing is being replaced.
    """

    table: Name
    target: str
    name: str
    owner: str
    position: Position | None
    counts: Counts
    filling: Filling | None

    @property
    def digest(self) -> str:
        """Tells the tables that this pipe fills from those of others."""
        return hashlib.sha256(f"{self.target}\0{self.name}".encode("utf-8", "backslashreplace")).hexdigest()[:10]


def take(database: Database, session: Session, schema: str, target: str, pipe: str, owner: str) -> Pipe:
    """Take a pipe over, or begin it."""
    table = Name(schema, TABLE)
    if not session.columns(table):
        database.lock_tables(session, table)
        if not session.columns(table):
            make_schema(session, schema)
            session.run(_MADE.format(table=table.sql))
    position, *counts, filling = session.rows(_TAKEN.format(table=table.sql), (target, pipe, owner))[0]
    return Pipe(table, target, pipe, owner, _read(position), Counts(*counts), _read(filling))


def hold(database: Database, session: Session, pipe: Pipe) -> None:
    """See that the pipe is still ours, and stays so until the transaction is over.

    Raises:
        PipeTakenOver: it is not.
    """
    mine = "WHERE target = $1 AND pipe = $2 AND owner = $3"
    values = (pipe.target, pipe.name, pipe.owner)
    known = session.columns(pipe.table)
    if not known or not session.rows(f"SELECT 1 FROM {pipe.table.sql} {mine}{database.lock_row}", values):
        raise PipeTakenOver(
            f"The pipe {pipe.name!r} was opened by another process, or forgotten; this one has written nothing more."
        )


def record(session: Session, pipe: Pipe, position: str) -> None:
    """Write down how far a pipe has come.

    Raises:
        PipeTakenOver: it is not ours any more.
    """
    counts = pipe.counts
    numbers = (counts.read, counts.landed, counts.superseded, counts.rejected)
    filling = None if pipe.filling is None else json.dumps(pipe.filling)
    values = (pipe.target, pipe.name, pipe.owner, position, *numbers, filling)
    if session.run(_RECORDED.format(table=pipe.table.sql), values) != 1:
        raise PipeTakenOver()


def forget(session: Session, schema: str, target: str, pipe: str) -> Pipe | None:
    """Forget a pipe; what was known of it."""
    table = Name(schema, TABLE)
    if not session.columns(table):
        return None
    mine = f"{table.sql} WHERE target = $1 AND pipe = $2"
    found = session.rows(f"SELECT owner, CAST(filling AS text) FROM {mine}", (target, pipe))
    session.run(f"DELETE FROM {mine}", (target, pipe))
    return Pipe(table, target, pipe, found[0][0], None, Counts(), _read(found[0][1])) if found else None


def _read(text: str | None) -> Any:
    return None if text is None else json.loads(text)
