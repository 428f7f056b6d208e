"""Rules of RFC 5545: a second opinion on random ones, the clocks, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from dateutil import rrule as other
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from penstock.core.calendar import ScheduleSpec, count_between, due_between, next_after, preview, schedule
from penstock.core.errors import BadSchedule

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY")
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
FAR = timedelta(days=30 * 366)


def moment(due: int) -> datetime:
    return EPOCH + due * MICROSECOND


def micros(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // MICROSECOND


def rule(text: str, begin: str = "2026-01-01T00:00", **options: Any) -> list[str]:
    """The first six local times of a rule from 2026 on."""
    return [each.local[:16] for each in preview(schedule(rrule=text, **options), micros(begin) - 1, 6)]


def listed(low: int, high: int, backward: bool = False) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    if backward:
        number = st.one_of(number, st.integers(-high, -low))
    return st.lists(number, min_size=1, max_size=3).map(lambda several: ",".join(map(str, several)))


@st.composite
def rules(draw: st.DrawFn) -> dict[str, str]:
    """The parts of a rule."""
    freq = draw(st.sampled_from(FREQUENCIES))
    few = {
        "INTERVAL": st.integers(1, 7).map(str),
        "WKST": st.sampled_from(WEEKDAYS),
        "BYMONTH": listed(1, 12),
        "BYMONTHDAY": listed(1, 31, backward=True),
        "BYYEARDAY": listed(1, 366, backward=True),
        "BYHOUR": listed(0, 23),
        "BYMINUTE": listed(0, 59),
        "BYSECOND": listed(0, 59),
        "BYSETPOS": listed(1, 4, backward=True),
        "BYDAY": st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=4).map(",".join),
    }
    if freq == "YEARLY":
        few["BYWEEKNO"] = listed(1, 53, backward=True)
    if freq in ("YEARLY", "MONTHLY") and draw(st.booleans()):
        number = st.sampled_from([-2, -1, 1, 2, 3, 5])
        numbered = st.tuples(number, st.sampled_from(WEEKDAYS)).map(lambda pair: f"{pair[0]}{pair[1]}")
        few["BYDAY"] = st.lists(numbered, min_size=1, max_size=3).map(",".join)
        few.pop("BYWEEKNO", None)
    names = draw(st.lists(st.sampled_from(sorted(few)), max_size=4, unique=True))
    return {"FREQ": freq, **{name: draw(few[name]) for name in names}}


@given(rules(), st.datetimes(datetime(1995, 1, 1), datetime(2040, 1, 1)))
def test_dateutil_finds_the_same(parts: dict[str, str], start: datetime) -> None:
    start = start.replace(microsecond=0)
    if parts["FREQ"] == "WEEKLY" and "BYSETPOS" in parts:
        # dateutil counts positions in what is left of the first week, and the RFC in the whole week.
        start -= timedelta(days=(start.weekday() - WEEKDAYS.index(parts.get("WKST", "MO"))) % 7)
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    try:
        spec = schedule(rrule=f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:{text}")
    except BadSchedule as error:
        assume("never due" not in error.message)
        raise
    found = [moment(due) for due in islice(due_between(spec, 0, micros("2080-01-01")), 6)]
    found = [each for each in found if each - start.replace(tzinfo=UTC) < FAR]
    wanted = islice(other.rrulestr(text, dtstart=start), len(found))
    assert found == [each.replace(tzinfo=UTC) for each in wanted]


@settings(max_examples=40)
@given(rules(), st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)), st.integers(0, 10_000_000))
def test_what_is_due_does_not_depend_on_where_one_begins_to_look(
    parts: dict[str, str], start: datetime, minutes: int
) -> None:
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    try:
        spec, fresh = (schedule(rrule=text, start=start, timezone=zone) for zone in ("UTC", "Etc/UTC"))
    except BadSchedule as error:
        assume("never due" not in error.message)
        raise
    begin = (start.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
    several = list(islice(due_between(spec, begin - 1, begin + 30 * 366 * 86_400_000_000), 50))
    later = begin + minutes * 60_000_000
    wanted = next((due for due in several if due > later), None)
    assume(wanted is not None)
    assert next_after(fresh, later) == wanted
    assert count_between(spec, later, several[-1]) == len([due for due in several if due > later])


# From the examples of RFC 5545, section 3.8.5.3, and from the calendars of people.
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("FREQ=DAILY;COUNT=2;BYHOUR=9", ["2026-01-01T09:00", "2026-01-02T09:00"]),
        ("FREQ=DAILY;UNTIL=20260102", ["2026-01-01T00:00", "2026-01-02T00:00"]),
        ("FREQ=DAILY;UNTIL=20260102T000000Z", ["2026-01-01T00:00", "2026-01-02T00:00"]),
        ("RRULE:FREQ=WEEKLY;BYDAY=TU;COUNT=1", ["2026-01-06T00:00"]),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=2", ["2026-02-13T00:00", "2026-03-13T00:00"]),
        ("FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8;COUNT=1", ["2026-11-03T00:00"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=2", ["2026-01-30T00:00", "2026-02-27T00:00"]),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;COUNT=2", ["2026-05-11T00:00", "2027-05-17T00:00"]),
        (
            "DTSTART:20260106T000000\nRRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=3;BYDAY=TU,SU;WKST=MO",
            ["2026-01-06T00:00", "2026-01-11T00:00", "2026-01-20T00:00"],
        ),
        (
            "DTSTART:20260106T000000\nRRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=3;BYDAY=TU,SU;WKST=SU",
            ["2026-01-06T00:00", "2026-01-18T00:00", "2026-01-20T00:00"],
        ),
        ("FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=2", ["2026-01-31T00:00", "2026-02-28T00:00"]),
        ("FREQ=MONTHLY;BYDAY=+1MO,3MO;COUNT=3", ["2026-01-05T00:00", "2026-01-19T00:00", "2026-02-02T00:00"]),
        ("FREQ=MONTHLY;BYDAY=1MO,TU;COUNT=3", ["2026-01-05T00:00", "2026-01-06T00:00", "2026-01-13T00:00"]),
        (
            "DTSTART:20260110T080000\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20260111T080000",
            ["2026-01-10T08:00", "2026-01-12T08:00"],
        ),
        (r"DTSTART:20260110T080000\nRRULE:FREQ=HOURLY;INTERVAL=8;COUNT=2", ["2026-01-10T08:00", "2026-01-10T16:00"]),
    ],
)
def test_rules(text: str, wanted: list[str]) -> None:
    assert rule(text, start=None if "DTSTART" in text else "2026-01-01") == wanted


def test_without_a_start_a_rule_counts_from_a_monday_at_midnight() -> None:
    assert rule("FREQ=WEEKLY;INTERVAL=2")[:2] == ["2026-01-12T00:00", "2026-01-26T00:00"]
    assert (datetime(2026, 1, 12) - datetime(2001, 1, 1)).days % 14 == 0


def test_what_a_rule_does_not_say_comes_from_the_start() -> None:
    begins = {"start": "2026-01-15T08:30", "timezone": "Europe/Paris"}
    assert rule("FREQ=MONTHLY", **begins)[:2] == ["2026-01-15T08:30", "2026-02-15T08:30"]
    assert rule("FREQ=WEEKLY", **begins)[1] == "2026-01-22T08:30"
    assert rule("FREQ=HOURLY;INTERVAL=12", **begins)[1] == "2026-01-15T20:30"


def test_a_rule_by_days_is_at_a_fixed_time_and_one_by_hours_follows_the_passing_of_time() -> None:
    paris = {"timezone": "Europe/Paris"}
    daily = rule("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "2026-03-27T12:00", **paris)
    assert daily[:3] == ["2026-03-28T02:30", "2026-03-29T03:00", "2026-03-30T02:30"]
    assert rule("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "2026-10-25T00:00", **paris)[1] == "2026-10-26T02:30"
    hourly = rule("FREQ=HOURLY", "2026-03-28T23:00", **paris)
    assert hourly[:4] == ["2026-03-29T00:00", "2026-03-29T01:00", "2026-03-29T03:00", "2026-03-29T04:00"]
    hourly = rule("FREQ=HOURLY", "2026-10-24T23:00", **paris)
    assert hourly[:4] == ["2026-10-25T01:00", "2026-10-25T02:00", "2026-10-25T02:00", "2026-10-25T03:00"]


def test_times_with_z_are_instants() -> None:
    spec = schedule(rrule="DTSTART:20260101T070000Z\nRRULE:FREQ=DAILY;UNTIL=20260102T070000Z", timezone="Europe/Paris")
    assert [each.local for each in preview(spec, 0, 5)] == ["2026-01-01T08:00:00+01:00", "2026-01-02T08:00:00+01:00"]


def test_the_zone_may_be_named_again() -> None:
    text = "DTSTART;TZID=Europe/Paris:20260101T080000\nRRULE:FREQ=DAILY"
    assert schedule(rrule=text, timezone="Europe/Paris")
    with pytest.raises(BadSchedule, match="give timezone='Europe/Paris' and no TZID"):
        schedule(rrule=text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("FREQ=DALY", "FREQ=DALY is not known; there are YEARLY"),
        ("BYHOUR=2", "it has no FREQ"),
        ("FREQ=SECONDLY", "give interval= instead"),
        ("FREQ=DAILY;BYHUR=2", "did you mean BYHOUR?"),
        ("FREQ=DAILY;BYHOUR", "a part is NAME=VALUE"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR=24: 24 is not between 0 and 23"),
        ("FREQ=DAILY;BYMONTHDAY=0", "0 is not between 1 and 31, or -31 and -1"),
        ("FREQ=DAILY;BYDAY=XX", "'XX' is not one of MO, TU"),
        ("FREQ=DAILY;BYDAY=1MO", "goes with FREQ=MONTHLY and FREQ=YEARLY only"),
        ("FREQ=MONTHLY;BYDAY=99MO", "between 1 and 53"),
        ("FREQ=DAILY;INTERVAL=0", "between 1 and 1,000,000"),
        ("FREQ=DAILY;COUNT=10001", "between 1 and 10,000"),
        ("FREQ=DAILY;COUNT=1;UNTIL=20300101", "COUNT and UNTIL exclude each other"),
        ("FREQ=DAILY;UNTIL=2030", "is no time, such as 20260131T020000"),
        ("FREQ=DAILY;UNTIL=20260231", "is no time"),
        ("FREQ=MONTHLY;BYWEEKNO=1", "goes with FREQ=YEARLY only"),
        ("FREQ=DAILY;;BYHOUR=1", "there is an empty part"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ is given twice"),
        ("RRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY", "several RRULEs"),
        ("RRULE:FREQ=DAILY\nRDATE:20260101T000000", "RDATE is not taken"),
        ("DTSTART:20260101T000000", "there is no RRULE"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "never due"),
        ("FREQ=MINUTELY;INTERVAL=60;BYMINUTE=7", "never due"),
        ("FREQ=HOURLY;INTERVAL=24;BYHOUR=7", "never due"),
        ("FREQ=MONTHLY;BYMONTHDAY=1;BYSETPOS=2", "never due"),
        ("FREQ=YEARLY;BYYEARDAY=100;BYMONTH=1", "never due"),
        ("FREQ=DAILY;UNTIL=19990101", "never due"),
    ],
)
def test_a_mistake_is_told(text: str, told: str) -> None:
    with pytest.raises(BadSchedule) as caught:
        schedule(rrule=text)
    assert told in caught.value.message


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(BadSchedule) as caught:
        ScheduleSpec.read("FREQ=DAILY;BYHOUR=25;BYMINUTE=61;WKST=XX")
    assert len(caught.value.mistakes) == 3


@given(
    st.text(alphabet="FREQDAILYMONTH=;:,0123456789BYSETPOWKU-+Z\n \\", max_size=40).map(
        lambda text: f"FREQ=DAILY;{text}"
    )
)
def test_any_text_is_taken_or_refused(text: str) -> None:
    try:
        spec = schedule(rrule=text)
    except BadSchedule:
        return
    assert next_after(spec, 0) is not None
