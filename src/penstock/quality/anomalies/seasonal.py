"""Values that repeat every so many places: what is left when level and season are taken away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from penstock.core.errors import ConfigurationError
from penstock.quality.anomalies.contract import Array, Detector, distance, floats
from penstock.quality.anomalies.ranks import spread_before
from penstock.quality.anomalies.spread import deviations
from penstock.quality.anomalies.windows import lagged, median_of, quantile_before
from penstock.quality.extras import np, pl

_SPREAD = 100
"""How much values vary is told from so many of them, at least."""


@dataclass
class Seasonal(Detector):
    """Robust deviations from the level of the last period plus what is usual at this place of the period.

    The level is the median of the last period; the season the median, over the last cycles, of how far the values at
    this place were from the level of their time. An update takes time in the order of cycles times period.

    Attributes:
        period: after how many values the series repeats: 24 for hours of days, 7 for days of weeks.
        cycles: how many periods are looked back upon.
        fewest: differences that are learned before a value is judged.
    """

    name: ClassVar[str] = "seasonal"
    gaps: ClassVar[bool] = True
    period: int = 24
    cycles: int = 7
    fewest: int = 20
    threshold: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.period < 2:
            raise ConfigurationError(f"period of {self.name} is {self.period}.", hint="give a whole number from 2 up")

    def _beginning(self) -> dict[str, Any]:
        return {"values": np.zeros(0), "levelled": np.zeros(0), "left": np.zeros(0)}

    def _judge(self, values: Array) -> tuple[Array, Array]:
        memory, count, kept = self._memory, len(values), self.cycles * self.period
        series = np.concatenate([memory["values"], values])
        level = quantile_before(series, count, self.period, 0.5, (3 * self.period + 3) // 4)
        levelled = np.concatenate([memory["levelled"], values - level])
        cycles = [lagged(levelled, cycle * self.period, count) for cycle in range(1, self.cycles + 1)]
        usual = level + median_of(np.stack(cycles))
        apart = values - usual
        left = np.concatenate([memory["left"], np.abs(apart)])
        lasting = max(kept, _SPREAD)
        spread = spread_before(left, count, lasting, self.fewest)
        memory.update(values=series[-self.period :], levelled=levelled[-kept:], left=left[-lasting:])
        known = ~(np.isnan(spread) | np.isnan(apart))
        return np.where(known, distance(apart, spread, usual), 0.0), np.where(known, usual, np.nan)

    def told(self, value: float, score: float, expected: float | None) -> str:
        """An anomaly in words."""
        return deviations(value, score, expected, "robust deviations from what is usual at this place of the period")


class Parts(NamedTuple):
    """A series taken apart; `trend + season + rest` is the series. Each has shape (n,)."""

    trend: Array
    season: Array
    rest: Array


def decompose(values: Any, period: int) -> Parts:
    """Take a series apart, looking at all of it: trend, season and rest, each told with medians.

    The trend is the median of the period around a value, the season the median of what is left at its place of the
    period. A few strange values end up in the rest, as with a robust STL (Cleveland and others 1990).

    Args:
        values: shape (n,); what is missing stays missing.
        period: after how many values the series repeats.
    """
    if period < 2:
        raise ConfigurationError(f"A period of {period} is none.", hint="give a whole number from 2 up")
    series = floats(values)
    around = period + 1 - period % 2
    known = pl.Series(series).fill_nan(None)
    trend = known.rolling_median(around, min_samples=1, center=True).cast(pl.Float64).to_numpy()
    levelled = series - trend
    padded = np.concatenate([levelled, np.full(-len(series) % period, np.nan)])
    season = median_of(padded.reshape(-1, period)) if len(padded) else np.zeros(period)
    season = np.nan_to_num(season - np.nan_to_num(median_of(season[:, np.newaxis])[0]))
    repeated = np.resize(season, len(series))
    return Parts(trend, repeated, series - trend - repeated)
