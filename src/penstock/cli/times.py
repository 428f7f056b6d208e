"""Times as people type them."""

from __future__ import annotations

import datetime

from penstock.core.errors import ConfigurationError

_HINT = "give how long ago (90s, 15m, 2h, 7d), a date (2026-01-31), an ISO time, today or yesterday"


def instant(option: str, text: str, now: int) -> int:
    """A time in the past, in microseconds: `2h` ago, `2026-01-31`, `2026-01-31T06:00+01:00`, `today`, `yesterday`.

    Dates, and times without an offset, are those of this machine's time zone.

    Args:
        option: the option it was given for.
        text: what was given.
        now: the time.

    Raises:
        ConfigurationError: it is no time.
    """
    stripped = text.strip().lower().removesuffix(" ago")
    days = {"today": 0, "yesterday": 1}
    try:
        if stripped == "now":
            return now
        if stripped in days:
            today = datetime.datetime.fromtimestamp(now / 1_000_000).replace(hour=0, minute=0, second=0, microsecond=0)
            return _micros(today - datetime.timedelta(days=days[stripped]))
        if stripped[:4].isdigit() and stripped[4:5] in ("-", "") and not stripped.isdigit():
            return _micros(datetime.datetime.fromisoformat(text.strip()))
        return now - length(stripped)
    except (ValueError, OverflowError, OSError):
        raise ConfigurationError(f"{option} {text!r} is no time.", hint=_HINT) from None


def length(text: str) -> int:
    """A length of time such as `90s`, `2h` or `30 days`, in microseconds.

    Raises:
        ValueError: it is none.
    """
    from penstock.core.calendar.moments import as_seconds

    return int(as_seconds(text) * 1_000_000)


def _micros(at: datetime.datetime) -> int:
    return int(at.astimezone().timestamp() * 1_000_000)
