"""Cron expressions: what Debian's cron takes, and what others have added to it where its meaning is not in dispute.

Five fields (minute, hour, day of month, month, day of week), or six with seconds first. `docs/schedules.md` tells the
whole dialect, and where others differ.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import cache, lru_cache
from typing import NamedTuple

from penstock.core.calendar.days import Days, MonthDays, WeekDays
from penstock.core.calendar.zones import DAY

PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""What a name stands for. `@once`, which is no cron expression, is one instant: the `start` of the schedule."""

ONCE = "@once"


class Mistakes(ValueError):
    """What is wrong with an expression, one text for each fault."""

    def __init__(self, mistakes: list[str]) -> None:
        self.mistakes = mistakes
        super().__init__("; ".join(mistakes))


class Field(NamedTuple):
    """One field of an expression: its name, the least and the most it may be, and the words for its numbers."""

    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        """The number a text stands for.

        Raises:
            ValueError: it stands for none; the message says why.
        """
        if text.upper() in self.words:
            return self.words.index(text.upper()) + self.low
        if not (text.isascii() and text.isdigit()):
            raise ValueError(_no_number(self, text))
        if not self.low <= int(text) <= self.high:
            raise ValueError(f"{text} is not between {self.low} and {self.high}")
        return int(text)


MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_SECOND = Field("second", 0, 59)
_MINUTE = Field("minute", 0, 59)
_HOUR = Field("hour", 0, 23)
_DAY = Field("day-of-month", 1, 31)
_MONTH = Field("month", 1, 12, MONTHS)
_WEEKDAY = Field("day-of-week", 0, 7, WEEKDAYS)
_FIELDS = (_SECOND, _MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)


class CronRule:
    """The local times a cron expression is for.

    Attributes:
        fixed: neither the hour nor the minute (nor the second) begins with a star. Such a job belongs to a time of the
            day, and others to the passing of time; this matters when clocks are changed.
    """

    def __init__(self, seconds: tuple[int, ...], minutes: tuple[int, ...], days: Days, fixed: bool) -> None:
        self.fixed = fixed
        self._seconds, self._minutes, self._days = seconds, minutes, days
        self._first = minutes[0] * 60 + seconds[0]
        self._per_day = len(minutes) * len(seconds)

    def next(self, local: int) -> int | None:
        """The first local time after this one."""
        day, time = divmod(local + 1, DAY)
        found = self._days.next(day)
        if found == day:
            due = self._time(time)
            if due is not None:
                return day * DAY + due
            found = self._days.next(day + 1)
        return None if found is None else found * DAY + self._first

    def _time(self, time: int) -> int | None:
        """The first time of the day from this one on."""
        minute, second = divmod(time, 60)
        place = bisect_left(self._minutes, minute)
        if place < len(self._minutes) and self._minutes[place] == minute:
            if second <= self._seconds[-1]:
                return minute * 60 + self._seconds[bisect_left(self._seconds, second)]
            place += 1
        return self._minutes[place] * 60 + self._seconds[0] if place < len(self._minutes) else None

    def _before(self, time: int) -> int:
        """How many times of the day come before this one."""
        minute, second = divmod(time, 60)
        place = bisect_left(self._minutes, minute)
        found = place * len(self._seconds)
        if place < len(self._minutes) and self._minutes[place] == minute:
            found += bisect_left(self._seconds, second)
        return found

    def count(self, after: int, until: int) -> int:
        """How many local times there are after `after` up to, and including, `until`."""
        if until <= after:
            return 0
        (first, begin), (last, end) = divmod(after + 1, DAY), divmod(until + 1, DAY)
        found = self._days.count(first, last) * self._per_day
        if begin and self._days.next(first) == first:
            found -= self._before(begin)
        if end and self._days.next(last) == last:
            found += self._before(end)
        return found


@cache
def _minutes_of_day(hours: frozenset[int], minutes: frozenset[int]) -> tuple[int, ...]:
    return tuple(hour * 60 + minute for hour in sorted(hours) for minute in sorted(minutes))


@lru_cache(maxsize=32_768)
def parse(expression: str, day_or: bool = True) -> CronRule:
    """Read an expression.

    Args:
        expression: the fields, or a preset.
        day_or: where both day fields are restricted, a day that matches one of them is enough, as in cron.

    Raises:
        Mistakes: every fault of it.
    """
    text = PRESETS.get(expression.strip().lower(), expression)
    parts = [(found[0], found.start()) for found in re.finditer(r"\S+", text)]
    if text.strip().startswith("@"):
        raise Mistakes([_no_preset(text.strip())])
    if len(parts) not in (5, 6):
        raise Mistakes([_no_fields(text, len(parts))])
    read: list[_Named] = []
    mistakes: list[str] = []
    for field, (part, place) in zip(_FIELDS[6 - len(parts) :], parts, strict=True):
        try:
            read.append(_read(field, part))
        except Mistakes as error:
            pointer = f"\n{text}\n{' ' * place}{'^' * len(part)}"
            told = [each.removeprefix(f"{part!r}: ") for each in error.mistakes]
            mistakes += [f"{field.name} field {part!r}: {each}{pointer}" for each in told]
    if mistakes:
        raise Mistakes(mistakes)
    return _rule([part for part, _ in parts], read, day_or)


class _Named(NamedTuple):
    """What one field names; the last two only in the two day fields."""

    numbers: frozenset[int]
    month_days: MonthDays = MonthDays()
    week_days: WeekDays = WeekDays()


def _rule(parts: list[str], read: list[_Named], day_or: bool) -> CronRule:
    *seconds, minute, hour, dom, month, dow = read
    starred = [part[0] in "*?" for part in parts]
    days = Days(
        month.numbers,
        dom.month_days._replace(numbers=dom.numbers),
        dow.week_days._replace(numbers=dow.numbers),
        both=starred[-3] or starred[-1] or not day_or,
    )
    if not days.ever():
        raise Mistakes([f"there is no such day in any year: {' '.join(parts[-3:])} (day of month, month, day of week)"])
    return CronRule(
        tuple(sorted(seconds[0].numbers)) if seconds else (0,),
        _minutes_of_day(hour.numbers, minute.numbers),
        days,
        fixed=not any(starred[:-3]),
    )


def _read(field: Field, part: str) -> _Named:
    numbers: set[int] = set()
    special: dict[str, set[int]] = {"last": set(), "near": set(), "near_last": set()}
    week: tuple[set[int], set[tuple[int, int]]] = (set(), set())
    mistakes = []
    for term in part.split(","):
        try:
            if not (field is _DAY and _month_day(term, special)) and not (field is _WEEKDAY and _week_day(term, *week)):
                numbers |= _numbers(field, term, alone="," not in part)
        except ValueError as error:
            mistakes.append(str(error))
    if mistakes:
        raise Mistakes(list(dict.fromkeys(mistakes)))
    if field is _WEEKDAY:
        return _Named(frozenset(numbers), week_days=WeekDays(last=frozenset(week[0]), nth=frozenset(week[1])))
    return _Named(frozenset(numbers), MonthDays(**{name: frozenset(each) for name, each in special.items()}))


def _month_day(term: str, found: dict[str, set[int]]) -> bool:
    """Take L, L-2, LW, L-2W and 15W; False for any other term."""
    last = re.fullmatch(r"L(?:-(\d+))?(W?)", term, re.IGNORECASE)
    near = re.fullmatch(r"(\d+)W", term, re.IGNORECASE)
    if last:
        back = int(last[1] or 0)
        if back > 30:
            raise ValueError(f"no month has a day that comes {back} days before its last")
        found["near_last" if last[2] else "last"].add(back)
    elif near:
        found["near"].add(_DAY.number(near[1]))
    return bool(last or near)


def _week_day(term: str, last: set[int], nth: set[tuple[int, int]]) -> bool:
    """Take 5L, FRIL and MON#2; False for any other term."""
    ending = re.fullmatch(r"(\w+)L", term, re.IGNORECASE)
    which = re.fullmatch(r"(\w+)#(.*)", term)
    if ending:
        last.add(_WEEKDAY.number(ending[1]) % 7)
    elif which:
        if which[2] not in ("1", "2", "3", "4", "5"):
            raise ValueError(f"{term!r}: what follows # is between 1 and 5: which one in the month")
        nth.add((_WEEKDAY.number(which[1]) % 7, int(which[2])))
    return bool(ending or which)


def _numbers(field: Field, term: str, alone: bool) -> set[int]:
    """The numbers of `*`, `5`, `1-5`, `22-2`, `*/15`, `1-5/2` and `5/15`."""
    base, slash, step_text = term.partition("/")
    step = _step(field, term, step_text) if slash else 1
    size = field.high - field.low + 1 if field is not _WEEKDAY else 7
    if base == "?" and not slash and alone and field in (_DAY, _WEEKDAY):
        base = "*"
    if base == "*":
        return set(range(field.low, field.low + size, step))
    first_text, dash, last_text = base.partition("-")
    if "" in (first_text, last_text if dash else "-"):
        raise ValueError(_nothing(term))
    first = field.number(first_text)
    if not dash:
        first = first % 7 if field is _WEEKDAY else first
        return set(range(first, field.low + size, step)) if slash else {first}
    last = field.number(last_text)
    if last < first:  # past the end of the field, and on from its beginning
        last += size
    return {field.low + (each - field.low) % size for each in range(first, last + 1, step)}


def _step(field: Field, term: str, text: str) -> int:
    if not text:
        raise ValueError(f"{term!r}: there is no step behind the /")
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{term!r}: the step {text!r} is not a number")
    if not 1 <= int(text) <= field.high:
        instead = "; for longer than that write an interval" if int(text) else ""
        raise ValueError(f"{term!r}: the step {text} is not between 1 and {field.high}{instead}")
    return int(text)


def _nothing(term: str) -> str:
    """What is missing in a term."""
    if not term:
        return "there is nothing before or after a comma"
    if term.startswith("-"):
        return f"{term!r}: a range has a number before the -"
    return f"{term!r}: a range has a number behind the -" if "-" in term else f"{term!r}: there is nothing before the /"


def _no_number(field: Field, text: str) -> str:
    """Why a text is no number in this field, and what to write instead."""
    upper = text.upper()
    if re.match(r"[HR](\(|$)", upper):
        return (
            f"{text!r} (a number drawn by hash or by chance) is not taken; write a number, and spread runs with jitter"
        )
    if text == "?":
        return "'?' stands alone, and in the two day fields only; write *"
    if text == "*":
        return "'*' stands alone, or before a step (*/5)"
    if upper in ("L", "W", "LW") and field is _WEEKDAY:
        return f"{text!r} needs a day before it (5L or FRIL is the last Friday); as a day of the month it stands alone"
    if "#" in upper or re.fullmatch(r"L(-\d+)?W?|\w*\dW|W", upper):
        return f"{text!r} has no meaning here"
    if field.words and upper[:3] in field.words:
        return f"{text!r} is written {upper[:3]}"
    names = f" or a name from {field.words[0]} to {field.words[-1]}" if field.words else ""
    return f"{text!r} is not a number{names}"


def _no_preset(text: str) -> str:
    import difflib

    if re.match(r"@every[ _]", text, re.IGNORECASE):
        return f"{text!r} is not a cron expression; give interval= instead, or `every 15m` on the command line"
    if text.lower() == "@reboot":
        return "'@reboot' is no time; start the flow where the process starts"
    names = [*PRESETS, ONCE]
    close = difflib.get_close_matches(text.lower(), names, n=1, cutoff=0.6)
    return f"there is no preset {text!r}; " + (
        f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
    )


def _no_fields(text: str, count: int) -> str:
    told = f"{text!r} has {count} field{'' if count == 1 else 's'}; it takes 5 (minute, hour, day of month, month, "
    told += "day of week), or 6 with the second first"
    return f"{told}; years are given with start= and end=" if count == 7 else told
