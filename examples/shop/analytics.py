"""What people want to know, in tables of the warehouse and in files."""

from __future__ import annotations

from places import Places

from penstock import task
from penstock.connectors.files import FileExport
from penstock.data import put

TABLES = {
    "daily_revenue": """
        SELECT o.day, count(DISTINCT o.id) AS orders,
               CAST(sum(l.quantity * l.unit_price) AS NUMERIC(18, 2)) AS revenue
        FROM processed_data.orders o JOIN processed_data.order_lines l ON l.order_id = o.id
        WHERE o.status <> 'cancelled' GROUP BY 1 ORDER BY 1
    """,
    "category_revenue": """
        SELECT p.category, CAST(sum(l.quantity) AS BIGINT) AS pieces,
               CAST(sum(l.quantity * l.unit_price) AS NUMERIC(18, 2)) AS revenue
        FROM processed_data.orders o
        JOIN processed_data.order_lines l ON l.order_id = o.id JOIN processed_data.products p ON p.sku = l.sku
        WHERE o.status <> 'cancelled' GROUP BY 1 ORDER BY 3 DESC
    """,
    "customer_value": """
        SELECT c.id AS customer_id, c.name, c.country, count(DISTINCT o.id) AS orders,
               CAST(sum(l.quantity * l.unit_price) AS NUMERIC(18, 2)) AS revenue
        FROM processed_data.customers c
        JOIN processed_data.orders o ON o.customer_id = c.id JOIN processed_data.order_lines l ON l.order_id = o.id
        WHERE o.status <> 'cancelled' GROUP BY 1, 2, 3 ORDER BY 5 DESC, 1
    """,
    "funnel": """
        SELECT day, action, count(*) AS clicks
        FROM processed_data.clicks GROUP BY 1, 2 ORDER BY 1, 2
    """,
}


@task
def analyse(places: Places, name: str) -> int:
    """Work out one of the tables, put it into `analytics`, and write it to a file."""
    with places.open_warehouse() as warehouse:
        found = warehouse.read(TABLES[name])
        put(found, warehouse.table(f"analytics.{name}", mode="replace"))
    put(found, FileExport(f"{places.exports}/{name}.csv"))
    return int(found.num_rows)
