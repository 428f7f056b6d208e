"""Reads RRULE texts of RFC 5545, and tells what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from penstock.core.calendar.cron import Mistakes
from penstock.core.calendar.recurrence import FINE, MOST, Parts, Recurrence
from penstock.core.calendar.zones import EARLIEST, EPOCH, LAST, Zone

_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", *FINE)
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_LISTS = {
    "BYMONTH": ("months", 1, 12, False),
    "BYWEEKNO": ("weeks", 1, 53, True),
    "BYYEARDAY": ("year_days", 1, 366, True),
    "BYMONTHDAY": ("month_days", 1, 31, True),
    "BYHOUR": ("hours", 0, 23, False),
    "BYMINUTE": ("minutes", 0, 59, False),
    "BYSECOND": ("seconds", 0, 59, False),
    "BYSETPOS": ("places", 1, 366, True),
}
"""Where each list goes, its least and most, and whether it counts from the end too."""

_NAMES = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", *_LISTS)


def looks_like(text: str) -> bool:
    """A text that is meant to be a rule."""
    return re.match(r"\s*(RRULE:|DTSTART|FREQ=)", text, re.IGNORECASE) is not None


def parse(text: str, zone: Zone, start: int) -> Recurrence:
    """Read a rule: `FREQ=...`, or lines with DTSTART, RRULE and EXDATE.

    Args:
        text: the rule.
        zone: what its local times are in.
        start: the local time that stands for a DTSTART that is not given.

    Raises:
        Mistakes: every fault of it.
    """
    rules: list[str] = []
    without: set[int] = set()
    mistakes: list[str] = []
    for line in filter(None, re.split(r"\s+|\\n", text.strip())):
        name, colon, value = line.partition(":")
        kind = name.partition(";")[0].upper() if colon else ""
        try:
            if kind in ("", "RRULE"):
                rules.append(value or line)
            elif kind == "DTSTART":
                start = _moment(value, _zone_of(name, zone))
            elif kind == "EXDATE":
                without |= {_moment(each, _zone_of(name, zone)) for each in value.split(",")}
            else:
                raise ValueError(f"{kind} is not taken; a deployment may have several schedules instead")
        except ValueError as error:
            mistakes.append(str(error))
    if len(rules) != 1:
        mistakes.append("there is no RRULE in it" if not rules else "it has several RRULEs; give each its own schedule")
    parts = _parts(rules[0], zone, mistakes) if rules else None
    if parts is None or mistakes:
        raise Mistakes(mistakes)
    if not EARLIEST < start < LAST:
        raise Mistakes(["it begins in a year that is too far away"])
    made = Recurrence(parts, start, frozenset(without))
    if made.next(start - 1) is None:
        raise Mistakes(["it is never due: no day and time matches all of its parts"])
    return made


def _zone_of(name: str, zone: Zone) -> Zone:
    """The zone of the schedule, unless the line names another."""
    named = re.search(r";TZID=([^;]+)", name, re.IGNORECASE)
    if named and named[1] != zone.name:
        raise ValueError(f"TZID={named[1]}, but the schedule is in {zone.name}; give timezone={named[1]!r} and no TZID")
    return zone


def _moment(text: str, zone: Zone) -> int:
    """A local time of the zone, from `20260131T020000`, `20260131T020000Z` or `20260131`."""
    found = re.fullmatch(r"(\d{8})(?:T(\d{6})(Z?))?", text, re.IGNORECASE)
    try:
        if found is None:
            raise ValueError
        at = datetime.strptime(found[1] + (found[2] or "000000"), "%Y%m%d%H%M%S").replace(tzinfo=EPOCH.tzinfo)
    except ValueError:
        raise ValueError(f"{text!r} is no time, such as 20260131T020000") from None
    seconds = (at - EPOCH) // timedelta(seconds=1)
    return zone.local(seconds) if found[3] else seconds


def _parts(text: str, zone: Zone, mistakes: list[str]) -> Parts | None:
    """The parts of one RRULE; what is wrong goes to `mistakes`."""
    given: dict[str, str] = {}
    for part in text.strip(";").split(";"):
        name, equals, value = part.partition("=")
        name = name.upper()
        if name not in _NAMES or not equals:
            mistakes.append(_unknown(part, name))
        elif name in given:
            mistakes.append(f"{name} is given twice")
        given.setdefault(name, value.upper())
    if given.get("FREQ") not in _FREQUENCIES:
        mistakes.append(_no_frequency(given.get("FREQ")))
        return None
    found: dict[str, Any] = {"freq": given["FREQ"]}

    def take(name: str, goes_to: str, read: Callable[[str], object]) -> None:
        if name in given:
            try:
                found[goes_to] = read(given[name])
            except ValueError as error:
                mistakes.append(f"{name}={given[name]}: {error}")

    take("INTERVAL", "interval", lambda value: _count(value, 1_000_000))
    take("COUNT", "total", lambda value: _count(value, MOST))
    take("UNTIL", "until", lambda value: _until(value, zone))
    take("WKST", "week_start", lambda value: _WEEKDAYS.index(_weekday(value)))
    take("BYDAY", "weekdays", lambda value: frozenset(_by_day(each, given["FREQ"]) for each in value.split(",")))
    for name, (goes_to, low, high, backward) in _LISTS.items():
        take(name, goes_to, partial(_numbers, low=low, high=high, backward=backward))
    if "COUNT" in given and "UNTIL" in given:
        mistakes.append("COUNT and UNTIL exclude each other")
    if "BYWEEKNO" in given and given["FREQ"] != "YEARLY":
        mistakes.append("BYWEEKNO goes with FREQ=YEARLY only")
    return None if mistakes else Parts(**found)


def _no_frequency(given: str | None) -> str:
    if given == "SECONDLY":
        return "FREQ=SECONDLY is not taken; give interval= instead"
    told = f"FREQ={given} is not known" if given else "it has no FREQ"
    return f"{told}; there are {', '.join(_FREQUENCIES)}"


def _unknown(part: str, name: str) -> str:
    import difflib

    if not part:
        return "there is an empty part between two semicolons"
    close = difflib.get_close_matches(name, _NAMES, n=1, cutoff=0.6)
    if close and close[0] != name:
        return f"{part!r} is not understood; did you mean {close[0]}?"
    return f"{part!r} is not understood; a part is NAME=VALUE, with one of {', '.join(_NAMES)}"


def _count(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= most:
        raise ValueError(f"it is a number between 1 and {most:,}")
    return int(text)


def _until(text: str, zone: Zone) -> int:
    moment = _moment(text, zone)
    return moment if "T" in text else moment + 86_399


def _weekday(text: str) -> str:
    if text not in _WEEKDAYS:
        raise ValueError(f"{text!r} is not one of {', '.join(_WEEKDAYS)}")
    return text


def _by_day(text: str, freq: str) -> tuple[int, int]:
    found = re.fullmatch(r"([+-]?\d{1,2})?([A-Z]*)", text)
    if found is None:
        raise ValueError(f"{text!r} is not a weekday, such as MO or -1FR")
    weekday = _WEEKDAYS.index(_weekday(found[2]))
    nth = int(found[1] or 0)
    if found[1] and freq not in ("MONTHLY", "YEARLY"):
        raise ValueError(f"a number, as in {text}, goes with FREQ=MONTHLY and FREQ=YEARLY only")
    if found[1] and not 1 <= abs(nth) <= 53:
        raise ValueError(f"the number in {text} is between 1 and 53, or -53 and -1")
    return nth, weekday


def _numbers(text: str, low: int, high: int, backward: bool) -> frozenset[int]:
    found = set()
    for each in text.split(","):
        if not re.fullmatch(r"[+-]?\d{1,3}", each):
            raise ValueError(f"{each!r} is not a number")
        value = int(each)
        if not low <= (abs(value) if backward else value) <= high:
            told = f"between {low} and {high}" + (f", or -{high} and -{low}" if backward else "")
            raise ValueError(f"{each} is not {told}")
        found.add(value)
    return frozenset(found)
