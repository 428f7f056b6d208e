"""Makes what is read, and looks at what was written: in an environment that belongs to none of those who are compared.

    python judge.py csv FILE ROWS                  orders, as a CSV file
    python judge.py points FILE ROWS               measurements of 100 sensors, as a CSV file
    python judge.py retail FILE                    what is in a CSV file of Online Retail
    python judge.py fill ROWS                      the table `orders` in the PostgreSQL database
    python judge.py topic BROKERS NAME ROWS        orders, as messages of a topic
    python judge.py untopic BROKERS NAME           the topic is not needed any more
    python judge.py look KIND delta FOLDER         what is in a Delta table
    python judge.py look KIND duckdb FILE TABLE    ... in a table of a DuckDB file
    python judge.py look KIND postgres TABLE       ... in a table of the PostgreSQL database
    python judge.py measured URL MEASUREMENT       ... in a time series database

Each prints one line of JSON: what is there, as numbers that are the same wherever it is.
"""

import csv
import gzip
import json
import os
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from rows import FACTS, ORDERS, counted, order

PARTITIONS = 4
SENSORS = 100
FLUSHED_EVERY = 100_000


def numbered(rows: str, source: str) -> str:
    """The query that gives so many orders."""
    return f"WITH numbers AS (SELECT i FROM {source} AS t(i)) {ORDERS}".replace("ROWS", str(int(rows)))


def facts_of(kind: str, columns: list[str], quote: Callable[[str], str], table: str) -> str:
    """The query that counts a table, whatever its tool made of the names of columns."""
    plain = {name.replace("_", "").lower(): name for name in reversed(columns)}
    inner = ", ".join(f"{quote(name)} AS {simple}" for simple, name in plain.items() if simple.isalnum())
    counts = ", ".join(f"{what} AS {name}" for name, what in FACTS[kind].items())
    return f"SELECT {counts} FROM (SELECT {inner} FROM {table}) AS found"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def in_duckdb(connection: Any, kind: str, table: str) -> dict[str, int]:
    columns = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()]
    row = connection.execute(facts_of(kind, columns, quoted, table)).fetchone()
    return {name: int(value or 0) for name, value in zip(FACTS[kind], row, strict=True)}


def make_csv(path: str, rows: str) -> dict[str, int]:
    import duckdb

    query = numbered(rows, "range(1, ROWS + 1)")
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{path}' (HEADER, DELIMITER ',')")
        return in_duckdb(connection, "orders", f"({query}) AS made")


def make_points(path: str, rows: str) -> dict[str, int]:
    import duckdb

    query = f"""
        SELECT timestamp '2025-01-01' + (i // {SENSORS}) * interval '1 second' AS at,
               's' || lpad(CAST(i % {SENSORS} AS varchar), 3, '0') AS sensor,
               split_part('hall,cellar,roof,yard', ',', CAST(i % {SENSORS} % 4 + 1 AS integer)) AS room,
               CAST(((i * 48271) % 4000) / 100.0 AS decimal(6, 2)) AS temperature,
               CAST(((i * 69069) % 10000) / 100.0 AS decimal(6, 2)) AS humidity
        FROM range(0, {int(rows)}) AS t(i)"""
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{path}' (HEADER, DELIMITER ',', TIMESTAMPFORMAT '%Y-%m-%d %H:%M:%S')")
        hundredths = "CAST(sum(temperature * 100) + sum(humidity * 100) AS bigint)"
        row = connection.execute(f"SELECT 2 * count(*), {hundredths} FROM ({query})").fetchone()
    return {"samples": int(row[0]), "hundredths": int(row[1])}


def retail(path: str) -> dict[str, int]:
    """Read it with Python's own means: nobody who is compared has a part in saying what is right."""
    found = dict.fromkeys(FACTS["retail"], 0)
    invoices = set()
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found["rows"] += 1
            found["quantities"] += int(row["Quantity"])
            found["mills"] += round(float(row["UnitPrice"]) * 1000)
            found["customers"] += row["CustomerID"] != ""
            invoices.add(row["InvoiceNo"])
    return {**found, "invoices": len(invoices)}


def fill(rows: str) -> dict[str, int]:
    import psycopg

    with psycopg.connect(os.environ["BENCH_POSTGRES"], autocommit=True) as connection:
        query = numbered(rows, "generate_series(1::bigint, ROWS)")
        connection.execute(f"CREATE TABLE orders AS {query}".encode())
        connection.execute("ALTER TABLE orders ADD PRIMARY KEY (id)")
        connection.execute("VACUUM (ANALYZE) orders")
    return look_postgres("orders", "orders")


def topic(brokers: str, name: str, rows: str) -> dict[str, int]:
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": brokers})
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result()
    failed: list[object] = []
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 50, "queue.buffering.max.messages": 500_000})
    facts = dict.fromkeys(counted([]), 0)
    for first in range(1, int(rows) + 1, 1_000):
        some = [order(number) for number in range(first, min(first + 999, int(rows)) + 1)]
        for key, value in counted(some).items():
            facts[key] += value
        for one in some:
            told = {"on_delivery": lambda error, _: error and failed.append(error)}
            producer.produce(name, json.dumps(one).encode(), partition=one["id"] % PARTITIONS, **told)
        producer.poll(0)
        if first % FLUSHED_EVERY == 1:
            producer.flush()
    if producer.flush(60) or failed:
        sys.exit(f"error: messages were not taken: {failed[:1]}")
    return facts


def untopic(brokers: str, name: str) -> dict[str, int]:
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": brokers})  # kept in a variable: it asks only as long as it exists
    admin.delete_topics([name])[name].result()
    return {}


def look_delta(kind: str, folder: str) -> dict[str, int]:
    import duckdb
    from deltalake import DeltaTable

    files = DeltaTable(folder).file_uris()
    names = ", ".join(f"'{one.removeprefix('file://')}'" for one in files)
    with duckdb.connect() as connection:
        return in_duckdb(connection, kind, f"read_parquet([{names}], union_by_name = true)")


def look_duckdb(kind: str, file: str, table: str) -> dict[str, int]:
    import duckdb

    with duckdb.connect(file, read_only=True) as connection:
        return in_duckdb(connection, kind, table)


def look_postgres(kind: str, table: str) -> dict[str, int]:
    import psycopg

    with psycopg.connect(os.environ["BENCH_POSTGRES"]) as connection:
        cursor = connection.execute(f"SELECT * FROM {table} LIMIT 0".encode())
        columns = [column.name for column in cursor.description or ()]
        row = connection.execute(facts_of(kind, columns, quoted, table).encode()).fetchone() or ()
    return {name: int(value or 0) for name, value in zip(FACTS[kind], row, strict=True)}


def measured(url: str, measurement: str) -> dict[str, int]:
    """What VictoriaMetrics has of a measurement; each field is a series of its own there."""
    urlopen(f"{url}/internal/force_flush", timeout=60).close()
    asked = urlencode({"match[]": f'{{__name__=~"{measurement}_.*"}}', "start": "2024-12-31T00:00:00Z"})
    found = {"samples": 0, "hundredths": 0}
    with urlopen(Request(f"{url}/api/v1/export?{asked}"), timeout=300) as answer:
        for line in answer:
            values = json.loads(line)["values"]
            found["samples"] += len(values)
            found["hundredths"] += sum(round(value * 100) for value in values)
    return found


def main() -> None:
    command, *arguments = sys.argv[1:]
    if command == "look":
        kind, where, *rest = arguments
        look = {"delta": look_delta, "duckdb": look_duckdb, "postgres": look_postgres}[where]
        print(json.dumps(look(kind, *rest)))
        return
    commands: dict[str, Callable[..., dict[str, int]]] = {
        "csv": make_csv,
        "points": make_points,
        "retail": retail,
        "fill": fill,
        "topic": topic,
        "untopic": untopic,
        "measured": measured,
    }
    print(json.dumps(commands[command](*arguments)))


if __name__ == "__main__":
    main()
