"""Penstock: flows of plain Python functions, run durably."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.authoring.flows import Flow, flow
from penstock.authoring.tasks import Task, task
from penstock.core.annotations import allow_failure, quote, unmapped
from penstock.core.context import tags
from penstock.core.errors import PenstockError
from penstock.core.extras import LateModule, late
from penstock.core.ports import provide_engine
from penstock.core.states import State

if TYPE_CHECKING:
    from penstock import runtime
    from penstock.app import Penstock
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

_app: Any = LateModule("penstock.app")
__getattr__ = late(__name__, {"Penstock": "penstock.app", "get_run_logger": "penstock.engine.logs", "runtime": ""})
provide_engine(lambda: _app.current().engine)


def resume(run_id: str, flow: Flow[..., Any] | None = None, *, return_state: bool = False) -> Any:
    """Go on with a run of this project; see `penstock runs resume`.

    Raises:
        RunNotFound, RunNotResumable: with what to do instead.
    """
    return _app.current().resume(run_id, flow, return_state=return_state)
