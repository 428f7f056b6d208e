"""What is due when clocks are changed: every change of every IANA zone from 2015 to 2035."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.calendar_oracle import (
    DAY,
    FIRST,
    HOUR,
    LAST,
    MINUTE,
    Change,
    DebianCron,
    changes,
    changes_of,
    distinct_changes,
    fields,
    offset,
    zones,
)

from penstock.core.calendar import due_between, next_after, schedule
from penstock.core.calendar.zones import Zone, zone

SECOND = 1_000_000
_HOURS = tuple(range(24))


def due(expression: str, name: str, first: int, last: int) -> list[int]:
    """The seconds at which a cron expression is due from `first` up to, not including, `last`."""
    spec = schedule(expression, timezone=name)
    return [at // SECOND for at in due_between(spec, first * SECOND - 1, last * SECOND - 1)]


def seen(place: Zone) -> list[Change]:
    """The changes of a zone from 2015 to 2035, as the calendar sees them."""
    found = []
    segment = place.segment(FIRST)
    while segment.end < LAST:
        following = place.segment(segment.end)
        if following.offset != segment.offset:
            found.append(Change(place.name, segment.end, segment.offset, following.offset))
        segment = following
    return found


def test_the_calendar_sees_every_change_of_every_zone() -> None:
    assert len(zones()) > 300
    assert [change for name in zones() for change in seen(Zone(name))] == list(changes())
    assert len(distinct_changes()) > 1000


def test_no_two_changes_of_a_zone_are_near_each_other() -> None:
    """So that looking at each change by itself, and at each distinct one once, is looking at all of them."""
    assert all(after.at - before.at > 8 * DAY for before, after in pairwise(changes()) if before.zone == after.zone)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_changes_are_the_same_when_looked_for_every_hour() -> None:
    assert [change for name in zones() for change in changes_of(name, HOUR)] == list(changes())


@pytest.mark.parametrize("year", [1890, 1912, 1945, 1969, 1971, 1994, 2100, 2500])
def test_offsets_are_those_of_zoneinfo_at_any_time(year: int) -> None:
    begin = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    for name in ("Europe/Amsterdam", "Africa/Monrovia", "Pacific/Apia", "Asia/Kathmandu", "Africa/Casablanca", "UTC"):
        info, place = zoneinfo.ZoneInfo(name), Zone(name)
        for at in range(begin, begin + 500 * DAY, 7919 * 5):
            assert place.segment(at).offset == offset(info, at)


def first_showing(local: int, change: Change) -> int:
    """The first instant when the clock shows a local time; the change itself, where none does."""
    before, after = local - change.before, local - change.after
    return before if before < change.at else max(after, change.at)


def test_a_fixed_time_is_due_once_a_day_around_every_change() -> None:
    """Every hour and every half, and the second before and after each end of a gap or a fold where that is a minute."""
    for change in distinct_changes():
        noon = (change.at + change.before) // DAY * DAY  # local midnight of the day of the change
        days = range(noon - 2 * DAY, noon + 3 * DAY, DAY)
        edges = {(change.at + each) % DAY // MINUTE for each in (change.before, change.after)}
        times = {*range(0, 1440, 30), *((edge + by) % 1440 for edge in edges for by in (-1, 0, 1))}
        for time in times:
            wanted = [first_showing(day + time * MINUTE, change) for day in days]
            expression = f"{time % 60} {time // 60} * * *"
            assert due(expression, change.zone, wanted[0], wanted[-1] + 1) == wanted, (change, expression)


def test_a_fixed_time_is_not_due_again_for_one_who_begins_to_look_while_it_happens_again() -> None:
    for change in distinct_changes():
        fold = change.before - change.after
        for local in range(change.at + change.after, change.at + change.before, 15 * MINUTE):
            time = local % DAY // MINUTE
            spec = schedule(f"{time % 60} {time // 60} * * *", timezone=change.zone)
            for after in (change.at - 1, change.at, change.at + fold // 2, change.at + fold - 1):
                days = range(local // MINUTE * MINUTE, local + 2 * DAY, DAY)
                wanted = next(at for day in days if (at := first_showing(day, change)) > after)
                assert next_after(spec, after * SECOND) == wanted * SECOND, (change, spec, after)


def test_what_is_due_twice_is_found_the_second_time_however_far_the_next_one_is() -> None:
    first, again = (int(datetime.fromisoformat(f"2026-11-01T01:30{by}").timestamp()) for by in ("-04:00", "-05:00"))
    found = due("*/30 1 1 11 *", "America/New_York", first, again + DAY)
    assert found == [first, first + 30 * MINUTE, again]


def test_several_fixed_times_in_one_gap_are_due_once() -> None:
    for change in distinct_changes():
        if change.after > change.before:
            missing = range(change.at + change.before, change.at + change.after, 10 * MINUTE)
            hours = sorted({local % DAY // HOUR for local in missing})
            found = due(f"0,10,20,30,40,50 {','.join(map(str, hours))} * * *", change.zone, change.at, change.at + 1)
            assert found == [change.at]


def test_what_follows_the_passing_of_time_never_stops_and_never_hurries() -> None:
    for change in distinct_changes():
        first, last = change.at - 6 * HOUR, change.at + 6 * HOUR
        shift = abs(change.after - change.before)
        assert due("* * * * *", change.zone, first, last) == list(range(first + -first % MINUTE, last, MINUTE))
        for every in (15, 30):
            found = due(f"*/{every} * * * *", change.zone, first, last)
            assert found[0] - first < every * MINUTE
            assert {after - before for before, after in pairwise(found)} == {every * MINUTE}
        hourly = due("15 * * * *", change.zone, first, last)
        steps = {after - before for before, after in pairwise(hourly)}
        assert steps == {HOUR} if shift % HOUR == 0 else steps <= {HOUR, HOUR // 2, HOUR + HOUR // 2}
        assert len(hourly) == 12


def test_an_interval_is_the_same_time_apart_around_every_change() -> None:
    for change in distinct_changes():
        for hours in (1, 6, 24):
            spec = schedule(interval=hours * HOUR, timezone=change.zone)
            found = list(due_between(spec, (change.at - 3 * DAY) * SECOND, (change.at + 3 * DAY) * SECOND))
            assert len(found) == 6 * 24 // hours
            assert {after - before for before, after in pairwise(found)} == {hours * HOUR * SECOND}


DEBIAN = (
    "30 2 * * *",
    "0 0 * * *",
    "0 3 * * *",
    "5,35 0-3 * * *",
    "*/15 * * * *",
    "*/20 2 * * *",
    "0 */2 * * *",
    "59 23 * * *",
    "0 1-23/2 * * 0",
    "30 */3 1-7 * 5",
    "45 1 */2 * 6,0",
)


def test_debians_cron_does_the_same_around_every_change() -> None:
    """Except where clocks go forward three hours at once: that, Debian's cron takes for a clock that was set anew."""
    several = [change for change in distinct_changes() if change.after - change.before < 3 * HOUR]
    assert len(several) > 1000
    for change in several:
        first, last = change.at - 4 * HOUR, change.at + 4 * HOUR
        first -= first % MINUTE
        ran = DebianCron(DEBIAN).live(change, first, last)
        assert {each: due(each, change.zone, first, last) for each in DEBIAN} == ran, change


def test_a_gap_of_three_hours_is_a_gap() -> None:
    large = [change for change in distinct_changes() if change.after - change.before >= 3 * HOUR]
    assert large
    for change in large:
        time = (change.at + change.before + HOUR) % DAY // MINUTE
        assert due(f"{time % 60} {time // 60} * * *", change.zone, change.at - HOUR, change.at + HOUR) == [change.at]


@given(st.data())
def test_debians_cron_does_the_same_with_any_expression_from_any_instant(data: st.DataObject) -> None:
    sample = [change for change in distinct_changes() if change.after - change.before < 3 * HOUR]
    change = data.draw(st.sampled_from(sample))
    expressions = data.draw(st.lists(st.tuples(fields(0, 59), fields(0, 5)), min_size=1, max_size=4))
    jobs = [f"{minute} {hour} * * *" for minute, hour in expressions]
    first, last = change.at - 8 * HOUR, change.at + 8 * HOUR
    first -= first % MINUTE
    ran = DebianCron(jobs).live(change, first, last)
    after = data.draw(st.integers(first, last))
    for job, instants in ran.items():
        wanted = next((at for at in instants if at > after), None)
        found = next_after(schedule(job, timezone=change.zone), after * SECOND)
        assert found is not None
        assert wanted == (found // SECOND if found // SECOND < last else None), (job, change, after)


def test_a_day_that_a_zone_left_out_has_nothing_due() -> None:
    """Samoa went from 29 to 31 December 2011."""
    found = due(
        "0 0,12 * * *", "Pacific/Apia", *(int(datetime(2011, 12, day, tzinfo=UTC).timestamp()) for day in (29, 31))
    )
    place = zone("Pacific/Apia")
    shown = [(datetime.fromtimestamp(place.local(at), UTC)).isoformat()[:16] for at in found]
    assert shown == ["2011-12-29T00:00", "2011-12-29T12:00", "2011-12-31T00:00", "2011-12-31T12:00"]


def test_local_times_around_a_gap_and_a_fold() -> None:
    paris = zone("Europe/Paris")
    epoch = datetime(1970, 1, 1)

    def place(text: str) -> tuple[str, int, bool]:
        found = paris.place((datetime.fromisoformat(text) - epoch) // timedelta(seconds=1))
        return datetime.fromtimestamp(found.at, UTC).isoformat()[:16], found.gap, found.fold

    assert place("2026-03-29T01:59") == ("2026-03-29T00:59", 0, False)
    assert place("2026-03-29T02:00") == ("2026-03-29T01:00", 3600, False)
    assert place("2026-03-29T02:59") == ("2026-03-29T01:00", 3600, False)
    assert place("2026-03-29T03:00") == ("2026-03-29T01:00", 0, False)
    assert place("2026-10-25T01:59") == ("2026-10-24T23:59", 0, False)
    assert place("2026-10-25T02:00") == ("2026-10-25T00:00", 0, True)
    assert place("2026-10-25T02:59") == ("2026-10-25T00:59", 0, True)
    assert place("2026-10-25T03:00") == ("2026-10-25T02:00", 0, False)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Paris", "did you mean 'Europe/Paris'?"),
        ("europe/berlin", "did you mean 'Europe/Berlin'?"),
        ("new york", "did you mean 'America/New_York'?"),
        ("Europe", "such as Europe/Paris or UTC"),
        ("Europe/Pariss", "did you mean 'Europe/Paris'?"),
        ("../etc/passwd", "there is no time zone"),
        ("/etc/localtime", "there is no time zone"),
        ("Europe/../UTC", "there is no time zone"),
        ("localtime", "there is no time zone"),
        ("right/UTC", "there is no time zone"),
        ("", "there is no time zone"),
    ],
)
def test_a_zone_that_is_none(name: str, told: str) -> None:
    with pytest.raises(LookupError) as caught:
        zone(name)
    assert told in str(caught.value)
