"""Databases whose changes are followed, and a replica that carries them out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from penstock.connectors.cdc import PostgresChanges
from penstock.core.ports.data import Batch, Position


@contextmanager
def slots_dropped(url: str) -> Iterator[None]:
    """Whatever happens, no slot of this database is left: the server would keep its log for ever."""
    try:
        yield
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            mine = "FROM pg_replication_slots WHERE database = current_database()"
            deadline = time.monotonic() + 30
            while connection.execute(f"SELECT pg_terminate_backend(active_pid) {mine} AND active").fetchall():
                assert time.monotonic() < deadline, "somebody keeps on reading"
                time.sleep(0.02)
            connection.execute(f"SELECT pg_drop_replication_slot(slot_name) {mine}")


class Replica:
    """Tables in memory that batches are carried out on, and the position, as a sink would have them."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {}
        self.position: Position | None = None
        self.batches: list[Batch] = []
        self.rejected: list[Any] = []

    def land(self, batch: Batch) -> None:
        """Carry out a batch."""
        for part in batch.parts:
            table = self.tables.setdefault(part.table, {})
            if part.how == "truncate":
                table.clear()
                continue
            rows = part.rows.to_pylist()
            keys = [tuple(row[name] for name in part.key) for row in rows]
            assert len(set(keys)) == len(keys), "a key is there twice"
            for key, row in zip(keys, rows, strict=True):
                if part.how == "delete":
                    table.pop(key, None)
                else:
                    assert part.how == "upsert"
                    table[key] = {**table.get(key, {}), **row}
        self.rejected += batch.rejected
        self.position = batch.position
        self.batches.append(batch)

    def follow(self, source: PostgresChanges) -> list[Batch]:
        """Everything up to now, landed and confirmed; the batches that came."""
        before = len(self.batches)
        for batch in source.batches(self.position):
            self.land(batch)
            source.landed(batch.position)
        return self.batches[before:]

    def rows(self, table: str = "") -> list[dict[str, Any]]:
        """The rows of a table in the order of their keys."""
        found = self.tables.get(table, {})
        return [found[key] for key in sorted(found)]


def confirmed(url: str) -> int:
    """How far the server was told that everything has landed."""
    with psycopg.connect(url, autocommit=True) as connection:
        sql = "SELECT confirmed_flush_lsn - '0/0' FROM pg_replication_slots WHERE database = current_database()"
        row = connection.execute(sql).fetchone()
    assert row is not None
    return int(row[0])
