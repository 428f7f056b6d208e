"""How a flow's final state follows from returned futures and from states of tasks."""

from facts import fact, outcome
from prefect import flow, task


@task
def pick(number: int) -> int:
    """Give the number back, or fail for a negative one."""
    if number < 0:
        raise ValueError(f"negative: {number}")
    return number


@flow
def one_future(number: int):
    """A single future."""
    return pick.submit(number)


@flow
def list_of_futures(numbers: list[int]):
    """Several futures in a list."""
    return [pick.submit(number) for number in numbers]


@flow
def tuple_of_futures(numbers: list[int]):
    """Several futures in a tuple."""
    return tuple(pick.submit(number) for number in numbers)


@flow
def set_of_futures(numbers: list[int]):
    """Several futures in a set."""
    return {pick.submit(number) for number in numbers}


@flow
def mapped(numbers: list[int]):
    """What map() gives, returned as it is."""
    return pick.map(numbers)


@flow
def task_state(number: int):
    """The state of a task that was called directly."""
    return pick(number, return_state=True)


@flow
def states_of_tasks(numbers: list[int]):
    """Several of them."""
    return [pick(number, return_state=True) for number in numbers]


if __name__ == "__main__":
    for made in (one_future, task_state):
        for number in (4, -4):
            fact(f"{made.name} {number}", call=outcome(made, number), state=made(number, return_state=True))
    for made in (list_of_futures, tuple_of_futures, set_of_futures, mapped, states_of_tasks):
        for numbers in ([1, 2], [1, -2], [-1, -2]):
            fact(f"{made.name} {numbers}", call=outcome(made, numbers), state=made(numbers, return_state=True))
