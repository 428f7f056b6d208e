"""Exits and interruptions."""

import sys

from facts import fact, outcome
from prefect import flow, task

log: list[list[str]] = []


def hook(flow, flow_run, state) -> None:
    """Write down a crash."""
    log.append([flow.name, state.type.value, state.name])


@flow(on_crashed=[hook], on_failure=[hook])
def leaves() -> None:
    """Exits."""
    sys.exit(3)


@flow(on_crashed=[hook], on_failure=[hook])
def interrupted() -> None:
    """As if somebody had pressed Ctrl-C."""
    raise KeyboardInterrupt


@task
def task_leaves() -> None:
    """A task that exits."""
    sys.exit(4)


@flow(on_crashed=[hook], on_failure=[hook])
def task_in_flow_leaves() -> None:
    """A flow with such a task."""
    task_leaves()


@flow(on_crashed=[hook], on_failure=[hook])
def survives() -> str:
    """Caught in time."""
    try:
        task_leaves()
    except SystemExit as error:
        return f"caught {error.code}"
    return "not reached"


if __name__ == "__main__":
    for made in (leaves, interrupted, task_in_flow_leaves, survives):
        log.clear()
        fact(made.name, outcome=outcome(made), hooks=list(log))
    fact("return_state does not hide it", outcome(leaves, return_state=True))
