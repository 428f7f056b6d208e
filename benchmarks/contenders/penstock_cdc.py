"""Penstock: the changes of a table of PostgreSQL, decoded and no more, or carried out on a table of a store."""

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from common import number
from meter import Arrivals, Watch, inside

from penstock.connectors.cdc import PostgresChanges
from penstock.data import ingest

DATABASE = os.environ["BENCH_POSTGRES"]
INTO = os.environ["BENCH_INTO"]
TABLES = ["public.orders"]
POSITION = Path(inside("position.json"))


def sink() -> tuple[Any, dict[str, str]]:
    """Where changes are carried out, and where that is for those who look."""
    if INTO == "lake":
        from penstock.stores.lake import Lake

        table = Lake(inside("lake")).table("raw/orders", mode="merge", keys=["id"])
        return table, {"delta": "lake/raw/orders", "how": "carries them out on a Delta table"}
    from penstock.stores.warehouse import Warehouse

    name = "raw_data.orders"
    table = Warehouse(inside("orders.duckdb")).table(name, mode="merge", keys=["id"])
    return table, {"duckdb": "orders.duckdb", "table": name, "how": "carries them out on a table of DuckDB"}


def landed(changes: int, *, follow: bool) -> None:
    """Carry out changes until there are so many."""
    table, where = sink()
    arrivals, stop = Arrivals(), threading.Event()

    def seen(progress: Any) -> None:
        if progress.counts.read > arrivals.count:
            arrivals.add(progress.counts.read - arrivals.count)
        if arrivals.count >= changes:
            stop.set()

    watch = Watch()
    with PostgresChanges(DATABASE, TABLES, follow=follow) as changing:
        ingest(changing, table, name="orders", stop=stop, on_progress=seen)
    arrivals.save()
    watch.tell(counted=arrivals.count, **where)


def decoded(changes: int, *, follow: bool) -> None:
    """Take changes, each as a row with what was before and after, and forget them."""
    arrivals = Arrivals()
    watch = Watch()
    with PostgresChanges(DATABASE, TABLES, as_changes=True, copy=False, follow=follow) as changing:
        for batch in changing.batches(json.loads(POSITION.read_text())):
            changing.landed(batch.position)
            if batch.read:
                arrivals.add(batch.read)
            if arrivals.count >= changes:
                break
    arrivals.save()
    watch.tell(counted=arrivals.count, how="each a row with the columns before and after; forgets them")


def prepare() -> None:
    """Make the slot, and copy the one row there is."""
    if INTO != "log":
        with PostgresChanges(DATABASE, TABLES) as changing:
            ingest(changing, sink()[0], name="orders")
        return
    with PostgresChanges(DATABASE, TABLES, as_changes=True, copy=False) as changing:
        for batch in changing.batches(None):
            changing.landed(batch.position)
            POSITION.write_text(json.dumps(batch.position))


def main() -> None:
    if sys.argv[2] == "prepare":
        prepare()
        print("{}")
        return
    go = decoded if INTO == "log" else landed
    go(number(3), follow=sys.argv[2] == "stream")


if __name__ == "__main__":
    main()
