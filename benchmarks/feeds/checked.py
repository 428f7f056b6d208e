"""Makes the orders that are checked and profiled, and says what is wrong with them and what is in them.

    python checked.py make FILE ROWS        a Parquet file; prints how many rows break each rule
    python checked.py profile FILE          what is in each column, counted exactly

Each prints one line of JSON. Where a row is wrong is a matter of its number alone.
"""

import json
import sys
from typing import Any

EVERY = {"customer": 99_991, "amount": 49_999, "status": 99_989, "email": 33_331, "shipped": 24_989, "id": 88_883}
"""One row in so many is wrong in this column."""

ROW_GROUP = 491_520
ORDERS = f"""
    SELECT CASE WHEN i % {EVERY["id"]} = 23 THEN i - 1 ELSE i END AS id,
           CASE WHEN i % {EVERY["customer"]} <> 7 THEN (i * 48271) % 1000003 END AS customer,
           CASE WHEN i % {EVERY["amount"]} = 11 THEN -1.5 ELSE ((i * 69069) % 11987) / 100.0 END::double AS amount,
           CAST((i * 16807) % 19 + 1 AS integer) AS quantity,
           CASE WHEN i % {EVERY["status"]} = 13 THEN 'lost'
                ELSE ['open', 'paid', 'sent', 'back'][(i * 40692) % 4099 % 4 + 1] END AS status,
           CASE WHEN i % {EVERY["email"]} = 17 THEN 'nobody at example.com'
                ELSE 'user' || (i * 48271) % 1000003 || '@example.com' END AS email,
           timestamp '2023-11-14 22:13:20' + to_seconds((i * 7919) % 31104000) AS ordered,
           timestamp '2023-11-14 22:13:20'
               + to_seconds((i * 7919) % 31104000
                            + CASE WHEN i % {EVERY["shipped"]} = 19 THEN -60 ELSE (i * 271) % 900001 END) AS shipped
    FROM range(0, ROWS) AS numbers(i)
"""
NUMBERS = ("id", "customer", "amount", "quantity")
MOMENTS = ("ordered", "shipped")
TEXTS = ("status", "email")
RULES = """
    SELECT count(*) FILTER (id IS NULL) AS id_null,
           (SELECT sum(n) FROM (SELECT count(*) AS n FROM orders GROUP BY id HAVING count(*) > 1)) AS id_repeated_rows,
           count(*) - count(DISTINCT id) AS id_repeated_surplus,
           count(*) FILTER (customer IS NULL) AS customer_null,
           count(*) FILTER (NOT amount BETWEEN 0 AND 100000) AS amount_range,
           count(*) FILTER (NOT quantity BETWEEN 1 AND 100) AS quantity_range,
           count(*) FILTER (status NOT IN ('open', 'paid', 'sent', 'back')) AS status_set,
           count(*) FILTER (NOT regexp_matches(email, '^[^@\\s]+@[^@\\s]+\\.[a-z]+$')) AS email_pattern,
           count(*) FILTER (NOT length(email) BETWEEN 5 AND 100) AS email_length,
           count(*) FILTER (shipped < ordered) AS shipped_order,
           CAST(NOT avg(amount) BETWEEN 50 AND 70 AS integer) AS amount_mean,
           count(*) FILTER (NOT ordered BETWEEN timestamp '2020-01-01' AND timestamp '2030-01-01') AS ordered_range,
           CAST(NOT count(*) >= 1 AS integer) AS row_count
    FROM orders
"""
"""The twelve rules, one of them counted in both ways that there are: all rows that are alike, or all but the first."""


def rules_in(connection: Any, table: str) -> dict[str, int]:
    """How many rows of a table break each rule; 1 where it is a rule about all of them, and broken."""
    connection.execute(f"CREATE OR REPLACE VIEW orders AS SELECT * FROM {table}")
    cursor = connection.execute(RULES)
    names = [column[0] for column in cursor.description]
    return {name: int(value or 0) for name, value in zip(names, cursor.fetchone(), strict=True)}


def make(path: str, rows: str) -> dict[str, int]:
    import duckdb

    query = ORDERS.replace("ROWS", str(int(rows)))
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})")
        return rules_in(connection, f"read_parquet('{path}')")


def profile(path: str) -> dict[str, Any]:
    import duckdb

    found: dict[str, Any] = {}
    with duckdb.connect() as connection:
        table = f"read_parquet('{path}')"
        for name in (*NUMBERS, *MOMENTS, *TEXTS):
            value = f"epoch_us({name})" if name in MOMENTS else name
            counts = f"count(*), count(*) - count({name}), count(DISTINCT {name}), min({value}), max({value})"
            row = connection.execute(f"SELECT {counts} FROM {table}").fetchone()
            found[name] = dict(zip(("rows", "nulls", "distinct", "min", "max"), row or (), strict=True))
    return found


def main() -> None:
    command, *arguments = sys.argv[1:]
    print(json.dumps({"make": make, "profile": profile}[command](*arguments)))


if __name__ == "__main__":
    main()
