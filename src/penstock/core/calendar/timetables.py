"""When something is due: rules for local times, intervals and lists of instants, as steps on the line of time.

Instants are microseconds since the epoch (UTC).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator
from typing import Protocol

from penstock.core.calendar.zones import DAY, EARLIEST, LAST, Zone

SECOND = 1_000_000


class Rule(Protocol):
    """Which local times something is for."""

    fixed: bool
    """It is for times of the day; otherwise it follows the passing of time."""

    def next(self, local: int) -> int | None:
        """The first local time after this one."""

    def count(self, after: int, until: int) -> int:
        """How many local times there are after `after` up to, and including, `until`."""


class Timetable(ABC):
    """When something is due."""

    @abstractmethod
    def next(self, after: int) -> int | None:
        """The first due instant after this one."""

    @abstractmethod
    def count(self, after: int, until: int) -> int:
        """How many are due after `after` up to, and including, `until`."""

    @abstractmethod
    def last(self, after: int, until: int) -> int | None:
        """The last one of those."""

    def between(self, after: int, until: int) -> Iterator[int]:
        """Each of those, in order."""
        due = self.next(after)
        while due is not None and due <= until:
            yield due
            due = self.next(due)


class Every(Timetable):
    """The same time apart, whatever the clocks on the wall do.

    Args:
        interval: microseconds.
        anchor: an instant that is due; the others are counted from it, in both directions.
    """

    def __init__(self, interval: int, anchor: int) -> None:
        self._interval, self._anchor = interval, anchor

    def next(self, after: int) -> int | None:
        """The first due instant after this one."""
        due = after + self._interval - (after - self._anchor) % self._interval
        return due if due <= LAST * SECOND else None

    def count(self, after: int, until: int) -> int:
        """How many are due after `after` up to, and including, `until`."""
        until = min(until, LAST * SECOND)
        return max((until - self._anchor) // self._interval - (after - self._anchor) // self._interval, 0)

    def last(self, after: int, until: int) -> int | None:
        """The last one of those."""
        until = min(until, LAST * SECOND)
        due = until - (until - self._anchor) % self._interval
        return due if due > after else None


class Listed(Timetable):
    """Instants that are given one by one."""

    def __init__(self, instants: list[int]) -> None:
        self._instants = sorted(set(instants))

    def next(self, after: int) -> int | None:
        """The first due instant after this one."""
        place = bisect_right(self._instants, after)
        return self._instants[place] if place < len(self._instants) else None

    def count(self, after: int, until: int) -> int:
        """How many are due after `after` up to, and including, `until`."""
        return max(bisect_right(self._instants, until) - bisect_right(self._instants, after), 0)

    def last(self, after: int, until: int) -> int | None:
        """The last one of those."""
        place = bisect_right(self._instants, until)
        return self._instants[place - 1] if place and self._instants[place - 1] > after else None


class OnTheWall(Timetable):
    """The local times of a rule, on the clocks of a zone.

    What happens when clocks are changed is what Debian's cron does:

    - A fixed time that does not exist is due right after the gap; several of one gap are due once. One that happens
      twice is due the first time. (A day that a zone leaves out altogether has no due times.)
    - What follows the passing of time is due whenever a clock shows one of its times: never in a gap, twice in a fold.
    """

    def __init__(self, rule: Rule, zone: Zone) -> None:
        self.rule, self.zone = rule, zone
        self._next = self._next_fixed if rule.fixed else self._next_passing
        self._count = self._count_fixed if rule.fixed else self._count_passing

    def next(self, after: int) -> int | None:
        """The first due instant after this one."""
        due = self._next(max(after // SECOND, EARLIEST)) if after < LAST * SECOND else None
        return due * SECOND if due is not None and due <= LAST else None

    def count(self, after: int, until: int) -> int:
        """How many are due after `after` up to, and including, `until`."""
        first, last = max(after // SECOND, EARLIEST), min(until // SECOND, LAST)
        return self._count(first, last) if last > first else 0

    def last(self, after: int, until: int) -> int | None:
        """The last one of those: found by halving, so that a long time is looked at in few steps."""
        low, high, span = max(after // SECOND, EARLIEST), min(until // SECOND, LAST), 60
        while (due := self._next(max(low, high - span))) is None or due > high:
            if high - span <= low:
                return None
            span *= 8
        while high > due:
            middle = (due + high) // 2
            found = self._next(middle)
            if found is not None and found <= high:
                due = found
            else:
                high = middle
        return due * SECOND

    def _next_fixed(self, after: int) -> int | None:
        local = self.rule.next(self.zone.reached(after))
        while local is not None:
            place = self.zone.place(local)
            if place.gap < DAY:
                return place.at
            local = self.rule.next(local)
        return None

    def _next_passing(self, after: int) -> int | None:
        segment = self.zone.segment(after + 1)
        while segment.start <= LAST:
            local = self.rule.next(max(after, segment.start - 1) + segment.offset)
            if local is None:
                return None
            if local < segment.end + segment.offset:
                return local - segment.offset
            # The next segment may show the local times of this one again. After it, all that is left is far away.
            far = local - 2 * DAY if segment.start > after else 0
            segment = self.zone.segment(max(segment.end, far))
        return None

    def _count_fixed(self, after: int, until: int) -> int:
        found = self.rule.count(self.zone.reached(after), self.zone.reached(until))
        before = self.zone.segment(after)
        while before.end <= until:
            segment = self.zone.segment(before.end)
            gap = segment.offset - before.offset
            if gap > 0:
                end = segment.start + segment.offset
                missing = self.rule.count(end - gap - 1, end - 1)
                once = missing > 0 and gap < DAY and not self.rule.count(end - 1, end)
                found -= missing - once
            before = segment
        return found

    def _count_passing(self, after: int, until: int) -> int:
        found = 0
        segment = self.zone.segment(after + 1)
        while segment.start <= until:
            low, high = max(after, segment.start - 1), min(until, segment.end - 1)
            found += self.rule.count(low + segment.offset, high + segment.offset)
            segment = self.zone.segment(segment.end)
        return found


class Bounded(Timetable):
    """What is due from a first to a last instant, both included."""

    def __init__(self, inner: Timetable, start: int | None, end: int | None) -> None:
        self.inner = inner
        self._before = None if start is None else start - 1
        self._end = LAST * SECOND if end is None else end

    def _from(self, after: int) -> int:
        return after if self._before is None or after > self._before else self._before

    def next(self, after: int) -> int | None:
        """The first due instant after this one."""
        due = self.inner.next(self._from(after))
        return due if due is not None and due <= self._end else None

    def count(self, after: int, until: int) -> int:
        """How many are due after `after` up to, and including, `until`."""
        return self.inner.count(self._from(after), min(until, self._end))

    def last(self, after: int, until: int) -> int | None:
        """The last one of those."""
        after, until = self._from(after), min(until, self._end)
        return self.inner.last(after, until) if until > after else None
