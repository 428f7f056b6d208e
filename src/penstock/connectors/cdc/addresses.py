"""Changes of tables as the command line names them: `cdc://user@host/shop#public.orders,public.customers`."""

from __future__ import annotations

from typing import cast

from penstock.connectors.cdc.options import WhenLost
from penstock.connectors.cdc.source import PostgresChanges
from penstock.core.addresses import Address, several
from penstock.core.errors import ConfigurationError
from penstock.core.ports.data import Source

_SWITCH = {"true": True, "false": False}


def at(address: Address) -> Source:
    """The source that an address means.

    Options: `slot`, `publication`, `when_lost`, and `follow`, `as_changes`, `copy` (true or false).

    Raises:
        ConfigurationError: it means none.
    """
    options = address.taken("slot", "publication", "follow", "as_changes", "copy", "when_lost")

    def switch(name: str, default: bool) -> bool:
        given = options.get(name, str(default)).lower()
        if given not in _SWITCH:
            raise ConfigurationError(f"{name}={given} is neither true nor false.")
        return _SWITCH[given]

    return PostgresChanges(
        f"postgresql:{address.rest}",
        several(address.table),
        slot=options.get("slot"),
        publication=options.get("publication"),
        follow=switch("follow", False),
        as_changes=switch("as_changes", False),
        copy=switch("copy", True),
        when_lost=cast(WhenLost, options.get("when_lost", "refuse")),
    )
