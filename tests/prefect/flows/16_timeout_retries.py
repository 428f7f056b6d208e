"""A task that ran out of time is tried again like any other."""

import time

from facts import fact
from prefect import flow, task
from prefect.runtime import task_run

attempts: list[int] = []


@task(timeout_seconds=0.2, retries=1)
def slow_at_first() -> str:
    """Too slow once."""
    attempts.append(task_run.run_count)
    if task_run.run_count == 1:
        time.sleep(20)
    return "second time"


@flow
def patient() -> str:
    """Calls it."""
    return slow_at_first()


if __name__ == "__main__":
    fact("result", patient())
    fact("attempts", attempts)
