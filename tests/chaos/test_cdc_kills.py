"""A reader of changes that is killed at every step: every change once in the replica, the rest on the server."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.integration.changing import slots_dropped
from tests.integration.random_changes import TABLES, World, plain

pytestmark = [pytest.mark.chaos, pytest.mark.integration]

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def database(postgres_url: str) -> Iterator[str]:
    with slots_dropped(postgres_url):
        yield postgres_url


def follow(url: str, file: Path, last: int) -> int:
    """How a reader ended that was to be killed at a step."""
    command = [sys.executable, "-m", "tests.chaos.cdc_worker", url, str(file), str(last), *TABLES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


def replica(file: Path) -> dict[str, list[dict[str, str]]]:
    with sqlite3.connect(file) as connection:
        rows = connection.execute("SELECT name, data FROM rows").fetchall()
    return {table: [json.loads(data) for name, data in rows if name == table] for table in TABLES}


def kept_too_little(url: str, file: Path) -> bool:
    """Whether the server was told that more has landed than the replica has."""
    with sqlite3.connect(file) as connection:
        found = connection.execute("SELECT lsn FROM place").fetchone()
    if found is None:
        return False
    sql = "SELECT confirmed_flush_lsn > %s::pg_lsn FROM pg_replication_slots WHERE database = current_database()"
    with psycopg.connect(url) as connection:
        return any(row[0] for row in connection.execute(sql, found).fetchall())


def run(url: str, folder: Path, seed: int, rounds: int) -> None:
    chance, file = random.Random(seed), folder / "replica.db"
    world = World(url, seed)
    try:
        world.fill(60)
        killed = 0
        for _ in range(rounds):
            world.happen(chance.choice((0, 5, 30)))
            killed += follow(url, file, chance.choice((1, 2, 3, 4, 5, 6, 8, 12, 20))) == -9
            assert not kept_too_little(url, file)
        assert killed > rounds / 2
        assert follow(url, file, 0) == 0
        found = replica(file)
        for table in TABLES:
            there = world.rows(table)
            columns = list(there[0]) if there else []
            expected = [plain(row, columns) for row in there]
            mine = [{column: row.get(column, "None") for column in columns} for row in found[table]]
            assert sorted(map(str, mine)) == sorted(map(str, expected)), table
    finally:
        world.close()


@pytest.mark.parametrize("seed", range(1))
def test_a_reader_that_is_killed(database: str, tmp_path: Path, seed: int) -> None:
    run(database, tmp_path, seed, rounds=6)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(100, 110))
def test_a_reader_that_is_killed_again_and_again(database: str, tmp_path: Path, seed: int) -> None:
    run(database, tmp_path, seed, rounds=60)
