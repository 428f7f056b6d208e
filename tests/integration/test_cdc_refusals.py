"""What cannot be followed is told before anything is read, all at once, with the SQL that mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from tests.integration.changing import Replica, slots_dropped

from penstock.connectors.cdc import PostgresChanges
from penstock.core.errors import ConfigurationError, PenstockError

pytestmark = pytest.mark.integration

Run = Callable[[str], Any]


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    with slots_dropped(postgres_url):
        yield postgres_url


@pytest.fixture
def sql(url: str) -> Iterator[Run]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield lambda text: connection.execute(text.encode())


@pytest.fixture
def user(url: str, sql: Run) -> Iterator[tuple[str, str]]:
    """A user without any rights, and the URL with it."""
    name = f"user_{uuid4().hex}"
    sql(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    parts = urlsplit(url)
    yield name, urlunsplit(parts._replace(netloc=f"{name}:secret@{parts.hostname}:{parts.port}"))
    sql(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def refused(url: str, tables: list[str], **options: Any) -> str:
    source = PostgresChanges(url, tables, publication="penstock", **options)
    with source, pytest.raises(ConfigurationError) as caught:
        next(iter(source.batches(None)))
    return str(caught.value)


def test_every_table_that_cannot_be_followed_is_told(url: str, sql: Run) -> None:
    sql("CREATE TABLE fine (id int PRIMARY KEY); CREATE TABLE keyless (a int); CREATE UNLOGGED TABLE quick (a int)")
    sql("CREATE TABLE whole (a int); ALTER TABLE whole REPLICA IDENTITY FULL; CREATE VIEW seen AS SELECT * FROM fine")
    sql("CREATE TABLE mute (a int PRIMARY KEY); ALTER TABLE mute REPLICA IDENTITY NOTHING")
    message = refused(url, ["fine", "keyless", "public.quick", "public.whole", "public.seen", "public.nowhere", "mute"])
    lines = message.splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "public.keyless",
        "public.quick",
        "public.whole",
        "public.seen",
        "public.nowhere",
        "public.mute",
    ]
    assert 'ALTER TABLE "public"."keyless" REPLICA IDENTITY' in message
    assert 'keys={"public.whole": [...]}' in message
    assert not list(sql("SELECT 1 FROM pg_publication")), "nothing was made"


def test_a_publication_that_lacks_something(url: str, sql: Run) -> None:
    sql("CREATE TABLE one (id int PRIMARY KEY); CREATE TABLE two (id int PRIMARY KEY)")
    sql("CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    sql("CREATE PUBLICATION penstock FOR TABLE one, parts WITH (publish = 'insert')")
    message = refused(url, ["one", "two", "parts"])
    assert 'ALTER PUBLICATION "penstock" ADD TABLE "public"."two"' in message
    assert "SET (publish = 'insert, update, delete, truncate')" in message
    assert "SET (publish_via_partition_root = true)" in message


def test_a_publication_is_not_made_where_that_is_not_wanted(url: str, sql: Run) -> None:
    sql('CREATE TABLE "One" (id int PRIMARY KEY)')
    message = refused(url, ['public."One"'], create_publication=False)
    assert 'CREATE PUBLICATION "penstock" FOR TABLE "public"."One"' in message


def test_rights(url: str, sql: Run, user: tuple[str, str]) -> None:
    name, theirs = user
    sql("CREATE TABLE one (id int PRIMARY KEY); INSERT INTO one VALUES (1)")
    assert f'ALTER ROLE "{name}" REPLICATION' in refused(theirs, ["one"])
    sql(f"ALTER ROLE {name} REPLICATION")
    assert "GRANT SELECT" in refused(theirs, ["one"])
    sql(f"GRANT SELECT ON one TO {name}")
    assert "let the owner of the tables make it: CREATE PUBLICATION" in refused(theirs, ["one"])
    sql("CREATE PUBLICATION penstock FOR TABLE one")
    replica = Replica()
    with PostgresChanges(theirs, ["one"], publication="penstock") as source:
        replica.follow(source)
    assert replica.rows() == [{"id": 1}]
    wrong = theirs.replace("secret", "wrong")
    source = PostgresChanges(wrong, ["one"], publication="penstock")
    with source, pytest.raises(ConfigurationError, match="does not let this user in"):
        next(iter(source.batches(None)))


def test_rows_that_may_not_be_seen_are_no_silent_gap(url: str, sql: Run, user: tuple[str, str]) -> None:
    name, theirs = user
    sql("CREATE TABLE one (id int PRIMARY KEY); INSERT INTO one VALUES (1); CREATE PUBLICATION penstock FOR TABLE one")
    sql(f"ALTER TABLE one ENABLE ROW LEVEL SECURITY; GRANT SELECT ON one TO {name}; ALTER ROLE {name} REPLICATION")
    source = PostgresChanges(theirs, ["one"], publication="penstock")
    with source, pytest.raises(PenstockError, match="row-level security"):
        list(source.batches(None))


def test_a_slot_of_another_kind(url: str, sql: Run) -> None:
    sql("CREATE TABLE one (id int PRIMARY KEY)")
    slot = f"s{uuid4().hex}"
    sql(f"SELECT pg_create_logical_replication_slot('{slot}', 'test_decoding')")
    assert "of the plugin test_decoding" in refused(url, ["one"], slot=slot)


def test_every_mistake_in_the_options_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        PostgresChanges(
            "postgresql://127.0.0.1/shop",
            ["a.b.c", "public.one", "one"],
            slot="Not-A-Slot",
            keys={"public.two": ["id"]},
            names={"three": "x"},
            types={"id": "text"},
            when_lost="shrug",  # type: ignore[arg-type]
            batch_rows=0,
        )
    lines = str(caught.value).splitlines()
    assert lines[0] == "8 mistakes in PostgresChanges:"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "tables", "tables", "slot", "keys", "names", "types", "when_lost", "batch_rows",
    ]  # fmt: skip
    with pytest.raises(ConfigurationError, match="cannot be read as 'rational'"):
        PostgresChanges("postgresql://127.0.0.1/shop", ["public.one"], types={"public.one.a": "rational"})
    with pytest.raises(ConfigurationError, match="URL cannot be read"):
        PostgresChanges("nonsense://", ["public.one"])
