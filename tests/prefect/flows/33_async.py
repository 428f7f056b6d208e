"""Asynchronous flows and tasks."""

import asyncio

from facts import fact, outcome
from prefect import flow, task
from prefect.futures import as_completed, wait
from prefect.runtime import flow_run, task_run


@task
async def fetch(number: int) -> int:
    """A coroutine."""
    await asyncio.sleep(0)
    return number * 2


@task
async def refuse() -> None:
    """Fails."""
    raise PermissionError("closed")


@task
def plus_one(number: int) -> int:
    """An ordinary task."""
    return number + 1


@task(retries=2)
async def flaky() -> int:
    """Succeeds the third time."""
    if task_run.run_count < 3:
        raise ConnectionError("not yet")
    return task_run.run_count


@flow
async def one_by_one(number: int = 4) -> list:
    """Await each."""
    return [await fetch(number), await fetch(5), plus_one(6), flow_run.flow_name]


@flow
async def together() -> list:
    """asyncio.gather."""
    return list(await asyncio.gather(*(fetch(number) for number in range(5))))


@flow
async def submitted() -> dict:
    """submit and map in an asynchronous flow."""
    future, mapped = fetch.submit(4), fetch.map([1, 2])
    futures = [fetch.submit(number) for number in range(3)]
    wait(futures)
    return {
        "result": future.result(),
        "mapped": mapped.result(),
        "ordinary task": plus_one.submit(1).result(),
        "with a future": plus_one.submit(fetch.submit(3)).result(),
        "awaited with a future": await fetch(fetch.submit(3)),
        "as_completed": sorted(found.result() for found in as_completed(futures)),
        "retries": await flaky(),
        "retries, submitted": flaky.submit().result(),
    }


@flow
async def failures() -> list:
    """Failures of coroutines."""
    caught = []
    try:
        await refuse()
    except PermissionError as error:
        caught.append(str(error))
    state = await refuse(return_state=True)
    caught.append([state.name, state.message])
    caught.append(outcome(refuse.submit().result))
    results = await asyncio.gather(refuse(), fetch(1), return_exceptions=True)
    return [*caught, [type(result).__name__ for result in results]]


@flow
async def child(number: int) -> int:
    """An asynchronous subflow."""
    return await fetch(number)


@flow
def ordinary_child(number: int) -> int:
    """An ordinary subflow."""
    return plus_one(number)


@flow
async def parent() -> list:
    """Subflows, one by one and together."""
    state = await child(3, return_state=True)
    return [await child("1"), list(await asyncio.gather(child(1), child(2))), ordinary_child(4), state.name]


@flow
def ordinary_flow() -> list:
    """Coroutines of tasks in an ordinary flow."""
    return [fetch.submit(1).result(), fetch.map([1, 2]).result(), asyncio.run(collect())]


async def collect() -> list:
    """An ordinary coroutine function that awaits tasks."""
    return [await fetch(8), await fetch(9)]


@flow
async def fails() -> None:
    """Fails."""
    raise LookupError("nothing there")


if __name__ == "__main__":
    coroutine = one_by_one()
    fact("a call gives a coroutine", asyncio.iscoroutine(coroutine))
    fact("one by one", asyncio.run(coroutine))
    fact("parameters are checked", outcome(lambda: asyncio.run(one_by_one("x"))))
    for made in (together, submitted, failures, parent):
        fact(made.name, asyncio.run(made()))
    fact("ordinary flow", ordinary_flow())
    fact("state", asyncio.run(together(return_state=True)))
    fact("failure", outcome(lambda: asyncio.run(fails())))
    fact("failed state", asyncio.run(fails(return_state=True)))
    fact("task without a flow", asyncio.run(fetch(21)))
