"""What runs are called that nobody called: as their flow names its runs, unless they were given a name."""

from __future__ import annotations

from typing import Any

import pytest

from penstock import flow, runtime, task
from penstock.core.ids import run_name_of
from penstock.orchestrator import deployments
from penstock.testing import Simulation

seen: list[str] = []


@task
def look() -> None:
    seen.append(runtime.flow_run.name)


@flow(flow_run_name="orders of {day}")
def orders(day: str = "monday") -> None:
    look()


def by_hour() -> str:
    return f"at {runtime.flow_run.scheduled_start_time:%H:%M}"


@flow(flow_run_name=by_hour)
def hourly() -> None:
    pass


@flow(flow_run_name="of {nobody}")
def unknown() -> None:
    pass


def breaks() -> str:
    raise LookupError("no names left")


@flow(flow_run_name=breaks)
def broken() -> None:
    pass


@flow(flow_run_name="try {number}", retries=1)
def tries(number: int = 1) -> None:
    if runtime.flow_run.run_count == 1:
        raise ValueError("once")


def names(simulation: Simulation, **where: Any) -> list[str]:
    return [run.name for run in simulation.runs(**where)][::-1]


def test_a_template_is_filled_in_when_the_run_begins() -> None:
    seen.clear()
    with Simulation("2026-01-01") as day:
        day.deploy(orders.to_deployment("orders", schedules=[{"cron": "0 1 * * *", "parameters": {"day": "friday"}}]))
        run = deployments.trigger(day.app.journal, "orders")
        assert names(day) == [run_name_of(run.id)]
        day.run(days=1)
        assert seen == ["orders of monday", "orders of friday"]
        assert sorted(names(day)) == sorted(seen)
        assert names(day, text="friday") == ["orders of friday"]


def test_a_given_name_stays() -> None:
    with Simulation("2026-01-01") as day:
        day.deploy(orders.to_deployment("orders"))
        deployments.trigger(day.app.journal, "orders", run_name="by hand")
        day.settle()
        assert names(day) == ["by hand"]


def test_a_function_is_told_about_the_run() -> None:
    with Simulation("2026-01-01") as day:
        day.deploy(hourly.to_deployment("hourly", cron="@hourly"))
        day.run(hours=2)
        assert names(day) == ["at 01:00", "at 02:00"]


def test_the_next_attempt_is_called_the_same() -> None:
    with Simulation("2026-01-01") as day:
        day.deploy(tries.to_deployment("tries"))
        deployments.trigger(day.app.journal, "tries", {"number": 7})
        day.run(minutes=1)
        (run,) = day.runs()
        assert (run.name, run.state, run.attempt) == ("try 7", "Completed", 2)


@pytest.mark.parametrize(("some", "why"), [(unknown, "cannot be filled in"), (broken, "no names left")])
def test_a_run_that_cannot_be_named_fails_and_says_so(some: Any, why: str) -> None:
    with Simulation("2026-01-01") as day:
        day.deploy(some.to_deployment("nameless"))
        deployments.trigger(day.app.journal, "nameless")
        day.settle()
        (run,) = day.runs()
        assert run.state == "Failed"
        assert run.message is not None
        assert "could not be named" in run.message
        assert why in run.message
