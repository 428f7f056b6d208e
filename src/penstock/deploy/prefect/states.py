"""States of Prefect as Penstock's, and the other way round."""

from __future__ import annotations

from typing import Any

from penstock.core.errors import FlowTimedOut, TaskTimedOut
from penstock.core.extras import LateExtra
from penstock.core.states import NO_DATA, State, StateType
from penstock.engine.tasks import failed_state

_objects: Any = LateExtra("prefect.client.schemas.objects", "prefect")

_TYPES = {
    "SCHEDULED": StateType.SCHEDULED,
    "PENDING": StateType.PENDING,
    "RUNNING": StateType.RUNNING,
    "COMPLETED": StateType.COMPLETED,
    "FAILED": StateType.FAILED,
    "CANCELLED": StateType.CANCELLED,
    "CRASHED": StateType.CRASHED,
    "PAUSED": StateType.PAUSED,
    "CANCELLING": StateType.RUNNING,
}
_NAMES = {"Retrying": StateType.RETRYING, "AwaitingRetry": StateType.RETRYING, "NotReady": StateType.FAILED}
"""What Prefect says by a state's name, and Penstock by its type."""


def kind_of(state: Any) -> StateType:
    """Which of Penstock's states one of Prefect's is."""
    return _NAMES.get(state.name) or _TYPES[state.type.value]


def data_of(state: Any) -> Any:
    """The value or the exception that one of Prefect's states holds in this process."""
    data = state.data
    if data is None:
        return NO_DATA
    return data.result if hasattr(data, "metadata") and hasattr(data, "result") else data


def from_prefect(state: Any) -> State:
    """One of Prefect's states as Penstock's, with what it holds in this process."""
    kind = kind_of(state)
    name = state.name if state.name.lower() != state.type.value.lower() else None
    return State(kind, name, state.message, data_of(state), state.timestamp.timestamp())


def to_prefect(state: State) -> Any:
    """One of Penstock's states as Prefect's, as a task or a flow may return it."""
    name = state.name if state.name != state.type.word else None
    kind = {StateType.RETRYING: "SCHEDULED"}.get(state.type, state.type.value)
    data = state._data if state._data is not NO_DATA else None
    made = _objects.State(type=_objects.StateType(kind), name=name, message=state.message, data=data)
    return made


def failed_task(error: BaseException, seconds: float | None) -> State:
    """The state of a task that raised, as Penstock's own engine would have it."""
    if type(error).__name__ == "TaskRunTimeoutError" and seconds is not None:
        error = TaskTimedOut(f"Task run exceeded timeout of {float(seconds)} second(s)")
    return failed_state(error, "Task run")


def failed_flow(error: BaseException, seconds: float | None) -> State:
    """The state of a flow that raised, as Penstock's own engine would have it."""
    if type(error).__name__ == "FlowRunTimeoutError" and seconds is not None:
        error = FlowTimedOut(f"Flow run exceeded timeout of {float(seconds)} second(s)")
    return failed_state(error, "Flow run")
