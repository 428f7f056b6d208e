"""One reader of the journal for all who listen to it.

While somebody listens, one thread reads what is new, for every subject at once, and the event loop hands it to all.
Whoever begins, or cannot keep up, reads the past from the journal by themselves, at their own pace: so nobody's
slowness is kept in memory, and nobody misses anything.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from penstock.control.problems import Problem
from penstock.control.streams.beginnings import Beginnings
from penstock.control.streams.frames import (
    Frame,
    Place,
    body_of,
    frame_of_line,
    frame_of_record,
    in_order,
)
from penstock.control.streams.subjects import EventsSubject, Part, RunSubject, Subject, pieces
from penstock.control.streams.topics import Push, Topic
from penstock.core.errors import JournalError
from penstock.core.events import Stored
from penstock.core.model import LogLine
from penstock.core.ports import Journal, Watch
from penstock.orchestrator.facts import Facts

_log = logging.getLogger("penstock.control.streams")
_LOOK_SECONDS = 0.1
_AGAIN_SECONDS = 1.0
_PAGE = 1_000
_RETRY_MS = 1_000
_PARTS_AT_ONCE = 2

T = TypeVar("T")


class _Seen(NamedTuple):
    """What the reader goes on from: the event loop's state, copied.

    Attributes:
        topics: all there are.
        runs: up to where each run has been read.
        events: those that events are read for.
        position: up to where events have been read.
        check: see which runs are still there.
    """

    topics: dict[Hashable, Topic]
    runs: dict[str, Place]
    events: list[EventsSubject]
    position: int
    check: bool


class _Found(NamedTuple):
    """What the reader found: frames by the keys of their subjects."""

    frames: dict[Hashable, list[Frame]]
    position: int
    gone: list[str]
    full: bool


class Hub:
    """Streams of one server.

    Args:
        journal: what is listened to.
        most: so many may listen at once.
        heartbeat_seconds: something is sent after so long at the latest.
        longest_seconds: after so long a listener is told to come again, so that it is asked anew who that is.
    """

    def __init__(
        self, journal: Journal, most: int = 10_000, *, heartbeat_seconds: float = 15.0, longest_seconds: float = 900.0
    ) -> None:
        self.journal = journal
        self.facts = Facts(journal)
        self.most = most
        self.listeners = 0
        self.heartbeat_seconds = heartbeat_seconds
        self.longest_seconds = longest_seconds
        self._topics: dict[Hashable, Topic] = {}
        self._position = 0
        self._beginnings = Beginnings()
        self._reader: asyncio.Task[None] | None = None
        self._beating: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = False
        self._threads = ThreadPoolExecutor(1 + _PARTS_AT_ONCE, "penstock-streams")
        self._parts = asyncio.Semaphore(_PARTS_AT_ONCE)

    def close(self) -> None:
        """Send everybody away, to come again. From any thread; no stream begins any more."""
        self._closing = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake_all)

    def release(self) -> None:
        """Give the threads back, when nothing is answered any more."""
        self._threads.shutdown(wait=False)

    def _wake_all(self) -> None:
        for topic in self._topics.values():
            topic.wake()

    async def in_thread(self, work: Callable[..., T], *args: object) -> T:
        """Do what asks the journal; only so much at once, whoever asks for how many parts of the past."""
        async with self._parts:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)

    def admit(self) -> None:
        """See that one more may listen.

        Raises:
            Problem: not here, or not now.
        """
        if self._closing:
            raise Problem(503, "The server is being stopped.", hint="come again in a moment")
        if self.listeners >= self.most:
            raise Problem(503, f"{self.listeners:,} listen already.", hint="come again in a moment")

    async def listen(
        self, subject: Subject, place: Place, part: Part | None = None, push: Push | None = None
    ) -> AsyncGenerator[bytes]:
        """What came behind a place, and then what comes, as the bytes of a stream.

        Args:
            subject: what to listen to.
            place: up to where it was heard.
            part: what was read of the past already.
            push: sends what comes to whoever waits, past this generator; the generator gives what it cannot send.
        """
        self.listeners += 1
        self._loop = loop = asyncio.get_running_loop()
        until = loop.time() + self.longest_seconds
        try:
            yield b"retry: %d\n\n" % (_RETRY_MS + random.randrange(_RETRY_MS))
            while not self._closing and loop.time() < until:
                topic = self._topics.get(subject.key)
                if part is None and topic is not None and topic.covers(place):
                    with self._attending(topic):
                        heard = topic.heard(0, place)
                        while True:
                            for piece in heard.pieces:
                                yield piece
                            place = heard.place
                            over = topic.finished(heard)
                            if over or not topic.covers(place) or self._closing or loop.time() >= until:
                                break
                            heard = await topic.next(heard, push, until)
                    if over:  # else what is gone from here is read again
                        yield await self._farewell(subject, place, str(topic.over))
                        return
                    continue
                past = await self.in_thread(subject.past, place, self._position) if part is None else part
                part = None
                for piece in pieces(subject, place, past.frames):
                    yield piece
                place = past.place
                if past.over is not None:
                    yield await self._farewell(subject, place, past.over)
                    return
                if not past.more:
                    self._open(subject, place)
            yield self._again("stopping" if self._closing else "time")
        except JournalError as error:
            _log.warning("A stream was ended: %s", error.message)
            yield self._again("unavailable")
        finally:
            self.listeners -= 1

    @contextmanager
    def _attending(self, topic: Topic) -> Iterator[None]:
        """Somebody listens; with the last of them the topic goes."""
        topic.listeners += 1
        try:
            yield
        finally:
            topic.listeners -= 1
            if not topic.listeners and self._topics.get(topic.subject.key) is topic:
                del self._topics[topic.subject.key]

    def _open(self, subject: Subject, place: Place) -> None:
        """Have what comes read for everybody, from the first listener's place on."""
        if subject.key in self._topics:
            return
        if isinstance(subject, EventsSubject):
            if not any(isinstance(topic.subject, EventsSubject) for topic in self._topics.values()):
                self._position = place[0]
            elif place[0] < self._position:
                return  # the past is read up to there first
        self._topics[subject.key] = Topic(subject, place)
        loop = asyncio.get_running_loop()
        if self._reader is None:
            self._reader = loop.create_task(self._read_on())
        if self._beating is None:
            self._beating = loop.call_later(self.heartbeat_seconds, self._beat)

    def _beat(self) -> None:
        """Have everybody who waits send a sign of life, for as long as somebody listens."""
        self._beating = None
        if self._topics and not self._closing:
            loop = asyncio.get_running_loop()
            for topic in self._topics.values():
                topic.beat(loop.time())
            self._beating = loop.call_later(self.heartbeat_seconds, self._beat)

    async def _farewell(self, subject: Subject, place: Place, why: str) -> bytes:
        told: dict[str, object] = {}
        if isinstance(subject, RunSubject):
            run = await self.in_thread(self.journal.run, subject.run_id)
            told = {"run_id": subject.run_id} if run is None else subject.final(run)
        return b"id: %s\n%s" % (subject.id_of(place), body_of("end" if why == "ended" else why, told))

    @staticmethod
    def _again(why: str) -> bytes:
        """The connection ends, and whoever listens is to come again with the last id."""
        return body_of("again", {"reason": why})

    async def _read_on(self) -> None:
        """Read what is new for as long as somebody listens."""
        loop = asyncio.get_running_loop()
        watch: Watch | None = None
        wait, checked = 0.0, loop.time()
        try:
            while self._topics and not self._closing:
                check = loop.time() - checked >= self.heartbeat_seconds
                checked = loop.time() if check else checked
                try:
                    if watch is None:
                        watch = await loop.run_in_executor(self._threads, self.journal.watch)
                    seen = self._seen(check)
                    found = await loop.run_in_executor(self._threads, self._read, watch, wait, seen)
                except Exception as error:  # whoever listens is not left alone for it
                    _log.warning("What is new cannot be read for those who listen: %s", error)
                    await asyncio.sleep(_AGAIN_SECONDS)
                    continue
                self._publish(seen, found)
                wait = 0.0 if found.full else _LOOK_SECONDS
        finally:
            self._reader = None
            if watch is not None:
                watch.close()

    def _seen(self, check: bool) -> _Seen:
        runs: dict[str, Place] = {}
        events: list[EventsSubject] = []
        for topic in self._topics.values():
            if isinstance(topic.subject, RunSubject):
                runs[topic.subject.run_id] = topic.place
            elif isinstance(topic.subject, EventsSubject):
                events.append(topic.subject)
        return _Seen(dict(self._topics), runs, events, self._position, check)

    def _read(self, watch: Watch, wait: float, seen: _Seen) -> _Found:
        """What is new, after at most so long. In a thread; records first, so that the lines before an end are there."""
        watch.wait(wait)
        records, lines = self.journal.news(seen.runs, _PAGE) if seen.runs else ([], [])
        page = self.journal.read(seen.position, _PAGE) if seen.events else []
        gone: list[str] = []
        if seen.check:
            there = {run.id for run in self.journal.runs_of(list(seen.runs))}
            gone = [run_id for run_id in seen.runs if run_id not in there]
        full = max(len(page), len(records), len(lines)) >= _PAGE
        self._beginnings.only(seen.runs.keys())
        return _Found(
            {**self._by_run(records, lines, full), **self._by_filter(page, seen.events)},
            page[-1].position if page else seen.position,
            gone,
            full,
        )

    def _by_run(self, records: Sequence[Stored], lines: Sequence[LogLine], full: bool) -> dict[Hashable, list[Frame]]:
        new: dict[str, tuple[list[Stored], list[LogLine]]] = defaultdict(lambda: ([], []))
        for each in records:
            new[each.stream][0].append(each)
        for line in lines:
            new[line.run_id][1].append(line)
        now = time.monotonic()
        found: dict[Hashable, list[Frame]] = {}
        for run_id, both in new.items():
            told, said = self._beginnings.told(run_id, *both, now, full=full)
            found[run_id] = in_order(map(frame_of_record, told), map(frame_of_line, said))
        return found

    def _by_filter(self, page: Sequence[Stored], events: Sequence[EventsSubject]) -> dict[Hashable, list[Frame]]:
        self.facts.learn(each for each in page if any(subject.may_want(each) for subject in events))
        found: dict[Hashable, list[Frame]] = {}
        for subject in events:
            told = (subject.frame_of(each, self.facts) for each in page if subject.may_want(each))
            found[subject.key] = [frame for frame in told if frame is not None]
        return found

    def _publish(self, seen: _Seen, found: _Found) -> None:
        """Hand out what was read; to those that came or changed meanwhile, what it does not hold is not given."""
        self._position = max(self._position, found.position)
        for key, topic in list(self._topics.items()):
            of_events = isinstance(topic.subject, EventsSubject)
            if seen.topics.get(key) is not topic:
                if of_events:
                    topic.pass_over((found.position, 0))
                continue
            if topic.ending and not found.full:  # everything that came with the end has been read by now
                topic.finish("ended")
            topic.add(found.frames.get(key, ()))
            if of_events:
                topic.place = (max(topic.place[0], found.position), 0)
            if key in found.gone:
                topic.finish("gone")
