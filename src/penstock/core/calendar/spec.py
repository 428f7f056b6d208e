"""A schedule as it is declared and stored."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

import msgspec

from penstock.core.calendar.moments import as_seconds, as_text, length_of
from penstock.core.errors import BadSchedule

Moment = str | datetime | date
Length = float | timedelta | str
Missed = Literal["skip", "latest", "all"]


class ScheduleSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When runs are due: exactly one of `cron`, `interval_seconds`, `rrule` and `at`, and how it is applied.

    Made by `ScheduleSpec.of`, which checks it. It is plain data: it goes to JSON and back with msgspec.

    Attributes:
        cron: an expression of five fields (six with seconds first), or a preset such as `@daily`.
        interval_seconds: so many seconds apart, whatever the clocks on the wall do.
        rrule: a rule of RFC 5545.
        at: instants, as ISO texts.
        timezone: a name of the IANA database; local times are of this zone.
        start: nothing is due before it.
        end: nothing is due after it.
        anchor: an instant from which an interval is counted; by default `start`, or Monday 2001-01-01T00:00 local time.
        jitter_seconds: each run starts up to so much later, see `jittered`.
        missed: what becomes of instants that passed while nothing could be started, see `missed_plan`.
        horizon_seconds: how late a run may be started; by default 60 for `skip`, a day for `all`, and for `latest`
            without end.
        day_or: a cron expression that restricts both day fields is for days that match one of them; False: both.
    """

    cron: str | None = None
    interval_seconds: float | None = None
    rrule: str | None = None
    at: tuple[str, ...] = ()
    timezone: str = "UTC"
    start: str | None = None
    end: str | None = None
    anchor: str | None = None
    jitter_seconds: float = 0.0
    missed: Missed = "latest"
    horizon_seconds: float | None = None
    day_or: bool = True

    @staticmethod
    def of(
        cron: str | None = None,
        *,
        interval: Length | None = None,
        rrule: str | None = None,
        at: Moment | Iterable[Moment] | None = None,
        timezone: str | ZoneInfo = "UTC",
        start: Moment | None = None,
        end: Moment | None = None,
        anchor: Moment | None = None,
        jitter: Length = 0.0,
        missed: Missed = "latest",
        horizon: Length | None = None,
        day_or: bool = True,
    ) -> ScheduleSpec:
        """Declare a schedule. Lengths are seconds, timedeltas or texts (`15m`); see the attributes for the rest.

        Raises:
            BadSchedule: it cannot be; the message lists every mistake.
        """
        mistakes: list[tuple[str, str]] = []

        def read(name: str, given: Any, reader: Any) -> Any:
            try:
                return None if given is None else reader(given)
            except ValueError as error:
                mistakes.append((name, str(error)))
                return None

        listed: list[Any] | None = None
        if at is not None:
            listed = list(at) if isinstance(at, Iterable) and not isinstance(at, str) else [at]
        if listed == []:
            mistakes.append(("at", "there is no time in it"))
        if not isinstance(cast(Any, day_or), bool):
            mistakes.append(("day_or", f"{day_or!r} is not true or false"))
        made = ScheduleSpec(
            cron=cron,
            interval_seconds=read("interval", interval, as_seconds),
            rrule=rrule,
            at=tuple(text for each in listed or () if (text := read("at", each, as_text)) is not None),
            timezone=getattr(timezone, "key", timezone),  # type: ignore[arg-type]
            start=read("start", start, as_text),
            end=read("end", end, as_text),
            anchor=read("anchor", anchor, as_text),
            jitter_seconds=read("jitter", jitter, as_seconds) or 0.0,
            missed=missed,
            horizon_seconds=read("horizon", horizon, as_seconds),
            day_or=day_or is not False,
        )
        from penstock.core.calendar.checks import mistakes_of

        given = {"cron": cron, "interval": interval, "rrule": rrule, "at": listed}
        if found := [*mistakes, *mistakes_of(made, [name for name, value in given.items() if value is not None])]:
            raise BadSchedule(found)
        return made

    @staticmethod
    def read(text: str, **options: Any) -> ScheduleSpec:
        """Declare a schedule in one text: a cron expression or preset, `every 15m`, an RRULE, or an ISO time.

        Args:
            text: the schedule.
            options: what `of` takes besides.

        Raises:
            BadSchedule: it cannot be; the message lists every mistake.
        """
        from penstock.core.calendar.rrules import looks_like

        stripped = text.strip()
        if stripped.lower().startswith("every "):
            return ScheduleSpec.of(interval=stripped[6:], **options)
        if looks_like(stripped):
            return ScheduleSpec.of(rrule=stripped, **options)
        if stripped[:4].isdigit() and stripped[4:5] == "-":
            return ScheduleSpec.of(at=stripped.replace(",", " ").split(), **options)
        return ScheduleSpec.of(stripped, **options)

    def __str__(self) -> str:
        if self.interval_seconds is not None:
            told = f"every {length_of(self.interval_seconds)}"
        else:
            told = self.cron or (self.rrule or ", ".join(self.at)).replace("\n", " ")
        return f"{told} ({self.timezone})"


schedule = ScheduleSpec.of
