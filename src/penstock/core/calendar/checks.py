"""Everything that is wrong with a schedule, and the timetable of one that is right."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from penstock.core.calendar import cron, rrules
from penstock.core.calendar.moments import instant
from penstock.core.calendar.timetables import SECOND, Bounded, Every, Listed, OnTheWall, Timetable
from penstock.core.calendar.zones import Zone, zone
from penstock.core.errors import BadSchedule

if TYPE_CHECKING:
    from penstock.core.calendar.spec import ScheduleSpec

ANCHOR = "2001-01-01T00:00:00"
"""A Monday: where intervals and rules are counted from when nothing else is said, in local time."""

_KINDS = ("cron", "interval", "rrule", "at")
_LEAST = 1.0
_MOST = 3_155_760_000.0


def mistakes_of(spec: ScheduleSpec, given: list[str]) -> list[tuple[str, str]]:
    """What is wrong, as (where, what).

    Args:
        spec: the schedule.
        given: which of cron, interval, rrule and at it was made with.
    """
    found: list[tuple[str, str]] = []
    if len(given) != 1:
        told = f"{' and '.join(given)} exclude each other" if given else f"one of {', '.join(_KINDS)} is needed"
        found.append(("schedule", told))
    if spec.missed not in ("skip", "latest", "all"):
        found.append(("missed", f"{spec.missed!r} is not one of skip, latest, all"))
    for name, value, least in (("jitter", spec.jitter_seconds, 0.0), ("horizon", spec.horizon_seconds, _LEAST)):
        if value is not None and not least <= value <= _MOST:
            found.append((name, f"{value:g} seconds is not between {least:g} and {_MOST:,.0f}"))
    if spec.anchor is not None and "interval" not in given:
        found.append(("anchor", "only an interval is counted from an anchor"))
    compiled = _Compiler(spec)
    compiled.timetable()
    return found + compiled.mistakes


@lru_cache(maxsize=65_536)
def timetable(spec: ScheduleSpec) -> Timetable:
    """When a schedule is due.

    Raises:
        BadSchedule: it cannot be, which is possible for one that did not come from `ScheduleSpec.of`.
    """
    compiler = _Compiler(spec)
    made = compiler.timetable()
    if made is None or compiler.mistakes:
        raise BadSchedule(compiler.mistakes or [("schedule", f"one of {', '.join(_KINDS)} is needed")])
    return made


class _Compiler:
    """Makes the timetable of a schedule, and notes what keeps it from doing so."""

    def __init__(self, spec: ScheduleSpec) -> None:
        self.spec = spec
        self.mistakes: list[tuple[str, str]] = []

    def timetable(self) -> Timetable | None:
        """The timetable; None or anything where there are mistakes."""
        spec = self.spec
        place = self._try("timezone", zone, spec.timezone) or zone("UTC")
        start, end = self._instant("start", spec.start, place), self._instant("end", spec.end, place)
        if start is not None and end is not None and end < start:
            self.mistakes.append(("end", f"{spec.end} is before the start, {spec.start}"))
        made = self._unbounded(place, start)
        if made is None or (start is None and end is None):
            return made
        bounded = Bounded(made, start, end)
        if not self.mistakes and end is not None and bounded.last(min(start or 0, 0) - 1, end) is None:
            self.mistakes.append(("end", f"nothing is due up to {spec.end}"))
        return bounded

    def _unbounded(self, place: Zone, start: int | None) -> Timetable | None:
        spec = self.spec
        if spec.cron is not None:
            return self._cron(spec.cron, place, start)
        if spec.interval_seconds is not None:
            return self._every(spec.interval_seconds, place, start)
        if spec.rrule is not None:
            begin = instant(ANCHOR, place) if start is None else start
            rule = self._try("rrule", rrules.parse, spec.rrule, place, place.local(-(-begin // SECOND)))
            return None if rule is None else OnTheWall(rule, place)
        if spec.at:
            moments = [self._instant("at", text, place) for text in spec.at]
            return Listed([moment for moment in moments if moment is not None])
        return None

    def _cron(self, text: str, place: Zone, start: int | None) -> Timetable | None:
        if isinstance(text, str) and text.strip().lower() == cron.ONCE:
            if start is None and self.spec.start is None:
                self.mistakes.append(("cron", f"{cron.ONCE} is due once, at the start: give start=, or at= instead"))
            return Listed([] if start is None else [start])
        rule = self._try("cron", cron.parse, text, self.spec.day_or)
        return None if rule is None else OnTheWall(rule, place)

    def _every(self, seconds: float, place: Zone, start: int | None) -> Timetable | None:
        if not _LEAST <= seconds <= _MOST or math.isnan(seconds):
            self.mistakes.append(("interval", f"{seconds:g} seconds is not between {_LEAST:g} and {_MOST:,.0f}"))
            return None
        anchor = self._instant("anchor", self.spec.anchor, place)
        if anchor is None:
            anchor = instant(ANCHOR, place) if start is None else start
        return Every(round(seconds * SECOND), anchor)

    def _instant(self, name: str, text: str | None, place: Zone) -> int | None:
        moment: int | None = None if text is None else self._try(name, instant, text, place)
        return moment

    def _try(self, name: str, make: Callable[..., Any], *args: Any) -> Any:
        if not isinstance(args[0], str):
            self.mistakes.append((name, f"{args[0]!r} is no text"))
            return None
        try:
            return make(*args)
        except cron.Mistakes as error:
            self.mistakes += [(name, told) for told in error.mistakes]
        except LookupError as error:
            self.mistakes.append((name, str(error.args[0])))
        except ValueError as error:
            self.mistakes.append((name, str(error)))
        return None
