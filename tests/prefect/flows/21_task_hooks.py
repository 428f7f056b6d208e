"""Functions called when a task changes its state."""

from facts import fact, outcome
from prefect import flow, task

log: list[object] = []


def hook(name: str):
    """A hook that writes down what it is given."""

    def call(task, task_run, state) -> None:
        log.append([name, task.name, state.type.value, state.name, task_run.run_count])

    call.__name__ = name
    return call


@task(
    retries=1,
    on_running=[hook("running")],
    on_completion=[hook("done 1"), hook("done 2")],
    on_failure=[hook("failed")],
)
def pump(fail: bool) -> str:
    """Fail if told so."""
    log.append("body")
    if fail:
        raise OSError("dry")
    return "water"


@pump.on_completion
def after_completion(task, task_run, state) -> None:
    """A hook by decorator comes after those of the option."""
    log.append(["decorated", state.result()])


@pump.on_failure
def after_failure(task, task_run, state) -> None:
    """The exception is in the state."""
    log.append(["decorated", str(state.result(raise_on_failure=False)), state.message])


def tried(name: str, call, *args, **kwargs) -> None:
    """Say what came of it and what was called."""
    log.clear()
    fact(name, outcome=outcome(call, *args, **kwargs), log=list(log))


@flow
def pumping():
    """Direct, submitted, changed by with_options."""
    tried("completed", pump, False)
    tried("failed, after the retries", pump, True)
    tried("submitted", lambda: pump.submit(True).result())
    tried("replaced by with_options", pump.with_options(retries=0, on_failure=[hook("other")]), True)
    tried("a state is wanted", lambda: pump(True, return_state=True).name)


if __name__ == "__main__":
    pumping()
    tried("outside a flow", pump, False)
    fact("decorating gives the function back", callable(after_completion) and after_completion.__name__)
