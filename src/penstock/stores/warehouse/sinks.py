"""Tables of a warehouse as the end of a pipe."""

from __future__ import annotations

from penstock.core.errors import SinkUnavailable
from penstock.core.ports.data import Landing, Place, Sink
from penstock.stores.warehouse.database import Conflict, Database, RowsRefused
from penstock.stores.warehouse.landing import Layout, WarehouseLanding, forgotten


class WarehouseSink(Sink):
    """One table, or the tables of a schema; see `Warehouse.table` and `Warehouse.tables`."""

    def __init__(self, database: Database, layout: Layout) -> None:
        self._database = database
        self._layout = layout

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.place} {self._layout.way.mode}>"

    @property
    def place(self) -> Place:
        """See `Sink.place`."""
        schema, table = self._layout.schema, self._layout.table
        return Place(
            self._database.namespace, self._database.place_of(schema if table is None else f"{schema}.{table}")
        )

    def open(self, pipe: str) -> Landing:
        """See `Sink.open`."""
        return WarehouseLanding(self._database, self._layout, pipe)

    def forget(self, pipe: str) -> None:
        """See `Sink.forget`."""
        try:
            forgotten(self._database, self._layout, pipe)
        except (RowsRefused, Conflict) as error:
            raise SinkUnavailable(str(error)) from error
