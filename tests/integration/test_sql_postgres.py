"""Tables of PostgreSQL read through COPY."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar

import psycopg
import pytest
from tests.integration.random_changes import KEYS, World, plain

from penstock.connectors.sql import SqlTable
from penstock.core.errors import ConfigurationError, SourceUnavailable
from penstock.core.ports.data import Source
from penstock.testing.data_sources import SourceConformance, rows_in

pytestmark = pytest.mark.integration


class Conformance(SourceConformance):
    options: ClassVar[dict[str, Any]] = {"batch_rows": 30}
    key = "PRIMARY KEY"

    @pytest.fixture(autouse=True)
    def _database(self, postgres_url: str) -> None:
        self.url = postgres_url

    def make_source(self, records: Sequence[dict[str, Any]]) -> Source:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE TABLE things (id int {self.key}, name text, amount float8)".encode())
        self.add(records)
        return SqlTable(self.url, "public.things", **self.options)

    def add(self, records: Sequence[dict[str, Any]]) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO things VALUES (%(id)s, %(name)s, %(amount)s)", records)


class TestWhole(Conformance):
    pass


class TestInSpans(Conformance):
    options: ClassVar[dict[str, Any]] = {"batch_rows": 10, "partitions": 4}


class TestInIncrements(Conformance):
    options: ClassVar[dict[str, Any]] = {"batch_rows": 30, "cursor": "id"}


class TestWithoutKey(Conformance):
    key = ""


@pytest.mark.parametrize("seed", range(3))
def test_every_type_comes_as_the_database_shows_it(postgres_url: str, seed: int) -> None:
    world = World(postgres_url, seed)
    world.fill(100)
    world.happen(20)
    for table, key in KEYS.items():
        with SqlTable(postgres_url, table, batch_rows=7, key=key) as source:
            here = rows_in(list(source.batches(None)))
        there = world.rows(table)
        columns = list(there[0]) if there else []
        assert sorted(map(str, (plain(row, columns) for row in here))) == sorted(
            map(str, (plain(row, columns) for row in there))
        )
    world.close()


def test_spans_are_of_one_moment(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE things (id int PRIMARY KEY)")
        connection.execute("INSERT INTO things SELECT generate_series(1, 100)")
        with SqlTable(postgres_url, "things", batch_rows=5, partitions=3) as source:
            reading = source.batches(None)
            rows = rows_in([next(reading)])
            connection.execute("DELETE FROM things")
            rows += rows_in(list(reading))
        assert sorted(row["id"] for row in rows) == list(range(1, 101))
        others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        deadline = time.monotonic() + 30  # a connection that was closed is there for a moment
        while connection.execute(others).fetchall():
            assert time.monotonic() < deadline, "a connection was left open"
            time.sleep(0.01)


def test_a_key_of_several_columns_goes_on_in_the_middle(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE things (a text, b numeric, PRIMARY KEY (b, a))")
        connection.execute("INSERT INTO things SELECT 'x' || i % 5, i / 5 * 1.5 FROM generate_series(0, 99) i")
    with SqlTable(postgres_url, "things", batch_rows=7, types={"b": "numeric(9, 1)"}) as source:
        batches = list(source.batches(None))
        for place, batch in enumerate(batches):
            assert rows_in(list(source.batches(batch.position))) == rows_in(batches[place + 1 :])
    assert len(rows_in(batches)) == 100


def test_a_query(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE things (id int PRIMARY KEY, tags text[], price numeric(8, 2))")
        connection.execute("INSERT INTO things VALUES (1, '{a,b}', 1.5), (2, '{}', 2), (3, NULL, 3)")
    query = "SELECT id, tags, price * 2 AS double FROM things WHERE id < 3"
    with SqlTable(postgres_url, query=query, key="id", columns=["id", "double"]) as source:
        assert rows_in(list(source.batches(None))) == [{"id": 1, "double": "3.00"}, {"id": 2, "double": "4.00"}]
        assert source.place.name.partition(".query_")[1]


def test_what_is_wrong_is_told(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE things (id text PRIMARY KEY)")
    for options, words in (
        ({"table": "nowhere"}, "does not exist"),
        ({"query": "SELEC 1"}, "syntax error"),
        ({"table": "things", "columns": ["id", "x"]}, "has no column x"),
        ({"table": "things", "cursor": "x"}, "has no column x"),
        ({"table": "things", "partitions": 2}, "a whole number"),
    ):
        with SqlTable(postgres_url, **options) as source, pytest.raises(ConfigurationError, match=words):  # type: ignore[arg-type]
            list(source.batches(None))
    with SqlTable("postgresql://x:secret@127.0.0.1:1/d", "t") as away:
        assert "secret" not in repr(away)
        with pytest.raises(SourceUnavailable, match="cannot be used"):
            list(away.batches(None))
