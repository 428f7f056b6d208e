"""Cold partitions, moved out of a table to a cheaper place, and back.

The files are copied and described by a manifest; then one commit takes them out of the table, and carries a
transaction by which the archive is known to be true. Killed before it, the table has its rows, and the copies are
leftovers, which the next `archive` removes. Restoring is one commit too, and happens once.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from penstock.core.errors import ConfigurationError, DatasetNotFound
from penstock.stores.lake.delta import File, Table, Ticket
from penstock.stores.lake.failures import conflict, told
from penstock.stores.lake.pipes import tries
from penstock.stores.lake.quarantine import decoded
from penstock.stores.lake.rewriting import files_of, rows_of
from penstock.stores.lake.schemas import grown
from penstock.stores.lake.storage import Storage

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_FOLDER = "_archives"
_ARCHIVED, _RESTORED = 1, 2
_STRING = r"'(?:[^']|'')*'"
_NAME = r'"(?:[^"]|"")*"|[^\W\d]\w*'


@dataclass(frozen=True)
class Archive:
    """Partitions that were moved.

    Attributes:
        id: names it.
        table: whose they are.
        where: the condition that they fitted.
        at: when.
        files: their files.
        restored: they are in the table again.
    """

    id: str
    table: str
    where: str
    at: str
    files: tuple[File, ...]
    restored: bool = False

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(file.rows for file in self.files)


def _app(archive: str) -> str:
    return f"penstock-archive/{archive}"


def _folder(table: Table, archive: str = "") -> str:
    return f"{table.path}/{_FOLDER}/{archive}".rstrip("/")


def archive(table: Table, where: str, to: Storage) -> Archive:
    """See `Lake.archive`."""
    _check(table, where)
    _remove_leftovers(table, to)
    for _ in tries(f"The table {table.path}"):
        made = _chosen(table, where)
        folder = _folder(table, made.id)
        for file in made.files:
            table.storage.copy(f"{table.path}/{file.path}", to, f"{folder}/{file.path}")
        to.put(f"{folder}/manifest.json", json.dumps(asdict(made), ensure_ascii=False).encode())
        try:
            table.delete(where, Ticket(_app(made.id), _ARCHIVED, {"penstock.archive": made.id}))
        except Exception as error:
            table.refresh()
            if table.transaction(_app(made.id)) is None:
                if not conflict(error):
                    raise
                to.remove(to.names(folder))
                continue
        return made
    raise AssertionError  # `tries` ends with an error


def _check(table: Table, where: str) -> None:
    """A condition that only partition columns take part in."""
    by = table.partition_by
    if not by:
        raise ConfigurationError(f"{table.path} has no partitions, and only whole partitions can be moved.")
    used = {name.strip('"').replace('""', '"') for name in re.findall(_NAME, re.sub(_STRING, "", where))}
    others = sorted(used & set(table.schema.names) - set(by))
    if others:
        raise ConfigurationError(
            f"where={where!r} is about {', '.join(map(repr, others))}, and only whole partitions can be moved.",
            hint=f"{table.path} is parted by {', '.join(map(repr, by))}",
        )


def _chosen(table: Table, where: str) -> Archive:
    """The files of the partitions that fit the condition."""
    root = f"{table.storage.uri(table.path)}/"
    try:
        found = [uri.removeprefix(root) for uri in table.delta.file_uris(file_pruning_predicate=where)]
    except Exception as error:
        raise ConfigurationError(f"where={where!r} cannot be asked of {table.path}: {told(error)}") from error
    if not found:
        raise ConfigurationError(
            f"No partition of {table.path} fits {where!r}.", hint=f"it is parted by {', '.join(table.partition_by)}"
        )
    known = {file.path: file for file in files_of(table)}
    files = tuple(known[path] for path in found)
    now = datetime.now(UTC)
    return Archive(f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}", table.path, where, now.isoformat(), files)


def listed(table: Table, to: Storage) -> list[Archive]:
    """See `Lake.archives`."""
    found = [_known(table, to, folder.rsplit("/", 1)[-1]) for folder in to.folders(_folder(table))]
    return sorted((one for one in found if one is not None), key=lambda one: one.at)


def _known(table: Table, to: Storage, archive_id: str) -> Archive | None:
    """An archive that is true: the table has given its rows up."""
    number = table.transaction(_app(archive_id))
    manifest = to.get(f"{_folder(table, archive_id)}/manifest.json") if number is not None else None
    if manifest is None:
        return None
    plain = json.loads(manifest)
    made = Archive(**{**plain, "files": tuple(File(**file) for file in plain["files"])})
    return replace(made, restored=number == _RESTORED)


def _remove_leftovers(table: Table, to: Storage) -> None:
    """Copies of partitions that never left the table."""
    for folder in to.folders(_folder(table)):
        if table.transaction(_app(folder.rsplit("/", 1)[-1])) is None:
            to.remove(to.names(folder))


def restore(table: Table, archive_id: str, to: Storage) -> int:
    """See `Lake.restore`."""
    for _ in tries(f"The table {table.path}"):
        found = _known(table, to, archive_id)
        if found is None:
            raise DatasetNotFound(
                f"{to.root} has no archive {archive_id!r} of {table.path}.",
                hint="lake.archives(...) lists those there are",
            )
        if found.restored:
            raise ConfigurationError(f"The archive {archive_id} is in {table.path} again already.")
        ticket = Ticket(_app(archive_id), _RESTORED, {"penstock.restored": archive_id})
        try:
            table.append(_rows(table, found, to), ticket)
        except Exception as error:
            table.refresh()
            if table.transaction(_app(archive_id)) != _RESTORED:
                if not conflict(error):
                    raise
                continue
        return found.rows
    raise AssertionError  # `tries` ends with an error


def _rows(table: Table, found: Archive, to: Storage) -> pa.RecordBatchReader:
    """All rows of an archive, with the columns that the table has now."""
    paths = {file.path: f"{_folder(table, found.id)}/{file.path}" for file in found.files}
    schema = grown(table.schema, decoded(to.read(paths[found.files[0].path])).schema_arrow)

    def every() -> Iterator[pa.RecordBatch]:
        for file in found.files:
            yield from rows_of(to.read(paths[file.path]), file, schema)

    return pa.RecordBatchReader.from_batches(schema, every())
