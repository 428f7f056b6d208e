"""What can be listened to: a run, or events that fit a filter. These read the journal, in a thread."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from penstock.control.streams.frames import (
    RECORD,
    Frame,
    Place,
    after,
    body_of,
    frame_of_line,
    frame_of_record,
    together,
)
from penstock.core.events import Stored, stored_name
from penstock.core.model import Run
from penstock.core.ports import Journal
from penstock.orchestrator.facts import Facts
from penstock.orchestrator.watching import EventFilter

PAGE = 500
_MOST_SENT = 65_536
_LINES = 100
"""Lines can be long, and whoever does not read holds a part of them."""


class Part(NamedTuple):
    """A part of the past.

    Attributes:
        frames: what came.
        place: behind all of it.
        more: there is more of it.
        over: why nothing will come after it; None where something may.
    """

    frames: Sequence[Frame]
    place: Place
    more: bool
    over: str | None = None


class Subject(ABC):
    """Something to listen to."""

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """The same for whoever hears the same."""

    @abstractmethod
    def past(self, place: Place, reached: int) -> Part:
        """What came behind a place.

        Args:
            place: where to begin.
            reached: up to which position of the journal whoever reads it for all has come.
        """

    @abstractmethod
    def id_of(self, place: Place) -> bytes:
        """A place as it is written in a stream."""


def pieces(subject: Subject, place: Place, frames: Iterable[Frame]) -> Iterator[bytes]:
    """Frames behind a place as they are sent, so much at once that a listener who takes nothing holds little."""
    parts: list[bytes] = []
    size = 0
    for frame in frames:
        place = after(place, frame)
        parts += (b"id: ", subject.id_of(place), b"\n", frame.body)
        size += len(frame.body)
        if size >= _MOST_SENT:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)


class RunSubject(Subject):
    """The states of a run and of its steps, and what it logs.

    Args:
        journal: where it is.
        run_id: the run.
    """

    def __init__(self, journal: Journal, run_id: str) -> None:
        self.run_id = run_id
        self._journal = journal

    @property
    def key(self) -> Hashable:
        """See `Subject.key`."""
        return self.run_id

    def past(self, place: Place, reached: int) -> Part:
        """See `Subject.past`. Whether it has ended is asked first: what it logged until then is read after that."""
        run = self._journal.run(self.run_id)
        if run is None:
            return Part((), place, False, "gone")
        records = list(map(frame_of_record, islice(self._journal.load(self.run_id, place[0]), PAGE)))
        lines = list(map(frame_of_line, self._journal.logs(self.run_id, after=place[1], limit=_LINES)))
        more_records, more_lines = len(records) == PAGE, len(lines) == _LINES
        frames = together(records, lines, more_records=more_records, more_lines=more_lines)
        for frame in frames:
            place = after(place, frame)
        more = more_records or more_lines
        over = run.ended or any(frame.last for frame in frames)
        return Part(frames, place, more, "ended" if over and not more else None)

    def id_of(self, place: Place) -> bytes:
        """See `Subject.id_of`."""
        return b"%d-%d" % place

    def place_of(self, told: str) -> Place | None:
        """The place that somebody says to have heard up to; None where there is no such place."""
        found = re.fullmatch(r"([0-9]{1,18})-([0-9]{1,18})", told, re.ASCII)
        if found is None:
            return None
        seq, line = int(found[1]), int(found[2])
        if seq and seq > self._journal.last_seq(self.run_id):
            return None
        if line and not any(each.id == line for each in self._journal.logs(self.run_id, after=line - 1, limit=1)):
            return None
        return seq, line

    @staticmethod
    def final(run: Run) -> dict[str, Any]:
        """What is told of a run when it has ended."""
        return {"run_id": run.id, "state": run.state, "state_name": run.state_name, "message": run.message}


class EventsSubject(Subject):
    """Events that fit a filter.

    Args:
        journal: where they are.
        where: the filter.
        facts: what is known of runs.
    """

    def __init__(self, journal: Journal, where: EventFilter, facts: Facts) -> None:
        self.where = where
        self._journal = journal
        self._facts = facts

    @property
    def key(self) -> Hashable:
        """See `Subject.key`."""
        return self.where

    def past(self, place: Place, reached: int) -> Part:
        """See `Subject.past`. A page is so many events of any kind: to look for rare ones would take for ever."""
        page = self._journal.read(place[0], PAGE)
        more = len(page) == PAGE
        last = page[-1].position if page else 0
        self._facts.learn(each for each in page if self.may_want(each))
        frames = [frame for each in page if (frame := self.frame_of(each, self._facts)) is not None]
        return Part(frames, (max(place[0], last if more else max(last, reached)), 0), more)

    def may_want(self, stored: Stored) -> bool:
        """Whether it is worth to find out more about it."""
        return stored_name(stored.event)[0] in self.where.types

    def frame_of(self, stored: Stored, facts: Facts) -> Frame | None:
        """What a listener is told of an event; None where that is none of theirs."""
        told = self.where.wanted(facts, stored)
        return None if told is None else frame_of_event(stored, told)

    def id_of(self, place: Place) -> bytes:
        """See `Subject.id_of`."""
        return b"%d" % place[0]


def frame_of_event(stored: Stored, told: dict[str, Any]) -> Frame:
    """An event as a frame."""
    return Frame(RECORD, stored.position, stored.event.at, body_of("event", msgspec.to_builtins(told)))
