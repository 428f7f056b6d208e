"""Time series databases that take Influx's line protocol."""

from penstock.stores.timeseries.address import at
from penstock.stores.timeseries.sink import TimeSeries

__all__ = ["TimeSeries", "at"]
