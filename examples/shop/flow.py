"""A day of the shop: collected into the lake, refined into the warehouse, told in tables and files."""

from __future__ import annotations

from typing import Any

from analytics import TABLES, analyse
from collect import collect_clicks, collect_customers, collect_lines, collect_orders, collect_products
from places import Places
from refine import refine_clicks, refine_customers, refine_orders, refine_products

from penstock import flow


@flow
def shop(places: Places) -> dict[str, Any]:
    """Bring everything that is new from the shop's systems to the tables that people read.

    Args:
        places: where the systems are.
    """
    products, customers = collect_products.submit(places), collect_customers.submit(places)
    orders, lines, clicks = collect_orders.submit(places), collect_lines.submit(places), collect_clicks.submit(places)

    refined = [
        refine_products.submit(places, wait_for=[products]),
        refine_clicks.submit(places, wait_for=[clicks]),
    ]
    people = refine_customers.submit(places, wait_for=[customers])
    kept = refine_orders.submit(places, wait_for=[people, orders, lines])

    told = [analyse.submit(places, name, wait_for=[*refined, kept]) for name in TABLES]
    return {
        "collected": {
            "products": products.result(),
            "customers": customers.result(),
            "orders": orders.result(),
            "order lines": lines.result(),
            "clicks": clicks.result(),
        },
        "orders": kept.result(),
        "tables": dict(zip(TABLES, (each.result() for each in told), strict=True)),
    }
