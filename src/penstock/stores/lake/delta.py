"""A Delta table and its commits, each of which carries a pipe's transaction number."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from penstock.core.errors import DatasetNotFound
from penstock.core.extras import require
from penstock.stores.lake.failures import conflict
from penstock.stores.lake.schemas import nothing
from penstock.stores.lake.storage import Storage

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_REWRITING = "penstock-rewriting"
CONFIGURATION = {"delta.checkpointInterval": "100"}


@dataclass(frozen=True)
class Ticket:
    """What a commit carries besides rows.

    Attributes:
        app: whose transaction it is.
        number: of the transaction; no two attempts have the same.
        told: for people who read the history.
    """

    app: str
    number: int
    told: Mapping[str, str]

    def properties(self, *, rewrites: bool = False) -> Any:
        """The same in delta-rs's words; of all commits that rewrite the table, one at a time can be made."""
        return _properties({self.app: self.number} | (_rewriting() if rewrites else {}), self.told)


def _rewriting() -> dict[str, int]:
    return {_REWRITING: secrets.randbelow(1 << 62)}


def _properties(numbers: Mapping[str, int], told: Mapping[str, str]) -> Any:
    delta, now = require("deltalake", "data"), int(time.time() * 1000)
    transactions = [delta.Transaction(app, number, now) for app, number in numbers.items()]
    return delta.CommitProperties(app_transactions=transactions, custom_metadata=dict(told))


def _afterwards() -> Any:
    """What delta-rs does behind a commit: it may write a checkpoint.

    It would look through the whole log as well, each time, for what is too old; how much of it stays is said by
    `keep_versions`.
    """
    return require("deltalake", "data").PostCommitHookProperties(cleanup_expired_logs=False)


@dataclass(frozen=True)
class File:
    """One of the files that a table consists of.

    Attributes:
        path: below the table.
        size: in bytes.
        rows: how many it has.
        partition: the values of the partition columns, which are not in the file.
    """

    path: str
    size: int
    rows: int
    partition: dict[str, str | None]


@dataclass(frozen=True)
class Exchange:
    """The same rows in other files.

    Attributes:
        added: what a log says of the new files; they are in the table's folder.
        removed: the old ones.
    """

    added: tuple[Mapping[str, Any], ...]
    removed: tuple[File, ...]


class Table:
    """A table of the lake at one version; a write is one commit, and moves it to the version after it."""

    def __init__(self, storage: Storage, path: str, delta: Any, level: int = 1) -> None:
        self.storage = storage
        self.path = path
        self.delta = delta
        self.level = level

    @classmethod
    def find(cls, storage: Storage, path: str, version: int | None = None) -> Table | None:
        """The table; None where there is none."""
        delta = require("deltalake", "data")
        with storage.failing(path):
            try:
                found = delta.DeltaTable(storage.uri(path), version=version, storage_options=storage.delta_options)
            except require("deltalake.exceptions", "data").TableNotFoundError:
                return None
        return cls(storage, path, found)

    @classmethod
    def get(cls, storage: Storage, path: str, version: int | None = None) -> Table:
        """The table.

        Raises:
            DatasetNotFound: there is none.
        """
        table = cls.find(storage, path, version)
        if table is None:
            raise DatasetNotFound(f"There is no table {path!r} in the lake {storage.root}.")
        return table

    @classmethod
    def made(cls, storage: Storage, path: str) -> Table:
        """The table, made without columns where there is none."""
        table = cls.find(storage, path)
        if table is None:
            storage.check_conditions()
            try:
                cls._make(storage, path)
            except Exception as error:
                if not conflict(error):  # somebody else makes it at the same moment
                    raise
            table = cls.get(storage, path)
        return table

    @staticmethod
    def _make(storage: Storage, path: str) -> None:
        delta = require("deltalake", "data")
        with storage.failing(path):
            delta.DeltaTable.create(
                storage.uri(path),
                nothing(),
                mode="ignore",
                configuration=CONFIGURATION,
                storage_options=storage.delta_options,
            )

    @property
    def version(self) -> int:
        """The version that is looked at."""
        found: int = self.delta.version()
        return found

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""
        return pa.schema(self.delta.schema().to_arrow())

    @property
    def partition_by(self) -> list[str]:
        """The columns it is cut by."""
        return list(self.delta.metadata().partition_columns)

    @property
    def kept_for(self) -> timedelta:
        """How long files that were given up stay, by the table's own rule."""
        told = self.delta.metadata().configuration.get("delta.deletedFileRetentionDuration", "")
        found = re.fullmatch(r"interval (\d+) (second|minute|hour|day|week)s?", told)
        return timedelta(**{f"{found[2]}s": int(found[1])}) if found else timedelta(weeks=1)

    def written(self) -> int:
        """Bytes that the commit of this version wrote; 0 where asking would cost a request."""
        if self.storage.remote:
            return 0
        log = self.storage.get(f"{self.path}/_delta_log/{self.version:020d}.json") or b""
        actions = (json.loads(line) for line in log.splitlines())
        return sum(action["add"]["size"] for action in actions if "add" in action)

    @property
    def empty(self) -> bool:
        """It has no files."""
        return not self.delta.file_uris()

    def transaction(self, app: str) -> int | None:
        """The last transaction of an application; this may read the log back to its last checkpoint."""
        with self.storage.failing(self.path):
            found: int | None = self.delta.transaction_version(app)
        return found

    def refresh(self) -> None:
        """Look at the latest version."""
        with self.storage.failing(self.path):
            self.delta.update_incremental()

    def touch(self, ticket: Ticket) -> None:
        """A commit without rows."""
        self._write(self.schema.empty_table(), ticket, mode="append")

    def append(self, rows: Any, ticket: Ticket) -> None:
        """Add rows; columns that are new are added to the table."""
        self._write(rows, ticket, mode="append", schema_mode="merge")

    def overwrite(self, rows: Any, ticket: Ticket, where: str = "true") -> None:
        """Rows instead of those that `where` selects; the columns stay, and may grow.

        Without a condition, delta-rs would not see what others have done to the table meanwhile.
        """
        self._write(rows, ticket, mode="overwrite", schema_mode="merge", predicate=where)

    def replace(self, rows: Any, ticket: Ticket, partition_by: Sequence[str]) -> None:
        """Rows and columns instead of all there are."""
        by = list(partition_by)
        self._write(rows, ticket, rewrites=True, mode="overwrite", schema_mode="overwrite", partition_by=by)

    def exchange(self, files: Exchange) -> None:
        """Other files with the same rows."""
        module = require("deltalake.transaction", "data")
        added = [
            module.AddAction(
                path=unquote(add["path"]),
                size=add["size"],
                partition_values=add["partitionValues"],
                modification_time=add["modificationTime"],
                data_change=False,
                stats=add["stats"],
            )
            for add in files.added
        ]
        now = int(time.time() * 1000)
        removed = [module.RemoveAction(file.path, False, now, size=file.size) for file in files.removed]
        with self.storage.failing(self.path):
            self.delta.create_write_transaction(
                [*added, *removed],
                "append",
                self.delta.schema(),
                self.partition_by,
                commit_properties=_properties(_rewriting(), {"penstock.rewriting": str(len(removed))}),
                post_commithook_properties=_afterwards(),
            )
        self.refresh()

    def _write(self, rows: Any, ticket: Ticket, rewrites: bool = False, **options: Any) -> None:
        delta = require("deltalake", "data")
        with self.storage.failing(self.path):
            delta.write_deltalake(
                self.delta,
                rows,
                commit_properties=ticket.properties(rewrites=rewrites),
                post_commithook_properties=_afterwards(),
                writer_properties=self.writer,
                **options,
            )

    @property
    def writer(self) -> Any:
        """How files are written."""
        delta = require("deltalake", "data")
        return delta.WriterProperties(compression="ZSTD", compression_level=self.level)

    def delete(self, where: str, ticket: Ticket) -> None:
        """Rows that a condition selects go away."""
        with self.storage.failing(self.path):
            self.delta.delete(where, commit_properties=ticket.properties(), post_commithook_properties=_afterwards())

    def merge(self, rows: pa.Table, on: str, clauses: Sequence[Clause], ticket: Ticket) -> None:
        """Change rows, add rows, delete rows.

        Args:
            rows: the source `s`, of which a row has at most one row of the target `t`.
            on: when they belong together.
            clauses: what happens then.
            ticket: of the commit.
        """
        with self.storage.failing(self.path):
            merger = self.delta.merge(
                rows,
                on,
                source_alias="s",
                target_alias="t",
                merge_schema=True,
                streamed_exec=False,
                writer_properties=self.writer,
                commit_properties=ticket.properties(),
                post_commithook_properties=_afterwards(),
            )
            for clause in clauses:
                if clause.delete:
                    merger = merger.when_matched_delete(predicate=clause.when)
                else:
                    merger = merger.when_matched_update(dict(clause.values), predicate=clause.when)
                    merger = merger.when_not_matched_insert(dict(clause.values), predicate=clause.when)
            merger.execute()


@dataclass(frozen=True)
class Clause:
    """What happens to some rows of a merge.

    Attributes:
        when: which rows of the source it is about.
        values: columns of the target, quoted, and what they become; they are those of a new row too.
        delete: the target's row goes away.
    """

    when: str
    values: Mapping[str, str]
    delete: bool = False
