"""Messages of the replication stream, many at once.

The protocol is that of `pgoutput`, version 1 (PostgreSQL's documentation, "Logical Replication Message Formats").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.connectors.cdc.relations import Relation
from penstock.connectors.postgres.copying import starts_of
from penstock.connectors.postgres.fields import UNCHANGED, Buffer, Field, Numbers, of_tuples
from penstock.core.errors import SourceUnavailable
from penstock.core.extras import require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = require("numpy", "data")

ENVELOPE = 25
"""Bytes before a message: `w`, its place in the log, how far the server is, and its clock."""
BEGIN, COMMIT, RELATION, INSERT, UPDATE, DELETE, TRUNCATE, MESSAGE = b"BCRIUDTM"
_NEW = ord("N")


@dataclass(frozen=True)
class Transaction:
    """What is known of a transaction when it begins.

    Attributes:
        commit: where in the log it is committed.
        time: when, in microseconds since 2000.
        number: its number.
    """

    commit: int
    time: int
    number: int


class Block:
    """Some messages, one after another.

    Args:
        messages: with their envelopes, one behind the other.
        sizes: of each.
        inside: the transaction that the first messages belong to, where its beginning came in a block before.
        before: how many of its changes came in blocks before.
        skip: how many changes of the first transaction, from the first one here, have been handed out already.
    """

    def __init__(
        self,
        messages: bytearray,
        sizes: list[int],
        inside: Transaction | None = None,
        before: int = 0,
        skip: int = 0,
    ) -> None:
        self.size = len(messages)
        self.buffer = Buffer(messages)
        self.at: Numbers = starts_of(sizes) + ENVELOPE
        self.kinds: NDArray[np.uint8] = self.buffer.bytes[self.at]
        self.changes: NDArray[np.bool_] = np.isin(self.kinds, (INSERT, UPDATE, DELETE, TRUNCATE))
        self._inside, self._before = inside, before
        self._begins = np.flatnonzero(self.kinds == BEGIN)
        if skip:
            self.changes[np.flatnonzero(self.changes)[:skip]] = False

    def message(self, row: int) -> bytes:
        """One message, and whatever comes after it."""
        end = int(self.at[row + 1]) - ENVELOPE if row + 1 < len(self.at) else self.size
        return bytes(self.buffer.data[int(self.at[row]) : end])

    def rare(self) -> Iterator[tuple[int, int]]:
        """The messages that are looked at one by one, and their kinds."""
        for row in np.flatnonzero(np.isin(self.kinds, (RELATION, TRUNCATE, MESSAGE))):
            if self.kinds[row] != TRUNCATE or self.changes[row]:
                yield int(row), int(self.kinds[row])

    def rows(self) -> tuple[Numbers, Numbers]:
        """The messages that are changes of rows, and the number of each one's table."""
        found = np.flatnonzero(self.changes & (self.kinds != TRUNCATE))
        return found, self.buffer.numbers(">u4", self.at[found] + 1).astype(np.int64)

    def transaction(self, row: int) -> Transaction | None:
        """The transaction that a message belongs to."""
        place = int(np.searchsorted(self._begins, row, "right")) - 1
        if place < 0:
            return self._inside
        at = self.at[self._begins[place : place + 1]]
        commit, time = self.buffer.numbers(">u8", at + 1)[0], self.buffer.numbers(">i8", at + 9)[0]
        return Transaction(int(commit), int(time), int(self.buffer.numbers(">u4", at + 17)[0]))

    def transactions(self, rows: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Of each message the transaction's place of commit, time and number."""
        at = self.at[self._begins]
        found = [
            self.buffer.numbers(kind, at + offset).astype(np.int64)
            for kind, offset in ((">u8", 1), (">i8", 9), (">u4", 17))
        ]
        first = self._inside or Transaction(0, 0, 0)
        places = np.searchsorted(self._begins, rows, "right")
        before = (first.commit, first.time, first.number)
        commit, time, number = (
            np.concatenate(([value], those))[places] for value, those in zip(before, found, strict=True)
        )
        return commit, time, number

    def counted(self, rows: Numbers) -> Numbers:
        """Of each change its number in its transaction, from 1; those that were skipped are counted."""
        every = np.isin(self.kinds, (INSERT, UPDATE, DELETE, TRUNCATE))
        so_far = np.cumsum(every)
        before = np.concatenate(([-self._before], so_far[self._begins]))
        return so_far[rows] - before[np.searchsorted(self._begins, rows, "right")]

    @property
    def first(self) -> Transaction | None:
        """The transaction that comes first."""
        return self._inside or (self.transaction(int(self._begins[0])) if len(self._begins) else None)

    @property
    def count(self) -> int:
        """How many changes there are, those that were skipped among them."""
        return int(np.isin(self.kinds, (INSERT, UPDATE, DELETE, TRUNCATE)).sum())

    @property
    def end(self) -> int:
        """Where the log goes on after the last transaction; 0 where none ends here."""
        commits = np.flatnonzero(self.kinds == COMMIT)
        return int(self.buffer.numbers(">u8", self.at[commits[-1:]] + 10)[0]) if len(commits) else 0


@dataclass(frozen=True)
class Segment:
    """Changes of the rows of one table, between which its columns stayed the same and it was not emptied.

    Attributes:
        block: where they are.
        relation: the table.
        rows: which messages.
    """

    block: Block
    relation: Relation
    rows: Numbers

    @property
    def kinds(self) -> NDArray[np.uint8]:
        """Of each change: `INSERT`, `UPDATE`, `DELETE`."""
        return self.block.kinds[self.rows]

    def tuples(self) -> tuple[Rows, Rows]:
        """The rows before the changes, as far as they are in the log, and after them."""
        buffer, width = self.block.buffer, len(self.relation.columns)
        at, kinds = self.block.at[self.rows], self.kinds
        has_old = buffer.bytes[at + 5] != _NEW
        former = np.flatnonzero(has_old)
        new_at = at + 6
        old: list[Field] = []
        if len(former):
            old, ends = self._fields(at[former] + 6, width)
            new_at[former] = ends + 1
        latter = np.flatnonzero(kinds != DELETE)
        new, _ = self._fields(new_at[latter], width)
        before, after = Rows(former, old or [Field(buffer, at[:0], at[:0])] * width), Rows(latter, new)
        return before, after.filled(before, self.relation)

    def _fields(self, at: Numbers, width: int) -> tuple[list[Field], Numbers]:
        buffer = self.block.buffer
        if (buffer.numbers(">i2", at) != width).any():
            raise SourceUnavailable(f"The log has rows of {self.relation.title} that are not as it said they would be.")
        return of_tuples(buffer, at, width)


@dataclass(frozen=True)
class Rows:
    """Rows of some of the changes of a segment.

    Attributes:
        changes: which changes these are, in order.
        fields: their values, by column.
    """

    changes: Numbers
    fields: list[Field]

    def filled(self, before: Rows, relation: Relation) -> Rows:
        """With the values that were left out because they did not change, as far as the former row has them."""
        if not any((field.sizes == UNCHANGED).any() for field in self.fields):
            return self
        places = np.searchsorted(before.changes, self.changes)
        places = np.minimum(places, max(len(before.changes) - 1, 0))
        has_old = before.changes[places] == self.changes if len(before.changes) else np.zeros(len(self.changes), bool)
        fields = []
        for number, (field, old) in enumerate(zip(self.fields, before.fields, strict=True)):
            known = has_old if relation.full or number in relation.key else np.zeros(len(has_old), bool)
            fill = np.flatnonzero((field.sizes == UNCHANGED) & known)
            if len(fill):
                field = Field(field.buffer, field.starts.copy(), field.sizes.copy())
                field.starts[fill], field.sizes[fill] = old.starts[places[fill]], old.sizes[places[fill]]
            fields.append(field)
        return Rows(self.changes, fields)
