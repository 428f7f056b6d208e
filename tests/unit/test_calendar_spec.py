"""Declaring a schedule: what is taken, what is stored, and how mistakes are told."""

from __future__ import annotations

import pickle
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from penstock.core.calendar import ScheduleSpec, next_after, schedule
from penstock.core.errors import AuthoringError, BadSchedule


def test_a_schedule_goes_to_json_and_back() -> None:
    spec = schedule(
        "0 2 * * *",
        timezone=ZoneInfo("Europe/Paris"),
        start=date(2026, 1, 1),
        end=datetime(2027, 1, 1, tzinfo=UTC),
        jitter=timedelta(minutes=5),
        missed="all",
        horizon="2 days",
        day_or=False,
    )
    data = msgspec.json.encode(spec)
    assert msgspec.json.decode(data, type=ScheduleSpec) == spec
    assert msgspec.convert(msgspec.to_builtins(spec), ScheduleSpec) == spec
    assert msgspec.json.decode(data) == {
        "cron": "0 2 * * *",
        "timezone": "Europe/Paris",
        "start": "2026-01-01",
        "end": "2027-01-01T00:00:00+00:00",
        "jitter_seconds": 300.0,
        "missed": "all",
        "horizon_seconds": 172_800.0,
        "day_or": False,
    }
    assert hash(spec) == hash(msgspec.json.decode(data, type=ScheduleSpec))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0 2 * * *", schedule("0 2 * * *")),
        ("@daily", schedule("@daily")),
        ("every 15m", schedule(interval=900)),
        ("Every 1h30m", schedule(interval=timedelta(minutes=90))),
        ("every 2 days", schedule(interval=2 * 86_400)),
        ("every hour", schedule(interval=3600)),
        ("every 1 h and 30 min", schedule(interval=5400)),
        ("every 1.5 h", schedule(interval=5400)),
        ("FREQ=DAILY", schedule(rrule="FREQ=DAILY")),
        ("RRULE:FREQ=DAILY", schedule(rrule="RRULE:FREQ=DAILY")),
        ("2026-01-31", schedule(at="2026-01-31")),
        ("2026-01-31T08:00, 2026-02-28T08:00", schedule(at=["2026-01-31T08:00", "2026-02-28T08:00"])),
    ],
)
def test_a_schedule_in_one_text(text: str, wanted: ScheduleSpec) -> None:
    assert ScheduleSpec.read(text) == wanted


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (schedule("0 2 * * *", timezone="Europe/Paris"), "0 2 * * * (Europe/Paris)"),
        (schedule(interval=5400), "every 1 h 30 min (UTC)"),
        (schedule(interval=2 * 604_800 + 86_400), "every 2 weeks 1 day (UTC)"),
        (schedule(interval=1.5), "every 1.5 s (UTC)"),
        (schedule(rrule="FREQ=DAILY"), "FREQ=DAILY (UTC)"),
        (schedule(at=["2026-01-31", "2026-02-28"]), "2026-01-31, 2026-02-28 (UTC)"),
    ],
)
def test_a_schedule_says_what_it_is(spec: ScheduleSpec, told: str) -> None:
    assert str(spec) == told


@pytest.mark.parametrize(
    ("options", "where", "told"),
    [
        ({}, "schedule", "one of cron, interval, rrule, at is needed"),
        ({"cron": "@daily", "interval": 5}, "schedule", "cron and interval exclude each other"),
        ({"cron": 5}, "cron", "5 is no text"),
        ({"rrule": 5}, "rrule", "5 is no text"),
        ({"interval": 0}, "interval", "0 seconds is not between 1 and"),
        ({"interval": float("nan")}, "interval", "is not between 1 and"),
        ({"interval": float("inf")}, "interval", "is not between 1 and"),
        ({"interval": True}, "interval", "no timedelta and no number"),
        ({"interval": "15 parsecs"}, "interval", "such as 90s, 15m, 1h30m, 6h or 2 days"),
        ({"interval": ""}, "interval", "is no length of time"),
        ({"interval": 60, "anchor": "noon"}, "anchor", "'noon' is no ISO date or time"),
        ({"cron": "@daily", "anchor": "2026-01-01"}, "anchor", "only an interval"),
        ({"at": "soon"}, "at", "'soon' is no ISO date or time"),
        ({"at": 5}, "at", "5 is no text, datetime or date"),
        ({"at": []}, "at", "there is no time in it"),
        ({"cron": "@daily", "timezone": "Mars"}, "timezone", "there is no time zone 'Mars'"),
        ({"cron": "@daily", "timezone": 5}, "timezone", "5 is no text"),
        ({"cron": "@daily", "start": "x"}, "start", "no ISO date"),
        ({"cron": "@daily", "start": 5}, "start", "5 is no text, datetime or date"),
        ({"cron": "@daily", "start": "2026-02-01", "end": "2026-01-01"}, "end", "is before the start"),
        ({"cron": "@yearly", "start": "2026-02-01", "end": "2026-03-01"}, "end", "nothing is due up to 2026-03-01"),
        ({"cron": "@daily", "jitter": -1}, "jitter", "-1 seconds is not between 0 and"),
        ({"cron": "@daily", "horizon": 0}, "horizon", "0 seconds is not between 1 and"),
        ({"cron": "@daily", "missed": "some"}, "missed", "'some' is not one of skip, latest, all"),
        ({"cron": "@once"}, "cron", "give start="),
    ],
)
def test_a_mistake_says_where_it_is(options: dict[str, Any], where: str, told: str) -> None:
    with pytest.raises(BadSchedule) as caught:
        schedule(**options)
    assert len(caught.value.mistakes) == 1
    assert caught.value.mistakes[0][0] == where
    assert told in caught.value.mistakes[0][1]


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(BadSchedule) as caught:
        schedule("61 * * * *", timezone="Mars", start="x", jitter=-1, missed="some")  # type: ignore[arg-type]
    assert {where for where, _ in caught.value.mistakes} == {"cron", "timezone", "start", "jitter", "missed"}
    assert caught.value.message.startswith("5 mistakes in the schedule:\n")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.message, again.mistakes, again.code) == (caught.value.message, caught.value.mistakes, "schedule")
    assert isinstance(again, (AuthoringError, ValueError))


def test_a_stored_schedule_that_cannot_be_says_so_when_it_is_used() -> None:
    with pytest.raises(BadSchedule, match="61 is not between"):
        next_after(ScheduleSpec(cron="61 * * * *"), 0)
    with pytest.raises(BadSchedule, match="is needed"):
        next_after(ScheduleSpec(), 0)


def test_importing_penstock_does_not_import_the_calendar() -> None:
    script = "import sys, penstock; print([name for name in sys.modules if 'calendar' in name or name == 'zoneinfo'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
