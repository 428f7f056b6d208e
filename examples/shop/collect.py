"""What the shop's systems have to tell, into the raw zone of the lake, as it is."""

from __future__ import annotations

from typing import Any

from places import Places

from penstock import get_run_logger, task
from penstock.connectors.http import Bearer, Cursor, HttpApi, Page
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
    return _collect(api, places.open_raw("products", key=["sku"], changes=False))


@task(retries=3, retry_delay_seconds=0.2, tags=["api"])
def collect_customers(places: Places) -> Told:
    """All customers: from the database where it tells what has changed, else from the API, cursor by cursor."""
    sink = places.open_raw("customers", key=["id"], changes=places.followed)
    if places.followed:
        return _collect(places.open_table("customers", key=["id"]), sink)
    api = HttpApi(
        f"{places.api}/customers",
        records="customers",
        pages=Cursor(parameter="after", path="next"),
        auth=Bearer(TOKEN),
        again=True,
    )
    return _collect(api, sink)


@task(retries=2, tags=["database"])
def collect_orders(places: Places) -> Told:
    """Orders that are new, or were changed."""
    orders = places.open_table("orders", key=["id"], cursor="updated_at")
    return _collect(orders, places.open_raw("orders", key=["id"], changes=True))


@task(retries=2, tags=["database"])
def collect_lines(places: Places) -> Told:
    """The lines of all orders."""
    key = ["order_id", "line"]
    lines = places.open_table("order_lines", key=key)
    return _collect(lines, places.open_raw("order_lines", key=key, changes=places.followed))


@task(retries=2, tags=["files"])
def collect_clicks(places: Places) -> Told:
    """Clicks since the last time; lines that were cut off are set aside."""
    return _collect(places.open_clicks(), places.open_lake().table("raw/clicks"))


def _collect(source: Source, sink: Sink) -> Told:
    with source:
        done = ingest(source, sink)
    counts = done.counts
    get_run_logger().info("%s: %s read, %s landed, %s rejected", source.place, *_figures(counts))
    return {"read": counts.read, "landed": counts.landed + counts.superseded, "rejected": counts.rejected}


def _figures(counts: Any) -> tuple[int, int, int]:
    return counts.read, counts.landed, counts.rejected
