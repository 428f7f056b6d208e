"""Retries of tasks."""

from collections.abc import Callable

from facts import fact, outcome, raised
from prefect import flow, task
from prefect.runtime import task_run
from prefect.states import Completed, Failed
from prefect.tasks import exponential_backoff

attempts: list[int] = []


@task(retries=3)
def flaky(good_on: int) -> str:
    """Succeed on the given attempt."""
    attempts.append(task_run.run_count)
    if len(attempts) < good_on:
        raise ConnectionError(f"attempt {len(attempts)}")
    return f"attempt {len(attempts)}"


@task(retries=2, retry_delay_seconds=[0.01, 0.02])
def with_delays() -> str:
    """Fail once, with delays configured."""
    attempts.append(task_run.run_count)
    if len(attempts) < 3:
        raise ConnectionError("not yet")
    return "third time"


@task(retries=3, retry_delay_seconds=0.01, retry_jitter_factor=0.5)
def jittered() -> None:
    """Always fails."""
    attempts.append(task_run.run_count)
    raise ConnectionError("never")


@task(retries=2)
def returns_failed() -> object:
    """A returned Failed state counts as a failure."""
    attempts.append(task_run.run_count)
    return Failed(message="no") if len(attempts) < 2 else Completed(message="yes", data=len(attempts))


@task
def no_retries() -> None:
    """Fails, once."""
    attempts.append(task_run.run_count)
    raise ConnectionError("once")


def tried(name: str, call: Callable[..., object], *args: object, **kwargs: object) -> None:
    """Say what came of it and how many attempts it took."""
    attempts.clear()
    fact(name, outcome=outcome(call, *args, **kwargs), attempts=list(attempts))


@flow
def retrying():
    """Every way to call a task with retries."""
    tried("first time", flaky, 1)
    tried("second time", flaky, 2)
    tried("last time", flaky, 4)
    tried("too often", flaky, 9)
    tried("state of a success", flaky, 2, return_state=True)
    tried("state of a failure", flaky, 9, return_state=True)
    tried("submitted", lambda: flaky.submit(3).result())
    tried("mapped", lambda: flaky.map([9]).result(raise_on_failure=False))
    tried("fewer, by with_options", flaky.with_options(retries=1), 9)
    tried("none, by with_options", flaky.with_options(retries=0), 9)
    tried("list of delays", with_delays)
    tried("jitter", jittered)
    tried("returned state", returns_failed, return_state=True)
    tried("no retries", no_retries)


WRONG = {
    "jitter below zero": {"retry_jitter_factor": -1},
    "condition that cannot be called": {"retry_condition_fn": "always"},
}

if __name__ == "__main__":
    retrying()
    tried("outside a flow", flaky, 2)
    fact("backoff", two=exponential_backoff(2)(5), half=exponential_backoff(backoff_factor=0.5)(3))
    made = task(retries=4, retry_delay_seconds=exponential_backoff(3), retry_jitter_factor=1)(no_retries.fn)
    fact("delays worked out", retries=made.retries, delays=made.retry_delay_seconds, jitter=made.retry_jitter_factor)
    for name, wrong in WRONG.items():
        fact(f"refused: {name}", raised(lambda wrong=wrong: task(**wrong)(no_retries.fn)) is not None)
