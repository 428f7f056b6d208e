"""What was sent last about one subject, for all who listen to it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from penstock.control.streams.frames import Frame, Place, after
from penstock.control.streams.subjects import Subject

_MOST_FRAMES = 1_000
_MOST_BYTES = 262_144


class Topic:
    """The newest frames of a subject: everything that came between two places. Touched by the event loop only.

    Attributes:
        since: from behind this place on it has everything.
        place: up to where it goes.
        listeners: how many there are.
        over: why nothing more will come; None while something may.
    """

    def __init__(self, subject: Subject, place: Place) -> None:
        self.subject = subject
        self.since = place
        self.place = place
        self.listeners = 0
        self.over: str | None = None
        self.ending = False
        self.changed = asyncio.Event()
        self._frames: deque[Frame] = deque()
        self._first = 0
        self._bytes = 0

    @property
    def end(self) -> int:
        """The number of the frame that comes next."""
        return self._first + len(self._frames)

    def covers(self, place: Place) -> bool:
        """Whether everything behind this place is here."""
        return place[0] >= self.since[0] and place[1] >= self.since[1]

    def add(self, frames: Iterable[Frame]) -> None:
        """Take what is new; what is too much goes, the oldest first."""
        before = self.end
        for frame in frames:
            if frame.number > self.place[frame.kind]:
                self.place = after(self.place, frame)
                self._frames.append(frame)
                self._bytes += len(frame.body)
                self.ending |= frame.last
        while len(self._frames) > 1 and (len(self._frames) > _MOST_FRAMES or self._bytes > _MOST_BYTES):
            gone = self._frames.popleft()
            self._first += 1
            self._bytes -= len(gone.body)
            self.since = after(self.since, gone)
        if self.end > before:
            self.tell()

    def pass_over(self, place: Place) -> None:
        """What came until there is not here; whoever has not heard it finds it in the journal."""
        if place > self.place:
            self.place = place
            self.since = place
            self._first += len(self._frames)
            self._frames.clear()
            self._bytes = 0
            self.tell()

    def finish(self, why: str) -> None:
        """Nothing more will come."""
        self.over = why
        self.tell()

    def tell(self) -> None:
        """Wake everybody who listens."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def heard(self, number: int, place: Place) -> list[Frame]:
        """What came from this frame on, but for what somebody at this place has heard."""
        index = max(0, number - self._first)
        some = list(self._frames)[index:] if index else self._frames
        return [frame for frame in some if frame.number > place[frame.kind]]
