"""What the shop runs on: a database with its orders, and a folder into which its web servers ship their logs."""

from __future__ import annotations

import gzip
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import records
from world import World

TABLES = {
    "orders": {
        "id": "BIGINT PRIMARY KEY",
        "checkout": "TEXT NOT NULL",
        "customer_id": "BIGINT NOT NULL",
        "ordered_at": "TIMESTAMPTZ NOT NULL",
        "status": "TEXT NOT NULL",
        "updated_at": "TIMESTAMPTZ NOT NULL",
    },
    "order_lines": {
        "order_id": "BIGINT NOT NULL",
        "line": "INTEGER NOT NULL",
        "sku": "TEXT NOT NULL",
        "quantity": "INTEGER NOT NULL",
        "unit_price": "DOUBLE PRECISION NOT NULL",
    },
}


class Shop:
    """The systems of a shop, to which one day after another happens.

    Args:
        world: what happens.
        folder: for the click logs, and for the database where it is SQLite.
        database: postgresql://... or nothing, which is SQLite in the folder.
    """

    def __init__(self, world: World, folder: Path, database: str = "") -> None:
        self.world = world
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.database = database or f"sqlite:///{folder / 'shop.db'}"
        with closing(self._connect()) as connection:
            cursor = connection.cursor()
            for table, columns in TABLES.items():
                primary = ", PRIMARY KEY (order_id, line)" if table == "order_lines" else ""
                listed = ", ".join(f"{name} {self._kind(kind)}" for name, kind in columns.items())
                cursor.execute(f"CREATE TABLE IF NOT EXISTS {table} ({listed}{primary})")
            connection.commit()

    def _kind(self, kind: str) -> str:
        """SQLite has no moments, only texts."""
        return kind.replace("TIMESTAMPTZ", "TEXT") if self._mark() == "?" else kind

    def _connect(self) -> Any:
        if self.database.startswith("sqlite:///"):
            return sqlite3.connect(self.database.removeprefix("sqlite:///"))
        import psycopg

        return psycopg.connect(self.database)

    def open(self, day: int) -> None:
        """Let a day happen: orders come in, others are cancelled, and the web servers ship their logs."""
        orders, lines = records.new_orders(self.world, day)
        with closing(self._connect()) as connection:
            cursor = connection.cursor()
            self._insert(cursor, "orders", orders)
            self._insert(cursor, "order_lines", lines)
            mark = self._mark()
            cursor.executemany(
                f"UPDATE orders SET status = 'cancelled', updated_at = {mark} WHERE id = {mark}",
                [(at, order) for order, at in records.cancellations(self.world, day)],
            )
            connection.commit()
        for name, some in records.clicks(self.world, day):
            self._ship(name, some)

    def _insert(self, cursor: Any, table: str, rows: Sequence[records.Record]) -> None:
        columns = list(TABLES[table])
        marks = ", ".join([self._mark()] * len(columns))
        cursor.executemany(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",
            [tuple(row[column] for column in columns) for row in rows],
        )

    def _mark(self) -> str:
        return "?" if self.database.startswith("sqlite") else "%s"

    def _ship(self, name: str, lines: Iterable[str]) -> None:
        half = self.logs / f".{name}.part"
        half.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))
        os.replace(half, self.logs / name)
