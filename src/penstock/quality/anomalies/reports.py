"""What was found: outliers of columns, anomalies of series."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec

from penstock.core.words import counted


class Outlier(msgspec.Struct, frozen=True):
    """A value, or several of one row, unlike the others of the column.

    Attributes:
        row: its place, counted from 0.
        values: of the columns that were looked at together.
        score: how far it is from the others, in the unit of the method.
        reason: in words.
    """

    row: int
    values: dict[str, float]
    score: float
    reason: str


class ColumnOutliers(msgspec.Struct, frozen=True, kw_only=True):
    """A column that was looked at; of an isolation forest, all of them together.

    Attributes:
        column: its name.
        checked: values that are numbers.
        missing: null or NaN.
        infinite: how many; all of them are outliers.
        outliers: how many there are.
        low: what is below is an outlier; None where the method has no such line.
        high: what is above is one.
        note: what there is to say, such as why nothing could be found.
    """

    column: str
    checked: int
    missing: int
    infinite: int
    outliers: int
    low: float | None = None
    high: float | None = None
    note: str = ""


class OutlierReport(msgspec.Struct, frozen=True, kw_only=True):
    """Outliers of columns.

    Attributes:
        name: of the data.
        method: how they were looked for.
        threshold: from which score on a value is one.
        rows: how many the data has.
        columns: what was looked at.
        outliers: the strangest ones, those of the greatest score first.
        notes: what was done to the data so that it could be looked at.
    """

    name: str
    method: str
    threshold: float
    rows: int
    columns: tuple[ColumnOutliers, ...]
    outliers: tuple[Outlier, ...]
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many outliers there are; a row counts once for each column."""
        return sum(column.outliers for column in self.columns)

    def summary(self) -> str:
        """In one line."""
        name = f"{self.name}: " if self.name else ""
        columns = counted(len(self.columns), "column")
        return f"{name}{counted(self.count, 'outlier')} in {columns} and {counted(self.rows, 'row')} ({self.method})"

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return {**found, "count": self.count}

    def to_json(self) -> str:
        """As JSON; NaN and infinite numbers are null there."""
        return msgspec.json.format(msgspec.json.encode(self.as_dict())).decode()


class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a series that is not as it usually is.

    Attributes:
        start: the time of its first value; None where there are no times.
        end: the time of its last.
        row: the place of its first value in the series, counted from 0.
        points: how many of its values reached the threshold.
        value: the strangest of them.
        expected: what would have been usual there, where the method knows.
        score: how strange, in the unit of the method.
        reason: in words.
    """

    start: datetime.datetime | None
    end: datetime.datetime | None
    row: int
    points: int
    value: float
    expected: float | None
    score: float
    reason: str


class AnomalyReport(msgspec.Struct, frozen=True, kw_only=True):
    """Anomalies of a series.

    Attributes:
        name: of the series.
        method: how they were looked for.
        settings: of the method.
        rows: values that were looked at.
        missing: null or NaN.
        start: the first time; None where there are none.
        end: the last time.
        anomalies: in their order.
        notes: what was done to the series so that it could be looked at.
    """

    name: str
    method: str
    settings: dict[str, float]
    rows: int
    missing: int
    start: datetime.datetime | None
    end: datetime.datetime | None
    anomalies: tuple[Anomaly, ...]
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """In one line."""
        name = f"{self.name}: " if self.name else ""
        found = counted(len(self.anomalies), "anomaly", "anomalies")
        return f"{name}{found} in {counted(self.rows, 'value')} ({self.method})"

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

    def to_json(self) -> str:
        """As JSON; NaN and infinite numbers are null there."""
        return msgspec.json.format(msgspec.json.encode(self.as_dict())).decode()
