"""Partitions: the pieces a flow's data comes in, each made by a run of its own."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo

import msgspec

from penstock.core.calendar import ScheduleSpec, due_between, last_between, next_after
from penstock.core.errors import DeploymentError

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_YEARS_BACK = 367 * 4 * _DAY


class Partition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One piece.

    Attributes:
        key: its name, such as 2026-01-31.
        start, end: the data it holds, from and before these instants (microseconds); None for a piece without times.
    """

    key: str
    start: int | None = None
    end: int | None = None

    @property
    def interval(self) -> tuple[int, int] | None:
        """Start and end."""
        return None if self.start is None or self.end is None else (self.start, self.end)


class TimePartitions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="time"):
    """Windows of time, each from one instant of a schedule to the next.

    Attributes:
        spec: the schedule whose instants part them.
        shape: how a window's start is written as its key: day, month, or time (with the offset from UTC).
    """

    spec: ScheduleSpec
    shape: str = "time"

    def between(self, first: int, last: int) -> Iterator[Partition]:
        """Windows that begin at `first` or later and end at `last` or earlier, in order."""
        start: int | None = None
        for instant in due_between(self.spec, first - 1, last):
            if start is not None:
                yield self._window(start, instant)
            start = instant

    def ending_by(self, instant: int) -> Partition | None:
        """The last window that is over by then."""
        end = last_between(self.spec, instant - _YEARS_BACK, instant)
        start = last_between(self.spec, instant - _YEARS_BACK, end - 1) if end is not None else None
        return self._window(start, end) if start is not None and end is not None else None

    def of_key(self, key: str) -> Partition | None:
        """The window with this key."""
        zone = ZoneInfo(self.spec.timezone)
        try:
            text = f"{key}-01" if self.shape == "month" else key
            moment = datetime.datetime.fromisoformat(text)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        about = int(moment.timestamp()) * _SECOND
        start = next_after(self.spec, about - 1 - 2 * 3600 * _SECOND)
        while start is not None and start <= about + _DAY:
            end = next_after(self.spec, start)
            if end is not None and self._key(start) == key:
                return self._window(start, end)
            start = end
        return None

    def _window(self, start: int, end: int) -> Partition:
        return Partition(key=self._key(start), start=start, end=end)

    def _key(self, start: int) -> str:
        local = datetime.datetime.fromtimestamp(start / _SECOND, ZoneInfo(self.spec.timezone))
        if self.shape == "day":
            return local.date().isoformat()
        if self.shape == "month":
            return local.strftime("%Y-%m")
        return local.isoformat(timespec="minutes")


class KeyPartitions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="keys"):
    """Named pieces, such as countries."""

    keys: tuple[str, ...]

    def between(self, first: int, last: int) -> Iterator[Partition]:
        """All of them: they have no times."""
        return (Partition(key=key) for key in self.keys)

    def ending_by(self, instant: int) -> Partition | None:
        """None: they have no times."""
        return None

    def of_key(self, key: str) -> Partition | None:
        """The piece with this key."""
        return Partition(key=key) if key in self.keys else None


Partitions = TimePartitions | KeyPartitions


def hourly(timezone: str = "UTC", **options: str) -> TimePartitions:
    """Windows of an hour. Options: `start` and `end` (ISO times)."""
    return TimePartitions(spec=ScheduleSpec.of("0 * * * *", timezone=timezone, **options))  # type: ignore[arg-type]


def daily(timezone: str = "UTC", **options: str) -> TimePartitions:
    """Windows of a day, from midnight to midnight. Options: `start` and `end` (ISO times)."""
    spec = ScheduleSpec.of("0 0 * * *", timezone=timezone, **options)  # type: ignore[arg-type]
    return TimePartitions(spec=spec, shape="day")


def weekly(timezone: str = "UTC", **options: str) -> TimePartitions:
    """Windows of a week, from Monday. Options: `start` and `end` (ISO times)."""
    spec = ScheduleSpec.of("0 0 * * 1", timezone=timezone, **options)  # type: ignore[arg-type]
    return TimePartitions(spec=spec, shape="day")


def monthly(timezone: str = "UTC", **options: str) -> TimePartitions:
    """Windows of a month. Options: `start` and `end` (ISO times)."""
    spec = ScheduleSpec.of("0 0 1 * *", timezone=timezone, **options)  # type: ignore[arg-type]
    return TimePartitions(spec=spec, shape="month")


def keyed(keys: Iterable[str]) -> KeyPartitions:
    """Named pieces.

    Raises:
        DeploymentError: a key is there twice, or is no text.
    """
    found = tuple(keys)
    if not found or len(set(found)) != len(found) or not all(isinstance(key, str) and key for key in found):
        raise DeploymentError(f"Partition keys must be different texts, and are {found!r}.")
    return KeyPartitions(keys=found)
