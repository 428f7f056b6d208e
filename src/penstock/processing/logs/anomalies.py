"""Minutes that are not as the minutes around them: told with medians, which a few strange minutes do not move."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from penstock.processing.logs.extras import Array, Frame, np, pl

MINUTE_COLUMNS = ("requests", "refused", "failed", "bytes", "taken", "timed")

_AROUND = 121
_ODD = 2.5
_STRANGE = 6.0
_ALONE = 8.0
_GAP = 2
_MAD = 1.4826
_FEWEST = 10
_DAYS = 4


@dataclass(frozen=True)
class Anomaly:
    """Something that is not as it usually is.

    Attributes:
        kind: `spike`, `drop`, `errors`, `bytes`, `slow`, or `scanner`.
        start: its first minute (UTC).
        end: the minute after its last.
        score: how far it is from what is usual, in deviations.
        value: how it was; requests a minute, share of errors, bytes or seconds for each request.
        usual: how it usually is.
        reason: in words.
    """

    kind: str
    start: datetime.datetime
    end: datetime.datetime
    score: float
    value: float
    usual: float
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return {**asdict(self), "start": iso(self.start), "end": iso(self.end)}


class Detector(Protocol):
    """Finds anomalies in minutes."""

    def __call__(self, minutes: Frame, /) -> list[Anomaly]:
        """Look at a frame with a row for each minute.

        Args:
            minutes: `minute` (since 1970, each one more than the one before), `requests`, `refused` and `failed`
                (4xx and 5xx), `bytes`, `taken` (seconds, of those requests that say so), `timed` (how many do).
        """


@dataclass
class _Series:
    """One thing looked at, minute by minute.

    Attributes:
        value: as it was.
        usual: as the minutes around it are.
        score: how far the one is from the other.
        strange: so far that, with its neighbours, it may be worth a word.
    """

    kind: str
    value: Array
    usual: Array
    score: Array
    strange: Array
    told: Callable[[float, float], str]


def detect(minutes: Frame) -> list[Anomaly]:
    """Find spikes and drops of requests, bursts of errors, and minutes with large or slow answers.

    A minute is compared with the median of the two hours around it, which follows the day; how far it is away is
    counted in deviations told from the median of all distances. Where there are four days or more, each hour is also
    compared with the same hour of the other days.
    """
    if len(minutes) < 3:
        return []
    arrays = {name: minutes[name].to_numpy().astype(np.float64) for name in MINUTE_COLUMNS}
    first = int(minutes["minute"][0])
    found = [each for series in _looks(arrays) for each in _grouped(series, first)]
    found += [each for each in _hours(arrays["requests"], first) if not any(_overlap(each, other) for other in found)]
    return sorted(found, key=lambda each: (each.start, each.kind))


def _overlap(one: Anomaly, other: Anomaly) -> bool:
    return one.kind == other.kind and one.start < other.end and other.start < one.end


def _looks(arrays: dict[str, Array]) -> Iterator[_Series]:
    requests = arrays["requests"]
    yield from _traffic(requests)
    yield _errors(requests, arrays["failed"])
    size = _each(arrays["bytes"], requests)
    yield _ratio("bytes", size, 3.0, lambda value, usual: f"{value:,.0f} bytes a request; {usual:,.0f} is usual")
    if arrays["timed"].any():
        taken = _each(arrays["taken"], arrays["timed"])
        yield _ratio("slow", taken, 2.0, lambda value, usual: f"{value:.3f} s a request; {usual:.3f} s is usual")


def _around(values: Array) -> Array:
    """The median of the two hours around each minute; what is not a number does not count."""
    series = pl.Series(values).fill_nan(None)
    return series.rolling_median(_AROUND, min_samples=1, center=True).to_numpy()


def _deviation(distances: Array) -> float:
    known = distances[~np.isnan(distances)]
    return _MAD * float(np.median(np.abs(known))) if len(known) else 0.0


def _traffic(requests: Array) -> Iterator[_Series]:
    usual = _around(requests)
    score = (requests - usual) / np.sqrt(usual + 1)  # counts vary by the root of how many there are, at least
    score /= max(_deviation(score), 1.0)
    many = (score >= _ODD) & (requests >= 1.5 * usual) & (requests - usual >= _FEWEST)
    yield _Series("spike", requests, usual, score, many, _requests_told)
    few = (score <= -_ODD) & (requests <= 0.5 * usual) & (usual >= _FEWEST / 2)
    few[[0, -1]] = False  # the log begins and ends within a minute
    yield _Series("drop", requests, usual, -score, few, _requests_told)


def _requests_told(value: float, usual: float) -> str:
    return f"{value:,.0f} requests a minute; {usual:,.0f} are usual"


def _errors(requests: Array, failed: Array) -> _Series:
    share = _each(failed, requests, fewest=1)
    usual = np.nan_to_num(_around(share))
    spread = np.sqrt(requests * usual * (1 - usual) + 1)
    score = (failed - requests * usual) / spread
    strange = (score >= _ODD) & (np.nan_to_num(share) >= 2 * usual + 0.05)
    return _Series(
        "errors",
        np.nan_to_num(share),
        usual,
        score,
        strange,
        lambda value, usual: f"{value:.1%} of requests failed (5xx); {usual:.1%} is usual",
    )


def _each(amount: Array, count: Array, fewest: int = _FEWEST) -> Array:
    """How much each has; not a number where there are too few."""
    return np.where(count >= fewest, amount / np.maximum(count, 1), np.nan)


def _ratio(kind: str, values: Array, times: float, told: Callable[[float, float], str]) -> _Series:
    """Minutes with several times as much as usual."""
    logs = np.log(np.maximum(values, 1e-9))
    usual = _around(logs)
    distance = logs - usual
    score = np.nan_to_num(distance / max(_deviation(distance), 0.01))
    strange = (score >= _ODD) & (np.nan_to_num(distance) >= np.log(times))
    return _Series(kind, np.nan_to_num(values), np.exp(np.nan_to_num(usual)), score, strange, told)


def _grouped(series: _Series, first: int) -> Iterator[Anomaly]:
    """Odd minutes that follow each other are one anomaly if together they are strange; one alone has to be stranger.

    Deviations add up as in Stouffer's method: the sum of n of them deviates by the root of n.
    """
    places = np.flatnonzero(series.strange)
    if not len(places):
        return
    for group in np.split(places, np.flatnonzero(np.diff(places) > _GAP) + 1):
        score = float(series.score[group].sum() / np.sqrt(len(group)))
        if score < (_STRANGE if len(group) > 1 else _ALONE):
            continue
        value, usual = float(np.median(series.value[group])), float(np.median(series.usual[group]))
        yield Anomaly(
            series.kind,
            moment(first + int(group[0])),
            moment(first + int(group[-1]) + 1),
            round(score, 1),
            value,
            usual,
            series.told(value, usual),
        )


def _hours(requests: Array, first: int) -> Iterator[Anomaly]:
    """Hours that are not as the same hour of the other days."""
    skipped = -first % 60
    hours = requests[skipped : skipped + (len(requests) - skipped) // 60 * 60].reshape(-1, 60).sum(axis=1)
    if len(hours) < _DAYS * 24:
        return
    start = (first + skipped) // 60
    for hour in range(24):
        places = np.flatnonzero((start + np.arange(len(hours))) % 24 == hour)
        values = hours[places]
        usual = float(np.median(values))
        scores = (values - usual) / np.sqrt(usual + 1)
        scores /= max(_deviation(scores), 1.0, 0.02 * np.sqrt(usual + 1))
        for place, value, score in zip(places.tolist(), values.tolist(), scores.tolist(), strict=True):
            if abs(score) >= _STRANGE and not 0.5 * usual < value < 1.5 * usual and max(value, usual) >= 60 * _FEWEST:
                begin = (start + place) * 60
                told = f"{value:,.0f} requests in this hour; {usual:,.0f} are usual at this time of the day"
                kind = "spike" if score > 0 else "drop"
                yield Anomaly(kind, moment(begin), moment(begin + 60), round(abs(score), 1), value, usual, told)


def iso(moment: datetime.datetime) -> str:
    """A time in UTC as JSON has it."""
    return moment.isoformat().replace("+00:00", "Z")


def moment(minute: float) -> datetime.datetime:
    """The time behind minutes since 1970."""
    return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(minutes=minute)
