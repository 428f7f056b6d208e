"""The tables that are followed: as the catalog has them now, and as the log says they were."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from penstock.connectors.postgres.types import Column, Types
from penstock.core.sqltext import quoted


@dataclass(frozen=True)
class Table:
    """A table as the catalog has it.

    Attributes:
        schema, name: its name.
        kind: `r` for a table, `p` for one of partitions.
        columns: those that are published.
        key: the columns that tell its rows apart; empty where there are none.
        filter: SQL that tells which rows are published; empty for all.
    """

    schema: str
    name: str
    kind: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    filter: str = ""

    @property
    def title(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"

    @property
    def sql(self) -> str:
        """For FROM: without what inherits from it, which is not published with it."""
        return ("ONLY " if self.kind == "r" else "") + quoted(self.schema, self.name)


@dataclass(frozen=True)
class Relation:
    """A table as it was when the changes were made that come after this in the log.

    Attributes:
        oid: its number in the messages.
        title: `schema.name`.
        columns: those of its rows in the messages.
        key: which of them tell rows apart, by number.
        full: changes come with the whole former row.
    """

    oid: int
    title: str
    columns: tuple[Column, ...]
    key: tuple[int, ...]
    full: bool


@dataclass(frozen=True)
class Announced:
    """What a Relation message says, nothing of it looked up."""

    oid: int
    title: str
    identity: str
    columns: tuple[tuple[str, int, int], ...]
    flagged: tuple[str, ...]

    @staticmethod
    def of(message: bytes) -> Announced:
        """Read a Relation message (protocol version 1)."""
        (oid,) = struct.unpack_from(">I", message, 1)
        schema, name, rest = message[5:].split(b"\0", 2)
        identity = chr(rest[0])
        (count,) = struct.unpack_from(">h", rest, 1)
        columns, flagged = [], []
        place = 3
        for _ in range(count):
            end = rest.index(b"\0", place + 1)
            title = rest[place + 1 : end].decode()
            if rest[place] & 1:
                flagged.append(title)
            columns.append((title, *struct.unpack_from(">Ii", rest, end + 1)))
            place = end + 9
        title = f"{schema.decode() or 'pg_catalog'}.{name.decode()}"
        return Announced(oid, title, identity, tuple(columns), tuple(flagged))

    def relation(self, types: Types, key: Sequence[str]) -> Relation:
        """With its types looked up, and the key that was chosen for a table whose former rows come whole."""
        types.look_up([oid for _, oid, _ in self.columns])
        columns = tuple(types.column(self.title, name, oid, modifier) for name, oid, modifier in self.columns)
        names = [column.name for column in columns]
        chosen = key if self.identity == "f" else self.flagged
        numbers = tuple(names.index(name) for name in chosen if name in names)
        return Relation(
            self.oid, self.title, columns, numbers if len(numbers) == len(chosen) else (), self.identity == "f"
        )
