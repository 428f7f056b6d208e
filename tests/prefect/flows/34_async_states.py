"""Reading states where coroutines run: results are awaited there."""

import asyncio

from facts import fact
from prefect import flow, task
from prefect.states import Completed


@task
async def fetch(number: int) -> int:
    """Fails for zero."""
    return 10 // number


@flow
async def reads() -> list:
    """State results, awaited."""
    good = await fetch(2, return_state=True)
    bad = await fetch(0, return_state=True)
    seen = [await good.aresult(), await good.aresult()]
    try:
        await bad.aresult()
    except ZeroDivisionError:
        seen.append("raised")
    seen.append(type(await bad.aresult(raise_on_failure=False)).__name__)
    return seen


@flow
async def early() -> object:
    """A state of one's own."""
    return Completed(message="early", data=3)


@flow
async def returns_future() -> object:
    """A future, returned by a coroutine."""
    return fetch.submit(5)


if __name__ == "__main__":
    fact("awaited", asyncio.run(reads()))
    fact("early", asyncio.run(early(return_state=True)))
    fact("future", asyncio.run(returns_future(return_state=True)))
