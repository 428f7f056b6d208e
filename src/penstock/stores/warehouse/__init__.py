"""The warehouse: DuckDB in a file, PostgreSQL, Snowflake or BigQuery."""

from penstock.stores.warehouse.address import at
from penstock.stores.warehouse.events import Event
from penstock.stores.warehouse.models import Migration
from penstock.stores.warehouse.records import Records
from penstock.stores.warehouse.table import WarehouseTable, table_at
from penstock.stores.warehouse.warehouse import ANALYTICS, PROCESSED, RAW, Warehouse

__all__ = [
    "ANALYTICS",
    "PROCESSED",
    "RAW",
    "Event",
    "Migration",
    "Records",
    "Warehouse",
    "WarehouseTable",
    "at",
    "table_at",
]
