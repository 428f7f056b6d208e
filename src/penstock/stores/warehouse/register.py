"""The table `penstock_pipes`: how far each pipe has come, in the schema that its rows land in."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.core.errors import PipeTakenOver
from penstock.core.ports.data import Counts, Position
from penstock.stores.warehouse.database import Conflict, Database, Session
from penstock.stores.warehouse.names import Name

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

Filling: TypeAlias = dict[str, list[str]]

TABLE = "penstock_pipes"
MARK = "\0"
"""What the key in a filling begins with that says who began to fill a table."""
_MADE = """
CREATE TABLE IF NOT EXISTS {table} (
  target {text} NOT NULL, pipe {text} NOT NULL, epoch {whole} NOT NULL, owner {text} NOT NULL, position {json},
  "read" {whole} NOT NULL, landed {whole} NOT NULL, superseded {whole} NOT NULL, rejected {whole} NOT NULL,
  filling {json}, updated_at {moment} NOT NULL{now}{keys})
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
_TAKEN_LATER = """
MERGE INTO {table} AS p USING (SELECT $1 AS target, $2 AS pipe, $3 AS owner) AS n
ON p.target = n.target AND p.pipe = n.pipe
WHEN MATCHED THEN UPDATE SET epoch = p.epoch + 1, owner = n.owner, updated_at = CURRENT_TIMESTAMP()
WHEN NOT MATCHED THEN INSERT (target, pipe, epoch, owner, "read", landed, superseded, rejected, updated_at)
VALUES (n.target, n.pipe, 1, n.owner, 0, 0, 0, 0, CURRENT_TIMESTAMP())
"""
_RECORDED_LATER = """
UPDATE {table} SET position = $4, "read" = $5, landed = $6, superseded = $7, rejected = $8,
filling = $9, updated_at = CURRENT_TIMESTAMP() WHERE target = $1 AND pipe = $2 AND owner = $3
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

    def staging(self, table: str, filling: Filling, longest: int) -> Name:
        """The table that is filled to take the place of another one, told from those of other pipes."""
        digest = hashlib.sha256(f"{self.target}\0{self.name}".encode("utf-8", "backslashreplace")).hexdigest()[:10]
        mark = "".join(filling.get(MARK + table, ()))
        return Name(self.table.schema, table).beside(f"__filling_{digest}{mark}", longest)


def take(database: Database, session: Session, schema: str, target: str, pipe: str, owner: str) -> Pipe:
    """Take a pipe over, or begin it."""
    table = Name(schema, TABLE)
    if not session.columns(table):
        database.lock_tables(session, table)
        if not session.columns(table):
            database.make_schema(session, schema)
            session.run(_made(database, table))
    given = (target, pipe, owner)
    found = _taken_later(session, table, given) if database.deferred else _taken(session, table, given)
    position, *counts, filling = found
    return Pipe(table, target, pipe, owner, _read(position), Counts(*counts), _read(filling))


def _made(database: Database, table: Name) -> str:
    """Where transactions are deferred, what is JSON is kept as text: it comes back as it was written."""
    later = database.deferred
    types = {
        "text": database.sql_type(pa.string()),
        "whole": database.sql_type(pa.int64()),
        "moment": database.sql_type(pa.timestamp("us", "UTC")),
        "json": database.sql_type(pa.string()) if later else "json",
        "now": "" if later else " DEFAULT now()",
        "keys": "" if later else ", " + database.primary_key(("target", "pipe")),
    }
    return _MADE.format(table=table.sql, **types)


def _taken(session: Session, table: Name, given: tuple[str, str, str]) -> tuple[Any, ...]:
    return session.rows(_TAKEN.format(table=table.sql), given)[0]


def _taken_later(session: Session, table: Name, given: tuple[str, str, str]) -> tuple[Any, ...]:
    """The same where nothing but the statement itself keeps a pipe from being there twice.

    Raises:
        Conflict: two processes began the same pipe at the same moment, and neither has it.
        PipeTakenOver: somebody else has taken it since.
    """
    mine = "WHERE target = $1 AND pipe = $2"
    session.alone(_TAKEN_LATER.format(table=table.sql), given)
    names = 'owner, position, "read", landed, superseded, rejected, filling'
    found = session.rows(f"SELECT {names} FROM {table.sql} {mine}", given[:2])
    if len(found) > 1:
        session.alone(f"DELETE FROM {table.sql} {mine} AND owner = $3", given)
        raise Conflict(f"Two processes began the pipe {given[1]!r} at the same moment.")
    if not found or found[0][0] != given[2]:
        raise PipeTakenOver()
    return found[0][1:]


def hold(database: Database, session: Session, pipe: Pipe) -> None:
    """See that the pipe is still ours, and stays so until the transaction is over.

    Where transactions are deferred it may be lost meanwhile; then `record` keeps the transaction from being committed.

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


def record(database: Database, session: Session, pipe: Pipe, position: str) -> None:
    """Write down how far a pipe has come.

    Raises:
        PipeTakenOver: it is not ours any more.
    """
    counts = pipe.counts
    numbers = (counts.read, counts.landed, counts.superseded, counts.rejected)
    filling = None if pipe.filling is None else json.dumps(pipe.filling)
    values = (pipe.target, pipe.name, pipe.owner, position, *numbers, filling)
    statement = _RECORDED_LATER if database.deferred else _RECORDED
    session.claim(statement.format(table=pipe.table.sql), values)


def forget(session: Session, schema: str, target: str, pipe: str) -> Pipe | None:
    """Forget a pipe; what was known of it."""
    table = Name(schema, TABLE)
    if not session.columns(table):
        return None
    mine = f"{table.sql} WHERE target = $1 AND pipe = $2"
    found = session.rows(f"SELECT owner, CAST(filling AS {_text(session, table)}) FROM {mine}", (target, pipe))
    session.run(f"DELETE FROM {mine}", (target, pipe))
    return Pipe(table, target, pipe, found[0][0], None, Counts(), _read(found[0][1])) if found else None


def _text(session: Session, table: Name) -> str:
    """What the database calls a text."""
    return next(column.sql for column in session.columns(table) if column.name == "owner")


def tables_of(filling: Filling) -> list[str]:
    """The tables that are being filled."""
    return [table for table in filling if not table.startswith(MARK)]


def _read(text: str | None) -> Any:
    return None if text is None else json.loads(text)
