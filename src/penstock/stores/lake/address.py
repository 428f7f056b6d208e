"""Tables of a lake by address: `lake:raw/orders`, `lake:FOLDER#raw/orders`, `lake:s3://bucket/prefix#raw/orders`."""

from __future__ import annotations

from penstock.core.addresses import Address
from penstock.core.ports.data import Sink
from penstock.stores.lake.table import table_at


def at(address: Address) -> Sink:
    """A table as the end of a pipe; see `table_at`."""
    return table_at(address).sink()
