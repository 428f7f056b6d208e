"""The lake as its user sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.errors import DatasetNotFound
from penstock.core.ports.data import Place, Sink
from penstock.stores.lake import archives, quarantine, reading, upkeep
from penstock.stores.lake.archives import Archive
from penstock.stores.lake.delta import Table
from penstock.stores.lake.landing import TableSink
from penstock.stores.lake.options import Mode, Schema, TableOptions, names_of, path_mistakes, refuse
from penstock.stores.lake.pipes import BESIDE
from penstock.stores.lake.reading import Commit
from penstock.stores.lake.rewriting import Compacted
from penstock.stores.lake.several import TablesSink
from penstock.stores.lake.storage import Access, Storage

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa


class Lake:
    """Delta tables in a folder or a bucket, in zones.

    Args:
        address: a folder, or `s3://bucket/prefix`.
        zones: the folders at the top; the name of a table begins with one of them.
        endpoint: of an S3 store that is not Amazon's. This and the next four come from the environment (`AWS_*`) where
            they are left out.
        region: of the bucket.
        access_key_id: who asks.
        secret_access_key: never shown.
        session_token: never shown.
        timeout_seconds: for each request to the bucket.
        single_writer: the bucket's store has no conditional writes, and only one process at a time writes to this
            lake. Two would overwrite each other's commits.

    Raises:
        ConfigurationError: something cannot be; all mistakes are told.
    """

    def __init__(
        self,
        address: str | Path,
        *,
        zones: Sequence[str] = ("raw", "processed"),
        endpoint: str = "",
        region: str = "",
        access_key_id: str = "",
        secret_access_key: str = "",
        session_token: str = "",
        timeout_seconds: float = 30.0,
        single_writer: bool = False,
    ) -> None:
        told = str(address)
        refuse("the lake", _lake_mistakes(told, zones, endpoint, timeout_seconds))
        self.zones = names_of(zones)
        self._access = Access(endpoint, region, access_key_id, secret_access_key, session_token, timeout_seconds)
        self._storage = Storage(told, self._access, single_writer=single_writer)

    def __repr__(self) -> str:
        return f"Lake({self._storage.root!r})"

    @property
    def root(self) -> str:
        """Where it is: a path from the root, or `s3://bucket/prefix`."""
        return self._storage.root

    @property
    def place(self) -> Place:
        """Where it is, as lineage names it."""
        return self._storage.place("")

    def table(
        self,
        name: str,
        *,
        mode: Mode = "append",
        keys: str | Sequence[str] = (),
        partition_by: str | Sequence[str] = (),
        schema: Schema = "evolve",
        compression_level: int = 1,
        compact_every: int = 100,
        keep_versions: int = 1000,
    ) -> Sink:
        """A table to bring records into.

        Args:
            name: `raw/orders`.
            mode: `append` adds records. `merge` lets a record take the place of the row with the same keys. `replace`
                lets all that is read, from the first batch to the last one, take the place of all there is, columns
                included; `overwrite` does so with the rows of the partitions that were read, and keeps the columns.
            keys: the columns that tell one row from another, for `merge`.
            partition_by: the columns that files are parted by, when the table is made.
            schema: `evolve` adds columns that are new; `strict` refuses them.
            compression_level: of zstd, 1 to 22.
            compact_every: make large files of small ones after this many commits of a pipe; 0 for never.
            keep_versions: how many versions can be read as they were, at least; 0 for all. Each of them makes looking
                for the latest one a little slower.

        Raises:
            ConfigurationError: something cannot be; all mistakes are told.
        """
        upkeep_of = (compression_level, compact_every, keep_versions)
        options = TableOptions(mode, names_of(keys), names_of(partition_by), schema, *upkeep_of)
        refuse(f"the table {name}", [*path_mistakes(name, self.zones), *options.mistakes()])
        return TableSink(self._storage, name, options)

    def tables(
        self,
        prefix: str,
        *,
        keys: str | Sequence[str] | Mapping[str, str | Sequence[str]] = (),
        table: str = "",
        schema: Schema = "evolve",
        compression_level: int = 1,
        compact_every: int = 100,
        keep_versions: int = 1000,
    ) -> Sink:
        """Tables to bring the records of a source into that has several, such as a database.

        Args:
            prefix: `raw/` or `raw/shop/`; the tables are named after those of the source.
            keys: of all tables, or by table; records of a table with keys are merged, others are added.
            table: where records go that name no table.
            schema: see `table`; so are the others.
            compression_level: see `table`.
            compact_every: see `table`.
            keep_versions: see `table`.

        Raises:
            ConfigurationError: something cannot be; all mistakes are told.
        """
        by_table = {name: names_of(some) for name, some in keys.items()} if isinstance(keys, Mapping) else None
        every = () if isinstance(keys, Mapping) else names_of(keys)
        upkeep_of = (compression_level, compact_every, keep_versions)
        options = TableOptions("merge" if every else "append", every, (), schema, *upkeep_of)
        inside = prefix.rstrip("/")
        wrong = [] if inside in self.zones else path_mistakes(inside, self.zones)
        refuse(f"the tables of {prefix}", [*wrong, *options.mistakes()])
        return TablesSink(self._storage, inside, options, keys=by_table, table=table)

    def names(self) -> list[str]:
        """The tables there are."""
        found: list[str] = []
        pending = list(self.zones)
        while pending:
            folder = pending.pop()
            inside = [path.rsplit("/", 1)[-1] for path in self._storage.folders(folder)]
            if "_delta_log" in inside:
                found.append(folder)
            else:
                pending.extend(f"{folder}/{name}" for name in inside if name != BESIDE)
        return sorted(found)

    def read(
        self,
        name: str,
        *,
        version: int | None = None,
        at: datetime | str | None = None,
        columns: Sequence[str] | None = None,
        where: str | None = None,
    ) -> pa.RecordBatchReader:
        """The rows of a table, as a stream of Arrow batches (`.read_all()` makes a table of them).

        Args:
            name: `raw/orders`.
            version: as the table was at that version,
            at: or at that moment; without a zone it is UTC.
            columns: these only.
            where: rows for which this SQL condition holds. Files that cannot have any are not read.

        Raises:
            DatasetNotFound: there is no such table, or no such version any more.
            ConfigurationError: a column or a condition that cannot be.
        """
        return reading.read(reading.table_at(self._storage, name, version, at), columns, where)

    def schema(self, name: str) -> pa.Schema:
        """The columns of a table."""
        return Table.get(self._storage, name).schema

    def version(self, name: str) -> int:
        """The latest version of a table."""
        return Table.get(self._storage, name).version

    def count(self, name: str) -> int | None:
        """How many rows a table has, as its log tells; None where the log does not tell it of every file."""
        return reading.count(Table.get(self._storage, name))

    def dataset(self, name: str) -> Any:
        """A table as a dataset of Arrow, for engines that read only what they need of it.

        Raises:
            DatasetNotFound: there is no such table, or nothing has told its columns yet.
        """
        return reading.dataset(Table.get(self._storage, name))

    def files(self, name: str, *, where: str | None = None) -> list[str]:
        """The files that have to be read for a condition."""
        return reading.files(Table.get(self._storage, name), where)

    def history(self, name: str, *, limit: int | None = None) -> list[Commit]:
        """The versions of a table, the latest first."""
        return reading.history(Table.get(self._storage, name), limit)

    def rejected(self, name: str) -> pa.RecordBatchReader:
        """The quarantine of a table: reason, where, raw, table, pipe and at of each record that could not land."""
        path = name.rstrip("/")
        table = Table.find(self._storage, path) or Table.find(self._storage, f"{path}/{BESIDE}")
        if table is None:
            raise DatasetNotFound(f"There is no table {path!r} in the lake {self._storage.root}.")
        return pa.RecordBatchReader.from_batches(quarantine.columns(), quarantine.batches(table))

    def compact(self, name: str, *, target_bytes: int | None = None, z_order: str | Sequence[str] = ()) -> Compacted:
        """Make few large files of many small ones.

        Args:
            name: `raw/orders`.
            target_bytes: how large; 100 MiB when left out.
            z_order: rows that are near each other in these columns lie together afterwards, so that a condition on
                them reads fewer files. This writes the whole table anew.
        """
        return upkeep.compact(Table.get(self._storage, name), target_bytes, names_of(z_order))

    def vacuum(
        self, name: str, *, keep: timedelta = timedelta(days=7), dry_run: bool = False, force: bool = False
    ) -> list[str]:
        """Delete files that no version needs which was the latest in the last `keep`; older ones cannot be read then.

        Args:
            name: `raw/orders`.
            keep: at least as long as anything reads or writes the table at a time.
            dry_run: only tell the files.
            force: less than the table's own rule (a week).

        Raises:
            ConfigurationError: `keep` is shorter than the table's rule, and there is no `force`.
        """
        return upkeep.vacuum(Table.get(self._storage, name), keep, dry_run, force)

    def archive(self, name: str, where: str, to: Lake | str | Path) -> Archive:
        """Move cold partitions to another folder or bucket. They are not in the table until they are restored.

        Args:
            name: `raw/orders`.
            where: an SQL condition on partition columns only: `day < '2024-01-01'`.
            to: another lake, or a folder. The files keep their format: any reader of Parquet can read them there.

        Raises:
            ConfigurationError: the condition is about other columns, or no partition fits it.
        """
        return archives.archive(Table.get(self._storage, name), where, self._other(to))

    def archives(self, name: str, to: Lake | str | Path) -> list[Archive]:
        """What of a table has been archived there, the oldest first."""
        return archives.listed(Table.get(self._storage, name), self._other(to))

    def restore(self, name: str, archive: str, to: Lake | str | Path) -> int:
        """Bring archived partitions back into the table; the archive stays.

        Args:
            name: `raw/orders`.
            archive: its id.
            to: where it is; the same as when it was made.

        Returns:
            How many rows came back.

        Raises:
            DatasetNotFound: there is no such archive.
            ConfigurationError: it has been restored already.
        """
        return archives.restore(Table.get(self._storage, name), archive, self._other(to))

    def _other(self, to: Lake | str | Path) -> Storage:
        if isinstance(to, Lake):
            return to._storage
        refuse("the archive", _lake_mistakes(str(to), self.zones, "", 1.0))
        return Storage(str(to), self._access)


def _lake_mistakes(address: str, zones: Sequence[str], endpoint: str, timeout_seconds: float) -> list[str]:
    found = []
    scheme = address.partition("://")[0] if "://" in address else ""
    if not address:
        found.append("the address is empty: it is a folder, or s3://bucket/prefix")
    if scheme not in ("", "file", "s3"):
        found.append(f"{scheme}:// is no place for a lake: it is a folder, or s3://bucket/prefix")
    if scheme == "s3" and not address.removeprefix("s3://").partition("/")[0]:
        found.append("s3:// needs a bucket: s3://bucket/prefix")
    if "@" in address and scheme == "s3":
        found.append("the address holds a user or a password: give access_key_id= and secret_access_key=")
    if endpoint and not endpoint.startswith(("http://", "https://")):
        found.append(f"endpoint={endpoint!r} does not begin with http:// or https://")
    if not zones or not all(zone.isidentifier() and not zone.startswith("_") for zone in names_of(zones)):
        found.append(f"zones={zones!r} must be plain names")
    if timeout_seconds <= 0:
        found.append(f"timeout_seconds={timeout_seconds} is not more than 0")
    return found
