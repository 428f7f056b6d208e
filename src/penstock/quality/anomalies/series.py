"""Anomalies of a series: what a detector says of its values, in their order, put together and told with times."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from penstock.core.errors import ConfigurationError
from penstock.core.words import counted
from penstock.quality.anomalies.columns import chosen, no_column, read_with
from penstock.quality.anomalies.contract import Array, Detector, Scores, floats
from penstock.quality.anomalies.detectors import DETECTORS, detector
from penstock.quality.anomalies.reports import Anomaly, AnomalyReport
from penstock.quality.anomalies.times import Timed, gridded, period_of, timed
from penstock.quality.extras import np, pl

_APART = 3
"""Strange values that are no further apart are one anomaly."""


def anomalies(
    values: Any,
    times: Any = None,
    *,
    method: str = "tails",
    zone: str | None = None,
    name: str = "",
    **settings: Any,
) -> AnomalyReport:
    """Find anomalies in a series.

    What is said of a value depends on those before it only, as if they had come one by one.

    Args:
        values: numbers, in the order of time where no times are given.
        times: of each value: datetimes, dates, ISO 8601 texts, or seconds since 1970. With times the rows are put in
            order, gaps in a regular series are left open, and the period, where the method has one, is a day (of daily
            values a week).
        method: one of `DETECTORS`.
        zone: of times that say nothing of theirs; UTC by default.
        name: of the series.
        settings: of the method, such as `threshold`.

    Raises:
        BadData: the values are no numbers, or the times no times.
        ConfigurationError: there is no such method, or no such setting.
    """
    numbers = floats(values)
    if times is None:
        made = detector(method, **settings)
        report = _judged(made, numbers, np.arange(len(numbers)), None)
        return _report(name, made, numbers, None, report, [])
    series = timed(times, numbers, zone)
    fields = getattr(DETECTORS.get(method), "__dataclass_fields__", {})
    if "period" in fields and "period" not in settings:
        period = period_of(series)
        if period:
            settings["period"] = period
            series.notes.append(f"a period of {period:,} values was told from the times")
        elif method == "seasonal":
            raise ConfigurationError("The times do not tell a period.", hint="give a period: so many values")
    made = detector(method, **settings)
    places = gridded(series) if made.gaps else None
    judged = series.values
    if places is not None and len(places) and places[-1] >= len(places):
        judged = np.full(int(places[-1]) + 1, np.nan)
        judged[places] = series.values
        series.notes.append(f"missing in between: {counted(len(judged) - len(places), 'value')}")
    else:
        places = np.arange(len(judged))
    return _report(name, made, series.values, series, _judged(made, judged, places, series), series.notes)


def _report(
    name: str, made: Detector, values: Array, series: Timed | None, found: list[Anomaly], notes: list[str]
) -> AnomalyReport:
    """The report on a series."""
    timed_at = series is not None and len(series.values) > 0
    return AnomalyReport(
        name=name,
        method=made.name,
        settings={each.name: getattr(made, each.name) for each in dataclasses.fields(made)},
        rows=len(values),
        missing=int(np.isnan(values).sum()),
        start=series.times[0] if series is not None and timed_at else None,
        end=series.times[-1] if series is not None and timed_at else None,
        anomalies=tuple(found),
        notes=tuple(notes),
    )


def _judged(made: Detector, values: Array, places: Array, series: Timed | None) -> list[Anomaly]:
    """Put strange values that follow each other together; places are those of the values that are known."""
    scores = made.score(values)
    strange = np.flatnonzero(scores.anomalies[places])
    groups = np.split(strange, np.flatnonzero(np.diff(strange) > _APART) + 1) if len(strange) else []
    return [_anomaly(scores, group, places, series) for group in groups]


def _anomaly(scores: Scores, group: Array, places: Array, series: Timed | None) -> Anomaly:
    first, last = int(group[0]), int(group[-1])
    top = scores[int(places[group[np.argmax(scores.scores[places[group]])]])]
    return Anomaly(
        start=series.times[first] if series is not None else None,
        end=series.times[last] if series is not None else None,
        row=int(series.rows[first]) if series is not None else first,
        points=len(group),
        value=top.value,
        expected=top.expected,
        score=top.score,
        reason=top.reason,
    )


def anomalies_of(
    data: Any,
    value: str,
    time: str | None = None,
    *,
    method: str = "tails",
    zone: str | None = None,
    **settings: Any,
) -> AnomalyReport:
    """Find anomalies in a column; it and its times are held in memory, and nothing else.

    Args:
        data: a frame of any kind that `DataValidator` takes, or the path of a file.
        value: the column of numbers.
        time: the column of times; by default the rows are in order.
        method: see `anomalies`.
        zone: see `anomalies`.
        settings: see `anomalies`.

    Raises:
        BadData: the data cannot be read, or the times are none.
        ConfigurationError: there is no such column, method, or setting.
    """
    frame, notes = read_with(data, lambda rows: _columns(rows, value, time))
    times = frame.get_column(time) if time is not None else None
    report = anomalies(frame.get_column(value), times, method=method, zone=zone, name=value, **settings)
    return msgspec.structs.replace(report, notes=(*notes, *report.notes))


def _columns(frame: Any, value: str, time: str | None) -> Any:
    chosen(frame, [value])
    if time is not None and time not in (schema := frame.collect_schema()):
        raise no_column(time, list(schema))
    asked = [pl.col(value).cast(pl.Float64), *([pl.col(time)] if time is not None and time != value else [])]
    return frame.select(asked).collect(engine="streaming")
