"""What a process that executes a step is told, and how it ends."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.core.errors.engines import EngineError
from penstock.core.release import VERSION

COMPLETED, TRY_AGAIN, FAILED, BROKEN, NOT_REACHED = 0, 20, 21, 22, 23
"""How the process ends. Broken: not the step failed, but what is around it; not reached: the run ended before it."""

VERDICT, WHOLE = "verdict", "whole"


class StepOrder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a process is to do.

    Attributes:
        penstock: the version that has deployed the flow.
        results: where outcomes are, see `penstock.deploy.outcomes`.
        run: the id of the run; where it is left out, it follows from the reference.
        reference: the run's id in the engine: the engine, and what it calls it.
        at: when the run was to begin there (microseconds).
        step: the key of the step; `verdict` to find out how the flow ends, `whole` to execute all of it.
        steps: the keys of the plan.
        deployment: its name.
        entrypoint: of the flow.
        workflow: the specification of the workflow, instead.
        folder: where its relative paths begin.
        parameters: of the run.
        tags: of the run.
        due: when it was due (microseconds).
        interval: start and end of the data it is about.
    """

    penstock: str
    results: str
    step: str
    run: str = ""
    reference: tuple[str, ...] = ()
    at: int = 0
    deployment: str
    steps: tuple[str, ...] = ()
    entrypoint: str | None = None
    workflow: dict[str, Any] | None = None
    folder: str | None = None
    parameters: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    due: int | None = None
    interval: tuple[int, int] | None = None


class Misfit(EngineError):
    """The process cannot do what it was told."""

    code = "step-misfit"


def refuse_other_version(deployment: str, made_by: str) -> None:
    """See that this Penstock understands a deployment: it differs in the last number at most.

    Raises:
        Misfit: it was made by another.
    """
    if VERSION.split(".")[:2] != made_by.split(".")[:2]:
        raise Misfit(
            f"{deployment} was deployed by Penstock {made_by}, and this is Penstock {VERSION}.",
            hint="deploy it again with the version that its workers have",
        )
