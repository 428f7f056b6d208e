"""A server that restarts, loses its log, or is not made for telling of changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.conftest import missing
from tests.integration.changing import Replica
from tests.integration.own_server import OwnServer

from penstock.connectors.cdc import PostgresChanges
from penstock.core.errors import SourceChanged

pytestmark = [pytest.mark.integration, pytest.mark.chaos]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    own = OwnServer(tmp_path_factory.mktemp("services"))
    own.start()
    if not own.native:
        own.purge()
        missing("no PostgreSQL server on this machine itself, which could be stopped")
    try:
        yield own
    finally:
        own.purge()


@pytest.fixture
def table(server: OwnServer) -> Iterator[str]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE things (id int PRIMARY KEY, note text)")
        connection.execute("INSERT INTO things SELECT i, '' FROM generate_series(1, 100) i")
    yield "public.things"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active")
        with PostgresChanges(server.url, ["public.things"], slot="penstock") as source:
            source.drop()
        connection.execute("DROP TABLE things")


def write(url: str, numbers: range) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for number in numbers:
            connection.execute("INSERT INTO things VALUES (%s, 'new')", [number])


def test_the_reader_goes_on_after_a_crash_and_a_restart(server: OwnServer, table: str, tmp_path: Path) -> None:
    replica, stop = Replica(), threading.Event()
    with PostgresChanges(server.url, [table], slot="penstock", follow=True, batch_rows=10) as source:

        def read() -> None:
            for batch in source.batches(None):
                replica.land(batch)
                source.landed(batch.position)
                if stop.is_set() and not batch.parts:
                    return

        reader = threading.Thread(target=read)
        reader.start()
        while not replica.batches:
            time.sleep(0.01)
        for number, trouble in enumerate((server.crash, server.stop, server.crash)):
            first = 1000 * (number + 1)
            write(server.url, range(first, first + 50))
            trouble()
            if trouble == server.stop:
                server.start()
            deadline = time.monotonic() + 60
            while (first + 49,) not in replica.tables.get("", {}):
                assert reader.is_alive()
                assert time.monotonic() < deadline
                time.sleep(0.02)
        stop.set()
        reader.join(60)
        assert not reader.is_alive()
    expected = {*range(1, 101), *(number for first in (1000, 2000, 3000) for number in range(first, first + 50))}
    assert {row["id"] for row in replica.rows()} == expected


def test_log_that_the_server_has_thrown_away(server: OwnServer, table: str) -> None:
    replica = Replica()
    with psycopg.connect(server.url, autocommit=True) as admin:
        with PostgresChanges(server.url, [table], slot="penstock") as source:
            replica.follow(source)
            assert source.lag().status == "reserved"
            admin.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
            admin.execute("SELECT pg_reload_conf()")
            admin.execute("DELETE FROM things WHERE id = 1")
            deadline = time.monotonic() + 60
            while source.lag().status != "lost":
                assert time.monotonic() < deadline
                admin.execute("CREATE TABLE junk AS SELECT repeat('x', 8000) FROM generate_series(1, 2000)")
                admin.execute("DROP TABLE junk")
                admin.execute("SELECT pg_switch_wal()")
                admin.execute("CHECKPOINT")
            with pytest.raises(SourceChanged, match="the server has removed the log that it needs"):
                replica.follow(source)
        admin.execute("ALTER SYSTEM RESET max_slot_wal_keep_size")
        admin.execute("SELECT pg_reload_conf()")
    with PostgresChanges(server.url, [table], slot="penstock", when_lost="copy") as source:
        replica.follow(source)
    assert [row["id"] for row in replica.rows()] == list(range(2, 101))
