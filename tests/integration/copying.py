"""A PostgreSQL journal with very many runs, made from one in a file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg

from penstock.journal.postgres import PostgresJournal

_TABLES = ("runs", "terms", "events", "task_runs", "logs")


def copy_to_postgres(path: Path, url: str) -> None:
    """Copy the runs of a SQLite journal into a new, empty PostgreSQL journal; much faster than making them there."""
    PostgresJournal(url).close()
    source = sqlite3.connect(path)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path = penstock")
        for table in _TABLES:
            columns = [row[1] for row in source.execute(f"PRAGMA table_info({table})")]
            names = ", ".join(f'"{name}"' for name in columns)
            flags = [place for place, name in enumerate(columns) if name in ("cancel_requested", "pause_requested")]
            text = [place for place, name in enumerate(columns) if name == "body"]
            with connection.cursor().copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in source.execute(f"SELECT {names} FROM {table}"):
                    values = list(row)
                    for place in flags:
                        values[place] = bool(values[place])
                    for place in text:
                        values[place] = values[place].decode()
                    copy.write_row(values)
            connection.execute(f"ANALYZE {table}")
    source.close()
