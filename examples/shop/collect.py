"""What the shop's systems have to tell, into the raw zone of the lake, as it is."""

from __future__ import annotations

from typing import Any

from places import Places

from penstock import get_run_logger, task
from penstock.connectors.files import Files
from penstock.connectors.http import Bearer, Cursor, HttpApi, Page
from penstock.connectors.sql import SqlTable
from penstock.data import Sink, Source, ingest

TOKEN = "shop-token"
Told = dict[str, Any]


@task(retries=3, retry_delay_seconds=0.2, tags=["api"])
def collect_products(places: Places) -> Told:
    """All products, page by page."""
    api = HttpApi(
        f"{places.api}/products",
        records="data.items",
        pages=Page(),
        auth=Bearer(TOKEN),
        types={"price": "text"},
        again=True,
    )
    return _collect(api, places.open_lake().table("raw/products", mode="replace"))


@task(retries=3, retry_delay_seconds=0.2, tags=["api"])
def collect_customers(places: Places) -> Told:
    """All customers, each page saying where the next one begins."""
    api = HttpApi(
        f"{places.api}/customers",
        records="customers",
        pages=Cursor(parameter="after", path="next"),
        auth=Bearer(TOKEN),
        again=True,
    )
    return _collect(api, places.open_lake().table("raw/customers", mode="replace"))


@task(retries=2, tags=["database"])
def collect_orders(places: Places) -> Told:
    """Orders that are new, or were changed."""
    orders = SqlTable(places.database, "orders", cursor="updated_at", key="id")
    return _collect(orders, places.open_lake().table("raw/orders", mode="merge", keys=["id"]))


@task(retries=2, tags=["database"])
def collect_lines(places: Places) -> Told:
    """The lines of all orders."""
    lines = SqlTable(places.database, "order_lines", key=["order_id", "line"])
    return _collect(lines, places.open_lake().table("raw/order_lines", mode="replace"))


@task(retries=2, tags=["files"])
def collect_clicks(places: Places) -> Told:
    """Click logs that were shipped since the last time; lines that are cut off are set aside."""
    return _collect(Files(f"{places.logs}/*.ndjson.gz"), places.open_lake().table("raw/clicks"))


def _collect(source: Source, sink: Sink) -> Told:
    with source:
        done = ingest(source, sink)
    counts = done.counts
    get_run_logger().info("%s: %s read, %s landed, %s rejected", source.place, *_figures(counts))
    return {"read": counts.read, "landed": counts.landed + counts.superseded, "rejected": counts.rejected}


def _figures(counts: Any) -> tuple[int, int, int]:
    return counts.read, counts.landed, counts.rejected
