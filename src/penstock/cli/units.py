"""Durations and times as people read them."""

from __future__ import annotations

import datetime

from penstock.core.clock import iso as iso
from penstock.core.clock import micros as micros


def duration(microseconds: int | None) -> str:
    """`12 ms`, `1.24 s`, `12.4 s`, `2 min 05 s`, `1 h 02 min`, `3 d 04 h`."""
    if microseconds is None:
        return ""
    microseconds = max(microseconds, 0)
    if microseconds < 999_500:
        return f"{round(microseconds / 1000)} ms" if microseconds >= 1000 else "<1 ms"
    seconds = microseconds / 1_000_000
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600:02d} h"


def lasting(microseconds: int) -> str:
    """A duration that goes on: `7 s`, then as any other."""
    return f"{microseconds // 1_000_000} s" if microseconds < 60_000_000 else duration(microseconds)


def age(at: int, now: int) -> str:
    """`now`, `12 s ago`, `3 min ago`, `2 h ago`, `5 d ago`, or the date."""
    seconds = (now - at) // 1_000_000
    if seconds < 2:
        return "now"
    if seconds < 60:
        return f"{seconds} s ago"
    if seconds < 3600:
        return f"{seconds // 60} min ago"
    if seconds < 86_400:
        return f"{seconds // 3600} h ago"
    if seconds < 30 * 86_400:
        return f"{seconds // 86_400} d ago"
    return local(at).strftime("%Y-%m-%d")


def ahead(at: int, now: int) -> str:
    """`now`, `in 12 s`, `in 3 min`, `in 13 h 04 min`, `in 3 d 04 h`, or the date; `3 min ago` for what is past."""
    seconds = -((now - at) // 1_000_000)
    if seconds <= -2:
        return age(at, now)
    if seconds < 1:
        return "now"
    if seconds < 60:
        return f"in {seconds} s"
    if seconds < 3600:
        return f"in {seconds // 60} min"
    if seconds < 30 * 86_400:
        return f"in {duration(seconds * 1_000_000)}"
    return local(at).strftime("%Y-%m-%d")


def local(at: int) -> datetime.datetime:
    """A time of the journal in this machine's time zone."""
    return datetime.datetime.fromtimestamp(at / 1_000_000).astimezone()


def clock(at: int) -> str:
    """`14:03:22`, in this machine's time zone."""
    return local(at).strftime("%H:%M:%S")


def moment(at: int) -> str:
    """`2026-01-31 14:03:22`, in this machine's time zone."""
    return local(at).strftime("%Y-%m-%d %H:%M:%S")


def in_zone(at: int, zone: str) -> str:
    """`Sun 2026-11-22 02:00 +01:00`, as the clocks of a time zone show it; with seconds where there are any."""
    from zoneinfo import ZoneInfo

    there = datetime.datetime.fromtimestamp(at // 1_000_000, ZoneInfo(zone))
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[there.weekday()]  # %a would follow the locale
    text = there.isoformat(" ")
    return f"{day} {text[:19].removesuffix(':00')} {text[19:]}"


def size(count: int) -> str:
    """`12 B`, `3.4 kB`, `1.2 GB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.5 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"
