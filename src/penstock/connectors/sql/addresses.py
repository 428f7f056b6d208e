"""Tables by address: `postgresql://host/shop#public.orders`, `duckdb:FILE#table`, `sql:URL#table`."""

from __future__ import annotations

import re
from datetime import timedelta

from penstock.connectors.sql.source import SqlTable
from penstock.core.addresses import Address, several
from penstock.core.errors import ConfigurationError
from penstock.core.ports.data import Source

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def at(address: Address) -> Source:
    """The source that an address means.

    Options: `query` instead of a table, `cursor`, `lookback` (a number, or a time such as 90s, 5m, 1h, 2d), `key` and
    `columns` (separated by commas), `partitions`.

    Raises:
        ConfigurationError: it means none.
    """
    options = address.taken("query", "cursor", "lookback", "key", "columns", "partitions")
    partitions = options.get("partitions", "1")
    if not partitions.isdecimal():
        raise ConfigurationError(f"partitions={partitions} is no number.")
    return SqlTable(
        _url(address),
        address.table,
        query=options.get("query", ""),
        cursor=options.get("cursor", ""),
        lookback=_lookback(options.get("lookback", "0")),
        key=several(options.get("key", "")),
        columns=several(options.get("columns", "")),
        partitions=int(partitions),
    )


def _url(address: Address) -> str:
    if address.scheme == "sql":
        return address.rest
    if address.scheme == "duckdb" and not address.rest.startswith("//"):
        return f"duckdb:///{address.rest}"
    return address.url


def _lookback(text: str) -> timedelta | float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if not found:
        raise ConfigurationError(
            f"lookback={text} is neither a number nor a time.", hint="such as 100, 90s, 5m, 1h, 2d"
        )
    number = float(found[1])
    return timedelta(seconds=number * _SECONDS[found[2]]) if found[2] else int(number) if number % 1 == 0 else number
