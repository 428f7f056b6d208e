"""Work with a warehouse that can be killed before any of its statements."""

from __future__ import annotations

import datetime
import os
import signal
from itertools import count
from typing import Any

import duckdb
import pandas  # noqa: F401 - PyArrow does, when it is given a list
import psycopg
import pyarrow as pa

from penstock.core.ports.data import Batch, Part, Position, Rejected, Sink, Source
from penstock.data import ingest
from penstock.stores.warehouse import Warehouse, duck_file, postgres
from penstock.testing import MemorySource

MODES = ("append", "merge", "replace", "history", "tables")
_BAD = Rejected("no number", "a.csv:3", "x")


def _at(hour: int) -> datetime.datetime:
    return datetime.datetime(2024, 1, 1, hour, tzinfo=datetime.UTC)


def _records() -> list[Any]:
    """Keys that come again, columns that come late, a value that does not fit, a record that cannot be read."""
    rows: list[Any] = [{"id": n % 5, "n": str(n) if 4 <= n < 8 else n, "at": _at(n)} for n in range(10)]
    rows[2], rows[7] = _BAD, {"id": 2, "n": "seven", "at": _at(7)}
    return [*rows, *({"id": n, "n": n, "at": _at(n), "more": f"m{n}"} for n in (11, 12))]


class Changes(Source):
    """Changes of two tables."""

    place = MemorySource([]).place

    def batches(self, position: Position | None) -> Any:
        """See `Source.batches`."""
        steps = [
            [("one", "upsert", [1, 2, 3]), ("two", "upsert", [1])],
            [("one", "delete", [2]), ("two", "upsert", [2, 3])],
            [("two", "truncate", []), ("two", "upsert", [9]), ("one", "upsert", [4, 1])],
        ]
        for number in range(position["next"] if position else 0, len(steps)):
            parts = tuple(
                Part(pa.table({"id": pa.array(ids, pa.int64()), **({} if how == "delete" else {"n": ids})}), table, how)
                for table, how, ids in steps[number]
            )
            yield Batch(parts, {"next": number + 1}, (Rejected("bad", f"{number}", "", "two"),), order=number)
        yield Batch((), {"next": len(steps)}, last=True, order=len(steps))


def _pipe(warehouse: Warehouse, mode: str, schema: str) -> tuple[Source, Sink]:
    if mode == "tables":
        return Changes(), warehouse.tables(schema, keys=["id"])
    options: dict[str, Any] = {"mode": mode, "keys": [] if mode == "append" else ["id"]}
    if mode == "history":
        options["changed_at"] = "at"
    return MemorySource(_records(), rows=4), warehouse.table((schema, "rows"), **options)


def bring_in(url: str, mode: str, schema: str, kill_at: int = 0) -> int:
    """Bring everything in; killed before that statement. How many there were."""
    numbers = count(1)
    seen = 0

    def tick() -> None:
        nonlocal seen
        seen = next(numbers)
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def ticking(kind: Any, name: str) -> None:
        real = getattr(kind, name)

        def ticked(*args: Any, **kwargs: Any) -> Any:
            tick()
            return real(*args, **kwargs)

        setattr(kind, name, ticked)

    class Ticking:
        def __init__(self, connection: Any) -> None:
            self._connection = connection

        def __getattr__(self, name: str) -> Any:
            if name in ("execute", "register", "close"):
                tick()
            return getattr(self._connection, name)

    connected = duck_file.DuckFile._connected
    duck_file.DuckFile._connected = lambda self, *given: Ticking(connected(self, *given))  # type: ignore[method-assign]
    for kind, name in ((psycopg.Connection, "execute"), (psycopg.Cursor, "copy"), (psycopg.Copy, "write")):
        ticking(kind, name)
    with Warehouse(url) as warehouse:
        ingest(*_pipe(warehouse, mode, schema), name="pipe")
    return seen


def found(url: str, mode: str, schema: str) -> dict[str, Any]:
    """What is in the warehouse."""
    with Warehouse(url) as warehouse:
        names = ["one", "two"] if mode == "tables" else ["rows"]
        tables = {name: warehouse.records((schema, name)).read() for name in names}
        sql = 'SELECT "read", landed, superseded, rejected FROM ' + f'"{schema}".penstock_pipes'
        (counts,) = warehouse.read(sql).to_pylist()
        bad = "two__rejected" if mode == "tables" else "rows__rejected"
        rejected = warehouse.records((schema, bad)).read(columns=["where", "reason"])
        names_sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = $1"
        every = [row["table_name"] for row in warehouse.read(names_sql, [schema]).to_pylist()]
    told = {name: sorted(map(str, rows)) for name, rows in tables.items()}
    return {**told, "counts": counts, "rejected": sorted(map(str, rejected)), "tables": sorted(every)}


assert duckdb.connect
assert postgres.PostgresDatabase  # both are imported before the fork, and not by it
