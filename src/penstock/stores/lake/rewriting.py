"""Rows of a table in other files: few and large ones, or in another order.

delta-rs compacts by itself, and cannot be used for it: it does not see that another compaction, or an overwrite, has
changed the same files meanwhile, and leaves rows in the table twice (1.6.6). Here the new files are written to a table
of their own, and then exchanged for the old ones by one commit, with a transaction that two such commits cannot have
at once.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from penstock.core.errors import SchemaRefused
from penstock.core.extras import require
from penstock.core.rows import conform
from penstock.stores.lake.delta import Exchange, File, Table
from penstock.stores.lake.failures import conflict
from penstock.stores.lake.pipes import BESIDE
from penstock.stores.lake.quarantine import decoded

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

TARGET_BYTES = 100 * 1024 * 1024
_FOLDER = "rewriting"
_FORGOTTEN = timedelta(days=1)


@dataclass(frozen=True)
class Compacted:
    """What became of the files.

    Attributes:
        added: files written.
        removed: files that they take the place of.
        version: of the table now.
    """

    added: int
    removed: int
    version: int


def files_of(table: Table) -> list[File]:
    """What a table consists of."""
    found = pa.table(table.delta.get_add_actions())
    told = [name for name in ("path", "size_bytes", "num_records", "partition") if name in found.schema.names]
    rows = found.select(told).to_pylist()
    return [
        File(unquote(row["path"]), row["size_bytes"], row["num_records"] or 0, _plain(row.get("partition")))
        for row in rows
    ]


def _plain(partition: dict[str, Any] | None) -> dict[str, str | None]:
    return {name: None if value is None else str(value) for name, value in (partition or {}).items()}


def rows_of(data: bytes, file: File, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of a file with these columns; those that files are parted by are not in it."""
    for batch in decoded(data).iter_batches():
        rows = pa.Table.from_batches([batch])
        for name, value in file.partition.items():
            rows = rows.append_column(name, pa.repeat(pa.scalar(value, pa.string()), rows.num_rows))
        done = conform(rows, schema)
        if done.misfits:
            raise SchemaRefused(f"{file.path} does not have the columns of the table: {done.misfits[0].reason}")
        yield from done.rows.to_batches()


def rewrite(table: Table, target_bytes: int, z_order: Sequence[str] = ()) -> Compacted | None:
    """Write files anew that are too small, or all of them in another order; None where somebody else was faster."""
    _sweep(table)
    chosen = files_of(table) if z_order else _small(files_of(table), target_bytes)
    if not chosen:
        return Compacted(0, 0, table.version)
    folder = f"{table.path}/{BESIDE}/{_FOLDER}.{datetime.now(UTC):%Y%m%dT%H%M%S}.{secrets.token_hex(4)}"
    try:
        made = _written(table, chosen, folder, target_bytes, z_order)
        for add in made:
            path = unquote(add["path"])
            table.storage.rename(f"{folder}/{path}", f"{table.path}/{path}")
        try:
            table.exchange(Exchange(tuple(made), tuple(chosen)))
        except Exception as error:
            table.refresh()
            if not conflict(error):
                raise
            table.storage.remove(f"{table.path}/{unquote(add['path'])}" for add in made)
            return None
        return Compacted(len(made), len(chosen), table.version)
    finally:
        table.storage.remove(table.storage.names(folder))


def _small(files: Sequence[File], target_bytes: int) -> list[File]:
    """Files below the target that have company in their partition."""
    parted: dict[str, list[File]] = {}
    for file in files:
        if file.size < target_bytes:
            parted.setdefault(json.dumps(file.partition, sort_keys=True), []).append(file)
    return [file for some in parted.values() if len(some) > 1 for file in some]


def _written(
    table: Table, chosen: Sequence[File], folder: str, target_bytes: int, z_order: Sequence[str]
) -> list[dict[str, Any]]:
    """The rows in new files of a table of their own; what its log says of each."""
    delta, storage, schema = require("deltalake", "data"), table.storage, table.schema

    def every() -> Iterator[pa.RecordBatch]:
        for file in chosen:
            yield from rows_of(storage.read(f"{table.path}/{file.path}"), file, schema)

    with storage.failing(folder):
        delta.write_deltalake(
            storage.uri(folder),
            pa.RecordBatchReader.from_batches(schema, every()),
            partition_by=table.partition_by or None,
            target_file_size=target_bytes,
            writer_properties=table.writer,
            storage_options=storage.delta_options,
        )
        if z_order:
            made = delta.DeltaTable(storage.uri(folder), storage_options=storage.delta_options)
            made.optimize.z_order(list(z_order), target_size=target_bytes, writer_properties=table.writer)
    live: dict[str, dict[str, Any]] = {}
    for path in sorted(name for name in storage.names(f"{folder}/_delta_log") if name.endswith(".json")):
        for action in map(json.loads, storage.read(path).splitlines()):
            if "add" in action:
                live[action["add"]["path"]] = action["add"]
            elif "remove" in action:
                live.pop(action["remove"]["path"], None)
    return list(live.values())


def _sweep(table: Table) -> None:
    """Remove what a process left that was killed here long ago."""
    for folder in table.storage.folders(f"{table.path}/{BESIDE}"):
        name = folder.rsplit("/", 1)[1]
        if not name.startswith(f"{_FOLDER}."):
            continue
        made = datetime.strptime(name.split(".")[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        if datetime.now(UTC) - made > _FORGOTTEN:
            table.storage.remove(table.storage.names(folder))
