"""Penstock: `ingest` from each source into each store, with its defaults."""

import os
import sys
from typing import Any

from common import number
from meter import Watch, inside, source

from penstock.data import ingest

LAKE, TABLE = "lake", "raw/orders"


def lake() -> tuple[Any, dict[str, str]]:
    from penstock.stores.lake import Lake

    return Lake(inside(LAKE)).table(TABLE), {"delta": f"{LAKE}/{TABLE}"}


def duckdb() -> tuple[Any, dict[str, str]]:
    from penstock.stores.warehouse import Warehouse

    table = "raw_data.orders"
    return Warehouse(inside("orders.duckdb")).table(table), {"duckdb": "orders.duckdb", "table": table}


def csv() -> Any:
    from penstock.connectors.files import Files

    return Files(source())


def retail() -> Any:
    from penstock.connectors.files import Files

    return Files(source(), schema={"InvoiceNo": "string", "StockCode": "string"})


def api() -> Any:
    from penstock.connectors.http import HttpApi, Page

    return HttpApi(source(), records="data", pages=Page(total_pages="pages"), total="total")


def postgres() -> Any:
    from penstock.connectors.sql import SqlTable

    return SqlTable(source(), "public.orders", partitions=int(os.environ.get("BENCH_PARTITIONS", "1")))


def kafka() -> Any:
    from penstock.connectors.kafka import KafkaTopic

    return KafkaTopic(*source().split("/"))


def timeseries() -> None:
    from penstock.connectors.files import Files
    from penstock.stores.timeseries import TimeSeries

    measurement = os.environ["BENCH_MEASUREMENT"]
    points = TimeSeries(os.environ["BENCH_SINK"], measurement=measurement, time="at", tags=["sensor", "room"])
    csv_file = Files(source())
    watch = Watch()
    done = ingest(csv_file, points)
    watch.tell(counted=done.counts.landed, how=str(done.counts))


SOURCES = {"csv": csv, "retail": retail, "api": api, "postgres": postgres, "kafka": kafka}
SINKS = {"lake": lake, "duckdb": duckdb}


def main() -> None:
    topic = sys.argv[1]
    if topic == "timeseries":
        timeseries()
        return
    if topic == "linear":
        topic = f"csv-{os.environ['BENCH_INTO']}"
    what, _, into = topic.partition("-")
    reading, (sink, where) = SOURCES[what](), SINKS[into]()
    watch = Watch()
    done = ingest(reading, sink)
    if done.counts.landed != number(2):
        sys.exit(f"error: {done.counts}")
    watch.tell(**where)


if __name__ == "__main__":
    main()
