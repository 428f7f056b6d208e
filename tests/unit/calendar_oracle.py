"""Second opinions on the calendar that share no code with it: changes of clocks found by looking, and Debian's cron."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = 60, 3600, 86_400
FIRST, LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2015, 2036))


class Change(NamedTuple):
    """Clocks are changed: at this instant, from one offset to another (seconds)."""

    zone: str
    at: int
    before: int
    after: int


def offset(zone: zoneinfo.ZoneInfo, at: int) -> int:
    found = datetime.fromtimestamp(at, zone).utcoffset()
    assert found is not None
    return round(found.total_seconds())


def zones() -> dict[str, list[str]]:
    """Every zone of the IANA database, with the other names that stand for the very same file."""
    found: dict[bytes, list[str]] = {}
    for name in sorted(zoneinfo.available_timezones()):
        if name[0].isupper():
            found.setdefault(_file(name), []).append(name)
    return {names[0]: names for names in found.values()}


def _file(name: str) -> bytes:
    for folder in zoneinfo.TZPATH:
        if (path := Path(folder, name)).is_file():
            return path.read_bytes()
    return resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()


def changes_of(name: str, step: int) -> Iterator[Change]:
    """The changes of a zone from 2015 to 2035, found by looking at its offset every `step` seconds."""
    zone = zoneinfo.ZoneInfo(name)
    before = offset(zone, FIRST)
    for at in range(FIRST + step, LAST, step):
        after = offset(zone, at)
        if after != before:
            low, high = at - step, at
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(zone, middle) == before else (low, middle)
            yield Change(name, high, before, after)
        before = after


@cache
def changes() -> tuple[Change, ...]:
    """Every change of every zone from 2015 to 2035 (a slow test finds the same ones by looking every hour)."""
    return tuple(change for name in zones() for change in changes_of(name, 5 * DAY))


@cache
def distinct_changes() -> tuple[Change, ...]:
    """The same, each once: many zones change their clocks at the same instant between the same offsets.

    What is due around a change depends on these three only, as long as no other change of the zone is near it.
    """
    found: dict[tuple[int, int, int], Change] = {}
    for change in changes():
        found.setdefault(change[1:], change)
    return tuple(found.values())


class DebianCron:
    """The main loop of Debian's cron, one minute at a time, for several jobs at once.

    `clock` is the minute on the wall, and `reached` what it calls the virtual time: the latest minute whose fixed jobs
    have run. Jobs whose minute or hour begins with a star are wild, the others are fixed. When the clock is

    - one minute further: all jobs of the minute run;
    - ahead by up to 5 minutes: all jobs of each minute run;
    - ahead by up to 3 hours: the wild jobs of now run, and the fixed jobs of each minute that was left out;
    - behind by less than 3 hours: the wild jobs of now run;
    - anywhere else: it was set anew, and the jobs of now run.

    What it does not copy: Debian's cron runs a job for each of its times in a gap (so several times at once), and looks
    at the offset again only when daylight saving begins or ends.
    """

    def __init__(self, expressions: Iterable[str]) -> None:
        self.jobs = {expression: _Job(expression) for expression in expressions}
        self.ran: dict[str, list[int]] = {expression: [] for expression in self.jobs}

    def live(self, change: Change, first: int, last: int) -> dict[str, list[int]]:
        """Be up from one instant to another, around a change; the instants when each job was run."""
        reached: int | None = None
        for at in range(first - first % MINUTE, last, MINUTE):
            clock = (at + (change.before if at < change.at else change.after)) // MINUTE
            if reached is None:
                reached = clock - 1
            ahead = clock - reached
            if 0 < ahead <= 5:
                for minute in range(reached + 1, clock + 1):
                    self._run(at, minute, wild=True, fixed=True)
                reached = clock
            elif 5 < ahead <= 180:
                self._run(at, clock, wild=True, fixed=False)
                for minute in range(reached + 1, clock + 1):
                    self._run(at, minute, wild=False, fixed=True)
                reached = clock
            elif -180 < ahead <= 0:
                self._run(at, clock, wild=True, fixed=False)
            else:
                self._run(at, clock, wild=True, fixed=True)
                reached = clock
        return self.ran

    def _run(self, at: int, minute: int, *, wild: bool, fixed: bool) -> None:
        for expression, job in self.jobs.items():
            if (wild if job.wild else fixed) and job.matches(minute):
                ran = self.ran[expression]
                if not ran or ran[-1] != at:
                    ran.append(at)


class _Job:
    """An expression of numbers, stars, lists, ranges and steps, as bits; Sunday is 0 and 7."""

    def __init__(self, expression: str) -> None:
        minute, hour, dom, month, dow = expression.split()
        self.wild = minute[0] == "*" or hour[0] == "*"
        self.both = dom[0] == "*" or dow[0] == "*"
        self.minutes, self.hours = _values(minute, 0, 59), _values(hour, 0, 23)
        self.dom, self.months = _values(dom, 1, 31), _values(month, 1, 12)
        self.dow = {value % 7 for value in _values(dow, 0, 7)}

    def matches(self, clock: int) -> bool:
        if clock % 60 not in self.minutes or clock // 60 % 24 not in self.hours:
            return False
        day = EPOCH + timedelta(days=clock // 1440)
        in_month, in_week = day.day in self.dom, day.isoweekday() % 7 in self.dow
        return day.month in self.months and (in_month and in_week if self.both else in_month or in_week)


def _values(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for term in field.split(","):
        base, _, step = term.partition("/")
        first, dash, last = (base if base != "*" else f"{low}-{high}").partition("-")
        found |= set(range(int(first), int(last if dash else first) + 1, int(step or 1)))
    return found


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    """Fields of cron expressions that every dialect reads alike."""
    number = st.integers(low, high)
    ranges = st.tuples(number, number).map(sorted).map(lambda pair: f"{pair[0]}-{pair[1]}")
    steps = st.integers(1, min(high, 20))
    stepped = st.tuples(st.one_of(st.just("*"), ranges), steps).map(lambda pair: f"{pair[0]}/{pair[1]}")
    lists = st.lists(st.one_of(number.map(str), ranges), min_size=1, max_size=4).map(",".join)
    return st.one_of(st.just("*"), number.map(str), lists, stepped)


EXPRESSIONS = st.tuples(fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12), fields(0, 7)).map(" ".join)
