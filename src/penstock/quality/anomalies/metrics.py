"""Anomalies in the history of a dataset: its volume, how often it is written, what is rejected, and its profiles."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from itertools import pairwise

import msgspec

from penstock.core.datasets import KIND, DatasetWritten
from penstock.core.plans import stream_of
from penstock.core.ports import Journal
from penstock.engine import datasets
from penstock.quality.anomalies.contract import Array, distance
from penstock.quality.anomalies.ranks import MAD_OF_NORMAL
from penstock.quality.anomalies.windows import quantile_before
from penstock.quality.extras import np

_WINDOW = 101
_PART = 0.05
"""Volumes and times vary by so much, at least, and nobody minds."""
_SHARE = 0.01
"""The same of shares."""
_SHARES = frozenset({"null_rate", "rejected"})
_WORDS = {
    "volume": "{value} rows were written where {usual} are usual",
    "freshness": "{value} went by without a writing where {usual} is usual",
    "rejected": "{value} of the records were rejected where {usual} is usual",
    "null_rate": "{value} of {column} is null where {usual} is usual",
    "distinct": "{column} has {value} different values where {usual} are usual",
    "mean": "the mean of {column} is {value} where {usual} is usual",
}


class Observation(msgspec.Struct, frozen=True):
    """A metric of a dataset, at some time.

    Attributes:
        at: when.
        metric: `volume`, `freshness` (seconds since the writing before), `rejected`, `null_rate`, `distinct`, `mean`,
            or any other word.
        value: what it was.
        column: that it is about; None of the whole dataset.
    """

    at: datetime.datetime
    metric: str
    value: float
    column: str | None = None


class MetricAnomaly(msgspec.Struct, frozen=True):
    """A metric that is not as it was before.

    Attributes:
        at: when.
        metric: which one.
        column: that it is about; None of the whole dataset.
        value: what it was.
        usual: the median of those before.
        score: how far it is from that, in robust deviations.
        reason: in words.
    """

    at: datetime.datetime
    metric: str
    column: str | None
    value: float
    usual: float
    score: float
    reason: str


def writings(events: Iterable[object]) -> list[Observation]:
    """Volume, freshness, rejected share and null rates, of one dataset's `DatasetWritten` events in their order."""
    written = [event for event in events if isinstance(event, DatasetWritten)]
    columns = sorted({column for event in written for column in event.nulls})
    found: list[Observation] = []
    for event in written:
        at = _moment(event.at)
        found.append(Observation(at, "volume", event.landed))
        if event.read:
            found.append(Observation(at, "rejected", event.rejected / event.read))
        if event.looked_at:
            rates = ((column, event.nulls.get(column, 0) / event.looked_at) for column in columns)
            found += [Observation(at, "null_rate", rate, column) for column, rate in rates]
    found += [
        Observation(_moment(later.at), "freshness", (later.at - earlier.at) / 1e6)
        for earlier, later in pairwise(written)
    ]
    return sorted(found, key=lambda each: each.at)


def _moment(micros: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(micros / 1_000_000, datetime.UTC)


def profiled(
    history: Iterable[tuple[datetime.datetime, Mapping[str, Mapping[str, float | None]]]],
) -> list[Observation]:
    """Metrics of columns, of profiles that were made one after another.

    Args:
        history: when each was made, and for each column its metrics: `{"amount": {"null_rate": 0.02, "mean": 31.5}}`.
    """
    return [
        Observation(at, metric, float(value), column)
        for at, columns in history
        for column, metrics in columns.items()
        for metric, value in metrics.items()
        if value is not None
    ]


def history_of(dataset: str, journal: Journal | None = None) -> list[Observation]:
    """What the journal knows of a dataset's writings.

    Args:
        dataset: its name or place.
        journal: which one; that of the run around, or of this project.

    Raises:
        DatasetNotFound: it is not on record.
    """
    here = journal if journal is not None else datasets.journal_here()
    place = datasets.named(here, dataset).place
    return writings(stored.event for stored in here.load(stream_of(KIND, place)))


def metric_anomalies(
    observations: Iterable[Observation],
    *,
    threshold: float = 5.0,
    learned: int = 5,
    now: datetime.datetime | None = None,
) -> list[MetricAnomaly]:
    """Find metrics that are not as they were before.

    Each is compared with the median of up to 100 before it, in robust deviations; what varies by less than a twentieth
    (shares: by less than a hundredth) varies by nothing. A value that is usual on its day of the week is no anomaly.

    Args:
        observations: in any order.
        threshold: from which score on one is told.
        learned: how many there have to be before one is judged.
        now: the time; with it a writing that is overdue is told as well.
    """
    told: dict[tuple[str, str | None], list[Observation]] = {}
    for each in sorted(observations, key=lambda each: each.at):
        if np.isfinite(each.value):
            told.setdefault((each.metric, each.column), []).append(each)
    if now is not None and (written := told.get(("volume", None))):
        waited = (now - written[-1].at).total_seconds()
        told.setdefault(("freshness", None), []).append(Observation(now, "freshness", waited))
    found = [anomaly for some in told.values() for anomaly in _strange(some, threshold, learned)]
    if now is not None:
        found = [each for each in found if each.metric != "freshness" or each.at != now or each.value > each.usual]
    return sorted(found, key=lambda each: (each.at, each.metric, each.column or ""))


def _strange(series: list[Observation], threshold: float, learned: int) -> Iterable[MetricAnomaly]:
    values = np.array([each.value for each in series])
    metric = series[0].metric
    scores, usual = _scored(values, metric, learned)
    for place in np.flatnonzero(scores >= threshold).tolist():
        same = [at for at in range(place + 1) if series[at].at.weekday() == series[place].at.weekday()]
        if len(same) > learned and _scored(values[same], metric, learned)[0][-1] < threshold:
            continue
        one, before = series[place], float(usual[place])
        reason = _reason(one, before)
        yield MetricAnomaly(one.at, metric, one.column, one.value, before, round(float(scores[place]), 1), reason)


def _scored(values: Array, metric: str, learned: int) -> tuple[Array, Array]:
    usual = quantile_before(values, len(values), _WINDOW, 0.5, learned)
    apart = values - usual
    spread = np.array([_spread(values[max(place - _WINDOW, 0) : place]) for place in range(len(values))])
    least = _SHARE if metric in _SHARES else _PART * np.abs(usual)
    return np.where(np.isnan(usual), 0.0, distance(apart, np.maximum(spread, least), usual)), usual


def _spread(before: Array) -> float:
    return MAD_OF_NORMAL * float(np.median(np.abs(before - np.median(before)))) if len(before) else 0.0


def _reason(one: Observation, usual: float) -> str:
    words = _WORDS.get(one.metric, "{metric} of {column} is {value} where {usual} is usual")
    value, before = (_worded(one.metric, each) for each in (one.value, usual))
    return words.format(metric=one.metric, column=one.column or "the dataset", value=value, usual=before)


def _worded(metric: str, value: float) -> str:
    if metric in _SHARES:
        return f"{value:.1%}"
    if metric == "freshness":
        return _waited(value)
    return f"{value:,.6g}" if metric == "mean" else f"{value:,.0f}" if value == int(value) else f"{value:,.6g}"


def _waited(seconds: float) -> str:
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds / size
            return f"{count:,.1f} {unit}s"
    return f"{seconds:,.0f} seconds"
