"""What people write: flows, tasks, futures and their parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.authoring.flows import Flow, flow
from penstock.authoring.futures import PenstockFuture, PenstockFutureList, as_completed, wait
from penstock.authoring.registry import declared_flows
from penstock.authoring.tasks import Task, task
from penstock.core.extras import late

if TYPE_CHECKING:
    from penstock.authoring.loading import flows_in, load_flow, load_module

__all__ = [
    "Flow",
    "PenstockFuture",
    "PenstockFutureList",
    "Task",
    "as_completed",
    "declared_flows",
    "flow",
    "flows_in",
    "load_flow",
    "load_module",
    "task",
    "wait",
]

__getattr__ = late(__name__, dict.fromkeys(("flows_in", "load_flow", "load_module"), "penstock.authoring.loading"))
