"""What is due when: the questions a scheduler asks. Instants are microseconds since the epoch (UTC)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from penstock.core.calendar.checks import timetable
from penstock.core.calendar.spec import ScheduleSpec
from penstock.core.calendar.timetables import SECOND

GRACE_SECONDS = 60.0
"""With `missed="skip"` a run that is later than this is not started, unless `horizon_seconds` says otherwise."""

ALL_HORIZON_SECONDS = 86_400.0
"""With `missed="all"` a run that is later than this is not started, unless `horizon_seconds` says otherwise."""


class MissedPlan(NamedTuple):
    """What to do about the instants of a stretch of time.

    Attributes:
        fire: start a run for each of these due instants, in this order.
        dropped: how many due instants get no run.
        until: every instant up to this one is settled by the plan.
        next_due: the first due instant behind `until`; None when there is none.
    """

    fire: tuple[int, ...]
    dropped: int
    until: int
    next_due: int | None


def next_after(spec: ScheduleSpec, instant_us: int) -> int | None:
    """The first due instant after this one; None when there is none any more.

    Raises:
        BadSchedule: the schedule cannot be (only where it did not come from `ScheduleSpec.of`).
    """
    return timetable(spec).next(instant_us)


def due_between(spec: ScheduleSpec, after_us: int, until_us: int) -> Iterator[int]:
    """Every due instant after `after_us` up to, and including, `until_us`, in order."""
    return timetable(spec).between(after_us, until_us)


def count_between(spec: ScheduleSpec, after_us: int, until_us: int) -> int:
    """How many of those there are, without going through them one by one (except for an RRULE)."""
    return timetable(spec).count(after_us, until_us)


def last_between(spec: ScheduleSpec, after_us: int, until_us: int) -> int | None:
    """The last one of those."""
    return timetable(spec).last(after_us, until_us) if until_us > after_us else None


def missed_plan(spec: ScheduleSpec, after_us: int, now_us: int, limit: int | None = None) -> MissedPlan:
    """What becomes of what is due after `after_us`, up to and including `now_us`.

    - `skip`: each is started, unless it is more than 60 s late.
    - `latest`: only the newest is started, however late.
    - `all`: each is started, oldest first, unless it is more than a day late.

    `horizon_seconds` puts another limit on being late, for any of them. It is counted from the end of the jitter.

    Args:
        spec: the schedule.
        after_us: every instant up to this one is settled already.
        now_us: the time. When it is before `after_us` (a clock was set back) there is nothing to do.
        limit: start at most so many; `until` then tells how far the plan goes, and the next plan goes on from there.
    """
    table = timetable(spec)
    now_us = max(now_us, after_us)
    horizon = horizon_of(spec)
    oldest = after_us
    if horizon is not None:
        oldest = max(after_us, now_us - round((horizon + spec.jitter_seconds) * SECOND) - 1)
    dropped = table.count(after_us, oldest)
    if spec.missed == "latest":
        newest = table.last(oldest, now_us) if now_us > oldest else None
        dropped += table.count(oldest, now_us) - (newest is not None)
        return MissedPlan(() if newest is None else (newest,), dropped, now_us, table.next(now_us))
    fire: list[int] = []
    for due in table.between(oldest, now_us):
        if len(fire) == limit:
            return MissedPlan(tuple(fire), dropped, fire[-1] if fire else oldest, due)
        fire.append(due)
    return MissedPlan(tuple(fire), dropped, now_us, table.next(now_us))


def horizon_of(spec: ScheduleSpec) -> float | None:
    """How many seconds late a run may be started; None for any."""
    if spec.horizon_seconds is not None:
        return spec.horizon_seconds
    return {"skip": GRACE_SECONDS, "all": ALL_HORIZON_SECONDS}.get(spec.missed)


def jittered(spec: ScheduleSpec, due_us: int, key: str) -> int:
    """When to start the run of a due instant: up to `jitter_seconds` later, and always before the next one is due.

    It is not left to chance: the same key (the name of the schedule) and instant give the same answer everywhere, and
    different keys spread evenly.
    """
    most = round(spec.jitter_seconds * SECOND)
    if most <= 0:
        return due_us
    import hashlib

    following = next_after(spec, due_us)
    if following is not None:
        most = min(most, following - due_us - 1)
    drawn = int.from_bytes(hashlib.blake2b(f"{key}\0{due_us}".encode(), digest_size=8).digest(), "big")
    return due_us + (drawn * (most + 1) >> 64)
