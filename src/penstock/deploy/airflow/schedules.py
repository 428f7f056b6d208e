"""Schedules as Airflow has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from penstock.core.calendar.cron import ONCE, PRESETS
from penstock.core.calendar.moments import instant
from penstock.core.calendar.zones import zone
from penstock.core.clock import iso
from penstock.core.deployments import Schedule


class Timing(NamedTuple):
    """When a DAG makes runs: Python expressions for its file, and why it cannot.

    Attributes:
        expression: of its `schedule`.
        imports: what that needs of `airflow.sdk`.
        start, end: moments as ISO texts.
        catchup: instants that passed are made up for.
        reasons: what cannot be.
    """

    expression: str = "None"
    imports: tuple[str, ...] = ()
    start: str | None = None
    end: str | None = None
    catchup: bool = False
    reasons: tuple[str, ...] = ()


def timing_of(schedules: Sequence[Schedule]) -> Timing:
    """The one schedule that a DAG has, for those of a deployment. Paused ones are left out."""
    active = [each for each in schedules if not each.paused]
    if not active:
        return Timing()
    reasons = [reason for each in active for reason in _reasons(each)]
    kinds = {
        (each.spec.cron is not None, each.spec.timezone, each.spec.start, each.spec.end, each.spec.missed)
        for each in active
    }
    if len(active) > 1 and (len(kinds) > 1 or active[0].spec.cron is None):
        reasons.append("a DAG has one schedule: several go together only as cron expressions of one time zone")
    spec = active[0].spec
    if reasons:
        return Timing(reasons=tuple(reasons))
    start, end = (None if each is None else _moment(each, spec.timezone) for each in (spec.start, spec.end))
    if spec.interval_seconds is not None:
        anchor = spec.anchor or spec.start
        start = _moment(anchor or "2001-01-01T00:00", spec.timezone)
        expression = f"DeltaTriggerTimetable(timedelta(seconds={spec.interval_seconds!r}))"
        return Timing(expression, ("DeltaTriggerTimetable",), start, end, spec.missed == "all")
    crons = ", ".join(repr(_cron(each.spec.cron or "")) for each in active)
    kind = "MultipleCronTriggerTimetable" if len(active) > 1 else "CronTriggerTimetable"
    at_once = ", run_immediately=True" if spec.missed == "latest" else ""
    return Timing(f"{kind}({crons}, timezone={spec.timezone!r}{at_once})", (kind,), start, end, spec.missed == "all")


def _moment(text: str, timezone: str) -> str:
    return iso(instant(text, zone(timezone))) or ""


def _cron(text: str) -> str:
    return PRESETS.get(text.strip().lower(), text)


def _reasons(schedule: Schedule) -> list[str]:
    spec, name = schedule.spec, schedule.name
    found = []
    if spec.rrule is not None:
        found.append(f"schedule {name}: Airflow has no recurrence rules")
    if spec.at or (spec.cron or "").strip().lower() == ONCE:
        found.append(f"schedule {name}: Airflow has no schedules of single instants")
    if spec.cron is not None and len(_cron(spec.cron).split()) > 5:
        found.append(f"schedule {name}: Airflow's cron expressions have no seconds")
    if not spec.day_or:
        found.append(f"schedule {name}: Airflow's cron expressions are for days that match one of both day fields")
    if spec.jitter_seconds:
        found.append(f"schedule {name}: Airflow begins runs when they are due (jitter)")
    if schedule.parameters:
        found.append(f"schedule {name}: a DAG has one set of parameters, and not another for each schedule")
    if spec.missed == "all" and spec.start is None and spec.anchor is None:
        found.append(f"schedule {name}: Airflow makes up for what was missed from a start, which it does not have")
    return found
