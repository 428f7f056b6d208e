"""What a schedule will do, with a word wherever clocks are changed."""

from __future__ import annotations

import datetime

import msgspec

from penstock.core.calendar.checks import timetable
from penstock.core.calendar.moments import length_of
from penstock.core.calendar.spec import ScheduleSpec
from penstock.core.calendar.timetables import SECOND, Bounded, OnTheWall
from penstock.core.calendar.zones import DAY, EPOCH, Segment, Zone, zone


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """One due instant.

    Attributes:
        due_us: the instant.
        local: as the clocks of the schedule's zone show it, in ISO with its offset.
        mark: what a change of clocks has to do with it, if anything: `moved` (its local time does not exist, so it
            is right after the gap), `once` (its local time happens twice, and this is the first time), `again` (this
            is the second time), `skipped` (local times between the one before and this one do not exist, and are left
            out), `shifted` (clocks were changed since the one before).
        note: the same in a sentence.
    """

    due_us: int
    local: str
    mark: str | None = None
    note: str | None = None

    @property
    def utc(self) -> str:
        """The instant in UTC, in ISO."""
        return _moment(self.due_us).isoformat().replace("+00:00", "Z")


def preview(spec: ScheduleSpec, after_us: int, count: int) -> list[Occurrence]:
    """The next instants after `after_us`; fewer than `count` where the schedule ends."""
    table = timetable(spec)
    place = zone(spec.timezone)
    source = table.inner if isinstance(table, Bounded) else table
    found: list[Occurrence] = []
    before: int | None = None
    due = table.next(after_us)
    while due is not None and len(found) < count:
        at = due // SECOND
        marked: tuple[str, str] | None = None
        if isinstance(source, OnTheWall):
            marked = _fixed(source, at) if source.rule.fixed else _passing(source, before, at)
        if marked is None and before is not None:
            marked = _shifted(place, before, at)
        mark, note = marked or (None, None)
        found.append(Occurrence(due_us=due, local=_local(place, due), mark=mark, note=note))
        before, due = at, table.next(due)
    return found


def _fixed(source: OnTheWall, at: int) -> tuple[str, str] | None:
    """A fixed time that does not exist, or happens twice."""
    segment, gap = _change(source.zone, at)
    if at == segment.start and 0 < gap < DAY:
        missing = _missing(source, segment, gap)
        if missing:
            return "moved", f"{_list(missing)} does not exist on this day; due right after the gap"
    local = at + segment.offset
    if source.zone.place(local).fold:
        return "once", f"{_clock(local)} happens twice on this day; due the first time only"
    return None


def _passing(source: OnTheWall, before: int | None, at: int) -> tuple[str, str] | None:
    """A local time that happens for the second time, or some that were left out."""
    segment, _ = _change(source.zone, at)
    local = at + segment.offset
    place = source.zone.place(local)
    if place.fold and place.at < at:
        return "again", f"{_clock(local)} happens for the second time on this day; due both times"
    while before is not None and segment.start > before:
        segment, gap = _change(source.zone, segment.start)
        missing = _missing(source, segment, gap) if gap > 0 else []
        if missing:
            return "skipped", f"{_list(missing)} did not exist; left out"
        segment = source.zone.segment(segment.start - 1)
    return None


def _shifted(place: Zone, before: int, at: int) -> tuple[str, str] | None:
    by = place.segment(at).offset - place.segment(before).offset
    if not by:
        return None
    return "shifted", f"clocks went {'forward' if by > 0 else 'back'} {length_of(abs(by))} since the one before"


def _change(place: Zone, at: int) -> tuple[Segment, int]:
    """The segment around an instant, and by how much clocks went forward at its beginning."""
    segment = place.segment(at)
    return segment, segment.offset - place.segment(segment.start - 1).offset


def _missing(source: OnTheWall, segment: Segment, gap: int) -> list[int]:
    """The first local times of the rule in the gap before a segment; no more than three."""
    found: list[int] = []
    end = segment.start + segment.offset
    local = source.rule.next(end - gap - 1)
    while local is not None and local < end and len(found) < 3:
        found.append(local)
        local = source.rule.next(local)
    return found


def _list(locals_: list[int]) -> str:
    told = [_clock(local) for local in locals_]
    return told[0] if len(told) == 1 else f"{told[0]}, {told[1]}" + (", ..." if len(told) > 2 else "")


def _clock(local: int) -> str:
    at = _moment(local * SECOND)
    return at.strftime("%H:%M:%S" if at.second else "%H:%M")


def _moment(at: int) -> datetime.datetime:
    return EPOCH + datetime.timedelta(microseconds=at)


def _local(place: Zone, due: int) -> str:
    offset = datetime.timezone(datetime.timedelta(seconds=place.segment(due // SECOND).offset))
    return _moment(due).astimezone(offset).isoformat()
