"""What the shop runs on: a database, and web servers that ship their logs to a folder or produce them to a topic."""

from __future__ import annotations

import gzip
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import records
from world import World

TOPIC = "kafka://"
PATIENCE_SECONDS = 30
TABLES = {
    "customers": {
        "id": "BIGINT PRIMARY KEY",
        "name": "TEXT NOT NULL",
        "email": "TEXT NOT NULL",
        "city": "TEXT",
        "country": "TEXT NOT NULL",
        "created_at": "TIMESTAMPTZ NOT NULL",
    },
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
        folder: for the click logs where they are files, and for the database where it is SQLite.
        database: postgresql://... or nothing, which is SQLite in the folder.
        logs: kafka://host:9092/topic or nothing, which is files in the folder.
    """

    def __init__(self, world: World, folder: Path, database: str = "", logs: str = "") -> None:
        self.world = world
        self.logs = logs or str(folder / "logs")
        if not logs:
            Path(self.logs).mkdir(parents=True, exist_ok=True)
        self.database = database or f"sqlite:///{folder / 'shop.db'}"
        with closing(self._connect()) as connection:
            cursor = connection.cursor()
            for table, columns in TABLES.items():
                primary = ", PRIMARY KEY (order_id, line)" if table == "order_lines" else ""
                listed = ", ".join(f"{name} {self._kind(kind)}" for name, kind in columns.items())
                cursor.execute(f"CREATE TABLE IF NOT EXISTS {table} ({listed}{primary})")
            cursor.execute("SELECT count(*) FROM customers")
            if not cursor.fetchone()[0]:
                self._insert(cursor, "customers", records.customers(world))
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
        """Let a day happen: orders come in, others are cancelled, and the web servers hand out their logs."""
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
        hours = list(records.clicks(self.world, day))
        if self.logs.startswith(TOPIC):
            produce(self.logs, [line for _, lines in hours for line in lines])
        else:
            for name, lines in hours:
                self._ship(name, lines)

    def _insert(self, cursor: Any, table: str, rows: Sequence[records.Record]) -> None:
        columns = list(TABLES[table])
        marks = ", ".join([self._mark()] * len(columns))
        cursor.executemany(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",
            [tuple(row[column] for column in columns) for row in rows],
        )

    def _mark(self) -> str:
        return "?" if self.database.startswith("sqlite") else "%s"

    def _ship(self, name: str, lines: Sequence[str]) -> None:
        folder = Path(self.logs)
        half = folder / f".{name}.part"
        half.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))
        os.replace(half, folder / name)


def produce(topic: str, lines: Sequence[str]) -> None:
    """Produce lines to a topic, each once, and see that the brokers have them.

    Raises:
        OSError: they have not taken all of them.
    """
    from confluent_kafka import Producer

    brokers, _, name = topic.removeprefix(TOPIC).partition("/")
    refused: list[str] = []
    producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True})
    for line in lines:
        producer.produce(
            name, line.encode(), on_delivery=lambda error, _: refused.append(str(error)) if error is not None else None
        )
    left = producer.flush(PATIENCE_SECONDS)
    if left or refused:
        reason = refused[0] if refused else f"no answer within {PATIENCE_SECONDS} s"
        raise OSError(f"{left + len(refused)} lines did not reach {topic}: {reason}")
