"""Parameters of flows are checked and converted; those of tasks are left alone."""

from typing import Optional

from facts import fact, outcome
from prefect import flow, task


@flow
def order(item: str, count: int, price: float = 1.0, note: Optional[str] = None):  # noqa: UP045
    """What arrives."""
    return [item, count, price, note]


@flow
def rows(given: list[int], lookup: dict[str, int] = {}):  # noqa: B006
    """Containers."""
    return [given, lookup]


@flow(validate_parameters=False)
def unchecked(count: int):
    """Checks nothing."""
    return count


@flow
def untyped(anything, more=None):
    """Nothing to check against."""
    return [anything, more]


@task
def task_arguments(count: int):
    """Tasks do not check."""
    return count


@flow
def calls_task() -> object:
    """Even in a flow."""
    return task_arguments("5")


if __name__ == "__main__":
    fact("converted", order("tea", "3", "2"))
    fact("kept", order("tea", 3, 2.5, note="hot"))
    fact("whole number from a float", order("tea", 3.0))
    fact("truth is a number", order("tea", True))
    fact("lists", rows(["1", 2.0], {"a": "3"}))
    fact("tuple for a list", rows((1, 2)))
    fact("one mistake", outcome(order, "tea", "many"))
    fact("every mistake at once", outcome(order, 5, "many", "dear", note=7))
    fact("where in a container", outcome(rows, [1, "two", "three"], {"a": "b"}))
    fact("wrong kind of container", outcome(rows, "12"))
    state = order("tea", "many", return_state=True)
    fact("state of a run with wrong parameters", [state.type.value, state.name], result=outcome(state.result))
    fact("not checked", unchecked("5"))
    fact("without annotations", untyped("5", more=[1]))
    fact("a task", [task_arguments("5"), calls_task()])
