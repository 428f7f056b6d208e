"""How far pipes have come into a server that cannot keep that itself: a small SQLite file beside the journal."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from penstock.core.errors import PipeTakenOver, SinkUnavailable
from penstock.core.ports import home_folder
from penstock.core.ports.data import Counts, Position, Rejected

_TABLES = """
CREATE TABLE IF NOT EXISTS pipes (
    place TEXT NOT NULL, pipe TEXT NOT NULL, epoch INTEGER NOT NULL, position TEXT,
    read INTEGER NOT NULL, landed INTEGER NOT NULL, superseded INTEGER NOT NULL, rejected INTEGER NOT NULL,
    PRIMARY KEY (place, pipe)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS quarantine (
    id INTEGER PRIMARY KEY, place TEXT NOT NULL, pipe TEXT NOT NULL, name TEXT NOT NULL,
    reason TEXT NOT NULL, origin TEXT NOT NULL, raw TEXT NOT NULL,
    at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX IF NOT EXISTS quarantine_of ON quarantine (place, name);
"""


class Entry(NamedTuple):
    """What is known of a pipe that was just opened."""

    epoch: int
    position: Position | None
    counts: Counts


class Ledger:
    """Positions, counts and rejected records of pipes. Usable by several processes at once.

    Args:
        file: made where it is not there, with its folder.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def open(self, place: str, pipe: str) -> Entry:
        """Take a pipe: whoever had it before can commit nothing more."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO pipes VALUES (?, ?, 1, NULL, 0, 0, 0, 0) ON CONFLICT DO UPDATE SET epoch = epoch + 1",
                (place, pipe),
            )
            row = db.execute(
                "SELECT epoch, position, read, landed, superseded, rejected FROM pipes WHERE place = ? AND pipe = ?",
                (place, pipe),
            ).fetchone()
        return Entry(row[0], None if row[1] is None else json.loads(row[1]), Counts(*row[2:]))

    def check(self, place: str, pipe: str, epoch: int) -> None:
        """Raise PipeTakenOver where somebody else has the pipe."""
        with self._connected() as db:
            self._refuse_others(db, place, pipe, epoch)

    def commit(
        self,
        place: str,
        pipe: str,
        epoch: int,
        position: Position,
        counts: Counts,
        rejected: Sequence[Rejected],
    ) -> None:
        """Keep how far a pipe has come, and what was rejected on the way."""
        told = json.dumps(position)
        with self._writing() as db:
            self._refuse_others(db, place, pipe, epoch)
            db.execute(
                "UPDATE pipes SET position = ?, read = ?, landed = ?, superseded = ?, rejected = ? "
                "WHERE place = ? AND pipe = ?",
                (told, counts.read, counts.landed, counts.superseded, counts.rejected, place, pipe),
            )
            db.executemany(
                "INSERT INTO quarantine (place, pipe, name, reason, origin, raw) VALUES (?, ?, ?, ?, ?, ?)",
                [(place, pipe, one.table, one.reason, one.where, one.raw) for one in rejected],
            )

    def forget(self, place: str, pipe: str) -> None:
        """Begin anew; whoever has the pipe open has lost it."""
        with self._writing() as db:
            db.execute(
                "UPDATE pipes SET epoch = epoch + 1, position = NULL, read = 0, landed = 0, superseded = 0, "
                "rejected = 0 WHERE place = ? AND pipe = ?",
                (place, pipe),
            )

    def rejected(self, place: str, table: str = "") -> list[Rejected]:
        """The quarantine, oldest first."""
        with self._connected() as db:
            rows = db.execute(
                "SELECT reason, origin, raw, name FROM quarantine WHERE place = ? AND name = ? ORDER BY id",
                (place, table),
            ).fetchall()
        return [Rejected(*row) for row in rows]

    @staticmethod
    def _refuse_others(db: sqlite3.Connection, place: str, pipe: str, epoch: int) -> None:
        row = db.execute("SELECT epoch FROM pipes WHERE place = ? AND pipe = ?", (place, pipe)).fetchone()
        if row is None or row[0] != epoch:
            raise PipeTakenOver(f"{pipe}: another process goes on with it, or it was forgotten.")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._connected() as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection of the call's own: a ledger may be used by any thread, and outlives a fork."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self._file, timeout=30.0, isolation_level=None)
            try:
                db.executescript(_TABLES)
                yield db
            finally:
                db.close()
        except (sqlite3.Error, OSError) as error:
            raise SinkUnavailable(
                f"How far pipes have come cannot be kept in {self._file}: {error}.",
                hint="make room and make it writable, or name another file with positions=",
            ) from None


def default_file() -> Path:
    """`pipes.db` in Penstock's home folder."""
    return home_folder() / "pipes.db"
