"""Time zones as tables of offsets: exact and fast steps between instants and the time on the wall.

Everything here is in whole seconds: an instant counts from the epoch in UTC, a local time counts from 1970-01-01T00:00
on the wall clock of its zone. Two things happen to local times when clocks are changed: those of a gap do not exist,
and those of a fold happen twice.
"""

from __future__ import annotations

import datetime
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAY = 86_400
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
LAST = 253_000_000_000
"""In the year 9987. Nothing is ever due after it: the calendar of Python ends in 9999."""
EARLIEST = -62_000_000_000
"""In the year 5. Nothing is ever due before it."""

_BLOCK = 25  # bits: a table is made for 2**25 seconds, a little more than a year, at a time
_FARTHEST = 26 * 3600  # no zone was ever that far from UTC


class Segment(NamedTuple):
    """A time with one offset, in seconds east of UTC: from `start` up to, not including, `end`."""

    start: int
    end: int
    offset: int


class Place(NamedTuple):
    """Where a local time is.

    Attributes:
        at: its instant. For one in a gap, the end of the gap; for one that happens twice, the first.
        gap: how many seconds are missing around it; 0 where it exists.
        fold: it happens twice.
    """

    at: int
    gap: int = 0
    fold: bool = False


class Zone:
    """One zone of the IANA database."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.info = ZoneInfo(name)
        self._blocks: dict[int, tuple[Segment, ...]] = {}

    def segment(self, at: int) -> Segment:
        """The segment around an instant. Segments also end where no clock is changed."""
        block = at >> _BLOCK
        segments = self._blocks.get(block) or self._table(block)
        for segment in segments:
            if at < segment.end:
                return segment
        raise AssertionError("a block covers its whole time")

    def _table(self, block: int) -> tuple[Segment, ...]:
        start, stop = block << _BLOCK, (block + 1) << _BLOCK
        found: list[Segment] = []
        begun, offset = start, self._offset(start)
        for probe in range(start, stop, DAY):
            last = min(probe + DAY, stop) - 1
            now = self._offset(last)
            if now != offset:
                change = self._change(probe, last, offset)
                found.append(Segment(begun, change, offset))
                begun, offset = change, now
        made = (*found, Segment(begun, stop, offset))
        self._blocks[block] = made
        return made

    def _change(self, first: int, last: int, offset: int) -> int:
        """The first of these instants with another offset than that."""
        while first < last:
            middle = (first + last) // 2
            if self._offset(middle) == offset:
                first = middle + 1
            else:
                last = middle
        return first

    def _offset(self, at: int) -> int:
        offset = datetime.datetime.fromtimestamp(min(max(at, EARLIEST), LAST), self.info).utcoffset()
        return offset.days * DAY + offset.seconds if offset is not None else 0

    def local(self, at: int) -> int:
        """The local time of an instant."""
        return at + self.segment(at).offset

    def place(self, local: int) -> Place:
        """The instant of a local time."""
        before = segment = self.segment(local - _FARTHEST)
        while local >= segment.end + segment.offset:
            before, segment = segment, self.segment(segment.end)
        at = local - segment.offset
        if at < segment.start:
            return Place(segment.start, gap=segment.offset - before.offset)
        if at < segment.end - _FARTHEST:
            return Place(at)
        after = self.segment(segment.end)
        return Place(at, fold=local >= after.start + after.offset)

    def reached(self, at: int) -> int:
        """The latest local time that any clock of this zone has shown up to an instant."""
        segment = self.segment(at)
        latest = at + segment.offset
        while segment.start > at - _FARTHEST:
            segment = self.segment(segment.start - 1)
            latest = max(latest, segment.end + segment.offset - 1)
        return latest


@cache
def zone(name: str) -> Zone:
    """The zone of that name.

    Raises:
        LookupError: there is none; the message says so.
    """
    if not name[
        :1
    ].isupper():  # `localtime` and `posixrules` differ from machine to machine, `right/...` has leap seconds
        raise LookupError(f"there is no time zone {name!r}{_like(name)}")
    try:
        return Zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise LookupError(f"there is no time zone {name!r}{_like(name)}") from None


def _like(name: str) -> str:
    """A guess at what was meant."""
    import difflib
    from zoneinfo import available_timezones

    names = {each.lower(): each for each in sorted(available_timezones()) if each[:1].isupper()}
    wanted = name.strip().lower().replace(" ", "_")
    city = [each for low, each in names.items() if low.rpartition("/")[2] == wanted]
    close = [names[wanted]] if wanted in names else city or difflib.get_close_matches(wanted, names, n=1, cutoff=0.75)
    return f"; did you mean {names.get(close[0], close[0])!r}?" if close else ", such as Europe/Paris or UTC"
