"""The scheduler: each due instant has one run, whatever happens to schedulers and clocks."""

from __future__ import annotations

import datetime
import random
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from penstock import flow, runtime, task
from penstock.core.calendar import ScheduleSpec, due_between
from penstock.core.deployments import Deployment, Schedule
from penstock.core.errors import DeploymentError, PlanNotFound
from penstock.core.events import RunCreated
from penstock.core.ids import new_owner
from penstock.core.plans import ScheduleMoved
from penstock.journal.memory import MemoryJournal
from penstock.orchestrator.deployments import declare, delete, find_deployment, pause, trigger, unpause
from penstock.orchestrator.scheduler import Scheduler
from penstock.partitions import daily
from penstock.testing import FakeClock, Simulation, run_flow_until

HOUR = 3600 * 1_000_000
SEEN: list[Any] = []


@task
def plus_one(number: int) -> int:
    return number + 1


@flow
def counted(number: int = 1) -> int:
    return plus_one(number)


def plain(name: str, *schedules: Schedule, **options: Any) -> Deployment:
    return Deployment(name=name, flow="counted", entrypoint="tests.unit.test_scheduler:counted", schedules=schedules,
                      **options)  # fmt: skip


def at(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp() * 1_000_000)


def test_the_four_schedules_of_the_sample_project_run_for_a_month() -> None:
    with Simulation("2026-01-01") as month:
        month.deploy(
            counted.to_deployment("nightly", cron="0 2 * * *"),
            counted.to_deployment("often", cron="0 */6 * * *"),
            counted.to_deployment("hourly", cron="@hourly"),
            counted.to_deployment("office", cron="0 9-17 * * 1-5"),
        )
        month.run(days=31)
        by = Counter(run.deployment for run in month.runs())
        assert by == {"nightly": 31, "often": 31 * 4, "hourly": 31 * 24, "office": 22 * 9}
        assert {run.state for run in month.runs()} == {"Completed"}
        instants = Counter((run.deployment, run.scheduled_at) for run in month.runs())
        assert set(instants.values()) == {1}


def test_several_schedules_each_have_their_own_parameters() -> None:
    with Simulation("2026-01-01") as day:
        day.deploy(
            counted.to_deployment(
                "both",
                schedules=[
                    {"cron": "0 1 * * *", "parameters": {"number": 10}, "name": "early"},
                    {"cron": "0 2 * * *", "parameters": {"number": 20}},
                ],
            )
        )
        day.run(days=1)
        assert [run.parameters["number"] for run in day.runs()] == [20, 10]


def test_a_declaration_that_says_the_same_changes_nothing() -> None:
    journal = MemoryJournal()
    deployment = plain("same", Schedule(name="s", spec=ScheduleSpec.of("@hourly")))
    assert declare(journal, deployment)
    head = journal.head()
    assert not declare(journal, deployment)
    assert journal.head() == head


def test_a_schedule_that_did_not_change_goes_on_where_it_was() -> None:
    with Simulation("2026-01-01T00:30") as some:
        hourly = Schedule(name="s", spec=ScheduleSpec.of("@hourly"))
        declare(some.app.journal, plain("d", hourly))
        before = find_deployment(some.app.journal, "d").schedules[0].next_due
        some.clock.advance(5 * 3600)  # nobody schedules meanwhile
        declare(some.app.journal, plain("d", hourly, parameters={"number": 5}))
        assert find_deployment(some.app.journal, "d").schedules[0].next_due == before
        some.settle()
        assert [run.scheduled_at for run in some.runs()] == [at("2026-01-01T05:00")]


@pytest.mark.parametrize(("missed", "expected"), [("latest", 1), ("all", 10), ("skip", 0)])
def test_what_was_missed_follows_the_policy(missed: Any, expected: int) -> None:
    with Simulation("2026-01-01T00:30") as some:
        some.deploy(counted.to_deployment("d", cron="@hourly", missed=missed))
        some.clock.advance(10 * 3600)
        some.settle()
        assert len(some.runs()) == expected
        some.run(hours=1)
        assert len(some.runs()) == expected + 1


def test_a_clock_that_is_set_back_makes_no_second_run() -> None:
    with Simulation("2026-01-01T00:30") as some:
        some.deploy(counted.to_deployment("d", cron="@hourly"))
        some.run(hours=5)
        before = len(some.runs())
        some.clock.advance(-4 * 3600)
        some.run(hours=3)
        assert len(some.runs()) == before
        some.run(hours=3)
        assert len({run.scheduled_at for run in some.runs()}) == len(some.runs()) == before + 2


@pytest.mark.parametrize("seed", range(20))
def test_schedulers_that_race_die_and_see_other_times_make_each_run_once(seed: int) -> None:
    """Three schedulers with stale views: what they commit is interleaved at random, and some commits never come."""
    draw = random.Random(seed)
    journal = MemoryJournal()
    clock = FakeClock("2026-03-28T00:00")
    specs = {
        "a": ScheduleSpec.of("*/10 * * * *", missed="all"),
        "b": ScheduleSpec.of("5 2 * * *", timezone="Europe/Berlin", missed="all"),
        "c": ScheduleSpec.of(interval=420, missed="all", jitter=60),
    }
    with clock.running():
        begin = clock.now()
        for name, spec in specs.items():
            declare(journal, plain(name, Schedule(name="s", spec=spec)))
        schedulers = [Scheduler(journal, new_owner()) for _ in range(3)]
        for _ in range(200):
            clock.advance(draw.choice([1, 60, 300, 3000, 20_000, -500, -5000]))
            scheduler = draw.choice(schedulers)
            if draw.random() < 0.3:  # it plans, and commits after somebody else did
                due = journal.due_schedules(clock.now())
                now = clock.now()
                draw.choice(schedulers).tick()
                if draw.random() < 0.7:
                    scheduler._fire(due, now)
            else:
                scheduler.tick()
        end = clock.now()
        schedulers[0].tick(end)
    for name, spec in specs.items():
        made = [s.event for s in journal.read(0, 1_000_000) if isinstance(s.event, RunCreated)]
        instants = sorted(e.scheduled_at for e in made if e.deployment == name and e.scheduled_at)
        latest = max(instants)
        assert instants == list(due_between(spec, begin, max(latest, end)))
        assert all(0 <= e.due_at - e.scheduled_at <= 60_000_000 for e in made if e.due_at and e.scheduled_at)


def test_a_paused_deployment_makes_no_runs_and_does_not_make_up_for_them() -> None:
    with Simulation("2026-01-01T00:30") as some:
        journal = some.app.journal
        some.deploy(counted.to_deployment("d", schedules=["@hourly", "@daily"]))
        some.run(hours=2)
        pause(journal, "d")
        some.run(hours=5)
        assert len(some.runs()) == 2
        unpause(journal, "d")
        some.run(hours=1)
        assert len(some.runs()) == 3
        pause(journal, "d", "schedule-1")
        some.run(hours=24)
        assert len(some.runs()) == 4, "the daily one goes on"
        unpause(journal, "d", "schedule-1")
        some.run(hours=1)
        assert len(some.runs()) == 5
        delete(journal, "d")
        some.run(days=2)
        assert len(some.runs()) == 5
        with pytest.raises(PlanNotFound, match="no deployment 'd'"):
            pause(journal, "d")


@pytest.mark.parametrize("missed", ["all", "latest", "skip"])
def test_a_pause_holds_against_a_scheduler_that_had_looked_before_it(missed: Any) -> None:
    """What was due by then may still have its runs, and nothing after it."""
    with Simulation("2026-01-01T00:30") as some:
        journal = some.app.journal
        some.deploy(counted.to_deployment("d", cron="@hourly", missed=missed))
        some.clock.advance(3 * 3600)
        now = some.clock.now()
        due = journal.due_schedules(now)
        pause(journal, "d")
        some.scheduler._fire(due, now)
        some.run(hours=5)
        assert all((run.scheduled_at or 0) <= now for run in some.runs())
        assert journal.next_schedule() is None
        unpause(journal, "d")
        some.run(hours=1)
        assert some.runs()[0].scheduled_at == at("2026-01-01T09:00")


def test_a_new_schedule_holds_against_a_scheduler_that_had_looked_before_it() -> None:
    with Simulation("2026-01-01T23:30") as some:
        journal = some.app.journal
        some.deploy(plain("d", Schedule(name="s", spec=ScheduleSpec.of("@daily"))))
        some.clock.advance(3600)
        now = some.clock.now()
        due = journal.due_schedules(now)
        declare(journal, plain("d", Schedule(name="s", spec=ScheduleSpec.of("@hourly"))))
        some.scheduler._fire(due, now)
        assert find_deployment(journal, "d").schedules[0].next_due == at("2026-01-02T01:00")


def test_one_key_makes_one_run() -> None:
    with Simulation() as some:
        some.deploy(counted.to_deployment("d"))
        journal = some.app.journal
        first = trigger(journal, "d", {"number": 4}, key="order 17")
        assert trigger(journal, "d", {"number": 5}, key="order 17") == first
        assert trigger(journal, "d", key="order 18").id != first.id
        plain = trigger(journal, "d")
        last = trigger(journal, "d", key="order 19")
        assert plain.id[:13] <= last.id[:13], "ids sort by when the runs were made, with a key or without"
        assert first.id[:13] <= plain.id[:13]
        some.settle()
        assert sorted(run.parameters.get("number", 1) for run in some.runs()) == [1, 1, 1, 4]


def test_a_full_deployment_skips_where_it_is_to() -> None:
    with Simulation("2026-01-01T00:30", chores=False) as some:
        journal = some.app.journal
        deployment = counted.to_deployment("d", cron="@hourly", concurrency_limit=1, collision="skip")
        some.deploy(deployment)
        trigger(journal, "d")
        (held,) = some._claimed(some.clock.now())  # somebody has it, and takes long
        some.clock.advance(3600)
        some.scheduler.tick()
        assert len(some.runs()) == 1
        moved = [s.event for s in journal.load("deployment/d") if isinstance(s.event, ScheduleMoved)]
        assert [event.dropped for event in moved] == [1]
        some._execute(held)
        some.run(hours=1)
        assert [run.state for run in some.runs()] == ["Completed", "Completed"]


@flow(partitions=daily("Europe/Berlin"))
def per_day(partition: str, data_interval_start: datetime.datetime, scheduled_start_time: datetime.datetime) -> None:
    SEEN.append((partition, data_interval_start, scheduled_start_time, runtime.flow_run.partition,
                 runtime.flow_run.data_interval_end, runtime.deployment.name))  # fmt: skip


def test_a_run_knows_its_partition_and_its_data_interval() -> None:
    SEEN.clear()
    with Simulation("2026-03-28T12:00", flows={"per-day": per_day}) as some:
        some.deploy(
            Deployment(
                name="days", flow="per-day", entrypoint="tests.unit.test_scheduler:per_day",
                schedules=(Schedule(name="s", spec=ScheduleSpec.of("0 5 * * *", timezone="Europe/Berlin")),),
                partitions=per_day.partitions,
            )
        )  # fmt: skip
        some.run(days=2)
        assert [run.partition for run in some.runs()] == ["2026-03-29", "2026-03-28"]
    utc = datetime.UTC
    assert [(each[0], each[1].astimezone(utc), each[4].astimezone(utc)) for each in SEEN] == [
        ("2026-03-28", datetime.datetime(2026, 3, 27, 23, tzinfo=utc), datetime.datetime(2026, 3, 28, 23, tzinfo=utc)),
        ("2026-03-29", datetime.datetime(2026, 3, 28, 23, tzinfo=utc), datetime.datetime(2026, 3, 29, 22, tzinfo=utc)),
    ]
    assert {(each[0], each[5]) for each in SEEN} == {("2026-03-28", "days"), ("2026-03-29", "days")}
    assert SEEN[0][2].astimezone(utc).hour == 3, "summer time began that morning"


def test_a_name_belongs_to_one_flow() -> None:
    @flow(name="other")
    def other() -> None: ...

    with Simulation() as some:
        some.deploy(counted.to_deployment("d"))
        with pytest.raises(DeploymentError, match="of another flow"):
            some.deploy(Deployment(name="d", flow="other", entrypoint="x:y"))


def test_run_flow_until() -> None:
    run = run_flow_until(counted, lambda run: run.state == "Completed", parameters={"number": 4})
    assert run.parameters == {"number": 4}
    with pytest.raises(AssertionError, match="Completed"):
        run_flow_until(counted, lambda run: run.state == "Paused", hours=1)


def test_parameters_that_do_not_fit_any_more_fail_the_run() -> None:
    with Simulation(flows={"counted": counted}) as some:
        some.deploy(plain("d", parameters={"number": "five"}))
        trigger(some.app.journal, "d")
        some.settle()
        (run,) = some.runs()
        assert run.state == "Failed"
        assert "number" in (run.message or "")


def test_a_run_that_exists_keeps_no_schedule_from_moving_on() -> None:
    """The schedule's row was lost or declared anew, and its next run is there already."""
    with Simulation("2026-01-01T00:30") as some:
        journal = some.app.journal
        some.deploy(counted.to_deployment("d", cron="@hourly"))
        some.run(hours=3)
        delete(journal, "d")
        some.clock.advance(-3 * 3600)
        some.deploy(counted.to_deployment("d", cron="@hourly"))
        some.run(hours=6)
        assert len({run.scheduled_at for run in some.runs()}) == len(some.runs()) == 6


def test_a_scheduler_that_died_on_this_machine_is_not_waited_for() -> None:
    journal = MemoryJournal()
    gone = subprocess.run(
        [sys.executable, "-c", "from penstock.core.ids import new_owner; print(new_owner())"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    alive, elsewhere = new_owner(), "elsewhere/boot|1|2|3"
    for owner, leads in ((gone, True), (alive, False), (elsewhere, False)):
        journal.let_go("scheduler", journal.holder("scheduler") or "")
        assert journal.hold("scheduler", owner, 0, 10**15)
        assert Scheduler(journal, new_owner()).lead(1) is leads
