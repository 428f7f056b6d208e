"""`penstock deploy prefect|airflow`: deployments whose runs are executed elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from penstock.app import Penstock
from penstock.cli.console import clean, text, write
from penstock.core.deployments import Deployment
from penstock.core.engines import LOCAL, Placed
from penstock.core.model import StoredDeployment
from penstock.orchestrator.engines import Engines, engine_names, engine_of

_DIM = "bright_black"


def engine_in(targets: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """The engine that the first target names, and the other targets; None where it names none."""
    if targets and targets[0] in (LOCAL, *engine_names()):
        return targets[0], targets[1:]
    return None, targets


def put_there(app: Penstock, found: Sequence[Deployment]) -> list[Placed]:
    """Put those that are executed elsewhere on their engines.

    Raises:
        EngineUnreachable, EngineRefused: an engine does not take one; what came before it is there.
        Unsupported: one needs what its engine lacks.
    """
    away = [each for each in found if each.engine != LOCAL]
    if not away:
        return []
    with contextlib.closing(Engines(app)) as engines:
        return [engines.get(each.engine).place(each) for each in away]


def take_away(app: Penstock, stored: StoredDeployment | None) -> None:
    """Take a deployment off its engine, which may have lost it already."""
    if stored is None or (name := engine_of(stored)) == LOCAL:
        return
    with contextlib.closing(Engines(app)) as engines:
        engines.get(name).remove(stored.name)


def placed_record(placed: Placed, engine: str) -> dict[str, Any]:
    """What is told of it in JSON."""
    return {
        "engine": engine,
        "place": placed.place,
        "changed": placed.changed,
        "steps": placed.steps,
        "why": placed.why,
        "url": placed.url,
    }


def write_placed(placed: Placed, engine: str) -> None:
    """Tell where it is now."""
    what = "placed" if placed.changed else "is there as it was"
    where = placed.url or placed.place
    write(text((f"on {engine}: {what}  ", _DIM), clean(where)), indent=4)
    if placed.why:
        write(text(("one step for the whole flow: ", _DIM), clean(placed.why)), indent=4)
