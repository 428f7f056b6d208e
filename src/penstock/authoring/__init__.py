"""What people write: flows, tasks, futures and their parameters."""

from penstock.authoring.flows import Flow, flow
from penstock.authoring.futures import PenstockFuture, PenstockFutureList, as_completed, wait
from penstock.authoring.registry import declared_flows, flows_in, load_flow, load_module
from penstock.authoring.tasks import Task, task

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
