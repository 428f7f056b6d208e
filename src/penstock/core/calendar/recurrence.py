"""Recurrence rules of RFC 5545 (iCalendar): which local times an RRULE is for.

Every part of a rule is a filter over the times of a period (a year, a month, a week, a day), and periods are counted
from DTSTART. So any period can be looked at on its own: what is due in ten years is found as fast as what is due now.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import product
from math import gcd
from typing import NamedTuple

from penstock.core.calendar.days import date_of, length, number
from penstock.core.calendar.zones import DAY, LAST

MOST = 10_000
"""A COUNT is at most so much: its occurrences are counted from the first one."""

_DAYS_AT_MOST = 146_097
"""The calendar repeats itself after so many days, which are 400 years. A rule that is silent for longer is dead."""

_LAST_YEAR = 9986
_KEPT = 8  # periods whose times are remembered


class Parts(NamedTuple):
    """The parts of a rule, read. A weekday is (which one in the period or 0 for each, 0 for Monday to 6 for Sunday)."""

    freq: str
    interval: int = 1
    total: int | None = None
    until: int | None = None
    months: frozenset[int] = frozenset()
    weeks: frozenset[int] = frozenset()
    year_days: frozenset[int] = frozenset()
    month_days: frozenset[int] = frozenset()
    weekdays: frozenset[tuple[int, int]] = frozenset()
    hours: frozenset[int] = frozenset()
    minutes: frozenset[int] = frozenset()
    seconds: frozenset[int] = frozenset()
    places: frozenset[int] = frozenset()
    week_start: int = 0


FINE = ("HOURLY", "MINUTELY")


class Recurrence:
    """The local times of a rule.

    Args:
        parts: the rule.
        start: DTSTART, a local time. What the rule does not say, it says: the weekday, the day, the time of the day.
        without: local times to leave out (EXDATE).

    Attributes:
        fixed: it is for times of the day (YEARLY to DAILY), not for the passing of time (HOURLY, MINUTELY).
    """

    def __init__(self, parts: Parts, start: int, without: frozenset[int] = frozenset()) -> None:
        self.fixed = parts.freq not in FINE
        self._start, self._without = start, without
        self._rule = _completed(parts, start)
        self._first = date_of(start // DAY)
        self._numbered = any(nth for nth, _ in parts.weekdays)
        self._unit = 3600 if parts.freq == "HOURLY" else 60
        minutes = [0] if parts.freq == "MINUTELY" else sorted(self._rule.minutes)
        self._inside = [60 * minute + second for minute in minutes for second in sorted(self._rule.seconds)]
        self._possible = self.fixed or self._ever_on_time()
        self._sets: dict[int, list[int]] = {}
        self._counted: list[int] | None = None

    def next(self, local: int) -> int | None:
        """The first local time after this one."""
        if self._rule.total is not None:
            counted = self._all()
            place = bisect_right(counted, local)
            return counted[place] if place < len(counted) else None
        due = self._next(max(local, self._start - 1))
        while due in self._without:
            due = self._next(due)
        return due

    def count(self, after: int, until: int) -> int:
        """How many local times there are after `after` up to, and including, `until`."""
        found = 0
        due = self.next(after)
        while due is not None and due <= until:
            found += 1
            due = self.next(due)
        return found

    def _all(self) -> list[int]:
        if self._counted is None:
            made: list[int] = []
            due = self._next(self._start - 1)
            while due is not None and len(made) < (self._rule.total or 0):
                made.append(due)
                due = self._next(due)
            self._counted = [due for due in made if due not in self._without]
        return self._counted

    def _next(self, local: int) -> int | None:
        """The first one after `local`, whatever EXDATE and COUNT say."""
        period = self._period(local)
        if not self._possible or (self._rule.until is not None and local >= self._rule.until):
            return None
        size = {"YEARLY": 366, "MONTHLY": 31, "WEEKLY": 7}.get(self._rule.freq, 1)
        for later in range(period, period + _DAYS_AT_MOST // size + 2):
            times = self._times(later)
            if times is None:
                return None
            place = bisect_right(times, local)
            if place < len(times):
                due = times[place]
                return due if self._rule.until is None or due <= self._rule.until else None
        return None

    def _period(self, local: int) -> int:
        """The number of the period around a local time."""
        rule, day = self._rule, local // DAY
        if rule.freq == "YEARLY":
            return max((date_of(day).year - self._first.year) // rule.interval, 0)
        if rule.freq == "MONTHLY":
            at = date_of(day)
            months = (at.year - self._first.year) * 12 + at.month - self._first.month
            return max(months // rule.interval, 0)
        if rule.freq == "WEEKLY":
            return max((day - self._week(self._start // DAY)) // (7 * rule.interval), 0)
        return max((day - self._start // DAY) // (rule.interval if rule.freq == "DAILY" else 1), 0)

    def _week(self, day: int) -> int:
        """The first day of the week around a day."""
        return day - (_weekday(day) - self._rule.week_start) % 7

    def _times(self, period: int) -> list[int] | None:
        """The local times of a period, in order; None when it is too far away."""
        times = self._sets.get(period)
        if times is None:
            days = self._days(period)
            if days is None:
                return None
            times = self._fine(days) if self._rule.freq in FINE else self._placed(days)
            self._sets = {period: times, **dict(list(self._sets.items())[: _KEPT - 1])}  # other threads may be reading
        return times

    def _placed(self, days: Sequence[int]) -> list[int]:
        rule = self._rule
        clock = sorted(
            hour * 3600 + minute * 60 + second
            for hour, minute, second in product(rule.hours, rule.minutes, rule.seconds)
        )
        return self._from_start(_chosen([day * DAY + time for day in days for time in clock], rule.places))

    def _fine(self, days: Sequence[int]) -> list[int]:
        """Hours or minutes of a day, counted from DTSTART; BYSETPOS chooses inside each of them."""
        rule, unit = self._rule, self._unit
        first = self._start // unit
        made: list[int] = []
        for day in days:
            begin = day * DAY // unit
            for moment in range(begin + (first - begin) % rule.interval, begin + DAY // unit, rule.interval):
                if self._on_time(moment):
                    made += _chosen([moment * unit + each for each in self._inside], rule.places)
        return self._from_start(made)

    def _on_time(self, moment: int) -> bool:
        """An hour (or a minute) is one that BYHOUR and BYMINUTE name."""
        rule, time = self._rule, moment * self._unit % DAY
        named = not rule.hours or time // 3600 in rule.hours
        return named and (self._unit == 3600 or not rule.minutes or time % 3600 // 60 in rule.minutes)

    def _ever_on_time(self) -> bool:
        """Counted from DTSTART, some hour (or minute) of some day passes the filters for times."""
        first, size, places = self._start // self._unit, DAY // self._unit, self._rule.places
        if places and min(map(abs, places)) > len(self._inside):
            return False
        step = gcd(self._rule.interval, size)
        return any(self._on_time(moment) for moment in range(first % step, size, step))

    def _from_start(self, times: list[int]) -> list[int]:
        return times if not times or times[0] >= self._start else [time for time in times if time >= self._start]

    def _days(self, period: int) -> list[int] | None:
        """The days of a period that match; None when it is too far away."""
        rule = self._rule
        if rule.freq == "YEARLY":
            year = self._first.year + period * rule.interval
            months = sorted(rule.months) or range(1, 13)
            return None if year > _LAST_YEAR else [day for month in months for day in self._month(year, month)]
        if rule.freq == "MONTHLY":
            year, month = divmod(self._first.year * 12 + self._first.month - 1 + period * rule.interval, 12)
            return None if year > _LAST_YEAR else self._month(year, month + 1)
        if rule.freq == "WEEKLY":
            first, size = self._week(self._start // DAY) + period * 7 * rule.interval, 7
        else:
            first, size = self._start // DAY + period * (rule.interval if rule.freq == "DAILY" else 1), 1
        return None if first > LAST // DAY else [day for day in range(first, first + size) if self._matches_day(day)]

    def _month(self, year: int, month: int) -> list[int]:
        if self._rule.months and month not in self._rule.months:
            return []
        first, size = number(year, month), length(year, month)
        return [first + day - 1 for day in range(1, size + 1) if self._matches(first + day - 1, year, month, day)]

    def _matches_day(self, day: int) -> bool:
        at = date_of(day)
        return self._matches(day, at.year, at.month, at.day)

    def _matches(self, day: int, year: int, month: int, of_month: int) -> bool:
        """A day passes every filter."""
        rule = self._rule
        each = not rule.weekdays or (0, _weekday(day)) in rule.weekdays
        if not each and not (self._numbered and self._is_nth(day, year, month, of_month)):
            return False
        if rule.months and month not in rule.months:
            return False
        if rule.month_days and rule.month_days.isdisjoint((of_month, of_month - length(year, month) - 1)):
            return False
        if rule.year_days and rule.year_days.isdisjoint(_in_year(day, year)):
            return False
        return not rule.weeks or not rule.weeks.isdisjoint(_week_numbers(day, rule.week_start))

    def _is_nth(self, day: int, year: int, month: int, of_month: int) -> bool:
        """A weekday with a number, such as -1FR, is this day: counted in the month, or in the year of a YEARLY rule."""
        forward, backward = of_month, length(year, month) - of_month + 1
        if self._rule.freq == "YEARLY" and not self._rule.months:
            forward, back = _in_year(day, year)
            backward = -back
        weekday, named = _weekday(day), self._rule.weekdays
        return ((forward + 6) // 7, weekday) in named or (-((backward + 6) // 7), weekday) in named


def _completed(parts: Parts, start: int) -> Parts:
    """The rule with what DTSTART says for it."""
    at, time = date_of(start // DAY), start % DAY
    if not (parts.weeks or parts.year_days or parts.month_days or parts.weekdays):
        if parts.freq == "YEARLY":
            parts = parts._replace(months=parts.months or frozenset({at.month}), month_days=frozenset({at.day}))
        elif parts.freq == "MONTHLY":
            parts = parts._replace(month_days=frozenset({at.day}))
        elif parts.freq == "WEEKLY":
            parts = parts._replace(weekdays=frozenset({(0, at.weekday())}))
    if not parts.hours and parts.freq not in FINE:
        parts = parts._replace(hours=frozenset({time // 3600}))
    if not parts.minutes and parts.freq != "MINUTELY":
        parts = parts._replace(minutes=frozenset({time % 3600 // 60}))
    return parts._replace(seconds=parts.seconds or frozenset({time % 60}))


def _chosen(times: list[int], places: frozenset[int]) -> list[int]:
    """Those that BYSETPOS names."""
    if not places:
        return times
    size = len(times)
    return sorted({times[place - 1 if place > 0 else place] for place in places if abs(place) <= size})


def _weekday(day: int) -> int:
    return (day + 3) % 7


def _in_year(day: int, year: int) -> tuple[int, int]:
    """The number of a day in its year, from the beginning (1) and from the end (-1)."""
    return day - number(year, 1) + 1, day - number(year + 1, 1)


def _week_numbers(day: int, week_start: int) -> tuple[int, int]:
    """The number of a week in its year, from the beginning and from the end. Week 1 is the first with four days."""
    middle = day - (_weekday(day) - week_start) % 7 + 3
    of_year, back = _in_year(middle, date_of(middle).year)
    return (of_year - 1) // 7 + 1, -((-back - 1) // 7 + 1)
