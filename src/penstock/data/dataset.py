"""Datasets: tables by name, of which every reading and writing is on record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from penstock.core.addresses import is_secret
from penstock.core.errors import ConfigurationError, DatasetNotFound
from penstock.core.ports.data import Landed, Landing, Place
from penstock.core.ports.tables import Table, Version
from penstock.core.rows.types import types_of
from penstock.data.checking import Checking, checks_of
from penstock.data.conforming import Conforming
from penstock.data.putting import put
from penstock.data.recording import NamedSink
from penstock.engine import datasets
from penstock.engine.addresses import table_at

if TYPE_CHECKING:
    import pyarrow as pa


class Dataset(NamedSink):
    """A table with a name. Readings and writings are recorded: `DatasetRead`, `DatasetWritten`.

    Nothing is opened before it is first used, so that datasets can be declared beside the tasks that use them.

    Args:
        name: what people call it.
        at: where it is: an address such as `lake:raw/orders`, `duckdb:shop.duckdb#analytics.daily` or `orders.csv`, or
            a table that a store gives.
        keys: the columns that tell a row from the others. Rows with the keys of another one take its place.
        partition_by: the columns that files are parted by, where the store does that.
        mode: what rows do; by default they are merged where there are keys, and appended elsewhere.
        columns: names and types, such as `{"id": "int64", "day": "date"}`. Rows that do not have them, or have more,
            are rejected. By default columns are as they come.
        checks: what rows have to follow before they land: rules, such as the path of their file, or
            `penstock.quality.Checks`, which also says what is done where they do not. They see the declared columns.
        description: for people who look at it.
        owner: who is asked about it.
        tags: for finding it.
        options: more of the address, see `penstock ingest`. Those that are called like secrets are put on no record.

    Raises:
        ConfigurationError: the name is empty, or a table is given options that it has itself. Types and options that
            cannot be are told when it is first used.
    """

    def __init__(
        self,
        name: str,
        at: str | Table,
        *,
        keys: str | Sequence[str] = (),
        partition_by: str | Sequence[str] = (),
        mode: str | None = None,
        columns: Mapping[str, Any] | None = None,
        checks: Any = None,
        description: str = "",
        owner: str = "",
        tags: str | Sequence[str] = (),
        options: Mapping[str, str] | None = None,
    ) -> None:
        if not name or not isinstance(name, str) or name != name.strip():
            raise ConfigurationError(f"{name!r} is no name of a dataset.", hint="such as orders or shop.orders")
        self.name = name
        self.keys = _names(keys)
        self.partition_by = _names(partition_by)
        self.mode = mode or ("merge" if self.keys else None)
        self.columns = {column: str(kind) for column, kind in columns.items()} if columns is not None else None
        self.description = description
        self.owner = owner
        self.tags = _names(tags)
        self._options = dict(options or {})
        self._at = at
        self._table: Table | None = None if isinstance(at, str) else at
        if isinstance(at, Table) and (self.keys or self.partition_by or mode or options):
            raise ConfigurationError(
                f"The dataset {name} is given a table, which has keys, mode and options of its own.",
                hint="give them to the table, or give the dataset an address",
            )
        self._kinds = columns
        self._checks = checks_of(checks)

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {self._at!r})"

    @property
    def table(self) -> Table:
        """The table itself; what is done with it is not recorded."""
        if self._table is None:
            self._table = table_at(str(self._at), self._given())
        return self._table

    def _given(self) -> dict[str, str]:
        """The options of the address."""
        given = dict(self._options)
        if self.keys:
            given["keys"] = ",".join(self.keys)
        if self.partition_by:
            given["partition_by"] = ",".join(self.partition_by)
        if self.mode is not None:
            given["mode"] = self.mode
        return given

    @property
    def place(self) -> Place:
        """Where it is, as lineage names it."""
        return self.table.place

    @property
    def spec(self) -> dict[str, Any]:
        """What was said of it."""
        said = {
            "keys": list(self.keys),
            "partition_by": list(self.partition_by),
            "mode": self.mode,
            "columns": self.columns,
            "checks": self._checks.told() if self._checks is not None else None,
            "description": self.description,
            "owner": self.owner,
            "tags": list(self.tags),
            "options": {name: value for name, value in self._options.items() if not is_secret(name)},
        }
        return {name: value for name, value in said.items() if value}

    def open(self, pipe: str) -> Landing:
        """See `Sink.open`."""
        gate = self._checks.gate(self.name, str(self.place)) if self._checks is not None else None
        landing = self.table.sink().open(pipe)
        if gate is not None:
            landing = Checking(landing, gate, self.name, pipe)
        if self._kinds is None:
            return landing
        return Conforming(landing, types_of(self._kinds, "columns"), self.name)

    def forget(self, pipe: str) -> None:
        """See `Sink.forget`."""
        self.table.sink().forget(pipe)

    def declare(self) -> None:
        """Put what is said of it on record, so that `penstock dataset` knows it; reading and writing does so too."""
        datasets.declare(datasets.journal_here(), self.place, self.name, self.table.address, self.spec)

    def exists(self) -> bool:
        """Whether there is a table."""
        try:
            self.table.schema()
        except DatasetNotFound:
            return False
        return True

    def schema(self) -> pa.Schema:
        """Its columns as they are.

        Raises:
            DatasetNotFound: nothing has been written yet.
        """
        return self.table.schema()

    def read(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: str | None = None,
        limit: int | None = None,
        version: str | int | None = None,
    ) -> pa.Table:
        """Its rows; `polars.from_arrow` makes a frame of them, and `.to_pandas()` another one.

        Args:
            columns: these only.
            where: rows for which this SQL condition holds.
            limit: at most so many.
            version: as they were at that version.

        Raises:
            DatasetNotFound: nothing has been written yet, or there is no such version any more.
            ConfigurationError: a column, a condition or a version that cannot be.
            SinkUnavailable: the store cannot be reached.
        """
        wanted = self.table.version() if version is None else str(version)
        rows = self.table.read(columns, where, limit, wanted or None).read_all()
        self.declare()
        datasets.read(
            datasets.journal_here(),
            self.place,
            rows=rows.num_rows,
            columns=columns or (),
            version=wanted,
            address=self.table.address,
        )
        return rows

    def write(self, rows: Any, *, name: str | None = None) -> Landed:
        """Write rows, all or nothing; in a run once for each step. See `penstock.data.put`."""
        return put(rows, self, name=name)

    def count(self) -> int | None:
        """How many rows it has; None where counting would mean reading all of it."""
        return self.table.count()

    def history(self, limit: int | None = None) -> list[Version]:
        """Its versions, the latest first."""
        return self.table.history(limit)

    def rejected(self) -> pa.Table:
        """Its quarantine: reason, where, raw, pipe and at of each record that could not land."""
        return self.table.rejected().read_all()

    def compact(self, z_order: str | Sequence[str] = ()) -> str:
        """Make it quick to read; what was done."""
        return self.table.compact(_names(z_order))

    def vacuum(self, keep: timedelta | None = None, *, dry_run: bool = False, force: bool = False) -> list[str]:
        """Delete files that no version of the last `keep` needs; these files."""
        return self.table.vacuum(keep, dry_run=dry_run, force=force)

    def close(self) -> None:
        """Let go of connections."""
        if self._table is not None:
            self._table.close()


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)
