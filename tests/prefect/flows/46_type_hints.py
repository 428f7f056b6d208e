"""Hooks and functions annotated the way people do it."""

from facts import fact
from prefect import Flow, State, Task, flow, task
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.futures import PrefectFuture, PrefectFutureList
from prefect.states import State as StateToo

log: list[list[object]] = []


def task_hook(tsk: Task, run: TaskRun, state: State) -> None:
    """A hook of a task."""
    log.append([isinstance(tsk, Task), isinstance(run, TaskRun), isinstance(state, State)])


def flow_hook(flw: Flow, run: FlowRun, state: StateToo) -> None:
    """A hook of a flow."""
    log.append([isinstance(flw, Flow), isinstance(run, FlowRun), isinstance(state, StateToo)])


@task(on_completion=[task_hook])
def step(number: int) -> int:
    """A task."""
    return number


def first_of(futures: PrefectFutureList[int]) -> PrefectFuture[int]:
    """An ordinary function."""
    return futures[0]


@flow(on_completion=[flow_hook])
def annotated() -> int:
    """A flow."""
    return first_of(step.map([4, 5])).result()


if __name__ == "__main__":
    fact("result", annotated())
    fact("types", log[-1] == [True, True, True] and all(entry == [True, True, True] for entry in log))
