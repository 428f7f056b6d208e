"""Blocks of messages made into batches."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penstock.connectors.cdc import changelog
from penstock.connectors.cdc.blocks import MESSAGE, RELATION, Block, Segment
from penstock.connectors.cdc.merging import Fetch, Merged, merge
from penstock.connectors.cdc.options import Options
from penstock.connectors.cdc.relations import Announced, Relation, Table
from penstock.connectors.postgres.types import Types
from penstock.core.errors import SourceChanged
from penstock.core.extras import require
from penstock.core.ports.data import Part, Rejected

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

    np = require("numpy", "data")


@dataclass
class Decoded:
    """What a block comes to.

    Attributes:
        parts, rejected, superseded: as in `Batch`.
        again: tables that somebody wants to be copied again.
    """

    parts: list[Part] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    superseded: int = 0
    again: list[str] = field(default_factory=list)


class Decoder:
    """Knows the tables as the log has announced them so far.

    Args:
        options: of the source.
        tables: the tables that are followed, by title.
        types: to look up types.
        fetch: asks the database for values that the log leaves out.
    """

    def __init__(self, options: Options, tables: Mapping[str, Table], types: Types, fetch: Fetch) -> None:
        self._options, self._tables, self._types, self._fetch = options, tables, types, fetch
        self._announced: dict[int, Announced] = {}
        self._relations: dict[int, Relation] = {}

    def decode(self, block: Block, skips: Callable[[str], bool]) -> Decoded:
        """What a block comes to, without the tables that are to be skipped."""
        found = Decoded()
        rows, oids = block.rows()
        events = list(block.rare())
        breaks: dict[int, list[tuple[int, Relation | None]]] = {}
        first = dict(self._relations)
        for row, kind in events:
            if kind == RELATION:
                new = self._announce(block.message(row))
                if new is not None:
                    breaks.setdefault(new.oid, []).append((row, new))
            elif kind == MESSAGE:
                found.again += self._asked(block.message(row))
            else:
                for oid in _emptied(block.message(row)):
                    breaks.setdefault(oid, []).append((row, None))
        for oid in dict.fromkeys([*np.unique(oids).tolist(), *breaks]):
            self._table(block, rows[oids == oid], first.get(oid), breaks.get(oid, []), skips, found)
        return found

    def _announce(self, message: bytes) -> Relation | None:
        """A table as it is from now on; None where that is no news, or none of the tables that are followed."""
        announced = Announced.of(message)
        if announced == self._announced.get(announced.oid) or announced.title not in self._tables:
            return None
        self._announced[announced.oid] = announced
        relation = announced.relation(self._types, self._tables[announced.title].key)
        if not relation.key and not self._options.as_changes:
            raise SourceChanged(
                f"{relation.title} has lost its primary key, so that its rows cannot be told apart any more.",
                hint='give it one, and copy the tables again: when_lost="copy" after dropping the replication slot',
            )
        self._relations[relation.oid] = relation
        return relation

    def _table(
        self,
        block: Block,
        rows: Any,
        relation: Relation | None,
        breaks: list[tuple[int, Relation | None]],
        skips: Callable[[str], bool],
        found: Decoded,
    ) -> None:
        """The changes of one table, cut where it was announced anew or emptied."""
        known = relation or next((new for _, new in breaks if new is not None), None)
        if known is None or skips(known.title):
            return
        name = self._options.name(known.title)
        mine = Merged()
        start = 0
        for place, new in [*breaks, (len(block.at), None)]:
            end = int(np.searchsorted(rows, place))
            if end > start and relation is not None:
                self._segment(Segment(block, relation, rows[start:end]), name, mine)
            start = end
            if new is not None:
                relation = new
            elif place < len(block.at):
                mine = self._empty(block, place, relation or known, name, mine)
        found.parts += mine.parts
        found.rejected += mine.rejected
        found.superseded += mine.superseded

    def _segment(self, segment: Segment, name: str, mine: Merged) -> None:
        more = changelog.log(segment, name) if self._options.as_changes else merge(segment, name, self._fetch)
        mine.parts += more.parts
        mine.rejected += more.rejected
        mine.superseded += more.superseded

    def _empty(self, block: Block, row: int, relation: Relation, name: str, mine: Merged) -> Merged:
        """A table was emptied: what came before in this block need not be done."""
        if self._options.as_changes:
            seq = int(block.counted(np.array([row]))[0])
            mine.parts.append(changelog.emptied(relation.columns, block.transaction(row), seq, name, 0))
            return mine
        needless = sum(part.rows.num_rows for part in mine.parts) + mine.superseded
        return Merged([emptied(relation.columns, name)], mine.rejected, needless)

    def _asked(self, message: bytes) -> list[str]:
        """The tables that a message to this slot names, see `PostgresChanges.copy_again`."""
        prefix, _, rest = message[10:].partition(b"\0")
        if prefix.decode() != prefix_of(self._options.slot):
            return []
        (size,) = struct.unpack_from(">I", rest)
        return [table for table in json.loads(rest[4 : 4 + size]) if table in self._tables]


def prefix_of(slot: str) -> str:
    """What the messages begin with that are meant for a slot."""
    return f"penstock:{slot}"


def emptied(columns: Any, name: str) -> Part:
    """A table is to be emptied."""
    schema = pa.schema([pa.field(column.name, column.kind.arrow) for column in columns])
    return Part(schema.empty_table(), name, "truncate")


def _emptied(message: bytes) -> list[int]:
    (count,) = struct.unpack_from(">I", message, 1)
    return list(struct.unpack_from(f">{count}I", message, 6))
