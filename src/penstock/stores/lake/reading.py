"""Reading tables: now or as they were, some columns, some rows, as a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from penstock.core.errors import ConfigurationError, DatasetNotFound
from penstock.core.extras import require
from penstock.stores.lake.delta import Table
from penstock.stores.lake.failures import told
from penstock.stores.lake.schemas import is_new
from penstock.stores.lake.storage import Storage

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa


@dataclass(frozen=True)
class Commit:
    """One version of a table.

    Attributes:
        version: its number.
        at: when it was committed.
        operation: what was done: WRITE, MERGE, OPTIMIZE, VACUUM END, ...
        pipe: of the commit; empty where no pipe made it.
        details: everything that the commit tells of itself.
    """

    version: int
    at: datetime
    operation: str
    pipe: str
    details: dict[str, Any]


def table_at(storage: Storage, path: str, version: int | None, at: datetime | str | None) -> Table:
    """The table as it was.

    Raises:
        DatasetNotFound: there is none, or it has no such version any more.
        ConfigurationError: both or a moment that cannot be.
    """
    if version is not None and at is not None:
        raise ConfigurationError("version= and at= both tell which version to read.", hint="give one of them")
    latest = Table.get(storage, path)
    if version is None and at is None:
        return latest
    wanted = version if at is None else _version_at(latest, _moment(at))
    try:
        if wanted is None:
            raise LookupError("the oldest one that is known is younger")
        latest.delta.load_as_version(wanted)
    except Exception as error:
        which = f"version {version}" if at is None else f"version of {at}"
        raise DatasetNotFound(
            f"{path} has no {which} (any more): {told(error)}",
            hint=f"the versions that are kept are listed by lake.history({path!r})",
        ) from error
    return latest


def _version_at(table: Table, moment: datetime) -> int | None:
    """The last version that had been committed by then, as the history tells it; found by halving."""
    low, high = -1, table.version
    while low < high:
        middle = (low + high + 1) // 2
        committed = _committed_at(table, middle)
        if committed is None or committed <= moment:  # the logs of the oldest versions may be gone
            low = middle
        else:
            high = middle - 1
    return low if low >= 0 and _committed_at(table, low) is not None else None


def _committed_at(table: Table, version: int) -> datetime | None:
    log = table.storage.get(f"{table.path}/_delta_log/{version:020d}.json")
    for line in (log or b"").splitlines():
        if "commitInfo" in (action := json.loads(line)):
            return datetime.fromtimestamp(action["commitInfo"]["timestamp"] / 1000, UTC)
    return None


def _moment(at: datetime | str) -> datetime:
    try:
        found = datetime.fromisoformat(at) if isinstance(at, str) else at
    except ValueError as error:
        raise ConfigurationError(f"at={at!r} is no moment.", hint="write it as 2024-03-01T12:00:00+00:00") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def read(table: Table, columns: Sequence[str] | None, where: str | None) -> pa.RecordBatchReader:
    """The rows that a condition selects, as a stream."""
    schema = table.schema
    if is_new(schema):
        return pa.RecordBatchReader.from_batches(pa.schema([]), [])
    wanted = list(schema.names if columns is None else columns)
    unknown = [name for name in wanted if name not in schema.names]
    if unknown:
        raise ConfigurationError(
            f"{table.path} has no column {', '.join(map(repr, unknown))}.",
            hint=f"it has {', '.join(map(repr, schema.names))}",
        )
    kinds = pa.schema([schema.field(name) for name in wanted])
    with table.storage.failing(table.path):
        try:
            scan = table.delta.scan(columns=wanted, predicate=where)
        except Exception as error:
            if where is None:
                raise
            raise ConfigurationError(
                f"where={where!r} cannot be asked of {table.path}: {told(error)}",
                hint="it is an SQL condition such as day >= '2024-01-01' AND \"Order Id\" = 7",
            ) from error
    return pa.RecordBatchReader.from_batches(kinds, _as_told(table, pa.RecordBatchReader.from_stream(scan), kinds))


def _as_told(table: Table, reader: Any, kinds: pa.Schema) -> Iterator[Any]:
    """Batches with the types of the table, which the scan may give in another form."""
    while True:
        with table.storage.failing(table.path):
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
        yield from pa.Table.from_batches([batch]).select(kinds.names).cast(kinds).to_batches()


def files(table: Table, where: str | None) -> list[str]:
    """The files that have to be read for a condition, by what the table knows of their partitions and columns."""
    with table.storage.failing(table.path):
        found: list[str] = table.delta.file_uris(file_pruning_predicate=where)
    return sorted(found)


def dataset(table: Table) -> Any:
    """The table as a dataset of Arrow."""
    if is_new(table.schema):
        raise DatasetNotFound(f"{table.path} has no columns yet: no row has landed in it.")
    with table.storage.failing(table.path):
        return table.delta.to_pyarrow_dataset(filesystem=_files_of(table))


def _files_of(table: Table) -> Any:
    """How Arrow reads the files by itself.

    In delta-rs's own way its threads call Python, and one that still reads ahead brings the process down when Python
    ends.
    """
    fs, storage = require("pyarrow.fs", "data"), table.storage
    if not storage.remote:
        return fs.SubTreeFileSystem(storage.uri(table.path), fs.LocalFileSystem())
    told, seconds = storage.access.options(), storage.access.timeout_seconds
    bucket = fs.S3FileSystem(
        access_key=told.get("aws_access_key_id"),
        secret_key=told.get("aws_secret_access_key"),
        session_token=told.get("aws_session_token"),
        region=told.get("aws_region"),
        endpoint_override=told.get("aws_endpoint"),
        connect_timeout=min(seconds, 5.0),
        request_timeout=seconds,
    )
    return fs.SubTreeFileSystem(storage.uri(table.path).removeprefix("s3://"), bucket)


def count(table: Table) -> int | None:
    """The rows of all files, as the log tells them."""
    with table.storage.failing(table.path):
        found = pa.table(table.delta.get_add_actions())
    if "num_records" not in found.schema.names:
        return None if found.num_rows else 0
    counts = found.column("num_records").to_pylist()
    return None if None in counts else sum(counts)


def history(table: Table, limit: int | None) -> list[Commit]:
    """Its versions, the latest first."""
    with table.storage.failing(table.path):
        found = table.delta.history(limit)
    return [
        Commit(
            version=entry["version"],
            at=datetime.fromtimestamp(entry["timestamp"] / 1000, UTC),
            operation=entry.get("operation", ""),
            pipe=entry.get("penstock.pipe", ""),
            details=entry,
        )
        for entry in found
    ]
