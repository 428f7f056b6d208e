"""Penstock: flows of plain Python functions, run durably."""

from __future__ import annotations

from typing import Any

from penstock import runtime
from penstock.app import Penstock, current
from penstock.authoring.flows import Flow, flow
from penstock.authoring.tasks import Task, task
from penstock.core.annotations import allow_failure, quote, unmapped
from penstock.core.context import tags
from penstock.core.errors import PenstockError
from penstock.core.states import State
from penstock.engine.logs import get_run_logger

__all__ = [
    "Flow",
    "Penstock",
    "PenstockError",
    "State",
    "Task",
    "allow_failure",
    "flow",
    "get_run_logger",
    "quote",
    "resume",
    "runtime",
    "tags",
    "task",
    "unmapped",
]


def resume(run_id: str, flow: Flow[..., Any] | None = None, *, return_state: bool = False) -> Any:
    """Go on with a run of this project; see `penstock runs resume`.

    Raises:
        RunNotFound, RunNotResumable: with what to do instead.
    """
    return current().resume(run_id, flow, return_state=return_state)
