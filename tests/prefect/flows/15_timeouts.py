"""Time limits of tasks and flows."""

import asyncio
import time

from facts import fact, outcome
from prefect import flow, task


@task(timeout_seconds=0.2)
def sleepy() -> None:
    """Takes too long."""
    time.sleep(20)


@task(timeout_seconds=0.2)
async def sleepy_async() -> None:
    """Takes too long, asynchronously."""
    await asyncio.sleep(20)


@task(timeout_seconds=30)
def quick() -> str:
    """Is done in time."""
    return "in time"


@task
def own_timeout() -> None:
    """Raises a TimeoutError of its own."""
    raise TimeoutError("the server was slow")


@flow(timeout_seconds=0.3)
def sleepy_flow() -> None:
    """Takes too long."""
    time.sleep(20)


@flow(timeout_seconds=0.3)
async def sleepy_async_flow() -> None:
    """Takes too long, asynchronously."""
    await asyncio.sleep(20)


@flow(timeout_seconds=30)
def quick_flow() -> str:
    """Is done in time."""
    return quick()


def timed_out(call, *args, **kwargs) -> bool:
    """Whether a TimeoutError of any kind came out."""
    try:
        call(*args, **kwargs)
    except TimeoutError:
        return True
    return False


def shown(state) -> list[str]:
    """Type, name, message."""
    return [state.type.value, state.name, state.message]


@flow
def tasks():
    """Tasks with limits."""
    fact("in time", quick())
    fact("called", timed_out(sleepy))
    fact("state", shown(sleepy(return_state=True)))
    fact("submitted coroutine", timed_out(sleepy_async.submit().result))
    fact("its state", shown(sleepy_async.submit(return_state=True)))
    fact("an error of its own", outcome(own_timeout))
    fact("its own state", shown(own_timeout(return_state=True)))


@flow
def catches() -> str:
    """A time limit can be caught."""
    try:
        sleepy()
    except TimeoutError:
        return "went on"
    return "not reached"


if __name__ == "__main__":
    tasks()
    fact("caught", catches())
    fact("flow in time", quick_flow())
    fact("flow", timed_out(sleepy_flow))
    fact("state of the flow", shown(sleepy_flow(return_state=True)))
    fact("async flow", timed_out(lambda: asyncio.run(sleepy_async_flow())))
    fact("state of the async flow", shown(asyncio.run(sleepy_async_flow(return_state=True))))
    fact("attribute", quick.timeout_seconds)
