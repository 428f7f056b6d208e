"""A table of a warehouse: written, read again, looked after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.core.addresses import Address, several
from penstock.core.errors import ConfigurationError, DatasetNotFound
from penstock.core.ports.data import Place, Sink, Table
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
    def place(self) -> Place:
        """See `Table.place`."""
        return self._sink.place

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
        schema = self.schema()
        wanted = list(schema.names if columns is None else columns)
        if unknown := [name for name in wanted if name not in schema.names]:
            raise ConfigurationError(
                f"{self.address} has no column {', '.join(map(repr, unknown))}.",
                hint=f"it has {', '.join(map(repr, schema.names))}",
            )
        sql = f"SELECT {', '.join(map(self._warehouse.sql_column, wanted))} FROM {self._warehouse.sql_name(self._name)}"
        if where is not None:
            sql += f" WHERE {where}"
        if limit is not None:
            sql += f" LIMIT {int(limit)}"
        return _reader(self._warehouse.stream(sql))

    def count(self) -> int | None:
        """See `Table.count`."""
        self.schema()
        found = self._warehouse.read(f"SELECT count(*) AS n FROM {self._warehouse.sql_name(self._name)}")
        return int(found.column("n")[0].as_py())

    def rejected(self) -> pa.RecordBatchReader:
        """See `Table.rejected`."""
        beside = self._warehouse.rejected_name(self._name)
        try:
            self._warehouse.schema(beside)
        except DatasetNotFound:
            return pa.RecordBatchReader.from_batches(pa.schema([]), [])
        return _reader(self._warehouse.stream(f"SELECT * FROM {self._warehouse.sql_name(beside)}"))

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
