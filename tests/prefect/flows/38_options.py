"""What flows and tasks know of themselves, and with_options."""

import asyncio
import inspect

from facts import fact
from prefect import Flow, Task, flow, task


def sort_mail(letters: int = 3) -> int:
    """Sort the mail."""
    return letters


async def sort_mail_async() -> int:
    """Sort the mail, asynchronously."""
    return 1


as_task = task(
    name="Mail",
    description="Sorting",
    version="2",
    tags=["post", "daily"],
    retries=2,
    retry_delay_seconds=[0.01, 0.02],
    retry_jitter_factor=0.5,
    timeout_seconds=30,
    task_run_name="mail-{letters}",
)(sort_mail)
as_flow = flow(name="Office", description="All of it", version="3", retries=1, timeout_seconds=60)(sort_mail)


def of_task(made: Task) -> dict:
    """Attributes of a task."""
    names = (
        "name", "description", "version", "retries", "retry_delay_seconds", "retry_jitter_factor",
        "timeout_seconds", "task_run_name", "log_prints", "isasync", "__name__", "__doc__",
    )  # fmt: skip
    return {**{name: getattr(made, name) for name in names}, "tags": sorted(made.tags)}


def of_flow(made: Flow) -> dict:
    """Attributes of a flow."""
    names = (
        "name", "description", "retries", "retry_delay_seconds", "timeout_seconds", "flow_run_name",
        "log_prints", "isasync", "should_validate_parameters", "__name__", "__doc__",
    )  # fmt: skip
    return {name: getattr(made, name) for name in names}


if __name__ == "__main__":
    fact("types", [isinstance(as_task, Task), isinstance(as_flow, Flow)])
    fact("task", of_task(as_task))
    fact("task, by default", of_task(task(sort_mail)))
    fact("asynchronous task", of_task(task(sort_mail_async))["isasync"])
    fact("flow", {**of_flow(as_flow), "version": as_flow.version})
    fact("flow, by default", of_flow(flow(sort_mail)))
    changed = as_task.with_options(name="Parcels", tags=["parcel"], retries=0, timeout_seconds=5, task_run_name="p")
    fact("changed task", of_task(changed))
    fact("the task itself is as it was", of_task(as_task)["name"])
    fact("changed flow", of_flow(as_flow.with_options(name="Depot", retries=0, description="Less", log_prints=True)))
    fact("the flow itself is as it was", of_flow(as_flow)["name"])
    fact("functions", [as_task.fn(5), as_flow.fn(6), as_task.fn is sort_mail, asyncio.run(task(sort_mail_async).fn())])
    fact("persist_result", [task(persist_result=True)(sort_mail)(11), flow(persist_result=True)(sort_mail)(12)])
    fact("signatures", [str(inspect.signature(as_task)), str(inspect.signature(as_flow))])
    fact("they run", [as_task(7), changed(8), as_flow(9), as_flow.with_options(name="Depot")(10)])
    fact("decorator without parentheses", [task(sort_mail)(), task()(sort_mail)(), flow()(sort_mail)()])
