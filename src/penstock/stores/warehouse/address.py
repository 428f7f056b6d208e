"""Tables of a warehouse by address: `duckdb:shop.duckdb#raw_data.orders`, `postgresql://host/shop#raw_data.orders`."""

from __future__ import annotations

from penstock.core.addresses import Address
from penstock.core.ports.data import Sink
from penstock.stores.warehouse.table import table_at


def at(address: Address) -> Sink:
    """A table as the end of a pipe; see `table_at`."""
    return table_at(address).sink()
