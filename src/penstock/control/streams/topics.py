"""What was sent last about one subject, for all who listen to it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import islice
from typing import NamedTuple

from penstock.control.streams.frames import Frame, Place, after
from penstock.control.streams.subjects import Subject, pieces

Push = Callable[[Sequence[bytes]], bool]
"""Sends all of this now; False where that cannot be, and then nothing was sent."""

_MOST_FRAMES = 1_000
_MOST_BYTES = 262_144


class Heard(NamedTuple):
    """What somebody hears who comes to a topic; made once for all who have heard the same.

    Attributes:
        begin: from which frame on.
        before: the place that they were at.
        end: up to which frame.
        place: where they are then.
        pieces: what they are sent.
    """

    begin: int
    before: Place
    end: int
    place: Place
    pieces: tuple[bytes, ...]


@dataclass(slots=True)
class _Waiter:
    """Somebody who has heard everything, and waits."""

    heard: Heard
    push: Push | None
    woken: asyncio.Future[bool]


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
        self._waiting: list[_Waiter] = []
        self._made: Heard | None = None
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
        """Have everybody who waits hear what is new: at once where that can be, or else by being woken."""
        told, self._waiting = self._waiting, []
        for each in told:
            if each.woken.done():
                continue
            if self._pushed(each):
                self._waiting.append(each)
            else:
                each.woken.set_result(False)

    def wake(self, *, beat: bool) -> None:
        """Wake everybody who waits.

        Args:
            beat: each of them is to send a sign of life.
        """
        told, self._waiting = self._waiting, []
        for each in told:
            if not each.woken.done():
                each.woken.set_result(beat)

    def _pushed(self, waiter: _Waiter) -> bool:
        """Whether somebody who waits was sent what is new."""
        if waiter.push is None or self.over is not None or not self.covers(waiter.heard.place):
            return False
        heard = self.heard(waiter.heard.end, waiter.heard.place)
        if heard.pieces and not waiter.push(heard.pieces):
            return False
        waiter.heard = heard
        return True

    def heard(self, number: int, place: Place) -> Heard:
        """What came from this frame on, and is new to somebody at this place; nothing where some of it is gone."""
        made = self._made
        if made is None or made.begin != number or made.before != place or made.end != self.end:
            some = islice(self._frames, max(0, number - self._first), None) if self.covers(place) else ()
            new = [frame for frame in some if frame.number > place[frame.kind]]
            sent = tuple(pieces(self.subject, place, new))
            made = self._made = Heard(number, place, self.end, reduce(after, new, place), sent)
        return made

    async def next(self, heard: Heard, push: Push | None = None) -> Heard:
        """What came after what somebody has heard, when there is something; or else, at a beat, a sign of life.

        Args:
            heard: what they have heard.
            push: sends them what comes, if it can; then it is not waited for any more.
        """
        if heard.end < self.end:
            return self.heard(heard.end, heard.place)
        waiter = _Waiter(heard, push, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        beat = await waiter.woken
        heard = waiter.heard
        if not self.covers(heard.place):
            return Heard(heard.end, heard.place, heard.end, heard.place, ())
        if not beat:
            return self.heard(heard.end, heard.place)
        place = (max(heard.place[0], self.place[0]), max(heard.place[1], self.place[1]))
        return Heard(heard.end, place, heard.end, place, (b":\nid: %s\n\n" % self.subject.id_of(place),))

    def finished(self, heard: Heard) -> bool:
        """Whether that was all, and nothing more will come."""
        return self.over is not None and heard.end == self.end and self.covers(heard.place)
