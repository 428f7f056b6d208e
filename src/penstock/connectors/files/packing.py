"""Pieces of files put together to batches of a decent size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.connectors.files.reading import Piece
from penstock.core.ports.data import Batch, Part, Position, Rejected

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

BLOCK = 4 << 20
"""Bytes that are read at once."""
_ROWS, _PIECES = 250_000, 2_000


class Packer:
    """Gathers pieces until they make a batch.

    Args:
        size: bytes read that make one; so do 250,000 rows, and 2,000 files. The first one is smaller,
            so that it is committed soon, while more is read.
    """

    def __init__(self, size: int) -> None:
        self._most, self._next = size, min(size, BLOCK)
        self._clear()

    def _clear(self) -> None:
        self._tables: list[pa.Table] = []
        self._rejected: list[Rejected] = []
        self._rows = self._size = self._pieces = 0

    def add(self, piece: Piece) -> None:
        """Put one in."""
        if piece.rows is not None and piece.rows.num_rows:
            self._tables.append(piece.rows)
            self._rows += piece.rows.num_rows
        self._rejected.extend(piece.rejected)
        self._size += piece.size
        self._pieces += 1

    @property
    def full(self) -> bool:
        """It is a batch."""
        return self._size >= self._next or self._rows + len(self._rejected) >= _ROWS or self._pieces >= _PIECES

    @property
    def empty(self) -> bool:
        """Nothing is in it."""
        return not self._pieces

    def batch(self, position: Position, *, last: bool = False) -> Batch:
        """What is in it, taken out. Tables with the same columns that follow each other are one part."""
        parts: list[Part] = []
        waiting: list[pa.Table] = []
        for table in [*self._tables, None]:
            if waiting and (table is None or table.schema != waiting[0].schema):
                parts.append(Part(pa.concat_tables(waiting)))
                waiting = []
            waiting.append(table)
        made = Batch(tuple(parts), position, tuple(self._rejected), last=last, size=self._size)
        if self._size:
            self._next = self._most
        self._clear()
        return made
