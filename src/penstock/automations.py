"""What is to be done when something happens, or does not happen for too long."""

from __future__ import annotations

from typing import Any

from penstock.core.automations import (
    Automation,
    Call,
    CancelRun,
    ChangeState,
    EmitEvent,
    Notify,
    PauseDeployment,
    ResumeDeployment,
    RunDeployment,
    RunWorkflow,
    Trigger,
)
from penstock.core.extras import LateModule

__all__ = [
    "Automation",
    "Call",
    "CancelRun",
    "ChangeState",
    "EmitEvent",
    "Notify",
    "PauseDeployment",
    "ResumeDeployment",
    "RunDeployment",
    "RunWorkflow",
    "Trigger",
    "declare",
    "delete",
    "pause",
    "resume",
]

_app: Any = LateModule("penstock.app")
_automations: Any = LateModule("penstock.orchestrator.automations")


def declare(*automations: Automation) -> list[str]:
    """Make automations what they are here; returns the names of those that were not so already.

    One that was paused since it was declared stays paused until it is resumed, or declared otherwise.

    Raises:
        BadAutomation: one cannot be, with every mistake; then none is declared.
    """
    names: list[str] = _automations.declare(_app.current().journal, *automations)
    return names


def pause(name: str) -> bool:
    """Let an automation not fire; what it remembers is forgotten. False when it is paused already.

    Raises:
        PlanNotFound: there is none of this name.
    """
    return bool(_automations.pause(_app.current().journal, name))


def resume(name: str) -> bool:
    """Let it fire again, because of what happens from now on. False when it is not paused.

    Raises:
        PlanNotFound: there is none of this name.
    """
    return bool(_automations.unpause(_app.current().journal, name))


def delete(name: str) -> None:
    """Remove an automation; what its firings have begun goes on.

    Raises:
        PlanNotFound: there is none of this name.
    """
    _automations.delete(_app.current().journal, name)
