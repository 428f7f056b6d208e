"""Functions called when a flow changes its state."""

from facts import fact, outcome
from prefect import flow, task
from prefect.states import Cancelled, Completed, Failed

log: list[object] = []


def hook(name: str):
    """A hook that writes down what it is given."""

    def call(flow, flow_run, state) -> None:
        log.append([name, flow.name, state.type.value, state.name])

    call.__name__ = name
    return call


def hooks() -> dict[str, list]:
    """One hook for every option."""
    return {
        "on_running": [hook("running")],
        "on_completion": [hook("completed")],
        "on_failure": [hook("failed")],
        "on_crashed": [hook("crashed")],
        "on_cancellation": [hook("cancelled")],
    }


@task(on_completion=[lambda task, task_run, state: log.append("task hook")])
def brick() -> str:
    """A task with a hook."""
    log.append("task body")
    return "brick"


@flow(**hooks())
def wall(how: str):
    """End in the way told."""
    log.append("body")
    if how == "raise":
        raise OSError("fell down")
    ways = {"failed": Failed(message="crooked"), "named": Completed(name="Straight"), "cancelled": Cancelled()}
    return ways.get(how) or brick()


@flow(retries=1, **hooks())
def retried() -> None:
    """Fails twice."""
    log.append("body")
    raise OSError("again")


@flow(**hooks())
def checked(height: int) -> None:
    """Never begins with a wrong parameter."""
    log.append("body")


@flow
def house() -> str:
    """Hooks of a subflow."""
    return wall("child")


@wall.on_failure
def tear_down(flow, flow_run, state) -> None:
    """By decorator; the run's name and tags are at hand."""
    log.append(["decorated", state.message, isinstance(flow_run.name, str), sorted(flow_run.tags)])


def tried(name: str, call, *args) -> None:
    """Say what came of it and what was called."""
    log.clear()
    fact(name, outcome=outcome(call, *args), log=list(log))


if __name__ == "__main__":
    for how in ("return", "raise", "failed", "named", "cancelled"):
        tried(how, wall, how)
    tried("retried", retried)
    tried("wrong parameter", checked, "tall")
    tried("subflow", house)
