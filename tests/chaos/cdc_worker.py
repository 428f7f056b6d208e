"""Follows changes into a replica in SQLite, and is killed by its own hand: cdc_worker.py URL FILE STEP TABLE..."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys

from tests.integration.random_changes import plain

from penstock.connectors.cdc import PostgresChanges
from penstock.core.ports.data import Batch

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (name TEXT, key TEXT, data TEXT, PRIMARY KEY (name, key));
CREATE TABLE IF NOT EXISTS place (id INTEGER PRIMARY KEY CHECK (id = 1), position TEXT, lsn TEXT);
"""


class Steps:
    """Counts what is done, and kills the process at one of them."""

    def __init__(self, last: int) -> None:
        self._left = last

    def step(self) -> None:
        """Something was done."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def land(file: sqlite3.Connection, batch: Batch, steps: Steps) -> None:
    """Carry a batch out, in one transaction with its position."""
    file.execute("BEGIN IMMEDIATE")
    for part in batch.parts:
        if part.how == "truncate":
            file.execute("DELETE FROM rows WHERE name = ?", [part.table])
            continue
        for row in part.rows.to_pylist():
            key = json.dumps([str(row[name]) for name in part.key])
            if part.how == "delete":
                file.execute("DELETE FROM rows WHERE name = ? AND key = ?", [part.table, key])
                continue
            found = file.execute("SELECT data FROM rows WHERE name = ? AND key = ?", [part.table, key]).fetchone()
            data = {**(json.loads(found[0]) if found else {}), **plain(row, list(row))}
            file.execute("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", [part.table, key, json.dumps(data)])
        steps.step()
    file.execute("INSERT OR REPLACE INTO place VALUES (1, ?, ?)", [json.dumps(batch.position), batch.position["lsn"]])
    steps.step()
    file.execute("COMMIT")


def main(url: str, path: str, last: str, *tables: str) -> None:
    file = sqlite3.connect(path, isolation_level=None)
    file.executescript(_SCHEMA)
    steps = Steps(int(last))
    found = file.execute("SELECT position FROM place").fetchone()
    with PostgresChanges(url, tables, batch_rows=10, whole_rows=40) as source:
        for batch in source.batches(json.loads(found[0]) if found else None):
            steps.step()
            land(file, batch, steps)
            steps.step()
            source.landed(batch.position)
            steps.step()


if __name__ == "__main__":
    main(*sys.argv[1:])
