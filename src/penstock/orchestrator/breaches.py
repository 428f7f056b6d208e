"""What `[tool.penstock.alerts]` of a pyproject.toml tells people of, as automations."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from penstock.core.alerting import AlertSettings
from penstock.core.automations import Automation, Filter, Level, Notify, Trigger, checked, several

_SEVERITIES: tuple[Level, ...] = ("error", "warning", "info")
_BADLY = ("RunFailed", "RunCrashed")
_ROOTS: dict[str, Filter] = {"run.parent_id": "!*"}
"""Runs that no other run has called: whoever called the others tells of them."""


def breaches(settings: AlertSettings, folder: str) -> dict[str, Automation]:
    """The automations that settings stand for.

    Args:
        settings: what the pyproject.toml says.
        folder: its folder.
    """
    wanted = _SEVERITIES[: _SEVERITIES.index(settings.checks) + 1] if settings.checks != "off" else ()
    made = [_of_checks(severity, settings) for severity in wanted]
    made += [*_of_runs(settings), *_of_deadlines(settings)]
    return {each.name: checked(msgspec.structs.replace(each, folder=folder)) for each in made}


def unknown_places(automation: Automation, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with where an automation tells people: the places that there are not."""
    for number, action in enumerate(automation.actions):
        for place in several(action.to) if isinstance(action, Notify) else ():
            if place not in known:
                told = f"there is no place {place!r} for alerts; there are: {', '.join(sorted(known))}"
                yield f"actions[{number}].to", told


def _of_checks(severity: Level, settings: AlertSettings) -> Automation:
    return Automation(
        name=f"check-{severity}",
        trigger=_trigger(settings, "dataset", event="CheckFailed", where={"severity": severity}),
        actions=(Notify("{message}", title="{dataset}: a check failed", level=severity, to=settings.places),),
        description=f"Tell of rules of severity {severity} that are not kept.",
    )


def _of_runs(settings: AlertSettings) -> Iterator[Automation]:
    if settings.runs == "off":
        return
    yield Automation(
        name="run-failed",
        trigger=_trigger(settings, "flow", event=_BADLY, where=_ROOTS),
        actions=(Notify("{message}", title="{flow} {state}", level="error", to=settings.places),),
        description="Tell of runs that fail or crash.",
    )
    recovered = Notify(
        "It completes again.", title="{flow} {state}", level="error", to=settings.places, resolves="run-failed"
    )
    yield Automation(
        name="run-recovered",
        trigger=Trigger(event="RunCompleted", after=_BADLY, where=_ROOTS, per=("flow", "deployment")),
        actions=(recovered,),
        description="Tell of runs that complete after others failed.",
    )
    if settings.runs == "all":
        yield Automation(
            name="run-completed",
            trigger=Trigger(event="RunCompleted", where=_ROOTS),
            actions=(Notify("It has completed.", title="{flow} {state}", level="info", to=settings.places),),
            description="Tell of runs that complete.",
        )


def _of_deadlines(settings: AlertSettings) -> Iterator[Automation]:
    if settings.deadlines:
        told = Notify(
            "The promise `{promise}` was not kept.",
            title="{deployment} is late",
            level="error",
            to=settings.places,
        )
        yield Automation(
            name="deadline-missed",
            trigger=_trigger(settings, "deployment", event="DeadlineMissed"),
            actions=(told,),
            description="Tell of promises that were not kept.",
        )


def _trigger(settings: AlertSettings, per: str, **options: Any) -> Trigger:
    rest = settings.cool_down_seconds
    made = Trigger(**options, cool_down_seconds=rest)
    return made if rest is None else msgspec.structs.replace(made, per=per)
