"""A table of a warehouse: written, read again, looked after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.core.addresses import Address, several
from penstock.core.errors import ConfigurationError, DatasetNotFound
from penstock.core.ports.data import Sink
from penstock.core.ports.tables import Table
from penstock.stores.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_OPTIONS = ("mode", "schema", "changed_at")


def table_at(address: Address) -> WarehouseTable:
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
    return WarehouseTable(Warehouse(where or None), address.table, options)


class WarehouseTable(Table):
    """See `Table`.

    Args:
        warehouse: where it is.
        name: `raw_data.orders`.
        options: of `Warehouse.table`.

    Raises:
        ConfigurationError: an option or the name cannot be.
    """

    def __init__(self, warehouse: Warehouse, name: str, options: Mapping[str, Any]) -> None:
        self._warehouse = warehouse
        self._name = name
        self._sink = warehouse.table(name, **options)

    @property
    def address(self) -> str:
        """See `Table.address`."""
        return f"{self._warehouse.address}#{self._name}"

    def sink(self) -> Sink:
        """See `Table.sink`."""
        return self._sink

    def schema(self) -> pa.Schema:
        """See `Table.schema`."""
        return self._warehouse.schema(self._name)

    def read(
        self,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
        version: str | None = None,
    ) -> pa.RecordBatchReader:
        """See `Table.read`."""
        if version is not None:
            raise self._cannot("keeps no versions")
        return _reader(self._warehouse.rows(self._name, columns, where, limit))

    def count(self) -> int | None:
        """See `Table.count`."""
        return self._warehouse.count(self._name)

    def rejected(self) -> pa.RecordBatchReader:
        """See `Table.rejected`."""
        try:
            return _reader(self._warehouse.rows(self._warehouse.rejected_name(self._name)))
        except DatasetNotFound:
            return pa.RecordBatchReader.from_batches(pa.schema([]), [])

    def close(self) -> None:
        """See `Table.close`."""
        self._warehouse.close()


def _reader(batches: Iterator[Any]) -> pa.RecordBatchReader:
    """A stream that begins with a batch, as a reader."""
    first = next(batches)

    def every() -> Iterator[Any]:
        yield first
        yield from batches

    return pa.RecordBatchReader.from_batches(first.schema, every())
