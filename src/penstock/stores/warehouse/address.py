"""Tables of a warehouse by address: `duckdb:shop.duckdb#raw_data.orders`, `postgresql://host/shop#raw_data.orders`."""

from __future__ import annotations

from typing import Any

from penstock.core.addresses import Address, several
from penstock.core.errors import ConfigurationError
from penstock.core.ports.data import Sink
from penstock.stores.warehouse.warehouse import Warehouse

_OPTIONS = ("mode", "schema", "changed_at")


def at(address: Address) -> Sink:
    """A table; `duckdb:#orders` is in the warehouse in Penstock's home folder.

    Raises:
        ConfigurationError: the address or an option cannot be.
    """
    given = address.taken(*_OPTIONS, "keys")
    if not address.table:
        raise ConfigurationError(
            f"{address.scheme}: names no table.",
            hint="it stands behind a #, such as duckdb:shop.duckdb#raw_data.orders",
        )
    where = address.rest if address.scheme == "duckdb" and not address.rest.startswith("//") else address.url
    options: Any = {name: given[name] for name in _OPTIONS if name in given}
    if "keys" in given:
        options["keys"] = several(given["keys"])
    return Warehouse(where or None).table(address.table, **options)
