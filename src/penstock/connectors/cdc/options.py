"""What can be said about following a database, and whether it can be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from penstock.connectors.cdc.catalog import Wanted
from penstock.connectors.cdc.stream import Limits
from penstock.connectors.postgres.link import qualified
from penstock.core.errors import ConfigurationError
from penstock.core.words import mistakes_told

WhenLost = Literal["refuse", "copy"]

_PIECE = 65_536
_SLOT = re.compile(r"[a-z0-9_]{1,63}")


@dataclass(frozen=True)
class Options:
    """See `PostgresChanges`."""

    tables: tuple[str, ...]
    slot: str
    publication: str
    follow: bool
    as_changes: bool
    copy: bool
    create_publication: bool
    keys: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str]
    types: Mapping[str, str]
    when_lost: WhenLost
    batch_rows: int
    batch_bytes: int
    batch_seconds: float
    whole_rows: int
    whole_bytes: int
    outage_seconds: float
    copy_seconds: float
    warn_bytes: int

    def check(self) -> None:
        """See that they can be.

        Raises:
            ConfigurationError: some cannot; every mistake is told.
        """
        mistakes = list(self._mistakes())
        if mistakes:
            raise ConfigurationError(mistakes_told("PostgresChanges", mistakes))

    def _mistakes(self) -> Iterator[tuple[str, str]]:
        titles = []
        if not self.tables:
            yield "tables", 'names none; write tables=["public.orders", ...]'
        for table in self.tables:
            try:
                titles.append(".".join(qualified(table)))
            except ConfigurationError as error:
                yield "tables", f"{error.message} {error.hint}"
        for title in sorted({title for title in titles if titles.count(title) > 1}):
            yield "tables", f"{title} is there twice"
        if not _SLOT.fullmatch(self.slot):
            yield "slot", f"{self.slot!r} must be 1 to 63 of the characters a-z, 0-9 and _"
        if not 0 < len(self.publication.encode()) < 64:
            yield "publication", "must be 1 to 63 bytes long"
        for option, given in (("keys", self.keys), ("names", self.names)):
            for table in given:
                if table not in titles:
                    yield option, f"{table!r} is none of the tables ({', '.join(titles)})"
        for column in self.types:
            if column.rpartition(".")[0] not in titles:
                yield "types", f'{column!r} is no column of the tables; write {{"schema.table.column": "text"}}'
        if self.when_lost not in ("refuse", "copy"):
            yield "when_lost", f"{self.when_lost!r} is neither refuse nor copy"
        counts = ("batch_rows", "batch_bytes", "whole_rows", "whole_bytes", "warn_bytes")
        for option in (*counts, "outage_seconds", "copy_seconds"):
            if getattr(self, option) <= 0:
                yield option, "must be greater than 0"
        if self.batch_seconds < 0:
            yield "batch_seconds", "must not be less than 0"

    @property
    def wanted(self) -> Wanted:
        """What is to be followed."""
        return Wanted(self.tables, self.publication, self.create_publication, self.keys, self.as_changes)

    @property
    def limits(self) -> Limits:
        """What makes a batch."""
        piece = min(self.whole_rows, _PIECE)
        return Limits(self.batch_rows, self.batch_bytes, self.batch_seconds, self.whole_rows, self.whole_bytes, piece)

    def name(self, title: str) -> str:
        """The table in the sink: where only one is followed, the one that the sink was made for."""
        return self.names.get(title, "" if len(self.tables) == 1 else title)


def titled(given: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Columns by table, whether one was given or several."""
    return {table: (columns,) if isinstance(columns, str) else tuple(columns) for table, columns in given.items()}


def default_slot(database: str) -> str:
    """The slot of a database; slots of all databases of a server share their names."""
    return re.sub("[^a-z0-9_]", "_", f"penstock_{database.lower()}")[:63]
