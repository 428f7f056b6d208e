"""Counts by key, of any number of keys in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.processing.logs.extras import Frame, pl

MOST_KEYS = 500_000
"""So many keys are counted exactly; of more, those that are met seldom are forgotten."""

_WAITING = 300_000


def compact(frame: Frame) -> Any:
    """An Arrow table of its own, which keeps nothing alive that the frame was cut out of."""
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


class Tally:
    """Adds up numbers by key.

    Args:
        keys: columns that tell rows apart.
        ways: of every other column, how two values become one: `sum`, `min` or `max`.
        most: keys that are kept; None for all.

    Attributes:
        forgotten: a key that is not shown, or has lost some of its rows, has lost at most so many (by column `n`).
        lost: what the columns that are sums had in the rows that were forgotten.
        seen: there are at least so many keys.
    """

    def __init__(self, keys: Sequence[str], ways: Mapping[str, str], *, most: int | None = MOST_KEYS) -> None:
        self._keys, self._ways, self._most = list(keys), dict(ways), most
        self._tables: list[Any] = []
        self._rows = 0
        self._settled = 0
        self.forgotten = 0
        self.lost: Counter[str] = Counter()
        self.seen = 0

    @property
    def exact(self) -> bool:
        """Nothing was forgotten."""
        return not self.lost

    def add(self, table: Any) -> None:
        """Take a compact table in."""
        self._tables.append(table)
        self._rows += table.num_rows
        if self._rows > 2 * self._settled + _WAITING:
            self.frame()

    def frame(self) -> Frame | None:
        """One row for each key; None where nothing was counted."""
        if not self._tables:
            return None
        merged = pl.concat([pl.from_arrow(table).select(*self._keys, *self._ways) for table in self._tables])
        if len(self._tables) > 1 or self._rows != self._settled:
            merged = self._forget(self._merged(merged))
            self._tables = [compact(merged)]
            self._rows = self._settled = len(merged)
        return merged

    def _merged(self, frame: Frame) -> Frame:
        return frame.group_by(self._keys).agg([self._sum(name) for name in self._ways])

    def _sum(self, name: str) -> Any:
        return getattr(pl.col(name), self._ways[name])()

    def _forget(self, frame: Frame) -> Frame:
        """Half of the keys, where there are too many: those with the smallest numbers."""
        self.seen = max(self.seen, len(frame))
        if self._most is None or len(frame) <= self._most:
            return frame
        kept, n = self._most // 2, pl.col("n")
        least = int(frame["n"].top_k(kept).min())
        equal = frame.filter(n == least).sort(self._keys)
        more = frame.filter(n > least)
        gone = pl.concat([equal.slice(kept - len(more)), frame.filter(n < least)])
        self.forgotten += int(gone["n"].max())
        self.lost.update({name: int(gone[name].sum()) for name, way in self._ways.items() if way == "sum"})
        return pl.concat([more, equal.head(kept - len(more))])
