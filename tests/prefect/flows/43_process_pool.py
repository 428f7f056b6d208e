"""Tasks in processes of their own."""

import os

from facts import fact, outcome
from prefect import flow, task
from prefect.task_runners import ProcessPoolTaskRunner


@task
def square(number: int) -> int:
    """A number, squared."""
    return number * number


@task
def elsewhere() -> int:
    """The process it runs in."""
    return os.getpid()


@task
def fails() -> None:
    """Fails, over there."""
    raise LookupError("over there")


@flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
def squares() -> dict:
    """Submit, map, fail."""
    return {
        "submitted": square.submit(3).result(),
        "mapped": square.map([1, 2, 3]).result(),
        "with a future": square.submit(square.submit(2)).result(),
        "another process": elsewhere.submit().result() != os.getpid(),
        "direct call": elsewhere() == os.getpid(),
        "failure": outcome(fails.submit().result),
    }


if __name__ == "__main__":
    for name, value in squares().items():
        fact(name, value)
