"""retry_condition_fn: whether a failed attempt is worth another one."""

from facts import fact, outcome
from prefect import flow, task
from prefect.states import Failed

asked: list[dict] = []
attempts: list[str] = []


class Refused(Exception):
    """The other side said no."""


def unless_refused(task, task_run, state) -> bool:
    """Do not insist when refused."""
    asked.append({"task": task.name, "run_count": task_run.run_count, "state": state.type.value})
    try:
        state.result()
    except Refused:
        return False
    except Exception:
        return True
    return True


async def unless_refused_async(task, task_run, state) -> bool:
    """The same, as a coroutine."""
    return unless_refused(task, task_run, state)


def broken(task, task_run, state) -> bool:
    """A condition with a mistake."""
    raise ZeroDivisionError


@task(retries=2, retry_condition_fn=unless_refused)
def call_out(answer: str) -> None:
    """Fail as told."""
    attempts.append(answer)
    raise Refused(answer) if answer == "no" else OSError(answer)


@task(retries=2, retry_condition_fn=broken)
def with_broken_condition() -> None:
    """Fails."""
    attempts.append("x")
    raise OSError("x")


@task(retries=1, retry_condition_fn=unless_refused)
def returns_failed() -> object:
    """A returned Failed state is asked about too."""
    attempts.append("x")
    return Failed(message="by return")


def tried(name: str, call, *args) -> None:
    """Say what came of it."""
    attempts.clear()
    asked.clear()
    fact(name, outcome=outcome(call, *args), attempts=len(attempts), asked=list(asked))


@flow
def conditions():
    """All of them."""
    tried("worth another try", call_out, "busy")
    tried("not worth it", call_out, "no")
    tried("coroutine", call_out.with_options(retry_condition_fn=unless_refused_async), "no")
    tried("submitted", lambda: call_out.submit("no").result())
    tried("a condition that fails means no", with_broken_condition)
    tried("returned state", returns_failed)


if __name__ == "__main__":
    conditions()
