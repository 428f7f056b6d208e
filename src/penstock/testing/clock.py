"""A clock that only moves when it is told to, or when somebody waits."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from penstock.core.clock import Clock, clock_of


class FakeClock(Clock):
    """Stands where the clock on the wall stands, for the whole process.

    Whoever waits does not wait: the clock moves on by as long as they would have waited. So flows that sleep for hours
    end at once, and what they record is dated as if they had.

    Args:
        start: where it begins, as an ISO time (UTC where it names no offset).
    """

    def __init__(self, start: str = "2026-01-01T00:00:00") -> None:
        moment = datetime.datetime.fromisoformat(start)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        self._now = int(moment.timestamp() * 1_000_000)
        self._lock = threading.Lock()

    def now(self) -> int:
        """See `Clock.now`. Each look takes a microsecond, so that what happens in turn is dated in turn."""
        with self._lock:
            self._now += 1
            return self._now

    def wait(self, event: threading.Event, seconds: float | None) -> bool:
        """See `Clock.wait`."""
        if seconds is None:
            return event.wait()
        if not event.is_set():
            self.advance(seconds)
        return event.is_set()

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass (or, below 0, set the clock back)."""
        with self._lock:
            self._now += int(seconds * 1_000_000)

    def set(self, instant: int) -> None:
        """Let it be this instant (microseconds), unless it is later already."""
        with self._lock:
            self._now = max(self._now, instant)

    @property
    def moment(self) -> datetime.datetime:
        """The time it shows."""
        return datetime.datetime.fromtimestamp(self._now / 1_000_000, datetime.UTC)

    @contextmanager
    def running(self) -> Iterator[FakeClock]:
        """Use it in the whole process, inside the `with` block."""
        with clock_of(self):
            yield self
