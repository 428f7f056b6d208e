"""Task runners."""

import threading

from facts import fact
from prefect import flow, task
from prefect.futures import wait
from prefect.task_runners import ThreadPoolTaskRunner

log: list[int] = []
both = threading.Barrier(2, timeout=30)


@task
def in_turn(number: int) -> None:
    """Write down the order."""
    log.append(number)


@task
def meets() -> str:
    """Goes on only when two run at once."""
    both.wait()
    return "met"


@task
def on_main_thread() -> bool:
    """Where it runs."""
    return threading.current_thread() is threading.main_thread()


@flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
def one_at_a_time() -> list[int]:
    """One worker: in the order of submission."""
    wait([in_turn.submit(number) for number in range(6)])
    return list(log)


@flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
def several() -> list[str]:
    """More workers: at the same time."""
    return [future.result() for future in [meets.submit(), meets.submit()]]


@flow
def by_default() -> list[str]:
    """The runner that nobody chose runs at the same time too."""
    return [future.result() for future in [meets.submit(), meets.submit()]]


@flow(task_runner=ThreadPoolTaskRunner)
def by_class() -> list[bool]:
    """A runner given as a class; direct calls stay on the main thread."""
    return [on_main_thread(), on_main_thread.submit().result()]


@flow
def different_runners() -> list:
    """Each flow has a runner of its own."""
    log.clear()
    return [one_at_a_time(), several()]


if __name__ == "__main__":
    fact("one at a time", one_at_a_time())
    fact("several", several())
    fact("by default", by_default())
    fact("main thread", by_class())
    fact("different runners", different_runners())
    fact("changed by with_options", several.with_options(task_runner=ThreadPoolTaskRunner(max_workers=2))())
