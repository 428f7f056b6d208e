"""A sample of rows, drawn while a table goes by, and what it tells of the order of values.

Each row draws a number, and the rows with the least numbers stay: every row is as likely to stay as any other, however
many come, and samples of two tables are merged by the same rule. The numbers are drawn by the row's place, so that the
same data has the same sample.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from penstock.quality.profiles.packing import packed, unpacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from penstock.quality.extras import np

MOST_ROWS = 4_096


class RowSample:
    """Up to 4,096 rows of numbers.

    Args:
        columns: how many numbers a row has; NaN where there is none.
    """

    def __init__(self, columns: int) -> None:
        self.rows = 0
        self.drawn: NDArray[Any] = np.empty(0)
        self.values: NDArray[Any] = np.empty((0, columns))

    def take(self, values: NDArray[Any]) -> None:
        """Take rows."""
        drawn = np.random.default_rng(self.rows).random(len(values))
        self.rows += len(values)
        if len(self.drawn) >= MOST_ROWS:
            chosen = drawn < self.drawn.max()
            drawn, values = drawn[chosen], values[chosen]
        self._keep(np.concatenate([self.drawn, drawn]), np.concatenate([self.values, values]))

    def _keep(self, drawn: NDArray[Any], values: NDArray[Any]) -> None:
        if len(drawn) > MOST_ROWS:
            least = np.argpartition(drawn, MOST_ROWS)[:MOST_ROWS]
            least.sort()
            drawn, values = drawn[least], values[least]
        self.drawn, self.values = drawn, values

    def merge(self, other: RowSample) -> RowSample:
        """Of the rows of both."""
        made = RowSample(self.values.shape[1])
        made.rows = self.rows + other.rows
        made._keep(np.concatenate([self.drawn, other.drawn]), np.concatenate([self.values, other.values]))
        return made

    def spearman(self) -> NDArray[Any]:
        """Spearman's correlations of all columns, from -1 to 1: Pearson's of the ranks of their values.

        Each over the rows where both columns have a value; NaN where one of them does not vary.
        """
        size = self.values.shape[1]
        missing = np.isnan(self.values)
        whole = {place: _centred(self.values[:, place]) for place in range(size) if not missing[:, place].any()}
        found = np.full((size, size), np.nan)
        for left in range(size):
            for right in range(left + 1, size):
                if left in whole and right in whole:
                    one, other = whole[left], whole[right]
                else:
                    both = self.values[~(missing[:, left] | missing[:, right])]
                    one, other = _centred(both[:, left]), _centred(both[:, right])
                spread = math.sqrt(float(one @ one) * float(other @ other))
                if spread > 0:
                    found[left, right] = found[right, left] = max(-1.0, min(1.0, float(one @ other) / spread))
        return found

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "rows": self.rows,
            "drawn": packed(self.drawn, "<f8"),
            "values": packed(np.ascontiguousarray(self.values), "<f8"),
        }

    @classmethod
    def of_dict(cls, found: dict[str, Any], columns: int) -> RowSample:
        """What `as_dict` gave."""
        made = cls(columns)
        made.rows = int(found["rows"])
        made.drawn = unpacked(found["drawn"], "<f8")
        made.values = unpacked(found["values"], "<f8").reshape(len(made.drawn), columns)
        return made


def ranks(values: NDArray[Any]) -> NDArray[Any]:
    """The rank of each value, from 0; values that are equal share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    shared: NDArray[Any] = (ends - 1 + ends - counts) / 2
    return shared[place.reshape(-1)]


def _centred(values: NDArray[Any]) -> NDArray[Any]:
    found = ranks(values)
    return found - found.mean() if len(found) else found
