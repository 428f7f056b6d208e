"""The run context and `tags`, under Prefect's module name."""

from penstock.core.context import tags
from penstock.engine.contexts import FlowRunContext, TaskRunContext, get_run_context

__all__ = ["FlowRunContext", "TaskRunContext", "get_run_context", "tags"]
