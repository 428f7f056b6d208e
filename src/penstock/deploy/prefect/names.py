"""What things are called on Prefect, and by which Penstock knows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PREPARE = "penstock.deploy.prefect.entry.prepare"
"""The pull step of Penstock's deployments."""

ENTRYPOINT = "penstock.deploy.prefect.entry.flow"
"""Their entrypoint."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ORDERED = "penstock:"
"""How the idempotency key of a run begins that Penstock has ordered; the rest is the run's id."""


def run_id_of(reference: str, key: str | None) -> str:
    """What Penstock calls a run: the id it was ordered under, or else the one that it has on Prefect.

    Whoever may make runs there chooses the key, and the id names a file: nothing but an id is taken for one.

    Args:
        reference: its id on Prefect.
        key: its idempotency key.
    """
    ordered = key.removeprefix(ORDERED) if key is not None and key.startswith(ORDERED) else ""
    return ordered if _UUID.fullmatch(ordered) else reference


def called(run: Mapping[str, Any]) -> str:
    """What Penstock calls a run, as Prefect's API tells of it."""
    return run_id_of(run["id"], run.get("idempotency_key"))


def prepared_by(deployment: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the pull step of a deployment is told; None where the deployment is not Penstock's."""
    for step in deployment.get("pull_steps") or ():
        if isinstance(step, dict) and PREPARE in step:
            return dict(step[PREPARE] or {})
    return None
