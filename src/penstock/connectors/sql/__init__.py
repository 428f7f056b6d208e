"""Tables and queries of databases."""

from penstock.connectors.sql.addresses import at
from penstock.connectors.sql.source import SqlTable

__all__ = ["SqlTable", "at"]
