"""What hooks are told about a run, under Prefect's module name (for annotations)."""

from penstock.core.states import State, StateType
from penstock.engine.live import FlowRun, TaskRun

__all__ = ["FlowRun", "State", "StateType", "TaskRun"]
