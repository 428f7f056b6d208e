"""prefect.runtime: what a run knows of itself."""

from facts import fact, raised
from prefect import flow, runtime, tags, task
from prefect.runtime import flow_run, task_run


@task(name="Look Around", tags=["scout"])
def look(near: int, far: int = 9) -> dict:
    """What a task sees."""
    return {
        "task name": task_run.task_name,
        "parameters": task_run.parameters,
        "tags": sorted(task_run.tags),
        "run count": task_run.run_count,
        "id is text": isinstance(task_run.id, str),
        "flow name": flow_run.flow_name,
        "flow parameters": flow_run.parameters,
    }


@flow
def camp() -> dict:
    """What a subflow sees."""
    return {
        "flow name": flow_run.flow_name,
        "has a parent": flow_run.parent_flow_run_id is not None,
        "the parent is the root": flow_run.parent_flow_run_id == flow_run.root_flow_run_id,
        "parent": flow_run.parent_flow_run_id,
    }


@flow(name="Expedition", version="v7")
def expedition(days: int, base: str = "hut") -> dict:
    """What a flow sees."""
    seen = {
        "flow name": flow_run.flow_name,
        "flow version": flow_run.flow_version,
        "parameters": flow_run.parameters,
        "tags": flow_run.tags,
        "run count": flow_run.run_count,
        "id is text": isinstance(flow_run.id, str),
        "no parent": flow_run.parent_flow_run_id,
        "it is its own root": flow_run.root_flow_run_id == flow_run.id,
        "no task": [task_run.id, task_run.name, task_run.parameters, task_run.run_count, task_run.tags],
        "deployment": [runtime.deployment.id, runtime.deployment.name],
        "by module": runtime.flow_run.id == flow_run.id,
        "start": flow_run.scheduled_start_time is not None,
    }
    below = camp()
    seen["child"] = {**below, "parent": below["parent"] == flow_run.id}
    return seen


@flow
def tasks_view() -> list[dict]:
    """Direct and submitted tasks see the same."""
    return [look(1), look.submit(2, far=3).result()]


if __name__ == "__main__":
    fact("nothing outside a run", flow=[flow_run.id, flow_run.name, flow_run.flow_name, flow_run.parameters])
    fact("still nothing", flow=[flow_run.tags, flow_run.run_count], task=[task_run.id, task_run.name, task_run.tags])
    with tags("summer"):
        for name, value in expedition("4").items():
            fact(name, value)
    fact("tasks", tasks_view())
    fact("unknown attribute", raised(lambda: flow_run.colour))
