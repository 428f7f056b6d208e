"""A flow of SQL models that can be killed before any statement of the warehouse, and resumed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import duckdb
import jinja2  # noqa: F401 - imported once here, for all workers
import psycopg
import pyarrow  # noqa: F401
import sqlglot.dialects.duckdb
import sqlglot.dialects.postgres
import sqlglot.lineage  # noqa: F401

from penstock import flow
from penstock.app import Penstock, Settings
from penstock.core.model import RunFilter
from penstock.stores.elt import SqlFolder
from penstock.stores.warehouse import Warehouse, duck_file, postgres
from penstock.task_runners import ThreadPoolTaskRunner

FILES = {
    "totals": 'SELECT customer, sum(total) AS total FROM {{ ref("orders") }} GROUP BY 1',
    "log": (
        '{{ config(materialized="incremental") }}\nSELECT id, {{ param("batch") }} AS batch FROM {{ ref("orders") }}'
    ),
    "merged": (
        '{{ config(materialized="incremental", unique_key="customer", incremental_strategy="merge") }}'
        'SELECT customer, total FROM {{ ref("totals") }}'
    ),
    "replaced": (
        '{{ config(materialized="incremental", unique_key="customer") }}SELECT customer, total FROM {{ ref("totals") }}'
    ),
    "seen": '{{ config(materialized="view") }}SELECT count(*) AS n FROM {{ ref("log") }}',
}
TABLES = (*FILES, "orders")


def prepare(url: str, folder: str, schema: str) -> None:
    """Write the files, and orders into the warehouse."""
    for name, text in FILES.items():
        (Path(folder) / f"{name}.sql").write_text(text, encoding="utf-8")
    with Warehouse(url) as warehouse:
        warehouse.execute(f'CREATE SCHEMA "{schema}"')
        rows = "(1, 'Ada', 20), (2, 'Bob', 35), (3, 'Ada', 50)"
        sql = f'CREATE TABLE "{schema}".orders AS SELECT * FROM (VALUES {rows}) AS v (id, customer, total)'
        warehouse.execute(sql)


def make(url: str, folder: str, home: str, schema: str, kill_at: int = 0, again: bool = False) -> list[str]:
    """Run the models, or resume the run that was killed; killed before that statement. The statements."""
    seen: list[str] = []

    def tick(statement: str) -> None:
        seen.append(statement)
        if len(seen) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    class Ticking:
        def __init__(self, connection: Any) -> None:
            self._connection = connection

        def execute(self, sql: str, *values: Any) -> Any:
            tick(sql)
            return self._connection.execute(sql, *values)

        def __getattr__(self, name: str) -> Any:
            if name == "close":
                tick(name)
            return getattr(self._connection, name)

    connected = duck_file.DuckFile._connected
    duck_file.DuckFile._connected = lambda self, *given: Ticking(connected(self, *given))  # type: ignore[method-assign]
    execute = psycopg.Connection.execute

    def ticked(self: Any, sql: Any, *args: Any, **kwargs: Any) -> Any:
        tick(str(sql))
        return execute(self, sql, *args, **kwargs)

    psycopg.Connection.execute = ticked  # type: ignore[method-assign]
    models = SqlFolder(folder, warehouse=url, inputs={"orders": (schema, "orders")}, schema=schema)

    @flow(name="models", task_runner=ThreadPoolTaskRunner(max_workers=1))
    def every() -> dict[str, int]:
        return {name: made.rows for name, made in models.run(batch=7).items()}

    with Penstock(Settings(home=home, log_level="WARNING")).activate() as app:
        if again:
            (run,) = app.journal.runs(RunFilter(limit=1))
            app.resume(run.id, every)
        else:
            every()
    return seen


def found(url: str, schema: str) -> dict[str, Any]:
    """What is in the warehouse."""
    with Warehouse(url) as warehouse:
        told: dict[str, Any] = {
            name: sorted(map(str, warehouse.read(f'SELECT * FROM "{schema}"."{name}"').to_pylist())) for name in TABLES
        }
        sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = $1"
        told["tables"] = sorted(row["table_name"] for row in warehouse.read(sql, [schema]).to_pylist())
        ledger = warehouse.read(f'SELECT model, count(*) AS n FROM "{schema}".penstock_models GROUP BY 1 ORDER BY 1')
        told["made"] = {row["model"]: row["n"] for row in ledger.to_pylist()}
    return told


assert duckdb.connect
assert postgres.PostgresDatabase  # both are imported before the fork, and not by it
