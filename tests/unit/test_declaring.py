"""Deployments as they are declared: taken, or refused with every mistake."""

from __future__ import annotations

import datetime
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from penstock import flow
from penstock.core.calendar import due_between
from penstock.core.deployments import as_data, of_data
from penstock.core.errors import BadSchedule, ConfigurationError, DeploymentError, ParameterError, PenstockError
from penstock.orchestrator.declaring import declared_in_project


@flow
def counted(number: int = 1) -> int:
    return number + 1


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"cron": "61 * * * *"}, BadSchedule, "minute"),
        ({"cron": ["0 2 * * *", "0 25 * * *"]}, BadSchedule, "hour"),
        ({"every": 5}, DeploymentError, "there is no option every"),
        ({"parameters": {"nummer": 5}, "cron": "@daily"}, ParameterError, "nummer"),
        ({"parameters": {"nummer": 5}}, ParameterError, "nummer"),
        ({"parameters": {"number": "five"}, "cron": "@daily"}, ParameterError, "number"),
        ({"concurrency_limit": 0}, DeploymentError, "concurrency"),
        ({"work_pool_name": "a/b"}, DeploymentError, "pool"),
        ({"schedules": [17]}, DeploymentError, "schedule"),
        ({"schedules": [{"corn": "* * * * *"}]}, DeploymentError, "corn"),
        ({"collision": "explode"}, DeploymentError, "collision"),
        ({"retries": 3}, DeploymentError, "retries"),
        ({"promises": {"finnish": 3}}, DeploymentError, "did you mean finish"),
        ({"promises": {"finish": "soon"}}, DeploymentError, "no length of time"),
        ({"promises": {"finish": -1}}, DeploymentError, "more than none"),
        ({"promises": 5}, DeploymentError, "a table"),
        ({"timezone": "Europe/Paris"}, DeploymentError, "no schedule that it could be for"),
        ({"priority": "high"}, DeploymentError, "priority must be a whole number, and is 'high'"),
        ({"crash_delay_seconds": float("nan")}, DeploymentError, "crash_delay_seconds"),
        ({"parameters": {"number": object()}}, ParameterError, "number"),
        ({"cron": "@daily", "schedules": [{"cron": "@hourly", "day_or": []}]}, BadSchedule, "schedule 2: day_or"),
    ],
)
def test_a_deployment_that_cannot_be_is_refused(options: dict[str, Any], error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        counted.to_deployment("d", **options)


def test_every_mistake_of_a_deployment_is_told_at_once() -> None:
    with pytest.raises(DeploymentError) as caught:
        counted.to_deployment(
            "a/b", cron="61 * * * *", timezone="Mars", tags="x", colision="skip", priority=1.5, paused="no",
            concurrency=0, parameters={"number": "x", "nummer": 1}, promises={"finish": 0, "end": 1},
        )  # fmt: skip
    told = caught.value.message
    assert "'a/b' has 12 mistakes" in told
    for part in (
        "name 'a/b'", "minute field '61'", "no time zone 'Mars'", "tags must be", "did you mean collision",
        "priority must be", "paused must be", "concurrency 0", "parameter number: ", "parameter nummer: ",
        "the promise finish", "there is no promise end",
    ):  # fmt: skip
        assert part in told, part


WRONG: list[Any] = [
    0, -1, 2**70, True, 1.5, float("nan"), float("inf"), "", "x", "5m", [], [1], ["@daily", 5], {}, {"a": 1}, {1: 2},
    datetime.date(2026, 1, 1), timedelta(days=1), object(), b"x", print, Path("x"),
]  # fmt: skip


@pytest.mark.parametrize("option", [
    *("name", "parameters", "tags", "description", "version", "pool", "queue", "folder", "priority", "concurrency"),
    *("crash_retries", "crash_delay_seconds", "paused", "collision", "cron", "interval", "rrule", "at", "timezone"),
    *("start", "end", "anchor", "jitter", "missed", "horizon", "day_or", "schedules", "schedule", "promises"),
])  # fmt: skip
def test_whatever_is_given_for_an_option_is_taken_or_refused(option: str) -> None:
    """Nothing but an error that tells the user; what is taken can be stored and read again."""
    for value in WRONG:
        for more in ({}, {"cron": "@daily"}):
            given = {"name": "d", **more, option: value}
            try:
                made = counted.to_deployment(**given)
            except PenstockError:
                continue
            assert of_data(as_data(made)).name == made.name


def test_a_flow_inside_a_function_cannot_be_deployed() -> None:
    @flow
    def inner() -> None: ...

    with pytest.raises(DeploymentError, match="inside a function"):
        inner.to_deployment("d")


def test_the_example_declares_the_four_schedules_of_the_sample_project() -> None:
    file = Path(__file__).parents[2] / "examples" / "users_posts" / "pyproject.toml"
    found = declared_in_project(file)
    monday = int(datetime.datetime(2026, 3, 2, tzinfo=ZoneInfo("Europe/Paris")).timestamp() * 1_000_000)
    week = 7 * 24 * 3600 * 1_000_000
    due = {
        name: sum(1 for _ in due_between(made.schedules[0].spec, monday - 1, monday + week - 1))
        for name, made in found.items()
    }
    assert due == {"nightly": 7, "six-hourly": 7 * 4, "hourly": 7 * 24, "office": 5 * 9}
    assert declared_in_project(file, ["office"]) == {"office": found["office"]}
    with pytest.raises(ConfigurationError, match="declares no deployment 'nope'"):
        declared_in_project(file, ["nope"])
