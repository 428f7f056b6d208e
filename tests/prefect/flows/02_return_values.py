"""How a flow's final state follows from a plain return value or an exception."""

from facts import fact, outcome
from prefect import flow, task


@task
def weigh(item: str) -> int:
    """Grams, by the length of the name."""
    if item == "void":
        raise LookupError(f"cannot weigh {item}")
    return len(item) * 10


@flow
def nothing():
    """Return None."""


@flow
def number():
    """Return a number."""
    return weigh("apple")


@flow
def empty_list():
    """An empty list holds no states, so it is a plain value."""
    return []


@flow
def containers():
    """Nested plain containers come back as they are."""
    return {"pair": (1, 2), "list": [weigh("fig")], "set": {3}}


@flow
def raises():
    """An exception in the flow's own code."""
    raise ArithmeticError("scales are off")


@flow
def task_raises():
    """An exception in a task called directly."""
    return weigh("void")


@flow
def handled():
    """A task's exception can be caught like any other."""
    try:
        weigh("void")
    except LookupError as error:
        return f"handled: {error}"


if __name__ == "__main__":
    for made in (nothing, number, empty_list, containers, raises, task_raises, handled):
        fact(made.name, call=outcome(made), state=made(return_state=True))
