"""The run context as objects, under the names Prefect uses."""

from __future__ import annotations

from typing import Any

from penstock.core.context import Scope, current_scope
from penstock.core.errors import MissingContextError
from penstock.engine.tasks import info_of


class FlowRunContext:
    """What is known inside a flow: `flow`, `flow_run`, `parameters`, `task_runner`."""

    def __init__(self, live: Any) -> None:
        self.flow = live.flow
        self.flow_run = live.info
        self.parameters = live.parameters
        self.task_runner = live.runner

    @classmethod
    def get(cls) -> FlowRunContext | None:
        """The flow around this code, or None."""
        scope = current_scope.get()
        return None if scope is None or scope.live.alone else cls(scope.live)


class TaskRunContext:
    """What is known inside a task: `task`, `task_run`, `parameters`."""

    def __init__(self, scope: Scope) -> None:
        call, state, _, args, kwargs = scope.info
        self.task = call.task
        self.task_run = info_of(call, state)
        self.parameters = call.task.parameters(args, kwargs)

    @classmethod
    def get(cls) -> TaskRunContext | None:
        """The task around this code, or None."""
        scope = current_scope.get()
        return None if scope is None or scope.info is None else cls(scope)


def get_run_context() -> FlowRunContext | TaskRunContext:
    """The context of the task or, outside one, of the flow around this code.

    Raises:
        MissingContextError: there is neither.
    """
    found = TaskRunContext.get() or FlowRunContext.get()
    if found is None:
        raise MissingContextError(
            "No run context available. You are not in a flow or task run context.",
            hint="call this inside a flow or a task",
        )
    return found
