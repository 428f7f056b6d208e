"""When is a daily 02:30 due on the days that clocks are changed? Asked of each tool's own code, without a server.

Run it with the interpreter of a tool: .envs/TOOL/bin/python comparison/dst.py TOOL
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

ZONE = "Europe/Berlin"
SPANS = {
    "clocks forward, 2026-03-29, 02:00 to 03:00": (datetime(2026, 3, 28, 12, tzinfo=UTC), timedelta(hours=36)),
    "clocks back, 2026-10-25, 03:00 to 02:00": (datetime(2026, 10, 24, 12, tzinfo=UTC), timedelta(hours=36)),
}
EXPRESSIONS = ("30 2 * * *", "*/30 * * * *")


def penstock(cron: str, start: datetime) -> Iterator[datetime]:
    from penstock.core.calendar import next_after, schedule

    spec, last = schedule(cron, timezone=ZONE), int(start.timestamp() * 1_000_000)
    while (last := next_after(spec, last) or 0) > 0:
        yield datetime.fromtimestamp(last / 1_000_000, UTC)


def prefect(cron: str, start: datetime) -> Iterator[datetime]:
    import asyncio

    from prefect.server.schemas.schedules import CronSchedule

    yield from asyncio.run(CronSchedule(cron=cron, timezone=ZONE).get_dates(n=200, start=start))


def airflow(cron: str, start: datetime) -> Iterator[datetime]:
    import pendulum
    from airflow.timetables.base import TimeRestriction
    from airflow.timetables.trigger import CronTriggerTimetable

    timetable, last = CronTriggerTimetable(cron, timezone=ZONE), None
    restriction = TimeRestriction(pendulum.instance(start), None, catchup=True)
    while info := timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction):
        last = info.data_interval
        yield info.run_after


def dagster(cron: str, start: datetime) -> Iterator[datetime]:
    from dagster._utils.schedules import cron_string_iterator

    yield from cron_string_iterator(start.timestamp(), cron, ZONE)


def dbos(cron: str, start: datetime) -> Iterator[datetime]:
    """Count as the thread of a schedule does."""
    from croniter import croniter

    steps = croniter(cron, start.astimezone(ZoneInfo(ZONE)), second_at_beginning=True)
    while True:
        yield steps.get_next(datetime)


def main() -> None:
    due = {each.__name__: each for each in (penstock, prefect, airflow, dagster, dbos)}[sys.argv[1]]
    for what, (start, length) in SPANS.items():
        for cron in EXPRESSIONS:
            found = [each.astimezone(UTC) for each in takewhile(lambda each: each < start + length, due(cron, start))]  # noqa: B023
            local = [f"{each.astimezone(ZoneInfo(ZONE)):%a %H:%M%z}" for each in found]
            if cron.startswith("*/"):
                inside = [each for each in local if each.startswith("Sun") and each[4:6] in ("01", "02", "03")]
                print(f"{what}: {cron}: {' '.join(inside)}")
            else:
                print(f"{what}: {cron}: {' '.join(local) or 'not at all'}")


if __name__ == "__main__":
    main()
