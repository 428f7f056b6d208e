"""How arguments are bound, and what is said when they do not fit."""

from facts import fact, outcome, raised
from prefect import flow, task


@flow
def packing(first: int, second: int = 2, *rest: int, key: int = 4, **others: int):
    """Every kind of parameter."""
    return {"first": first, "second": second, "rest": list(rest), "key": key, "others": others}


@flow
def positional(first: int, /, second: int):
    """A parameter by position only."""
    return [first, second]


@task
def adds(left: int, right: int = 1) -> int:
    """A task."""
    return left + right


@task
def gathers(*numbers: int, **named: int) -> list:
    """A task with any number of arguments."""
    return [list(numbers), named]


@flow
def calls() -> dict:
    """Arguments of tasks."""
    return {
        "positions": adds(1, 2),
        "names": adds(right=5, left=1),
        "submit": adds.submit(3, right=4).result(),
        "any number": gathers(1, 2, a=3),
        "any number, submitted": gathers.submit(1, 2, a=3).result(),
        "futures among them": gathers(adds.submit(1), a=adds.submit(2)),
    }


@flow
def no_run_at_all(state: bool) -> object:
    """Arguments that do not fit make no run, whatever is asked for."""
    return outcome(adds, return_state=state)


def outer_default(number: int = 3):
    """An ordinary function."""
    return number


if __name__ == "__main__":
    fact("all kinds", packing("1", "2", 3, key="5", other=6))
    fact("defaults", packing(1))
    fact("by position only", positional("1", second="2"))
    fact("tasks", calls())
    fact("missing", outcome(packing))
    fact("unknown", outcome(positional, 1, 2, third=3))
    fact("too many", outcome(adds, 1, 2, 3))
    fact("twice", outcome(lambda: adds(1, left=2)))
    fact("with return_state", [no_run_at_all(False), no_run_at_all(True)])
    fact("reserved names", [
        raised(lambda: task(lambda wait_for: 1)),
        raised(lambda: flow(lambda return_state: 1)),
    ])  # fmt: skip
    fact("decorated by hand", [flow(outer_default)(), task(outer_default)(number=4)])
