"""Tasks in tasks, flows in tasks, tasks without any flow."""

from facts import fact, outcome
from prefect import flow, task
from prefect.runtime import flow_run, task_run


@task
def leaf(number: int) -> list:
    """Where it runs."""
    return [number, task_run.task_name, flow_run.flow_name]


@task
def branch(number: int) -> dict:
    """A task that calls tasks in every way."""
    return {
        "direct": leaf(number),
        "submitted": leaf.submit(number + 1).result(),
        "mapped": leaf.map([7, 8]).result(),
        "self": task_run.task_name,
    }


@task
def trunk() -> list:
    """A task that calls one directly."""
    return leaf(0)


@flow
def grove() -> int:
    """A flow called by a task."""
    return len(leaf(1))


@task
def calls_flow() -> int:
    """A task that calls a flow."""
    return grove()


@task
def fails_below() -> None:
    """A task whose inner task fails."""
    breaks()


@task(retries=1)
def breaks() -> None:
    """Fails."""
    raise OSError("branch broke")


@flow
def forest() -> dict:
    """All of them."""
    return {
        "branch": branch(1),
        "branch submitted": branch.submit(2).result(),
        "calls a flow": calls_flow(),
        "calls a flow, submitted": calls_flow.submit().result(),
        "failure": outcome(fails_below),
        "failed state": fails_below(return_state=True),
    }


if __name__ == "__main__":
    for name, value in forest().items():
        fact(name, value)
    fact("task in a task without a flow", trunk())
    fact("a flow called by a task without a flow", calls_flow())
