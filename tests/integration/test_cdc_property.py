"""Whatever happens to the tables and to the reader: in the end the replica has what the database has."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from tests.integration.changing import Replica, slots_dropped
from tests.integration.random_changes import KEYS, TABLES, World, plain

from penstock.connectors.cdc import PostgresChanges

pytestmark = pytest.mark.integration


@pytest.fixture
def database(postgres_url: str) -> Iterator[str]:
    with slots_dropped(postgres_url):
        yield postgres_url


def interrupted(source: PostgresChanges, replica: Replica, chance: random.Random) -> None:
    """Read on, and stop anywhere: before or after a batch has landed, before or after it was confirmed."""
    reading = source.batches(replica.position)
    left = chance.choice((0, 1, 2, 5, 1000))
    for batch in reading:
        if left == 0 and chance.random() < 0.5:
            break
        replica.land(batch)
        if left == 0 and chance.random() < 0.5:
            break
        source.landed(batch.position)
        if left == 0:
            break
        left -= 1
    reading.close()  # type: ignore[attr-defined]


def same(world: World, replica: Replica) -> None:
    for table in TABLES:
        there, here = world.rows(table), replica.rows(table)
        columns = list(there[0]) if there else []
        keys = KEYS[table]
        assert [[row[key] for key in keys] for row in here] == [[row[key] for key in keys] for row in there], table
        for mine, theirs in zip(here, there, strict=True):
            left, right = plain(mine, columns), plain(theirs, columns)
            assert {name: (left[name], right[name]) for name in columns if left[name] != right[name]} == {}, table


def run(url: str, seed: int, rounds: int) -> None:
    chance = random.Random(seed)
    world, replica = World(url, seed), Replica()
    try:
        world.fill(chance.choice((0, 5, 60)))
        for _ in range(rounds):
            rows = chance.choice((3, 20, 500))
            whole = chance.choice((2, 1000))
            copy = chance.choice((0.001, 60))
            with PostgresChanges(url, TABLES, batch_rows=rows, whole_rows=whole, copy_seconds=copy) as source:
                for _ in range(chance.randint(1, 3)):
                    world.happen(chance.choice((0, 1, 20)))
                    if chance.random() < 0.1:
                        source.copy_again(chance.choice(TABLES))
                    interrupted(source, replica, chance)
                if chance.random() < 0.3:
                    replica.follow(source)
                    same(world, replica)
        with PostgresChanges(url, TABLES) as source:
            replica.follow(source)
            same(world, replica)
            assert replica.rejected == []
    finally:
        world.close()


@pytest.mark.parametrize("seed", range(6))
def test_random_transactions_and_a_reader_that_is_interrupted(database: str, seed: int) -> None:
    run(database, seed, rounds=8)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 200))
def test_random_transactions_for_long(database: str, seed: int) -> None:
    run(database, seed, rounds=30)
