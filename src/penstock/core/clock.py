"""The clock. What asks for the time or waits for it, asks here, so that tests can put another clock in its place."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache


class Clock:
    """The clock on the wall; replaced by `penstock.testing.FakeClock`."""

    def now(self) -> int:
        """Microseconds since the epoch (UTC)."""
        return time.time_ns() // 1000

    def wait(self, event: threading.Event, seconds: float | None) -> bool:
        """Wait until the event is set, or so many seconds; True when it is set."""
        return event.wait(seconds)


_clock = Clock()


def now_us() -> int:
    """The time in microseconds."""
    return _clock.now()


def iso(at: int | None) -> str | None:
    """`2026-01-31T13:03:22.123456Z`, for machines; None for no time."""
    if at is None:
        return None
    seconds, rest = divmod(at, 1_000_000)
    return f"{_second(seconds)}.{rest:06}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    """A long list of steps has few seconds, and many moments."""
    import datetime

    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)).isoformat(timespec="seconds")


def micros(moment: str) -> int:
    """The time behind an ISO time; one without an offset is in this machine's time zone.

    Raises:
        ValueError: it is none.
    """
    import datetime

    at = datetime.datetime.fromisoformat(moment).astimezone(datetime.UTC)
    return (at - datetime.datetime.fromtimestamp(0, datetime.UTC)) // datetime.timedelta(microseconds=1)


def clock() -> Clock:
    """The clock in use."""
    return _clock


@contextmanager
def clock_of(other: Clock) -> Iterator[None]:
    """Use another clock in the whole process, inside the `with` block."""
    global _clock
    before, _clock = _clock, other
    try:
        yield
    finally:
        _clock = before
