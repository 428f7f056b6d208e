"""The clock. What asks for the time or waits for it, asks here, so that tests can put another clock in its place."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


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
    import datetime

    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=at)
    return moment.isoformat(timespec="microseconds") + "Z"


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
