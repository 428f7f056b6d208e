"""The run context."""

from facts import fact, outcome
from prefect import flow, task
from prefect.context import FlowRunContext, TaskRunContext, get_run_context


@task
def in_task(number: int) -> list:
    """What a task finds."""
    context = get_run_context()
    around = FlowRunContext.get()
    return [
        type(context).__name__,
        context.task.name,
        context.task_run.name != "",
        context.parameters,
        around.flow.name if around else None,
    ]


@flow
def in_flow(number: int) -> list:
    """What a flow finds."""
    context = get_run_context()
    return [
        isinstance(context, FlowRunContext),
        context.flow.name,
        context.flow_run.name != "",
        context.parameters,
        TaskRunContext.get(),
        in_task(number + 1),
    ]


if __name__ == "__main__":
    fact("flow", in_flow(1))
    fact("task without a flow", in_task(5))
    fact("outside", outcome(get_run_context))
    fact("asked kindly", [FlowRunContext.get(), TaskRunContext.get()])
