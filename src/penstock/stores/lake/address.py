"""Tables of a lake by address: `lake:raw/orders`, `lake:FOLDER#raw/orders`, `lake:s3://bucket/prefix#raw/orders`."""

from __future__ import annotations

from typing import Any

from penstock.core.addresses import Address, several
from penstock.core.errors import ConfigurationError
from penstock.core.ports.data import Sink
from penstock.stores.lake.lake import Lake

_FOLDER = "lake"
_OF_THE_LAKE = ("endpoint", "region")
_OF_THE_TABLE = ("mode", "schema")
_LISTS = ("keys", "partition_by")


def at(address: Address) -> Sink:
    """A table; without a lake in the address it is in the folder `lake`.

    Raises:
        ConfigurationError: the address or an option cannot be.
    """
    given = address.taken(*_OF_THE_LAKE, *_OF_THE_TABLE, *_LISTS)
    folder, table = (address.rest, address.table) if address.table else (_FOLDER, address.rest)
    if not table or "://" in table:
        raise ConfigurationError(
            f"{address.url} names no table.", hint="such as lake:raw/orders or lake:s3://bucket/prefix#raw/orders"
        )
    of_the_lake: dict[str, Any] = {name: given[name] for name in _OF_THE_LAKE if name in given}
    options: dict[str, Any] = {name: given[name] for name in _OF_THE_TABLE if name in given}
    options |= {name: several(given[name]) for name in _LISTS if name in given}
    return Lake(folder, **of_the_lake).table(table, **options)
