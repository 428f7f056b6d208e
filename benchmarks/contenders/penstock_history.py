"""Penstock: small commits into one table, as a stream makes them, until its history is long."""

import os
import statistics
import sys
from time import perf_counter
from typing import Any

import pyarrow as pa
from common import number
from meter import Watch, inside

from penstock.data import Batch, Part

ROWS = 10
WINDOW = 100
LOOKS = (1, 100, 1_000, 10_000)
INTO = os.environ["BENCH_INTO"]


def sink() -> tuple[Any, dict[str, str]]:
    if INTO == "lake":
        from penstock.stores.lake import Lake

        return Lake(inside("lake")).table("raw/rows"), {"delta": "lake/raw/rows"}
    from penstock.stores.warehouse import Warehouse

    if INTO == "postgres":
        name = "raw_data.rows"
        return Warehouse(os.environ["BENCH_POSTGRES"]).table(name), {"postgres": "yes", "table": name}
    return Warehouse(inside("rows.duckdb")).table("raw_data.rows"), {"duckdb": "rows.duckdb", "table": "raw_data.rows"}


def batch_of(place: int) -> Batch:
    first = place * ROWS
    rows = pa.table(
        {
            "id": list(range(first, first + ROWS)),
            "amount": [12.5] * ROWS,
            "note": [f"row {number}" for number in range(ROWS)],
        }
    )
    return Batch(parts=(Part(rows),), position={"next": place + 1})


def opening(table: Any) -> float:
    """How long it takes to open the pipe; it is another pipe, so that the one that writes goes on."""
    times = []
    for _ in range(5):
        began = perf_counter()
        table.open("another").close()
        times.append(perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    commits = number(2)
    table, where = sink()
    times: list[float] = []
    found: dict[str, float] = {}
    watch = Watch()
    with table.open("pipe") as landing:
        for place in range(commits):
            batch = batch_of(place)
            began = perf_counter()
            landing.land(batch)
            times.append(perf_counter() - began)
            if len(times) in LOOKS:
                look, last = len(times), times[-WINDOW:]
                found |= {f"commit_{look}": statistics.mean(last), f"median_{look}": statistics.median(last)}
                found[f"open_{look}"] = opening(table)
    if len(times) != commits:
        sys.exit("error: commits are missing")
    watch.tell(rows=commits * ROWS, **found, **where)


if __name__ == "__main__":
    main()
