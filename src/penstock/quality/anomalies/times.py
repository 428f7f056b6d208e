"""Times of a series: of any kind, in order, and as places on a regular grid where they lie on one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from penstock.core.errors import BadData, ConfigurationError
from penstock.core.words import counted
from penstock.quality.anomalies.contract import Array
from penstock.quality.extras import np, pl

_DAY = 86_400.0
_WEEK = 7 * _DAY
_REGULAR = 0.9
_SPARSE = 4


@dataclass
class Timed:
    """A series in the order of its times.

    Attributes:
        times: a Polars column of UTC times, without nulls.
        values: shape (n,).
        rows: where each value was in the series as it was given.
        notes: what was done.
    """

    times: Any
    values: Array
    rows: Array
    notes: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> Array:
        """Since 1970."""
        return self.times.dt.epoch("us").to_numpy() / 1e6

    @property
    def interval(self) -> float:
        """Seconds between two values, mostly; 0 where that cannot be told."""
        return float(np.median(np.diff(self.seconds))) if len(self.values) > 1 else 0.0


def timed(times: Any, values: Array, zone: str | None = None) -> Timed:
    """A series in the order of its times; those without a time are left out.

    Args:
        times: a column, array or list of datetimes, dates, ISO 8601 texts, or seconds since 1970.
        values: shape (n,).
        zone: of times that say nothing of theirs, such as `Europe/Berlin`; UTC by default. Of an hour that comes twice,
            when summer ends, what comes after its first run is of the second one; one that never comes has no time.

    Raises:
        BadData: they are no times, or not as many as the values.
    """
    column = _instants(times, zone)
    if len(column) != len(values):
        raise BadData(f"There are {len(column):,} times and {len(values):,} values.", hint="give a time for each value")
    known = column.is_not_null().to_numpy()
    notes = []
    if not known.all():
        notes.append(f"without a time, and left out: {counted(int((~known).sum()), 'value')}")
    rows = np.flatnonzero(known)
    moments = column.dt.epoch("us").to_numpy()[rows] if len(rows) else np.zeros(0)
    steps = np.diff(moments)
    if (steps < 0).any():
        notes.append(f"the times go backwards {counted(int((steps < 0).sum()), 'time')}: the rows were put in order")
        rows = rows[np.argsort(moments, kind="stable")]
    repeated = len(moments) - len(np.unique(moments))
    if repeated:
        notes.append(f"with a time that another one has, too: {counted(repeated, 'value')}")
    return Timed(column.gather(rows), values[rows], rows, notes)


def _instants(times: Any, zone: str | None) -> Any:
    if isinstance(times, np.ndarray) and times.dtype.kind == "M":
        times = times.astype("datetime64[us]")
    if isinstance(times, pl.Series):
        column = times
    else:
        try:
            column = pl.Series(times.to_pylist() if type(times).__module__.startswith("pyarrow") else times)
        except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
            raise BadData(f"The times cannot be read: {error}", hint="give times of one kind") from error
    kind = column.dtype
    if kind == pl.String:
        column = _parsed(column)
    elif kind == pl.Date:
        column = column.cast(pl.Datetime("us"))
    elif kind.is_numeric():
        return (
            (column.cast(pl.Float64).fill_nan(None) * 1e6).cast(pl.Int64, strict=False).cast(pl.Datetime("us", "UTC"))
        )
    elif kind == pl.Null:
        column = column.cast(pl.Datetime("us"))
    elif not isinstance(kind, pl.Datetime):
        raise BadData(f"{kind} is no time.", hint="give datetimes, dates, ISO 8601 texts, or seconds since 1970")
    if column.dtype.time_zone is not None:
        return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return _placed(column.cast(pl.Datetime("us")), zone)


def _parsed(column: Any) -> Any:
    try:
        return column.str.to_datetime(time_unit="us", strict=True)
    except pl.exceptions.PolarsError:
        pass
    for pattern in ("%+", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%d/%b/%Y:%H:%M:%S %z"):
        found = column.str.to_datetime(pattern, time_unit="us", strict=False)
        if found.null_count() == column.null_count():
            return found
    raise BadData("The times are text that cannot be read.", hint="write them as 2026-11-21T13:45:00Z")


def _placed(column: Any, zone: str | None) -> Any:
    """Times of a zone's clocks as UTC."""
    if zone is None:
        return column.dt.replace_time_zone("UTC")
    try:
        first, second = (
            column.dt.replace_time_zone(zone, ambiguous=which, non_existent="null") for which in ("earliest", "latest")
        )
    except pl.exceptions.PolarsError as error:
        raise ConfigurationError(f"There is no time zone {zone!r}.", hint="such as Europe/Berlin") from error
    again = (column <= column.cum_max().shift(1)).fill_null(False)
    return first.zip_with(~(again & (first != second)).fill_null(False), second).dt.convert_time_zone("UTC")


def period_of(series: Timed) -> int:
    """After how many values a day is over, or a week where there is one value a day; 0 where neither repeats."""
    interval = series.interval
    if interval <= 0:
        return 0
    around = _DAY if interval <= _DAY / 4 else _WEEK if interval <= _DAY else 0.0
    length = float(series.seconds[-1] - series.seconds[0])
    period = round(around / interval)
    return period if around and length >= 2 * around and abs(period * interval - around) < interval / 2 else 0


def gridded(series: Timed) -> Array | None:
    """The place of each value on a regular grid, from 0; None where the times lie on none."""
    interval = series.interval
    if interval <= 0:
        return None
    seconds = series.seconds
    regular = np.abs(np.diff(seconds) - interval) <= 0.01 * interval
    places = np.rint((seconds - seconds[0]) / interval).astype(np.int64)
    if regular.mean() < _REGULAR or (np.diff(places) <= 0).any() or places[-1] >= _SPARSE * len(places):
        return None
    return places
