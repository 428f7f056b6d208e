"""Hooks with arguments of their own, asynchronous ones, broken ones, wrong ones."""

from functools import partial

from facts import fact, outcome, raised
from prefect import flow, task

log: list[object] = []


def notify(task, task_run, state, channel: str, urgent: bool = False) -> None:
    """A hook that takes more than the three arguments."""
    log.append([channel, urgent, state.name])


async def notify_async(task, task_run, state) -> None:
    """An asynchronous hook."""
    log.append(["async", state.name])


def broken(task, task_run, state) -> None:
    """A hook with a mistake."""
    raise ZeroDivisionError


class Counter:
    """An object that can be called."""

    def __call__(self, task, task_run, state) -> None:
        """Count."""
        log.append(["object", state.name])


@task
def work(fail: bool = False) -> str:
    """Fail if told so."""
    if fail:
        raise OSError("x")
    return "done"


@flow
def passes_arguments(channel: str) -> object:
    """Give the hook arguments by with_options and partial."""
    noisy = work.with_options(on_failure=[partial(notify, channel=channel, urgent=True)])
    return "sent", noisy(True, return_state=True).name


@flow
def same_state() -> bool:
    """The hook gets the state that the caller gets."""
    got = []
    given = work.with_options(on_failure=[lambda task, task_run, state: got.append(state)])(True, return_state=True)
    return got == [given]


@flow
def kinds():
    """All kinds of hooks, in one list."""
    return work.with_options(on_completion=[notify_async, broken, Counter()])()


async def flow_hook(flow, flow_run, state) -> None:
    """An asynchronous hook of a flow."""
    log.append(["flow, async", state.name])


@flow(on_completion=[flow_hook, broken])
def flow_kinds() -> str:
    """A broken hook does not change the state."""
    return "fine"


def tried(name: str, call, *args, **kwargs) -> None:
    """Say what came of it and what was called."""
    log.clear()
    fact(name, outcome=outcome(call, *args, **kwargs), log=list(log))


if __name__ == "__main__":
    tried("arguments", passes_arguments, "#ops")
    tried("state", same_state)
    tried("kinds", kinds)
    tried("of a flow", flow_kinds, return_state=True)
    fact("hooks not in a list", raised(lambda: task(on_failure=broken)(work.fn)) is not None)
    fact("hooks that cannot be called", raised(lambda: flow(on_failure=["mail"])(work.fn)) is not None)
