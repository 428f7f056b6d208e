"""A table of the lake: written, read again, looked after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from penstock.core.addresses import Address, several
from penstock.core.errors import ConfigurationError
from penstock.core.ports.data import Sink
from penstock.core.ports.tables import Table, Version
from penstock.core.rows import first_rows
from penstock.stores.lake.lake import Lake

if TYPE_CHECKING:
    import pyarrow as pa

_FOLDER = "lake"
_OF_THE_LAKE = ("endpoint", "region")
_OF_THE_TABLE = ("mode", "schema")
_LISTS = ("keys", "partition_by")
_WEEK = timedelta(days=7)


def table_at(address: Address) -> LakeTable:
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
    return LakeTable(Lake(folder, **of_the_lake), table, options)


class LakeTable(Table):
    """See `Table`.

    Args:
        lake: where it is.
        name: `raw/orders`.
        options: of `Lake.table`.

    Raises:
        ConfigurationError: an option or the name cannot be.
    """

    def __init__(self, lake: Lake, name: str, options: Mapping[str, Any]) -> None:
        self._lake = lake
        self._name = name
        self._sink = lake.table(name, **options)

    @property
    def address(self) -> str:
        """See `Table.address`."""
        return f"lake:{self._lake.root}#{self._name}"

    def sink(self) -> Sink:
        """See `Table.sink`."""
        return self._sink

    def schema(self) -> pa.Schema:
        """See `Table.schema`."""
        return self._lake.schema(self._name)

    def read(
        self,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
        version: str | None = None,
    ) -> pa.RecordBatchReader:
        """See `Table.read`."""
        number = None if version is None else _number(version)
        return first_rows(self._lake.read(self._name, version=number, columns=columns, where=where), limit)

    def count(self) -> int | None:
        """See `Table.count`."""
        return self._lake.count(self._name)

    def version(self) -> str:
        """See `Table.version`."""
        return str(self._lake.version(self._name))

    def history(self, limit: int | None = None) -> list[Version]:
        """See `Table.history`."""
        return [
            Version(str(commit.version), commit.at, commit.operation, commit.pipe, _added(commit.details))
            for commit in self._lake.history(self._name, limit=limit)
        ]

    def rejected(self) -> pa.RecordBatchReader:
        """See `Table.rejected`."""
        return self._lake.rejected(self._name)

    def compact(self, z_order: Sequence[str] = ()) -> str:
        """See `Table.compact`."""
        done = self._lake.compact(self._name, z_order=z_order)
        return f"{done.removed} files became {done.added}"

    def vacuum(self, keep: timedelta | None = None, *, dry_run: bool = False, force: bool = False) -> list[str]:
        """See `Table.vacuum`."""
        return self._lake.vacuum(self._name, keep=_WEEK if keep is None else keep, dry_run=dry_run, force=force)


def _number(version: str) -> int:
    try:
        return int(version)
    except ValueError:
        raise ConfigurationError(f"version={version!r} is no version of a lake table.", hint="it is a number") from None


def _added(details: Mapping[str, Any]) -> int | None:
    """The rows that a commit added, as it tells them itself."""
    metrics = details.get("operationMetrics") or {}
    for name in ("num_added_rows", "num_output_rows", "num_target_rows_inserted"):
        if name in metrics:
            return int(metrics[name])
    return None
