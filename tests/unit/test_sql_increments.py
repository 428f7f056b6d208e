"""New rows by a column that grows: ties, late rows, and what is refused."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from penstock.connectors.sql import SqlTable
from penstock.core.errors import ConfigurationError
from penstock.core.ports.data import Position
from penstock.testing.data_sources import rows_in


class Table:
    """Rows that are added bit by bit, and read bit by bit."""

    def __init__(self, folder: Path, columns: str) -> None:
        self.url = f"sqlite:///{folder / 'things.db'}"
        self.file = sqlite3.connect(folder / "things.db", isolation_level=None)
        self.file.execute(f"CREATE TABLE things ({columns})")
        self.position: Position | None = None

    def add(self, *rows: tuple[Any, ...]) -> None:
        for row in rows:
            self.file.execute(f"INSERT INTO things VALUES ({', '.join('?' * len(row))})", row)

    def read(self, batches: int = 1000, **options: Any) -> list[dict[str, Any]]:
        """What is new, in so many batches at most; the position moves on."""
        found = []
        with SqlTable(self.url, "things", **options) as source:
            reading = source.batches(self.position)
            for _, batch in zip(range(batches), reading, strict=False):
                found.append(batch)
                self.position = batch.position
            reading.close()  # type: ignore[attr-defined]
        return rows_in(found)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    made = Table(tmp_path, "id INTEGER PRIMARY KEY, number INTEGER, at TIMESTAMP")
    yield made
    made.file.close()


def test_rows_with_the_last_value_that_come_later(table: Table) -> None:
    table.add((5, 1, None), (6, 2, None))
    assert [row["id"] for row in table.read(cursor="number")] == [5, 6]
    table.add((1, 2, None), (7, 2, None), (8, 3, None))
    assert [row["id"] for row in table.read(cursor="number")] == [1, 7, 8]
    assert table.read(cursor="number") == []


def test_moments_of_several_forms(table: Table) -> None:
    table.add((1, 0, "2024-01-01 12:00:00"), (2, 0, "2024-01-01 12:00:00.123456"))
    assert [row["id"] for row in table.read(cursor="at")] == [1, 2]
    table.add((3, 0, "2024-01-01 12:00:00.123456"), (4, 0, "2024-01-01 12:00:00.123400"), (5, 0, "2024-01-01 12:00:01"))
    assert [row["id"] for row in table.read(cursor="at")] == [3, 5], "4 came late, and there is no lookback"
    table.add((6, 0, "2024-01-01 12:00:01"))
    assert [row["id"] for row in table.read(cursor="at")] == [6]


def test_rows_that_come_late(table: Table) -> None:
    def moment(minute: int) -> str:
        return f"2024-01-01 12:{minute:02d}:00"

    options = {"cursor": "at", "lookback": timedelta(minutes=5)}
    table.add((1, 0, moment(1)), (2, 0, moment(10)))
    assert [row["id"] for row in table.read(**options)] == [1, 2]
    table.add((3, 0, moment(6)), (4, 0, moment(4)))
    assert [row["id"] for row in table.read(**options)] == [3], "the other one came later than that"
    table.add((5, 0, moment(20)))
    assert [row["id"] for row in table.read(**options)] == [5]
    assert table.read(**options) == []


def test_equal_rows_without_a_key_are_counted(tmp_path: Path) -> None:
    table = Table(tmp_path, "number INTEGER, text TEXT")
    table.add((1, "a"), (1, "a"))
    assert len(table.read(cursor="number")) == 2
    table.add((1, "a"), (2, "b"))
    assert [row["text"] for row in table.read(cursor="number")] == ["a", "b"]
    table.file.close()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_comes_when_each_row_is_read_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    table = Table(tmp_path, "id INTEGER PRIMARY KEY, number INTEGER")
    read: list[int] = []
    now = 0
    for number in range(60):
        if chance.random() < 0.8:
            now += chance.choice((0, 0, 1, 3))
            table.add((chance.randrange(10**6) * 100 + number, now - chance.randint(0, 4)))
        if chance.random() < 0.3:
            options = {"batch_rows": chance.choice((1, 3, 100)), "cursor": "number", "lookback": 4}
            read += [row["id"] for row in table.read(chance.choice((1, 2, 100)), **options)]
    read += [row["id"] for row in table.read(cursor="number", lookback=4)]
    there = [row[0] for row in table.file.execute("SELECT id FROM things").fetchall()]
    table.file.close()
    assert sorted(read) == sorted(there)


def test_rows_without_a_value_are_no_silent_gap(table: Table) -> None:
    table.add((1, None, None))
    with pytest.raises(ConfigurationError, match="would never be read"):
        table.read(cursor="number")


def test_mistakes_are_told(table: Table) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SqlTable(table.url, "things", query="SELECT 1", lookback=3, partitions=0, columns=["a"], key="b", batch_rows=0)
    assert str(caught.value).startswith("5 mistakes in SqlTable:")
    table.add((1, 1, datetime.now(UTC).isoformat(" ", "seconds")[:19]))
    with pytest.raises(ConfigurationError, match="a timedelta for dates and moments"):
        table.read(cursor="at", lookback=5)
    table.read(cursor="number")
    with pytest.raises(ConfigurationError, match="by the column number, and not by id"):
        table.read(cursor="id")
    with pytest.raises(ConfigurationError, match="SQLAlchemy does not understand the URL"):
        SqlTable("nonsense", "things")


def test_what_sqlite_keeps_in_a_column_of_numbers(tmp_path: Path) -> None:
    """A type that SQLite does not know is one of numbers to it, and takes texts all the same."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        shop.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, at TIMESTAMPTZ, price NUMERIC(10, 2))")
        shop.execute("INSERT INTO orders VALUES (1, '2026-03-01T08:00:00+00:00', 2.5), (2, NULL, 'free')")
        shop.commit()
    (batch,) = SqlTable(f"sqlite:///{tmp_path / 'shop.db'}", "orders").batches(None)
    assert [(row["at"], row["price"]) for row in batch.parts[0].rows.to_pylist()] == [
        ("2026-03-01T08:00:00+00:00", Decimal("2.50"))
    ]
    assert "free" in batch.rejected[0].raw
