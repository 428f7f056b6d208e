"""Retries of whole flows."""

from facts import fact, outcome
from prefect import flow, task
from prefect.runtime import flow_run

log: list[str] = []


@task
def note(text: str) -> str:
    """Write it down."""
    log.append(text)
    return text


@flow(retries=2)
def stubborn(good_on: int) -> int:
    """Succeed on the given attempt."""
    log.append(f"attempt {flow_run.run_count}")
    if flow_run.run_count < good_on:
        raise ConnectionError(f"attempt {flow_run.run_count}")
    return flow_run.run_count


@flow(retries=1, retry_delay_seconds=0.01)
def with_tasks() -> str:
    """Fail after two tasks, the first time."""
    note("one")
    note.submit("two").result()
    if flow_run.run_count == 1:
        raise ConnectionError("between")
    return note("three")


@flow(retries=1)
def inner() -> str:
    """A subflow with retries of its own."""
    log.append(f"inner {flow_run.run_count}")
    if flow_run.run_count == 1:
        raise ConnectionError("inner")
    return "inner done"


@flow
def outer() -> str:
    """Calls it."""
    log.append(f"outer {flow_run.run_count}")
    return inner()


def tried(name: str, call, *args, **kwargs) -> None:
    """Say what came of it."""
    log.clear()
    fact(name, outcome=outcome(call, *args, **kwargs), log=list(log))


if __name__ == "__main__":
    tried("first time", stubborn, 1)
    tried("last time", stubborn, 3)
    tried("too often", stubborn, 9)
    tried("state of a failure", stubborn, 9, return_state=True)
    tried("subflow", outer)
    log.clear()
    fact("a flow with tasks", with_tasks())
    fact("the last task", log[-1])
