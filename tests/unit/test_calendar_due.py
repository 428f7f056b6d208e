"""The questions a scheduler asks: what is due when, what becomes of what was missed, jitter, and the preview."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.calendar_oracle import EXPRESSIONS, fields

from penstock.core.calendar import (
    ALL_HORIZON_SECONDS,
    GRACE_SECONDS,
    MissedPlan,
    ScheduleSpec,
    count_between,
    due_between,
    horizon_of,
    jittered,
    last_between,
    missed_plan,
    next_after,
    preview,
    schedule,
)
from penstock.core.errors import BadSchedule

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
ZONES = ("UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "America/Havana")


def micros(text: str) -> int:
    at = datetime.fromisoformat(text)
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - EPOCH) // MICROSECOND


NOON = micros("2026-02-10T12:00")


# ------------------------------------------------------------------------------------------------- when it is due


@given(
    st.one_of(st.just(""), fields(0, 59)),
    EXPRESSIONS,
    st.sampled_from(ZONES),
    st.integers(0, 365 * 86_400),
    st.one_of(st.integers(0, 1000), st.integers(0, 9 * 86_400)),
)
def test_counting_and_finding_the_last_is_going_through_all(
    seconds: str, expression: str, zone: str, begin: int, size: int
) -> None:
    size = min(size, 5000) if seconds else size
    try:
        spec = schedule(f"{seconds} {expression}", timezone=zone)
    except BadSchedule:
        return
    after = micros("2026-01-01") + begin * SECOND
    until = after + size * SECOND
    every = list(due_between(spec, after, until))
    assert every == sorted(set(every))
    assert all(after < due <= until for due in every)
    assert count_between(spec, after, until) == len(every)
    assert last_between(spec, after, until) == (every[-1] if every else None)


@given(st.sampled_from(ZONES), st.sampled_from(["*/7 * * * *", "5,35 0-4 * * *", "0 */3 1-9 * *", "30 2 * * MON#2"]))
def test_counting_over_years_is_going_through_all(zone: str, expression: str) -> None:
    spec = schedule(expression, timezone=zone)
    after, until = micros("2019-02-03T04:05"), micros("2019-12-24T10:00")
    assert count_between(spec, after, until) == sum(1 for _ in due_between(spec, after, until))


@given(st.integers(1, 10**7), st.integers(-(10**15), 10**15), st.integers(0, 10**9))
def test_intervals(interval: int, after: int, size: int) -> None:
    spec = schedule(interval=interval, anchor="2026-01-01T00:00:00.5Z")
    first = next_after(spec, after)
    assert first is not None
    assert 0 < first - after <= interval * SECOND
    assert (first - micros("2026-01-01T00:00:00.5")) % (interval * SECOND) == 0
    count = count_between(spec, after, after + size * SECOND)
    last = last_between(spec, after, after + size * SECOND)
    assert last == (first + (count - 1) * interval * SECOND if count else None)


def test_where_an_interval_begins() -> None:
    def first(**options: Any) -> str:
        return preview(schedule(interval="1w", **options), NOON, 1)[0].local

    assert first() == "2026-02-16T00:00:00+00:00"  # a Monday
    assert first(timezone="Asia/Kolkata") == "2026-02-16T00:00:00+05:30"
    assert first(start="2026-01-01T08:00") == "2026-02-12T08:00:00+00:00"
    assert first(start="2026-01-01", anchor="2020-01-03T09:30") == "2026-02-13T09:30:00+00:00"


def test_nothing_is_due_outside_of_the_bounds_and_the_bounds_are_inside() -> None:
    spec = schedule("@daily", start="2026-02-01", end="2026-02-03")
    wanted = [micros(f"2026-02-0{day}") for day in (1, 2, 3)]
    assert list(due_between(spec, 0, 10**17)) == wanted
    assert count_between(spec, 0, 10**17) == 3
    assert last_between(spec, 0, 10**17) == wanted[-1]
    assert next_after(spec, wanted[-1]) is None
    assert last_between(spec, wanted[-1], 10**17) is None
    assert count_between(spec, NOON, 10**17) == 0
    assert count_between(spec, 0, wanted[0] - 1) == 0


def test_once_is_due_once() -> None:
    spec = schedule("@once", start="2026-02-10T12:00", timezone="UTC")
    assert list(due_between(spec, 0, 10**17)) == [NOON]
    assert next_after(spec, NOON) is None


def test_a_list_of_times_is_due_in_order_and_each_once() -> None:
    spec = schedule(at=["2026-03-01T10:00", "2026-01-01", "2026-03-01T09:00Z"], timezone="Europe/Paris")
    wanted = [micros("2025-12-31T23:00"), micros("2026-03-01T09:00")]
    assert list(due_between(spec, 0, 10**17)) == wanted
    assert count_between(spec, wanted[0], wanted[1]) == 1
    assert last_between(spec, 0, wanted[1] - 1) == wanted[0]
    assert last_between(spec, 0, wanted[0] - 1) is None


@pytest.mark.parametrize(
    "options",
    [
        {"cron": "* * * * *"},
        {"interval": 60},
        {"rrule": "FREQ=DAILY"},
        {"at": "9999-12-31"},
        {"cron": "@daily", "end": "9999-12-31"},
    ],
)
def test_the_end_of_the_calendar_is_no_mistake(options: dict[str, Any]) -> None:
    spec = schedule(**options)
    assert next_after(spec, 10**18) is None
    assert next_after(spec, -(10**18)) is not None


# ------------------------------------------------------------------------------------------------- what was missed


def daily(**options: Any) -> ScheduleSpec:
    return schedule("0 2 * * *", **options)


def two(day: int) -> int:
    return micros(f"2026-02-{day:02d}T02:00")


def test_defaults_of_being_late() -> None:
    assert [horizon_of(daily(missed=missed)) for missed in ("skip", "latest", "all")] == [GRACE_SECONDS, None, 86_400.0]
    assert ALL_HORIZON_SECONDS == 86_400.0
    assert horizon_of(daily(missed="skip", horizon=5)) == 5.0


def test_latest_starts_the_newest_however_late() -> None:
    assert missed_plan(daily(), two(1), NOON) == MissedPlan((two(10),), 8, NOON, two(11))
    assert missed_plan(schedule("@yearly"), micros("2020-06-01"), NOON).fire == (micros("2026-01-01"),)
    assert missed_plan(daily(horizon="6h"), two(1), NOON) == MissedPlan((), 9, NOON, two(11))


def test_skip_starts_what_is_no_more_than_a_minute_late() -> None:
    spec = daily(missed="skip")
    assert missed_plan(spec, two(1), NOON) == MissedPlan((), 9, NOON, two(11))
    assert missed_plan(spec, two(9), two(10) + 60 * SECOND).fire == (two(10),)
    late = two(10) + 60 * SECOND + 1
    assert missed_plan(spec, two(9), late) == MissedPlan((), 1, late, two(11))
    assert missed_plan(daily(missed="skip", jitter=600), two(9), two(10) + 660 * SECOND).fire == (two(10),)
    assert missed_plan(daily(missed="skip", horizon="1h"), two(9), two(10) + HOUR).fire == (two(10),)


def test_all_starts_each_in_order_within_the_horizon() -> None:
    spec = daily(missed="all", horizon="3 days")
    assert missed_plan(spec, two(1), NOON) == MissedPlan((two(8), two(9), two(10)), 6, NOON, two(11))
    assert missed_plan(daily(missed="all"), two(1), NOON).fire == (two(10),)


def test_a_plan_may_be_cut_and_the_next_one_goes_on_from_there() -> None:
    spec = schedule(interval=60, missed="all")
    whole = missed_plan(spec, NOON - 2 * DAY, NOON)
    after, fired, dropped, plans = NOON - 2 * DAY, [], 0, 0
    while after < NOON:
        plan = missed_plan(spec, after, NOON, limit=100)
        assert len(plan.fire) <= 100
        assert plan.next_due == next_after(spec, plan.until)
        fired += plan.fire
        after, dropped, plans = plan.until, dropped + plan.dropped, plans + 1
    assert (tuple(fired), dropped) == (whole.fire, whole.dropped)
    assert len(fired) == 1441
    assert plans == 15


def test_a_clock_that_was_set_back_settles_nothing() -> None:
    for missed in ("skip", "latest", "all"):
        assert missed_plan(daily(missed=missed), NOON, NOON - DAY) == MissedPlan((), 0, NOON, two(11))


@given(
    st.sampled_from(["skip", "latest", "all"]),
    st.one_of(st.none(), st.integers(1, 200_000)),
    st.sampled_from(["*/7 * * * *", "0 */5 * * *", "30 2 * * *"]),
    st.sampled_from(ZONES),
    st.lists(st.integers(0, 100_000), min_size=1, max_size=12),
)
def test_every_instant_is_started_or_dropped_once(
    missed: Any, horizon: int | None, expression: str, zone: str, steps: list[int]
) -> None:
    """Whenever a scheduler looks: what it starts and what it drops is what was due, and nothing is started twice."""
    spec = schedule(expression, timezone=zone, missed=missed, horizon=horizon)
    begin = after = now = micros("2026-03-28T20:00")
    fired: list[int] = []
    dropped = 0
    for step in steps:
        now += step * SECOND
        plan = missed_plan(spec, after, now)
        assert plan.until == now
        assert plan.next_due == next_after(spec, now)
        limit = horizon_of(spec)
        assert all(limit is None or now - due <= limit * SECOND for due in plan.fire)
        fired += plan.fire
        dropped += plan.dropped
        after = plan.until
    every = list(due_between(spec, begin, now))
    assert len(fired) + dropped == len(every)
    assert all(before < after for before, after in pairwise(fired))
    assert set(fired) <= set(every)


def test_a_month_away_is_settled_without_going_through_it() -> None:
    """So are thirty years of a schedule that is due every minute."""
    spec = schedule("* * * * *")
    plan = missed_plan(spec, micros("1996-02-10T12:00"), NOON)
    assert plan == MissedPlan(
        (NOON,), (NOON - micros("1996-02-10T12:00")) // (60 * SECOND) - 1, NOON, NOON + 60 * SECOND
    )


# ------------------------------------------------------------------------------------------------- jitter


def test_jitter_is_the_same_every_time_never_early_and_never_past_the_next() -> None:
    spec = schedule("*/10 * * * *", jitter="30m")
    for key in ("a", "b"):
        dues = list(islice(due_between(spec, 0, 10**17), 500))
        starts = [jittered(spec, due, key) for due in dues]
        assert starts == [jittered(schedule("*/10 * * * *", jitter=1800), due, key) for due in dues]
        assert all(due <= start < following for due, start, following in zip(dues, starts, dues[1:], strict=False))
        assert len({start - due for due, start in zip(dues, starts, strict=True)}) > 450
    assert jittered(spec, NOON, "a") != jittered(spec, NOON, "b")


def test_jitter_spreads_evenly() -> None:
    spec = schedule("@daily", jitter="10m")
    found = [jittered(spec, 0, f"schedule {number}") for number in range(10_000)]
    tenths = [sum(1 for at in found if at // (60 * SECOND) == tenth) for tenth in range(10)]
    assert sum(tenths) == 10_000
    assert all(800 < tenth < 1200 for tenth in tenths)


@given(st.one_of(fields(0, 59), st.just("*/10")), fields(0, 59), st.integers(1, 10**6), st.integers(0, 3000))
def test_the_last_second_is_found(seconds: str, minutes: str, begin: int, size: int) -> None:
    spec = schedule(f"{seconds} {minutes} * * * *")
    after, until = NOON + begin * SECOND, NOON + (begin + size) * SECOND
    every = list(due_between(spec, after, until))
    assert last_between(spec, after, until) == (every[-1] if every else None)
    assert count_between(spec, after, until) == len(every)


def test_jitter_ends_before_the_next_one() -> None:
    close = schedule(at=["2026-02-10T12:00", "2026-02-10T12:00:00.000002"], jitter=60)
    assert {jittered(close, NOON, str(key)) - NOON for key in range(100)} == {0, 1}


def test_without_jitter_a_run_starts_when_it_is_due() -> None:
    assert jittered(schedule("@daily"), NOON, "a") == NOON
    last = schedule(at="2026-02-10T12:00", jitter=5)
    assert NOON <= jittered(last, NOON, "a") <= NOON + 5 * SECOND


# ------------------------------------------------------------------------------------------------- preview


def marks(spec: ScheduleSpec, begin: str, count: int) -> list[tuple[str, str | None]]:
    return [(each.local[:16], each.mark) for each in preview(spec, micros(begin) - 1, count)]


def test_what_the_marks_say() -> None:
    paris = {"timezone": "Europe/Paris"}
    fixed = schedule("30 2 * * *", **paris)
    assert marks(fixed, "2026-03-28", 3) == [
        ("2026-03-28T02:30", None), ("2026-03-29T03:00", "moved"), ("2026-03-30T02:30", None),
    ]  # fmt: skip
    assert marks(fixed, "2026-10-24T12:00", 2) == [("2026-10-25T02:30", "once"), ("2026-10-26T02:30", "shifted")]
    passing = schedule("0 */2 * * *", **paris)
    assert marks(passing, "2026-03-28T23:00", 2) == [("2026-03-29T00:00", None), ("2026-03-29T04:00", "skipped")]
    assert marks(passing, "2026-10-25T00:00", 3) == [
        ("2026-10-25T02:00", None), ("2026-10-25T02:00", "again"), ("2026-10-25T04:00", None),
    ]  # fmt: skip
    interval = schedule(interval="12h", **paris)
    assert marks(interval, "2026-03-28T23:00", 3)[:2] == [("2026-03-29T00:00", None), ("2026-03-29T13:00", "shifted")]
    assert marks(schedule("0 12 * * *"), "2026-03-28", 9) == [
        ((datetime(2026, 3, 28, 12) + timedelta(days=by)).isoformat()[:16], None) for by in range(9)
    ]


def test_a_preview_shows_both_times_and_ends_with_the_schedule() -> None:
    (first,) = preview(schedule("@once", start="2026-07-01T08:00", timezone="Asia/Kathmandu"), 0, 5)
    assert (first.local, first.utc) == ("2026-07-01T08:00:00+05:45", "2026-07-01T02:15:00Z")
    assert preview(schedule("@daily", end="2026-01-01"), NOON, 5) == []
