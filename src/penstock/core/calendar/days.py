"""Which days a cron expression is for. Days are counted from 1970-01-01, which is day 0."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

_EPOCH = date(1970, 1, 1).toordinal()
_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_WEEKS = sum(1 << 7 * week for week in range(5))
_LAST_YEAR = 9986
_CYCLE = range(2000, 2400)
"""The calendar repeats itself every 400 years."""


def number(year: int, month: int, day: int = 1) -> int:
    """The number of a day."""
    return date(year, month, day).toordinal() - _EPOCH


def date_of(day: int) -> date:
    """The date of the day with that number."""
    return date.fromordinal(day + _EPOCH)


def length(year: int, month: int) -> int:
    """How many days a month has."""
    return 29 if month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else _LENGTHS[month]


class MonthDays(NamedTuple):
    """What the day-of-month field names.

    Attributes:
        numbers: days, from 1.
        last: days before the last one: 0 for L, 2 for L-2.
        near: the weekday nearest to these days (15W).
        near_last: the weekday nearest to so many days before the last one (LW, L-2W).
    """

    numbers: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()
    near: frozenset[int] = frozenset()
    near_last: frozenset[int] = frozenset()


class WeekDays(NamedTuple):
    """What the day-of-week field names; Sunday is 0.

    Attributes:
        numbers: weekdays.
        last: the last one of these in the month (5L).
        nth: (weekday, which one in the month), such as (1, 2) for MON#2.
    """

    numbers: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()
    nth: frozenset[tuple[int, int]] = frozenset()


class Days:
    """The days that match the three day fields.

    Args:
        months: 1 to 12.
        dom: of the month.
        dow: of the week.
        both: a day has to match `dom` and `dow`; else one of them is enough.
    """

    def __init__(self, months: frozenset[int], dom: MonthDays, dow: WeekDays, both: bool) -> None:
        self._months = tuple(sorted(months))
        self._dom, self._dow, self._both = dom, dow, both
        self._numbers = sum(1 << day - 1 for day in dom.numbers)
        self._weeks = tuple(_every_week(dow.numbers, first) for first in range(7))
        self._every = len(months) == 12 and len(dom.numbers) == 31 and len(dow.numbers) == 7

    def ever(self) -> bool:
        """Some day matches."""
        return any(self.mask(year, month) for month in self._months for year in _CYCLE)

    def mask(self, year: int, month: int) -> int:
        """The days of a month that match, as bits: the lowest is the first of the month."""
        size = length(year, month)
        first = (number(year, month) + 4) % 7  # 1970-01-01 was a Thursday
        dom, dow = self._numbers, self._weeks[first]
        if self._dom.last or self._dom.near or self._dom.near_last:
            dom |= self._special(first, size)
        if self._dow.last or self._dow.nth:
            dow |= self._nth(first, size)
        return (dom & dow if self._both else dom | dow) & (1 << size) - 1

    def _special(self, first: int, size: int) -> int:
        found = {size - back for back in self._dom.last}
        found |= {_nearest(day, first, size) for day in self._dom.near if day <= size}
        found |= {_nearest(size - back, first, size) for back in self._dom.near_last if back < size}
        return sum(1 << day - 1 for day in found if day > 0)

    def _nth(self, first: int, size: int) -> int:
        found = {1 + (weekday - first) % 7 + 7 * (nth - 1) for weekday, nth in self._dow.nth}
        found |= {size - (first + size - 1 - weekday) % 7 for weekday in self._dow.last}
        return sum(1 << day - 1 for day in found)

    def next(self, day: int) -> int | None:
        """The first matching day from this one on."""
        if self._every:
            return day
        at = date_of(day)
        if at.month in self._months and (bits := self.mask(at.year, at.month) >> at.day - 1):
            return day + (bits & -bits).bit_length() - 1
        for year, month in self._after(at.year, at.month):
            if bits := self.mask(year, month):
                return number(year, month) + (bits & -bits).bit_length() - 1
        return None

    def _after(self, year: int, month: int) -> Iterator[tuple[int, int]]:
        yield from ((year, each) for each in self._months if each > month)
        for later in range(year + 1, _LAST_YEAR):
            yield from ((later, each) for each in self._months)

    def count(self, first: int, stop: int) -> int:
        """How many days match from `first` up to, not including, `stop`."""
        if self._every or stop <= first:
            return max(stop - first, 0)
        at, end = date_of(first), date_of(stop)
        found = 0
        for year in range(at.year, end.year + 1):
            for month in self._months:
                if (at.year, at.month) <= (year, month) <= (end.year, end.month):
                    found += self.mask(year, month).bit_count()
        if at.month in self._months:
            found -= (self.mask(at.year, at.month) & (1 << at.day - 1) - 1).bit_count()
        if end.month in self._months:
            found -= (self.mask(end.year, end.month) >> end.day - 1).bit_count()
        return found


def _every_week(weekdays: frozenset[int], first: int) -> int:
    """These weekdays in a month that begins with weekday `first`, as bits."""
    return _WEEKS * sum(1 << (weekday - first) % 7 for weekday in weekdays)


def _nearest(day: int, first: int, size: int) -> int:
    """The nearest day from Monday to Friday in the same month."""
    weekday = (first + day - 1) % 7
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 0:
        return day + 1 if day < size else day - 2
    return day
