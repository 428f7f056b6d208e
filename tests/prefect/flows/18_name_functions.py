"""Run names that a function makes."""

from facts import fact, raised
from prefect import flow, task
from prefect.runtime import flow_run, task_run


def flow_label() -> str:
    """A name from what is known of the run."""
    given = flow_run.parameters
    return f"{flow_run.flow_name}:{given['region']}:{given['limit']}"


def task_label() -> str:
    """A name from the task and the flow."""
    return f"{flow_run.flow_name}/{task_run.task_name}/{task_run.parameters['row']}/{task_run.parameters['unit']}"


def label_from_parameters(parameters: dict) -> str:
    """A function that asks for the parameters."""
    return "+".join(f"{key}={value}" for key, value in sorted(parameters.items()))


@task(task_run_name=task_label)
def by_runtime(row: int, unit: str = "kg") -> str:
    """Named by prefect.runtime."""
    return task_run.name


@task(task_run_name=label_from_parameters)
def by_parameters(row: int, unit: str = "kg") -> str:
    """Named by its parameters."""
    return task_run.name


@task(task_run_name=lambda: 5)
def not_a_text() -> None:
    """The function gives a number."""


@flow(flow_run_name=flow_label)
def sales(region: str, limit: int = 100) -> list[str]:
    """Named by a function."""
    return [flow_run.name, by_runtime(3), by_parameters(4), by_parameters.submit(5, unit="t").result()]


@flow(flow_run_name=lambda: None)
def not_a_text_either() -> None:
    """The function gives nothing."""


if __name__ == "__main__":
    fact("names", sales("north"))
    fact("a task's name must be text", raised(not_a_text))
    fact("a flow's name must be text", raised(not_a_text_either))
