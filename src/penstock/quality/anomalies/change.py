"""Change points: from where on a series is at another level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from penstock.quality.anomalies.contract import MOST, Array, Detector, number
from penstock.quality.anomalies.ranks import MAD_OF_NORMAL
from penstock.quality.extras import np

_CLIPPED = 4.0
"""Deviations that one value counts at most: a single strange value is no change."""


@dataclass
class Cusum(Detector):
    """Page's cumulative sums (1954): small differences from the level that add up.

    The level and its spread are the median and the MAD of the first values after the last change. The score is the
    greater one of two sums, up and down; when one reaches the threshold the level has changed, and the next values are
    learned anew. An update takes constant time, and learning once the window's.

    Attributes:
        learned: values that a level is told from.
        drift: deviations that are taken off at each value; a change of twice that much is found soonest.
    """

    name: ClassVar[str] = "cusum"
    learned: int = 50
    drift: float = 0.75
    threshold: float = 12.0

    def _beginning(self) -> dict[str, Any]:
        return {"learning": [], "level": 0.0, "spread": 0.0, "up": 0.0, "down": 0.0}

    def _judge(self, values: Array) -> tuple[Array, Array]:
        memory = self._memory
        learning, level, spread = memory["learning"], memory["level"], memory["spread"]
        up, down, drift, threshold = memory["up"], memory["down"], self.drift, self.threshold
        scores, expected = [], []
        for value in values.tolist():
            if len(learning) < self.learned:
                learning.append(value)
                scores.append(0.0)
                expected.append(np.nan)
                if len(learning) == self.learned:
                    level, spread = _level(learning)
                continue
            far = min(max((value - level) / spread, -_CLIPPED), _CLIPPED)
            up, down = max(up + far - drift, 0.0), max(down - far - drift, 0.0)
            score = max(up, down)
            scores.append(score)
            expected.append(level)
            if score >= threshold:
                learning, up, down = [], 0.0, 0.0
        memory.update(learning=learning, level=level, spread=spread, up=up, down=down)
        return np.minimum(scores, MOST), np.array(expected)

    def told(self, value: float, score: float, expected: float | None) -> str:
        """An anomaly in words."""
        if expected is None:
            return f"{number(value)} is no finite number"
        way = "higher" if value > expected else "lower"
        return f"the level has changed: {number(value)} is {way} than {number(expected)}, as values before it were"


def _level(values: list[float]) -> tuple[float, float]:
    level = float(np.median(values))
    spread = MAD_OF_NORMAL * float(np.median(np.abs(np.asarray(values) - level)))
    return level, max(spread or float(np.std(values)), 1e-9 * abs(level), 1e-300)
