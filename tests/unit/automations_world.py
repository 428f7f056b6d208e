"""Flows and automations on a simulated clock, and what became of them."""

from __future__ import annotations

from typing import Any

from penstock import flow
from penstock.automations import Automation, Trigger, declare
from penstock.core.plans import ActionEnded
from penstock.events import emit_event
from penstock.orchestrator.services import run_deployment
from penstock.testing import Simulation


@flow
def works(word: str = "", number: int = 0, many: list[str] | None = None) -> None:
    emit_event("works.done", word, number=number)


@flow
def fails(word: str = "") -> None:
    raise ValueError(f"no {word}")


@flow
def starts_another() -> None:
    run_deployment("works", timeout=0)


FLOWS = {"works": works, "fails": fails, "starts-another": starts_another}


def opened() -> Simulation:
    return Simulation("2026-01-01", flows=FLOWS)


def deploy(simulation: Simulation, *names: str) -> None:
    simulation.deploy(*(FLOWS[name].to_deployment(name) for name in names))


def on(event: str, *actions: Any, name: str = "it", **trigger: Any) -> None:
    declare(Automation(name=name, trigger=Trigger(event=event, **trigger), actions=actions))


def found(simulation: Simulation, kind: type[Any]) -> list[Any]:
    return [each.event for each in simulation.app.journal.read(0, 100_000) if isinstance(each.event, kind)]


def ended(simulation: Simulation) -> list[str | None]:
    return [each.error for each in found(simulation, ActionEnded)]
