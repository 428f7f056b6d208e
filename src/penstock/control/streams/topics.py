"""What was sent last about one subject, for all who listen to it."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from itertools import islice
from typing import NamedTuple

from penstock.control.streams.frames import Frame, Place, after
from penstock.control.streams.subjects import Subject, pieces

Push = Callable[[bytes], bool]
"""Sends this now; False where that cannot be, and then nothing was sent."""

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
    until: float
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
        self._wake_but(self._pushed)

    def beat(self, now: float) -> None:
        """Have everybody who waits send a sign of life; whose time is over, is woken."""
        self._wake_but(lambda each: now < each.until and self._sent(each, self._sign(each.heard.place)), beat=True)

    def wake(self) -> None:
        """Wake everybody who waits."""
        self._wake_but(lambda each: False)

    def _wake_but(self, stays: Callable[[_Waiter], bool], *, beat: bool = False) -> None:
        """Wake everybody who waits, but for those who can stay; whoever is gone is forgotten."""
        told, self._waiting = self._waiting, []
        for each in told:
            if each.woken.done():
                continue
            if stays(each):
                self._waiting.append(each)
            else:
                each.woken.set_result(beat)

    def _pushed(self, waiter: _Waiter) -> bool:
        """Whether somebody who waits was sent what is new: so much at once as a connection is trusted to take."""
        if self.over is not None or not self.covers(waiter.heard.place):
            return False
        heard = self.heard(waiter.heard.end, waiter.heard.place)
        if len(heard.pieces) > 1 or (heard.pieces and not self._sent(waiter, heard.pieces[0])):
            return False
        waiter.heard = heard
        return True

    @staticmethod
    def _sent(waiter: _Waiter, piece: bytes) -> bool:
        try:
            return waiter.push is not None and waiter.push(piece)
        except Exception:  # whoever answers comes upon it, and nobody else has to hear of it
            return False

    def _sign(self, place: Place) -> bytes:
        return b":\nid: %s\n\n" % self.subject.id_of(self._reached(place))

    def _reached(self, place: Place) -> Place:
        """Where somebody is who was at this place, and has heard everything."""
        return max(place[0], self.place[0]), max(place[1], self.place[1])

    def heard(self, number: int, place: Place) -> Heard:
        """What came from this frame on, and is new to somebody at this place; nothing where some of it is gone."""
        made = self._made
        if made is None or made.begin != number or made.before != place or made.end != self.end:
            some = islice(self._frames, max(0, number - self._first), None) if self.covers(place) else ()
            new = [frame for frame in some if frame.number > place[frame.kind]]
            sent = tuple(pieces(self.subject, place, new))
            made = self._made = Heard(number, place, self.end, reduce(after, new, place), sent)
        return made

    async def next(self, heard: Heard, push: Push | None = None, until: float = math.inf) -> Heard:
        """What came after what somebody has heard, when there is something; or else, at a beat, a sign of life.

        Args:
            heard: what they have heard.
            push: sends them what comes, if it can; then it is not waited for any more.
            until: the time of the loop at which they are to be woken, at the next beat.
        """
        if heard.end < self.end:
            return self.heard(heard.end, heard.place)
        waiter = _Waiter(heard, push, until, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        beat = await waiter.woken
        heard = waiter.heard
        if not beat or heard.end < self.end or not self.covers(heard.place):  # something may have come since
            return self.heard(heard.end, heard.place)
        return Heard(heard.end, heard.place, heard.end, self._reached(heard.place), (self._sign(heard.place),))

    def finished(self, heard: Heard) -> bool:
        """Whether that was all, and nothing more will come."""
        return self.over is not None and heard.end == self.end and self.covers(heard.place)
