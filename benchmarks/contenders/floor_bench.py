"""Bare Python: the least that any engine must do, without an engine.

Durable here means one row committed for each task, and no more.
"""

import os
import sqlite3
import sys
from time import monotonic, perf_counter, sleep

from common import home, number, report, report_ticks, tick

TABLE = "CREATE TABLE IF NOT EXISTS task_run (seq INTEGER PRIMARY KEY, name TEXT, state TEXT, result TEXT)"
INSERT = "INSERT INTO task_run (seq, name, state, result) VALUES (?, ?, 'COMPLETED', 'null')"


def journal() -> sqlite3.Connection:
    """Open a SQLite database in WAL mode, where every statement is a commit."""
    connection = sqlite3.connect(os.path.join(home(), "floor.sqlite"), isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={os.environ['BENCH_SYNCHRONOUS']}")
    connection.execute(TABLE)
    return connection


def hello() -> None:
    journal().execute(INSERT, (1, "hello"))
    report()


def sequential() -> None:
    insert = journal().execute
    for task in range(number(2)):
        tick()
        insert(INSERT, (task, "noop"))
    report_ticks()


def sequential_postgres() -> None:
    import psycopg

    with psycopg.connect(os.environ["BENCH_POSTGRES"], autocommit=True) as connection:
        connection.execute(TABLE)
        insert = connection.cursor().execute
        for task in range(number(2)):
            tick()
            insert(INSERT.replace("?", "%s"), (task, "noop"))
    report_ticks()


def nap(_: int) -> None:
    sleep(float(sys.argv[3]))
    tick()


def mapped() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(number(4)) as pool:
        started = perf_counter()
        list(pool.map(nap, range(number(2))))
        report_ticks(seconds=perf_counter() - started)


def query() -> None:
    """Answer with the single value that a query finds in the PostgreSQL database."""
    import psycopg

    with psycopg.connect(os.environ["BENCH_POSTGRES"]) as connection:
        row = connection.execute(sys.argv[2].encode()).fetchone()
    report(answer=row[0] if row else None)


def database() -> None:
    """Make, or drop, the database that a contender has for itself; answer with its address."""
    from urllib.parse import urlsplit

    import psycopg
    from psycopg import sql

    server, verb, name = os.environ["BENCH_SERVER"], sys.argv[2], sys.argv[3]
    statement = {"create": "CREATE DATABASE {}", "drop": "DROP DATABASE IF EXISTS {} WITH (FORCE)"}[verb]
    with psycopg.connect(server, autocommit=True) as connection:
        if verb == "drop":
            slots = "FROM pg_replication_slots WHERE database = %s"  # they keep it from being dropped
            connection.execute(f"SELECT pg_terminate_backend(active_pid) {slots} AND active", [name])
            deadline = monotonic() + 10
            while connection.execute(f"SELECT 1 {slots}", [name]).fetchone() and monotonic() < deadline:
                connection.execute(f"SELECT pg_drop_replication_slot(slot_name) {slots} AND NOT active", [name])
                sleep(0.05)
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
        settings = ("server_version", "fsync", "synchronous_commit")
        shown = f"SELECT {', '.join(f'current_setting({setting!r})' for setting in settings)}"
        version, fsync, synchronous_commit = connection.execute(shown.encode()).fetchone() or ("", "", "")
    address = urlsplit(server)._replace(path=f"/{name}").geturl()
    report(address=address, version=version, fsync=fsync, synchronous_commit=synchronous_commit)


def main() -> None:
    topic = sys.argv[1]
    if topic == "sequential" and "BENCH_POSTGRES" in os.environ:
        sequential_postgres()
    else:
        {
            "hello": hello,
            "sequential": sequential,
            "mapped": mapped,
            "query": query,
            "database": database,
        }[topic]()


if __name__ == "__main__":
    main()
