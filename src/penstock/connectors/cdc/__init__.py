"""Changes of tables, as the database itself records them (PostgreSQL)."""

from penstock.connectors.cdc.addresses import at
from penstock.connectors.cdc.slots import Lag
from penstock.connectors.cdc.source import PostgresChanges

__all__ = ["Lag", "PostgresChanges", "at"]
