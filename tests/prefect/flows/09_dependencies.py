"""What a task waits for, and what happens when that has failed."""

from threading import Event

from facts import fact, outcome
from prefect import flow, task

log: list[str] = []
opened = Event()


@task
def step(name: str) -> str:
    """Write down that a step ran."""
    log.append(name)
    return name


@task
def slow_step(name: str) -> str:
    """A step that finishes only after the flow has submitted everything."""
    opened.wait(30)
    log.append(name)
    return name


@task
def leak() -> None:
    """Fails."""
    raise OSError("leak")


@flow
def in_order():
    """wait_for keeps the order of tasks that share no data."""
    first = slow_step.submit("first")
    second = step.submit("second", wait_for=[first])
    third = step.submit("third", wait_for=[first, second])
    opened.set()
    third.wait()
    return list(log)


@flow
def what_wait_for_takes():
    """Futures, states, values, nested."""
    done = step("done", return_state=True)
    fact("a future on its own", step("a", wait_for=step.submit("x")))
    fact("nested", step("b", wait_for=[[step.submit("x")], {"k": step.submit("y")}]))
    fact("a state", step("c", wait_for=[done]))
    fact("plain values", step("d", wait_for=["text", None, 3]))
    fact("with map", step.map(["e", "f"], wait_for=[step.submit("x")]).result())


@flow
def after_a_failure():
    """A task after a failed one does not run."""
    log.clear()
    failed = leak.submit()
    by_order = step.submit("never 1", wait_for=[failed])
    by_data = step.submit(failed)
    after_that = step.submit(by_data)
    for name, future in (("by order", by_order), ("by data", by_data), ("after that", after_that)):
        future.wait()
        fact(f"{name} state", state=future.state, final=future.state.is_final())
        fact(f"{name} result", outcome(future.result))
    fact("direct, by order", step("never 2", wait_for=[failed], return_state=True))
    fact("direct, by a failed state", step(leak(return_state=True), return_state=True))
    mapped = step.map([step.submit("ran"), failed])
    mapped.wait()
    fact("mapped", [future.state for future in mapped])
    fact("what ran", sorted(log))


@flow
def returns_what_never_ran():
    """The future of a task that could not run."""
    return step.submit(leak.submit())


if __name__ == "__main__":
    fact("order", in_order())
    for made in (what_wait_for_takes, after_a_failure):
        made()
    state = returns_what_never_ran(return_state=True)
    fact("flow with a task that never ran", [state.type.value, state.name, state.message])
