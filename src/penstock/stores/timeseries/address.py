"""A measurement by address: `influx:http://localhost:8086#heat`, or `influx:#heat` with a saved connection."""

from __future__ import annotations

from typing import Any

from penstock.core.addresses import Address, several
from penstock.core.errors import ConfigurationError
from penstock.stores.timeseries.sink import TimeSeries

_PLAIN = ("time", "precision", "bucket", "org", "measurement_from")
_LISTS = ("tags", "fields")


def at(address: Address) -> TimeSeries:
    """A measurement to write.

    Options: `time`, `precision`, `bucket`, `org`, `measurement_from` as `TimeSeries` has them; `tags` and `fields` with
    commas; `connection` (a name), which also knows the token.

    Raises:
        ConfigurationError: the address or an option cannot be.
    """
    given = address.taken(*_PLAIN, *_LISTS, "connection", "mode")
    if given.get("mode", "append") not in ("append", "merge"):
        raise ConfigurationError(f"mode={given['mode']} is nothing for time series: points are added and replaced.")
    if "time" not in given:
        raise ConfigurationError("Points need a time.", hint="time=COLUMN names the column")
    if bool(address.rest) == ("connection" in given):
        raise ConfigurationError(
            f"{address.url} names no server.",
            hint="such as influx:http://localhost:8086#heat, or influx:#heat with connection=NAME",
        )
    options: dict[str, Any] = {name: given[name] for name in _PLAIN if name in given}
    options |= {name: several(given[name]) for name in _LISTS if name in given}
    return TimeSeries(_server(address, given.get("connection")), measurement=address.table or None, **options)


def _server(address: Address, connection: str | None) -> Any:
    if connection is None:
        return address.rest
    from penstock.engine.connections.influx import InfluxConnection

    return InfluxConnection.load(connection)
