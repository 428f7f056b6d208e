"""Flows in flows."""

from facts import fact, outcome
from prefect import flow, task
from prefect.futures import wait


@task
def measure(number: int) -> int:
    """A task."""
    if number < 0:
        raise ValueError(f"negative: {number}")
    return number


@flow
def child(number: int) -> int:
    """A flow to be called by others."""
    return measure(number) * 10


@flow
def failing_child() -> None:
    """Fails."""
    raise RuntimeError("child")


@flow
def takes_list(numbers: list[int]) -> int:
    """Adds."""
    return sum(numbers)


@flow
def parent() -> dict:
    """Calls them in every way."""
    return {
        "plain": child(1),
        "converted": child("2"),
        "with a future": child(measure.submit(3)),
        "with futures": takes_list([measure.submit(1), measure.submit(2)]),
        "with what map gives": takes_list(measure.map([1, 2, 3])),
        "state": child(4, return_state=True),
        "a task after a subflow": measure(child(5)),
        "a state passed on": measure(child(5, return_state=True)),
        "wait_for": child(6, wait_for=[measure.submit(1)]),
        "raises": outcome(failing_child),
        "failed state": failing_child(return_state=True),
        "wrong parameter": outcome(child, "x"),
    }


@flow
def not_caught() -> None:
    """A child's failure is the parent's, unless caught."""
    failing_child()


@flow
def returns_states() -> object:
    """Two children's states."""
    return failing_child(return_state=True), child(1, return_state=True)


@flow
def factorial(number: int) -> int:
    """A flow that calls itself."""
    return 1 if number < 2 else number * factorial(number - 1)


@flow
def stage(name: str, parts: int) -> list[str]:
    """A flow with tasks of its own."""
    futures = [part.submit(f"{name}{number}") for number in range(parts)]
    wait(futures)
    return [future.result() for future in futures]


@task
def part(name: str) -> str:
    """A part."""
    return name


@flow
def stages(wide: bool) -> list[str]:
    """Only the children that are needed."""
    return stage("a", 2) + (stage("b", 3) if wide else [])


if __name__ == "__main__":
    for name, value in parent().items():
        fact(name, value)
    fact("not caught", not_caught(return_state=True))
    fact("states", returns_states(return_state=True))
    fact("recursion", factorial(4))
    fact("conditional", [stages(True), stages(False)])
