"""Means, deviations and correlations of what comes in pieces.

Each piece is centred on its own mean, and pieces are joined by the differences of their means (Chan, Golub and LeVeque,
"Updating formulae and a pairwise algorithm for computing sample variances", 1979), which loses no digits where values
are large and close together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.quality.profiles.packing import packed, unpacked
from penstock.quality.profiles.sampling import RowSample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from penstock.quality.extras import np

MOST = 64
"""Columns between which correlations are told."""


class Moments:
    """Count, sum, mean and deviation of finite numbers; the sum of integers is exact, however large."""

    def __init__(self, count: int = 0, total: int | float = 0, mean: float = 0.0, squares: float = 0.0) -> None:
        self.count = count
        self.total = total
        self.mean = mean
        self.squares = squares

    @property
    def deviation(self) -> float | None:
        """The standard deviation of a sample; None of fewer than two values."""
        return math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else None

    @classmethod
    def of(cls, values: NDArray[Any], counts: NDArray[Any]) -> Moments:
        """Of ascending, finite numbers, each of which comes so often."""
        if not len(values):
            return cls()
        total, count, floats = _sum(values, counts), int(counts.sum()), values.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = total / count
            apart = floats - mean
            squares = float((apart * apart * counts).sum())
        return cls(count, total, mean, squares)

    def merge(self, other: Moments) -> Moments:
        """Of the values of both."""
        if not self.count or not other.count:
            return other if other.count else self
        count, apart = self.count + other.count, other.mean - self.mean
        mean = self.mean + apart * other.count / count
        squares = self.squares + other.squares + apart * apart * self.count * other.count / count
        return Moments(count, self.total + other.total, mean, squares)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; whole sums are texts there, for they may be larger than its numbers."""
        total = str(self.total) if isinstance(self.total, int) else self.total
        return {"count": self.count, "total": total, "mean": self.mean, "squares": self.squares}

    @classmethod
    def of_dict(cls, found: dict[str, Any]) -> Moments:
        """What `as_dict` gave."""
        total = int(found["total"]) if isinstance(found["total"], str) else _number(found["total"])
        return cls(int(found["count"]), total, _number(found["mean"]), _number(found["squares"]))


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _sum(values: NDArray[Any], counts: NDArray[Any]) -> int | float:
    if values.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            return float((values.astype(np.float64) * counts).sum())
    furthest = max(abs(int(values[0])), abs(int(values[-1])))
    if furthest * int(counts.sum()) < 2**63:
        return int((values.astype(np.int64) * counts).sum())
    half = values.dtype.type(32)
    high, low = values >> half, values & values.dtype.type(0xFFFFFFFF)
    return (int((high.astype(np.int64) * counts).sum()) << 32) + int((low.astype(np.int64) * counts).sum())


class Pair(NamedTuple):
    """How two columns go together.

    Attributes:
        left, right: their names.
        pearson: of all rows: whether they lie on a line; None where it cannot be told.
        spearman: of a sample of rows: whether one grows with the other, on whatever curve.
    """

    left: str
    right: str
    pearson: float | None
    spearman: float | None

    @property
    def strength(self) -> float:
        """The larger of both, without its sign."""
        return max(abs(self.pearson or 0.0), abs(self.spearman or 0.0))


class Correlations:
    """Correlations of columns, each pair over the rows where both have a value.

    Args:
        names: of the columns.

    Attributes:
        sample: rows, for correlations by rank.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = names
        size = (len(names), len(names))
        self.count: NDArray[Any] = np.zeros(size)
        self.mean: NDArray[Any] = np.zeros(size)  # of a row's column, where the other one has a value
        self.squares: NDArray[Any] = np.zeros(size)
        self.products: NDArray[Any] = np.zeros(size)
        self.sample = RowSample(len(names))

    def take(self, values: NDArray[Any]) -> None:
        """Take rows: a column for each name, NaN where there is no value."""
        if len(values) and self.names:
            self._join(*_moments(values))
            self.sample.take(values)

    def _join(self, count: Any, mean: Any, squares: Any, products: Any) -> None:
        whole = self.count + count
        with np.errstate(all="ignore"):
            apart = mean - self.mean
            share = np.where(whole > 0, count / whole, 0.0)
            weight = self.count * share
            self.squares = self.squares + squares + apart * apart * weight
            self.products = self.products + products + apart * apart.T * weight
            self.mean = self.mean + apart * share
        self.count = whole

    def merge(self, other: Correlations) -> Correlations:
        """Of the rows of both."""
        made = Correlations(self.names)
        for each in (self, other):
            made._join(each.count, each.mean, each.squares, each.products)
        made.sample = self.sample.merge(other.sample)
        return made

    def between(self, left: str, right: str) -> float | None:
        """From -1 to 1; None where a column does not vary, or is not among the names."""
        if left not in self.names or right not in self.names:
            return None
        i, j = self.names.index(left), self.names.index(right)
        spread = math.sqrt(max(self.squares[i, j], 0.0)) * math.sqrt(max(self.squares[j, i], 0.0))
        if not math.isfinite(spread) or spread <= 0:
            return None
        found = float(self.products[i, j]) / spread
        return max(-1.0, min(1.0, found)) if math.isfinite(found) else None

    def pairs(self, least: float = 0.0) -> list[Pair]:
        """Pairs of columns of at least such a strength, the strongest first."""
        by_rank = self.sample.spearman()
        found = []
        for place, left in enumerate(self.names):
            for other, right in enumerate(self.names[place + 1 :], place + 1):
                ranked = float(by_rank[place, other])
                pair = Pair(left, right, self.between(left, right), None if math.isnan(ranked) else ranked)
                if (pair.pearson, pair.spearman) != (None, None) and pair.strength >= least:
                    found.append(pair)
        return sorted(found, key=lambda each: -each.strength)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        tables = ("count", "mean", "squares", "products")
        made = {each: packed(getattr(self, each), "<f8") for each in tables}
        return {"names": self.names, **made, "sample": self.sample.as_dict()}

    @classmethod
    def of_dict(cls, found: dict[str, Any]) -> Correlations:
        """What `as_dict` gave."""
        made = cls([str(name) for name in found["names"]])
        size = len(made.names)
        for each in ("count", "mean", "squares", "products"):
            setattr(made, each, unpacked(found[each], "<f8").reshape(size, size))
        made.sample = RowSample.of_dict(found["sample"], size)
        return made


def _moments(values: NDArray[Any]) -> tuple[Any, Any, Any, Any]:
    """Counts, means, squares and products of one piece."""
    there = np.isfinite(values)
    rows, size = values.shape
    whole = bool(there.all())
    with np.errstate(all="ignore"):
        counts = there.sum(axis=0)
        sums = values.sum(axis=0) if whole else np.where(there, values, 0.0).sum(axis=0)
        shift = np.nan_to_num(np.where(counts > 0, sums / np.maximum(counts, 1), 0.0))
        centred = values - shift if whole else np.where(there, values - shift, 0.0)
        products = centred.T @ centred
        if whole:
            squares = np.repeat(np.diag(products)[:, None], size, axis=1)
            return np.full((size, size), float(rows)), np.repeat(shift[:, None], size, axis=1), squares, products
        marks = there.astype(np.float64)
        count = marks.T @ marks
        off = np.where(count > 0, (centred.T @ marks) / np.maximum(count, 1), 0.0)
        squares = (centred * centred).T @ marks - count * off * off
        return count, off + shift[:, None], squares, products - count * off * off.T
