"""Instants, lengths of time and schedules as people write them."""

from __future__ import annotations

import datetime
import re

from penstock.core.calendar.zones import EPOCH, Zone

_UNITS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600}
_UNITS |= {"d": 86_400, "day": 86_400, "w": 604_800, "week": 604_800}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")
_MICROSECOND = datetime.timedelta(microseconds=1)


def instant(text: str, zone: Zone) -> int:
    """Microseconds since the epoch, from an ISO text with an offset, or without one: then it is local time.

    A local time that does not exist is the end of the gap it is in; one that happens twice is the first.

    Raises:
        ValueError: it is no such text; the message says so.
    """
    try:
        at = datetime.datetime.fromisoformat(text.strip())
        if at.tzinfo is not None:
            return (at - EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no ISO date or time, such as 2026-01-31T02:00 or 2026-01-31T01:00Z") from None
    local, fraction = divmod((at.replace(tzinfo=EPOCH.tzinfo) - EPOCH) // _MICROSECOND, 1_000_000)
    place = zone.place(local)
    return place.at * 1_000_000 + (0 if place.gap else fraction)


def as_text(given: object) -> str:
    """What is stored of an instant that was given as a text, a datetime or a date."""
    if isinstance(given, str):
        return given
    if isinstance(given, datetime.date):  # a datetime is one too
        return given.isoformat()
    raise ValueError(f"{given!r} is no text, datetime or date")


def as_seconds(given: object) -> float:
    """Seconds, from a timedelta, a number, or a text such as `1h30m`.

    Raises:
        ValueError: it is none of them; the message says so.
    """
    if isinstance(given, datetime.timedelta):
        return given.total_seconds()
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return float(given)
    if isinstance(given, str):
        return _seconds(given)
    raise ValueError(f"{given!r} is no timedelta and no number of seconds")


def _seconds(text: str) -> float:
    """`15m`, `1h30m`, `2 days`, `hour`."""
    lower = text.strip().lower()
    if lower.removesuffix("s") in _UNITS and len(lower) > 1:
        lower = f"1{lower}"
    found = _LENGTH.findall(lower)
    units = [unit if unit in _UNITS else unit.removesuffix("s") for _, unit in found]
    left = re.sub(r"[\s,]|\band\b", "", _LENGTH.sub("", lower))
    if not found or left or not all(unit in _UNITS for unit in units):
        raise ValueError(f"{text!r} is no length of time, such as 90s, 15m, 1h30m, 6h or 2 days")
    return sum(float(amount) * _UNITS[unit] for (amount, _), unit in zip(found, units, strict=True))


def length_of(seconds: float) -> str:
    """`1 h 30 min`, `15 min`, `90.5 s`, `1 week`."""
    told = []
    for name, size in (("week", 604_800), ("day", 86_400), ("h", 3600), ("min", 60)):
        count, seconds = divmod(seconds, size)
        if count:
            told.append(f"{int(count)} {name}{'s' if count > 1 and size > 3600 else ''}")
    if seconds or not told:
        told.append(f"{seconds:g} s")
    return " ".join(told)
