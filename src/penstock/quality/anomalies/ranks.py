"""Detectors that look at ranks: a few strange values, however strange, do not move medians and quartiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from penstock.quality.anomalies.contract import Array, Detector, distance
from penstock.quality.anomalies.spread import deviations
from penstock.quality.anomalies.windows import quantile_before
from penstock.quality.extras import np

MAD_OF_NORMAL = 1.4826
"""The standard deviation of normally distributed values, by the median of their distances from the median."""

_NINTH_OF_NORMAL = 1.6449
"""Nine of ten normally distributed values are within so many standard deviations."""


def spread_before(distances: Array, count: int, window: int, fewest: int) -> Array:
    """The deviation that up to `window` distances before each of the last `count` ones tell, by their median.

    Where more than half of them are nothing, by what nine of ten are within.
    """
    spread = MAD_OF_NORMAL * quantile_before(distances, count, window, 0.5, fewest)
    if (spread == 0).any():
        wide = quantile_before(distances, count, window, 0.9, fewest) / _NINTH_OF_NORMAL
        spread = np.where(spread == 0, wide, spread)
    return spread


@dataclass
class Mad(Detector):
    """The modified z-score: distance from the median of the last values, by the median of such distances.

    An update takes time in the order of the window.

    Attributes:
        window: how many values before it a value is compared with.
        fewest: values that are learned before one is judged.
    """

    name: ClassVar[str] = "mad"
    window: int = 501
    fewest: int = 20
    threshold: float = 5.0

    def _beginning(self) -> dict[str, Any]:
        return {"values": np.zeros(0), "distances": np.zeros(0)}

    def _judge(self, values: Array) -> tuple[Array, Array]:
        memory, count = self._memory, len(values)
        series = np.concatenate([memory["values"], values])
        usual = quantile_before(series, count, self.window, 0.5, 1)
        apart = values - usual
        distances = np.concatenate([memory["distances"], np.abs(apart)])
        spread = spread_before(distances, count, self.window, self.fewest)
        memory.update(values=series[-self.window :], distances=distances[-self.window :])
        known = ~np.isnan(spread)
        return np.where(known, distance(apart, spread, usual), 0.0), np.where(known, usual, np.nan)

    def told(self, value: float, score: float, expected: float | None) -> str:
        """An anomaly in words."""
        return deviations(value, score, expected, "robust deviations from the median of the values before it")


@dataclass
class Iqr(Detector):
    """Tukey's fences: how far outside of the quartiles of the last values, in distances between the quartiles.

    An update takes time in the order of the window.

    Attributes:
        window: how many values before it a value is compared with.
        fewest: values that are learned before one is judged.
    """

    name: ClassVar[str] = "iqr"
    window: int = 501
    fewest: int = 20
    threshold: float = 3.0

    def _beginning(self) -> dict[str, Any]:
        return {"values": np.zeros(0)}

    def _judge(self, values: Array) -> tuple[Array, Array]:
        memory, count = self._memory, len(values)
        series = np.concatenate([memory["values"], values])
        low, middle, high = (
            quantile_before(series, count, self.window, part, self.fewest) for part in (0.25, 0.5, 0.75)
        )
        outside = np.maximum(np.maximum(values - high, low - values), 0.0)
        memory["values"] = series[-self.window :]
        known = ~np.isnan(middle)
        return np.where(known, distance(np.where(known, outside, 0.0), high - low, middle), 0.0), middle

    def told(self, value: float, score: float, expected: float | None) -> str:
        """An anomaly in words."""
        return deviations(
            value, score, expected, "quartile distances outside of the middle half of the values before it"
        )
