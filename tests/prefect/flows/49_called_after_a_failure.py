"""A task called directly with the future of a failed task."""

from facts import fact, outcome
from prefect import flow, task


@task
def breaks() -> None:
    """Fails."""
    raise OSError("x")


@task
def after(thing: object) -> str:
    """Would run next."""
    return f"ran with {thing}"


@flow
def calls() -> object:
    """Call it."""
    return outcome(after, breaks.submit())


@flow
def child(thing: object) -> str:
    """A flow that would run next."""
    return f"ran with {thing}"


@flow
def calls_child() -> object:
    """Call that one."""
    return outcome(child, breaks.submit())


if __name__ == "__main__":
    fact("task", calls())
    fact("flow", calls_child())
