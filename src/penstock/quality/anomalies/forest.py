"""Isolation forests (Liu, Ting and Zhou 2008): what random cuts soon leave alone is strange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from penstock.quality.anomalies.contract import Array, Detector, number
from penstock.quality.anomalies.windows import pieces
from penstock.quality.extras import np

SAMPLE = 256
TREES = 100
_DEPTH = 8
_ROWS = 4096
_EULER = 0.5772156649015329


def _usual_length(count: Array) -> Array:
    """Cuts until one of so many values is alone, on average."""
    several = np.maximum(count - 1, 1)
    length = 2 * (np.log(several) + _EULER) - 2 * several / np.maximum(count, 1)
    return np.where(count > 2, length, np.where(count == 2, 1.0, 0.0))


class IsolationForest:
    """A hundred trees, each grown from 256 of the rows; the same seed grows the same ones."""

    def __init__(self, rows: Array, seed: int | list[int] = 0) -> None:
        """Grow the trees.

        Args:
            rows: shape (n, d), n >= 1, finite.
            seed: of all that is random.
        """
        random = np.random.default_rng(seed)
        size = min(SAMPLE, len(rows))
        chosen = np.stack([random.permutation(len(rows))[:size] for _ in range(TREES)])
        self._sample: Array = rows[chosen]
        self._usual = float(_usual_length(np.array(float(size)))) or 1.0
        self._tree = np.arange(TREES)[:, np.newaxis]
        self._cuts = [self._level(depth, random) for depth in self._growing()]
        counts, _, _ = self._ranges(2**_DEPTH)
        self._lengths = np.where(np.isnan(self._ended), _DEPTH + _usual_length(counts), self._ended)

    def _growing(self) -> range:
        self._node = np.zeros(self._sample.shape[:2], dtype=np.int64)
        self._ended = np.full((TREES, 1), np.nan)
        return range(_DEPTH)

    def _level(self, depth: int, random: Any) -> tuple[Array, Array]:
        """Cut every node of a level at a random place of a random column; (column, place), each (trees, nodes)."""
        nodes, width = 2**depth, self._sample.shape[2]
        counts, low, high = self._ranges(nodes)
        wide = high > low
        column = np.argmax(np.where(wide, random.random((TREES, nodes, width)), -1.0), axis=2)
        whole = wide.any(axis=2) & np.isnan(self._ended)
        least, most = (np.take_along_axis(each, column[..., np.newaxis], 2)[..., 0] for each in (low, high))
        part = random.random((TREES, nodes))
        with np.errstate(invalid="ignore"):
            place = np.where(whole, least * (1 - part) + most * part, np.inf)
        place = np.where(whole & (place >= most), least, place)
        ended = np.where(np.isnan(self._ended) & ~whole, depth + _usual_length(counts), self._ended)
        values = np.take_along_axis(self._sample, column[self._tree, self._node][..., np.newaxis], 2)[..., 0]
        self._node = 2 * self._node + (values > place[self._tree, self._node])
        self._ended = np.repeat(ended, 2, axis=1)
        return column, place

    def _ranges(self, nodes: int) -> tuple[Array, Array, Array]:
        """How many rows each node has, (trees, nodes), and their least and greatest values, (trees, nodes, columns)."""
        width = self._sample.shape[2]
        where = (self._tree * nodes + self._node).ravel()
        low, high = np.full((width, TREES * nodes), np.inf), np.full((width, TREES * nodes), -np.inf)
        for column in range(width):
            values = np.ascontiguousarray(self._sample[..., column]).ravel()
            np.minimum.at(low[column], where, values)
            np.maximum.at(high[column], where, values)
        counts = np.bincount(where, minlength=TREES * nodes).reshape(TREES, nodes)
        shape = (TREES, nodes, width)
        return counts.astype(np.float64), low.T.reshape(shape), high.T.reshape(shape)

    def scores(self, rows: Array) -> Array:
        """From 0 to 1, about 0.5 of what is usual. Shape (n, d) -> (n,)."""
        found = np.empty(len(rows))
        for begin in range(0, len(rows), _ROWS):
            some = rows[begin : begin + _ROWS]
            places, node = np.arange(len(some)), np.zeros((TREES, len(some)), dtype=np.int64)
            for column, place in self._cuts:
                node = 2 * node + (some[places, column[self._tree, node]] > place[self._tree, node])
            lengths = np.add.accumulate(self._lengths[self._tree, node], axis=0)[-1] / TREES
            found[begin : begin + _ROWS] = 2.0 ** (-lengths / self._usual)
        return found


@dataclass
class Forest(Detector):
    """An isolation forest of the last values, each together with those before it; it is grown anew from time to time.

    An update takes time in the order of the trees, and growing some ten milliseconds.

    Attributes:
        window: how many values the forest is grown from.
        every: after how many values it is grown anew; nothing is judged before.
        lags: how many values before it are looked at together with a value.
        seed: of all that is random.
    """

    name: ClassVar[str] = "forest"
    window: int = 2048
    every: int = 512
    lags: int = 2
    seed: int = 0
    threshold: float = 0.7

    def _beginning(self) -> dict[str, Any]:
        self._grown: IsolationForest | None = None
        return {"seen": 0, "values": np.zeros(0), "grown_from": np.zeros(0)}

    def _judge(self, values: Array) -> tuple[Array, Array]:
        scores = np.zeros(len(values))
        for start, end in pieces(self._memory["seen"], len(values), self.every):
            scores[start:end] = self._next(values[start:end])
        return scores, np.full(len(values), np.nan)

    def _next(self, values: Array) -> Array:
        memory = self._memory
        series = np.concatenate([memory["values"], values])
        scores = np.zeros(len(values))
        if len(memory["grown_from"]):
            if self._grown is None:
                self._grown = self._grow(memory["grown_from"], memory["seen"])
            scores = self._grown.scores(self._rows(series[-len(values) - self.lags :]))
        memory["values"] = series[-self.window - self.lags :]
        memory["seen"] += len(values)
        if memory["seen"] % self.every == 0 and len(memory["values"]) > self.lags:
            memory["grown_from"], self._grown = memory["values"], None
        return scores

    def _grow(self, values: Array, seen: int) -> IsolationForest:
        return IsolationForest(self._rows(values), [self.seed, seen // self.every])

    def _rows(self, values: Array) -> Array:
        count = len(values) - self.lags
        return np.stack([values[lag : lag + count] for lag in range(self.lags, -1, -1)], axis=1)

    def told(self, value: float, score: float, expected: float | None) -> str:
        """An anomaly in words."""
        if np.isinf(score):
            return f"{number(value)} is no finite number"
        told = f"isolation {score:.2f} of 1, where 0.5 is usual"
        return f"{number(value)}, after the values before it, is soon alone: {told}"
