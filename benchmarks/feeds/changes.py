"""Changes a table of a PostgreSQL database, as an application would: rows come, change and go.

    python changes.py table                     make the table, with one row, whose id is 0
    python changes.py backlog CHANGES           so many changes, in transactions of 1,000
    python changes.py stream CHANGES PER_SECOND FILE

`stream` waits until somebody reads the database's log, and a second more; then it commits transactions of 50 changes,
evenly. In the file it leaves a line for each: how many changes there were by then, and when (the monotonic clock, which
all processes share) the commit was asked for. Three changes of five are inserts, three of ten updates, one is a delete.
"""

import json
import os
import sys
import time
from typing import Any

BACKLOG_EVERY, STREAM_EVERY = 1_000, 50
WAIT_SECONDS = 60.0
TABLE = """
CREATE TABLE orders (
  id bigint PRIMARY KEY, customer integer, product text, quantity integer, amount numeric(12, 2),
  changed_at timestamptz, note text)
"""
INSERT = b"""
INSERT INTO orders
SELECT i, (i * 7919) %% 100003, 'P' || lpad(((i * 40503) %% 5000)::text, 5, '0'), (i * 69069) %% 12 + 1,
       ((i * 48271) %% 99999 + 1) / 100.0, clock_timestamp(), CASE WHEN i %% 3 > 0 THEN 'order ' || i END
FROM generate_series(%s::bigint, %s::bigint) AS t(i)
"""
UPDATE = b"""
UPDATE orders SET amount = amount + 1.25, changed_at = clock_timestamp(), note = 'changed'
WHERE id BETWEEN %s AND %s
"""
DELETE = b"DELETE FROM orders WHERE id BETWEEN %s AND %s"


class Shop:
    """Makes transactions of a size: each inserts rows, updates others of these, and deletes others again."""

    def __init__(self, cursor: Any, size: int) -> None:
        self._cursor, self._size, self._next = cursor, size, 1
        self._inserts, self._updates = size * 6 // 10, size * 3 // 10
        self._deletes = size - self._inserts - self._updates

    def change(self) -> None:
        """Make the changes of one transaction; committing is the caller's."""
        first, self._next = self._next, self._next + self._inserts
        self._do(INSERT, first, self._next - 1, self._inserts)
        self._do(UPDATE, first, first + self._updates - 1, self._updates)
        self._do(DELETE, self._next - self._deletes, self._next - 1, self._deletes)

    def _do(self, statement: bytes, first: int, last: int, rows: int) -> None:
        self._cursor.execute(statement, (first, last))
        if self._cursor.rowcount != rows:
            sys.exit(f"error: {self._cursor.rowcount} rows were changed, and {rows} were meant")


def backlog(connection: Any, changes: int) -> None:
    shop = Shop(connection.cursor(), BACKLOG_EVERY)
    for _ in range(changes // BACKLOG_EVERY):
        shop.change()
        connection.commit()


def stream(connection: Any, changes: int, per_second: int, file: str) -> None:
    shop, commits = Shop(connection.cursor(), STREAM_EVERY), []
    await_reader(connection)
    time.sleep(1)
    began = time.monotonic()
    for number in range(1, changes // STREAM_EVERY + 1):
        due = began + (number - 1) * STREAM_EVERY / per_second
        if (early := due - time.monotonic()) > 0:
            time.sleep(early)
        shop.change()
        commits.append((number * STREAM_EVERY, time.monotonic()))
        connection.commit()
    with open(file, "w", encoding="ascii") as lines:
        lines.writelines(f"{done} {moment}\n" for done, moment in commits)


def await_reader(connection: Any) -> None:
    """Wait until a slot of this database is in use."""
    query = "SELECT count(*) FROM pg_replication_slots WHERE active AND database = current_database()"
    deadline = time.monotonic() + WAIT_SECONDS
    while not connection.execute(query).fetchone()[0]:
        connection.rollback()
        if time.monotonic() > deadline:
            sys.exit(f"error: nobody read the log of the database within {WAIT_SECONDS:.0f} s")
        time.sleep(0.05)
    connection.rollback()


def main() -> None:
    import psycopg

    command, *arguments = sys.argv[1:]
    with psycopg.connect(os.environ["BENCH_POSTGRES"]) as connection:
        if command == "table":
            connection.execute(TABLE)
            connection.execute("INSERT INTO orders VALUES (0, 0, 'P00000', 1, 1.00, now(), NULL)")
        elif command == "backlog":
            backlog(connection, int(arguments[0]))
        elif command == "stream":
            stream(connection, int(arguments[0]), int(arguments[1]), arguments[2])
    print(json.dumps({}))


if __name__ == "__main__":
    main()
