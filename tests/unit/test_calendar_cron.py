"""The dialect of cron: the shared cases, the table of differences, and a second opinion on random expressions."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.unit.calendar_oracle import EXPRESSIONS
from tests.unit.cron_table import PAGE, differences, with_table

from penstock.core.calendar import due_between, next_after, preview, schedule
from penstock.core.calendar.cron import PRESETS, parse
from penstock.core.errors import BadSchedule

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DIALECTS = ("cronos", "dragonmantank", "robfig")
ROWS = differences()


def micros(text: str, timezone: str = "UTC") -> int:
    at = datetime.fromisoformat(text)
    return ((at if at.tzinfo else at.replace(tzinfo=ZoneInfo(timezone))) - EPOCH) // MICROSECOND


def moment(text: str, timezone: str) -> int:
    """A time as the shared cases write it."""
    if re.match(r"\d\d:\d\d", text):
        text = f"2026-01-15 {text}"  # any day will do
    if re.match(r"[A-Z][a-z]{2} ", text):
        form = "%a %b %d %H:%M:%S %Y" if text.count(":") == 2 else "%a %b %d %H:%M %Y"
        return micros(datetime.strptime(text, form).isoformat(), timezone)
    found = re.fullmatch(r"(\S{10})(?:[ T](\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?)?\s*(?:([+-]\d\d):?(\d\d))?", text)
    assert found, text
    day, time, fraction, *offset = found.groups()
    at = micros(f"{day}T{time or '00:00'}{':'.join(offset) if offset[0] else ''}", timezone)
    return at + int((fraction or "0").ljust(6, "0")[:6])


@pytest.fixture(scope="module")
def cases(test_data: Path) -> dict[str, dict[str, Any]]:
    folder = test_data / "cron"
    return {name: json.loads((folder / f"{name}_cases.json").read_text(encoding="utf-8")) for name in DIALECTS}


def answers(dialect: str, kind: str, case: dict[str, Any]) -> bool:
    """Penstock says what the case says."""
    # Cronos wants both day fields to match, for which we have an option.
    options = {"timezone": case.get("tz") or "UTC", "day_or": dialect != "cronos"}
    try:
        spec = schedule(case["expression"], **options)
    except BadSchedule:
        return kind in ("invalid", "unreachable") or (kind == "next_occurrence" and case["expected"] is None)
    if kind == "activation":
        at = moment(case["at"], "UTC")
        return (next_after(spec, at - 1) == at) is case["fires"]
    if kind != "next_occurrence" or case["expected"] is None:
        return False
    start = moment(case["start"], spec.timezone)
    if dialect == "dragonmantank":  # it looks at whole minutes
        start -= start % 60_000_000
    return next_after(spec, start - case["start_inclusive"]) == moment(case["expected"], spec.timezone)


def told(case: Any) -> dict[str, Any]:
    """robfig's invalid expressions are texts without a line."""
    return case if isinstance(case, dict) else {"expression": case, "line": 0}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_shared_cases_pass_but_for_those_in_the_table(cases: dict[str, dict[str, Any]], dialect: str) -> None:
    wrong, right = set(), 0
    for kind, several in cases[dialect].items():
        for case in map(told, several if isinstance(several, list) else []):
            if answers(dialect, kind, case):
                right += 1
            else:
                wrong.add(case["line"])
    assert wrong == {line for row in ROWS for line in row.get("cases", {}).get(dialect, [])}
    assert right >= {"cronos": 700, "dragonmantank": 29, "robfig": 43}[dialect]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: re.sub(r"[^A-Za-z]+", "-", row["what"])[:40])
def test_what_the_table_says_of_penstock_is_so(row: dict[str, Any]) -> None:
    assert row["checks"]
    for check in row["checks"]:
        options = {name: check[name] for name in ("timezone", "day_or", "start") if name in check}
        if "refused" in check:
            with pytest.raises(BadSchedule, match=re.escape(check["refused"])):
                schedule(check["expression"], **options)
        else:
            spec = schedule(check["expression"], **options)
            wanted = micros(check["due"], spec.timezone)
            assert next_after(spec, micros(check["after"], spec.timezone)) == wanted, check


def test_the_table_in_the_documentation_is_made_of_these_rows() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page) == page, "run python tests/unit/cron_table.py"
    assert all(row["what"] in page for row in ROWS)


@given(EXPRESSIONS, st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)))
def test_cronsim_finds_the_same_where_clocks_are_never_changed(expression: str, start: datetime) -> None:
    """cronsim follows Debian too. (Over changes of clocks it does not find all, so it is asked about UTC only.)"""
    assume(not re.search(r"\b(\d+)-\1/", expression))  # cronsim reads 5-5/2 as 5/2
    start = start.replace(tzinfo=UTC)
    try:
        wanted = list(islice(CronSim(expression, start), 5))
    except CronSimError:  # it refuses days that never come, and so do we
        with pytest.raises(BadSchedule):
            schedule(expression)
        return
    assume(len(wanted) == 5)
    spec = schedule(expression)
    at = (start - EPOCH) // MICROSECOND
    for due in wanted:
        found = next_after(spec, at)
        assert found == (due - EPOCH) // MICROSECOND
        at = found


SPECIAL = st.one_of(
    st.just("L"),
    st.just("LW"),
    st.integers(0, 30).map(lambda back: f"L-{back}"),
    st.integers(0, 27).map(lambda back: f"L-{back}W"),
    st.integers(1, 31).map(lambda day: f"{day}W"),
)
WEEKLY = st.one_of(
    st.integers(0, 7).map(lambda day: f"{day}L"),
    st.tuples(st.integers(0, 7), st.integers(1, 5)).map(lambda pair: f"{pair[0]}#{pair[1]}"),
)


def is_weekly(term: str) -> bool:
    return "#" in term or (term[0] != "L" and term[-1] == "L")


def special_days(term: str, year: int, month: int) -> set[int]:
    """The days of a month that L, W and # stand for, by looking at each."""
    first = datetime(year, month, 1)
    days = [first + timedelta(days=by) for by in range(31) if (first + timedelta(days=by)).month == month]
    if is_weekly(term):
        same = [day.day for day in days if day.isoweekday() % 7 == int(term[0]) % 7]
        nth = int(term[2]) - 1 if "#" in term else len(same) - 1
        return set(same[nth : nth + 1])
    number = re.search(r"\d+", term)
    day = len(days) - int(number[0] if number else 0) if term[0] == "L" else int(number[0] if number else 0)
    if not 1 <= day <= len(days):
        return set()
    if term[-1] != "W":
        return {day}
    working = [each.day for each in days if each.isoweekday() < 6]
    return {min(working, key=lambda each: abs(each - day))}


@given(st.one_of(SPECIAL, WEEKLY), st.integers(1990, 2090), st.integers(1, 12))
def test_special_days_are_those_found_by_looking_at_each(term: str, year: int, month: int) -> None:
    assume(any(special_days(term, each, month) for each in range(2000, 2400, 4)))
    spec = schedule(f"0 0 * {month} {term}" if is_weekly(term) else f"0 0 {term} {month} *")
    begin, end = (micros(f"{each}-01-01") for each in (year, year + 1))
    found = {(EPOCH + due * MICROSECOND).day for due in due_between(spec, begin - 1, end - 1)}
    assert found == special_days(term, year, month)


@pytest.mark.parametrize("preset", [*PRESETS, "@DAILY", " @hourly "])
def test_a_preset_is_what_it_stands_for(preset: str) -> None:
    at = micros("2026-02-14T10:30")
    expression = PRESETS[preset.strip().lower()]
    assert next_after(schedule(preset), at) == next_after(schedule(expression), at)


def test_the_schedules_of_the_sample_project() -> None:
    def after(expression: str, count: int) -> list[str]:
        spec = schedule(expression, timezone="Europe/Berlin")
        return [each.local[:16] for each in preview(spec, micros("2026-01-30T08:30", "Europe/Berlin"), count)]

    assert after("0 2 * * *", 2) == ["2026-01-31T02:00", "2026-02-01T02:00"]
    assert after("0 */6 * * *", 3) == ["2026-01-30T12:00", "2026-01-30T18:00", "2026-01-31T00:00"]
    assert after("0 * * * *", 2) == ["2026-01-30T09:00", "2026-01-30T10:00"]
    weekdays = after("0 9-17 * * 1-5", 10)
    assert weekdays == [*(f"2026-01-30T{hour:02d}:00" for hour in range(9, 18)), "2026-02-02T09:00"]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("61 2 * * *", "minute field '61': 61 is not between 0 and 59\n    61 2 * * *\n    ^^"),
        ("0 2,25 * * *", "hour field '2,25': 25 is not between 0 and 23\n    0 2,25 * * *\n      ^^^^"),
        ("0 0 32 * *", "day-of-month field '32': 32 is not between 1 and 31"),
        ("0 0 * 0 *", "month field '0': 0 is not between 1 and 12"),
        ("0 0 * * 8", "day-of-week field '8': 8 is not between 0 and 7"),
        ("99 0 0 * * *", "second field '99': 99 is not between 0 and 59"),
        ("0 0 * * FRX", "'FRX' is not a number or a name from SUN to SAT"),
        ("0 0 * * friday", "'friday' is written FRI"),
        ("*/0 * * * *", "the step 0 is not between 1 and 59"),
        ("*/x * * * *", "the step 'x' is not a number"),
        ("*/ * * * *", "there is no step behind the /"),
        ("5- * * * *", "a range has a number behind the -"),
        ("-5 * * * *", "a range has a number before the -"),
        (",5 * * * *", "there is nothing before or after a comma"),
        ("/5 * * * *", "there is nothing before the /"),
        ("0 0 * * 5#6", "between 1 and 5"),
        ("0 0 * * L", "needs a day before it (5L or FRIL is the last Friday)"),
        ("0 0 L-31 * *", "no month has a day that comes 31 days before its last"),
        ("L 0 * * *", "'L' has no meaning here"),
        ("*-5 0 * * *", "'*' stands alone"),
        ("\u0665 * * * *", "is not a number"),
        ("* * * *", "has 4 fields; it takes 5"),
        ("", "has 0 fields"),
        ("@dayly", "did you mean @daily?"),
        ("@x", "there are @hourly, @daily"),
        ("0 0 30 2 *", "there is no such day in any year: 30 2 *"),
        ("0 0 31 4,6,9,11 *", "there is no such day in any year"),
    ],
)
def test_a_mistake_is_pointed_at(expression: str, told: str) -> None:
    with pytest.raises(BadSchedule) as caught:
        schedule(expression)
    assert told in caught.value.message


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(BadSchedule) as caught:
        schedule("61 25 0 13 8")
    assert [told.split(" field")[0] for _, told in caught.value.mistakes] == [
        "minute",
        "hour",
        "day-of-month",
        "month",
        "day-of-week",
    ]


@given(st.text(alphabet="0123456789*/-,#LWH?@ MONJAN\u0663\n", max_size=25))
def test_any_text_is_taken_or_refused(text: str) -> None:
    try:
        spec = schedule(text)
    except BadSchedule:
        return
    due = next_after(spec, 0)
    assert due is not None
    assert due > 0


def test_rare_days_are_found() -> None:
    spec = schedule("0 0 29 2 MON", day_or=False)
    leap = [(EPOCH + due * MICROSECOND).year for due in due_between(spec, micros("1990-01-01"), micros("2200-01-01"))]
    assert leap == [year for year in range(1990, 2200) if _leap_monday(year)]


def _leap_monday(year: int) -> bool:
    last = datetime(year, 3, 1) - timedelta(days=1)
    return last.day == 29 and last.isoweekday() == 1


def test_expressions_are_parsed_once() -> None:
    assert parse("1 2 3 * *") is parse("1 2 3 * *")
