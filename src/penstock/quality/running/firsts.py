"""The first rows that do not follow a rule, kept while the data streams by."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.quality.report import Sample

if TYPE_CHECKING:
    import polars as pl
else:
    from penstock.quality.extras import pl

ROW = "\0row"
"""The column with the numbers of rows."""


class First:
    """Keeps the first rows that do not follow a rule; pieces of the data come from several threads, in any order.

    Args:
        failing: true for these rows. It has to speak of at least one column.
        keys: columns that tell rows apart.
        columns: those that are shown.
        limit: how many rows, at least one.
    """

    def __init__(self, failing: pl.Expr, keys: Sequence[str], columns: Sequence[str], limit: int) -> None:
        self._keys, self._columns, self._limit = keys, columns, limit
        self._rows: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        read = [failing, *map(pl.col, dict.fromkeys([ROW, *keys, *columns]))]
        self.failing = pl.map_batches(read, self._take, return_dtype=pl.Boolean, is_elementwise=True)

    def _take(self, pieces: Sequence[pl.Series]) -> pl.Series:
        failing, rows = pieces[0], pieces[1]
        if failing.any():
            places = failing.arg_true().head(self._limit)
            with self._lock:
                if len(self._rows) < self._limit or rows[int(places[0])] < self._rows[-1][ROW]:
                    found = pl.DataFrame(list(pieces[1:]))[places].rows(named=True)
                    self._rows = sorted([*self._rows, *found], key=lambda row: int(row[ROW]))[: self._limit]
        return failing

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The rows, in their order."""
        return tuple(sample(row, self._keys, self._columns) for row in self._rows)


def sample(row: dict[str, Any], keys: Sequence[str], columns: Sequence[str]) -> Sample:
    """A row as it is shown."""
    return Sample(row[ROW], {key: row[key] for key in keys}, {column: row[column] for column in columns})
