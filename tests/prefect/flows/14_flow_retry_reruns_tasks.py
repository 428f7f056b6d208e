"""When a flow is tried again, do its finished tasks run again?"""

from facts import fact
from prefect import flow, task
from prefect.runtime import flow_run

log: list[str] = []


@task
def note(text: str) -> str:
    """Write it down."""
    log.append(text)
    return text


@flow(retries=1)
def twice() -> str:
    """Fail once, after a task has finished."""
    note("before")
    if flow_run.run_count == 1:
        raise ConnectionError("once")
    return "done"


if __name__ == "__main__":
    fact("result", twice())
    fact("times the finished task ran", len(log))
