"""Penstock's schedules as Prefect's."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from penstock.core.calendar import ScheduleSpec
from penstock.core.deployments import Schedule

_FIELDS_WITH_SECONDS = 6


def mistakes_of(schedules: Sequence[Schedule]) -> list[str]:
    """Why these cannot be schedules of Prefect."""
    return [f"the schedule {each.name!r}: {told}" for each in schedules for told in _mistakes(each.spec)]


def _mistakes(spec: ScheduleSpec) -> list[str]:
    found = []
    if spec.cron is not None and len(spec.cron.split()) == _FIELDS_WITH_SECONDS:
        found.append("a cron expression with seconds, which Prefect does not have")
    if spec.cron is not None and (spec.start or spec.end):
        found.append("a cron expression with a start or an end, which Prefect does not have; an rrule can have them")
    if spec.interval_seconds is not None and spec.end:
        found.append("an interval with an end, which Prefect does not have; an rrule can have one")
    if spec.jitter_seconds:
        found.append("a jitter, which Prefect does not have")
    if spec.missed == "all":
        found.append("missed='all', but Prefect makes no runs for instants that have passed")
    return found


def schedules_as_json(schedules: Sequence[Schedule]) -> list[dict[str, Any]]:
    """As Prefect's API takes them."""
    found = []
    for each in schedules:
        parts = _parts(each.spec)
        for number, part in enumerate(parts, 1):
            entry: dict[str, Any] = {"schedule": part, "active": not each.paused, "parameters": each.parameters}
            slug = each.name if len(parts) == 1 else f"{each.name}-{number}"
            found.append(entry | {"slug": slug})
    return found


def _parts(spec: ScheduleSpec) -> list[dict[str, Any]]:
    zone = {"timezone": spec.timezone}
    if spec.cron is not None:
        return [{"cron": spec.cron, "day_or": spec.day_or, **zone}]
    if spec.interval_seconds is not None:
        anchor = spec.anchor or spec.start or "2001-01-01T00:00:00"
        return [{"interval": spec.interval_seconds, "anchor_date": _aware(anchor, spec), **zone}]
    if spec.rrule is not None:
        return [{"rrule": _bounded(spec), **zone}]
    return [{"rrule": f"DTSTART:{_stamp(_local(at, spec))}\nRRULE:FREQ=DAILY;COUNT=1", **zone} for at in spec.at]


def _bounded(spec: ScheduleSpec) -> str:
    """The rule with its beginning and its end, which Prefect has in the rule itself."""
    rule = spec.rrule or ""
    if "DTSTART" not in rule and spec.start:
        rule = f"DTSTART:{_stamp(_local(spec.start, spec))}\n{rule if rule.startswith('RRULE') else f'RRULE:{rule}'}"
    if spec.end and "UNTIL" not in rule and "COUNT" not in rule:
        rule = f"{rule};UNTIL={_stamp(_local(spec.end, spec))}"
    return rule


def _local(text: str, spec: ScheduleSpec) -> datetime.datetime:
    from zoneinfo import ZoneInfo

    moment = datetime.datetime.fromisoformat(text)
    zone = ZoneInfo(spec.timezone)
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)


def _aware(text: str, spec: ScheduleSpec) -> str:
    return _local(text, spec).isoformat()


def _stamp(moment: datetime.datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%S")
