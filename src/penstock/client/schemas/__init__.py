"""Modules of Prefect's that flows import by name."""

from penstock.client.schemas.objects import FlowRun, State, StateType, TaskRun

__all__ = ["FlowRun", "State", "StateType", "TaskRun"]
