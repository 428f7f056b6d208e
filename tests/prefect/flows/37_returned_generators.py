"""A generator that is returned is used up and recorded as a list."""

from facts import fact
from prefect import flow, task

log: list[str] = []


def counting():
    """An ordinary generator."""
    yield from (1, 2, 3)
    log.append("used up")


@task
def task_returns() -> object:
    """A task."""
    return counting()


@flow
def flow_returns() -> object:
    """A flow."""
    return counting()


if __name__ == "__main__":
    state = task_returns(return_state=True)
    fact("task", holds=state.result(), used_up=len(log))
    log.clear()
    state = flow_returns(return_state=True)
    fact("flow", holds=state.result(), used_up=len(log))
