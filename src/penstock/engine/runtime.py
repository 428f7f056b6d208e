"""The run context as attributes, under the names Prefect uses."""

from __future__ import annotations

import datetime
from typing import Any, ClassVar

from penstock.core.context import current_scope

_EMPTY: dict[str, Any] = {"tags": [], "parameters": {}}


class _FlowRun:
    """Facts about the flow run around this code."""

    def __getattr__(self, name: str) -> Any:
        if name not in _FLOW_FACTS:
            raise AttributeError(f"penstock.runtime.flow_run has no {name!r} (there are: {', '.join(_FLOW_FACTS)})")
        scope = current_scope.get()
        if scope is None or scope.live.info is None or scope.live.alone:
            return _fresh(name)
        info = scope.live.info
        if name == "scheduled_start_time":
            return getattr(info, name, getattr(info, "start_time", None))
        return getattr(info, _FLOW_FACTS[name], _fresh(name))

    def __dir__(self) -> list[str]:
        return list(_FLOW_FACTS)


class _TaskRun:
    """Facts about the task run around this code."""

    def __getattr__(self, name: str) -> Any:
        if name not in _TASK_FACTS:
            raise AttributeError(f"penstock.runtime.task_run has no {name!r} (there are: {', '.join(_TASK_FACTS)})")
        scope = current_scope.get()
        if scope is None or scope.info is None:
            return _fresh(name)
        facts = scope.info if isinstance(scope.info, dict) else _facts(scope.info)
        return facts.get(name, _fresh(name))

    def __dir__(self) -> list[str]:
        return list(_TASK_FACTS)


class _Deployment:
    """Facts about the deployment whose run this code is in; all are None where there is none."""

    flow_id = None
    parameters: ClassVar[dict[str, Any]] = {}

    @property
    def name(self) -> str | None:
        """The deployment's name."""
        scope = current_scope.get()
        found: str | None = scope.live.facts.get("deployment") if scope is not None else None
        return found

    id = name

    @property
    def version(self) -> str | None:
        """The version the run was made with."""
        scope = current_scope.get()
        found: str | None = scope.live.flow.version if scope is not None and self.name is not None else None
        return found


_FLOW_FACTS = {
    "id": "id",
    "name": "name",
    "flow_name": "flow_name",
    "flow_version": "flow_version",
    "parameters": "parameters",
    "tags": "tags",
    "run_count": "run_count",
    "parent_flow_run_id": "parent_flow_run_id",
    "root_flow_run_id": "root_flow_run_id",
    "scheduled_start_time": "scheduled_start_time",
    "partition": "partition",
    "data_interval_start": "data_interval_start",
    "data_interval_end": "data_interval_end",
    "start_time": "start_time",
}
_TASK_FACTS = ("id", "name", "task_name", "parameters", "tags", "run_count", "key", "start_time")


def _fresh(name: str) -> Any:
    if name == "run_count":
        return 0
    value = _EMPTY.get(name)
    return type(value)() if value is not None else None


def _facts(info: Any) -> dict[str, Any]:
    call, state, started, args, kwargs = info
    task = call.task
    try:
        parameters = task.parameters(args, kwargs)
    except Exception:
        parameters = {}
    return {
        "id": call.id,
        "name": state.step.name,
        "task_name": task.name,
        "parameters": parameters,
        "tags": list(state.step.tags),
        "run_count": state.attempt,
        "key": state.step.key,
        "start_time": datetime.datetime.fromtimestamp(started / 1_000_000, datetime.UTC),
    }


flow_run = _FlowRun()
task_run = _TaskRun()
deployment = _Deployment()
