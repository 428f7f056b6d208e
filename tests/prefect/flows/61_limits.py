"""concurrency() and rate_limit() in code, where no limit of that name is declared."""

import asyncio

from facts import fact, outcome, raised
from prefect import flow, task
from prefect.concurrency.asyncio import concurrency as aconcurrency
from prefect.concurrency.asyncio import rate_limit as arate_limit
from prefect.concurrency.sync import concurrency, rate_limit

NAMES = ["never-declared", "nor-this-one"]


@flow
def undeclared():
    """Holds nobody back."""
    with concurrency("never-declared"):
        fact("inside", True)
    with concurrency("never-declared", occupy=5):
        fact("five inside", True)
    with concurrency(NAMES, occupy=1, timeout_seconds=5):
        fact("several", True)
    with concurrency("never-declared"), concurrency("never-declared"):
        fact("nested", True)
    fact("turn", rate_limit("never-declared"))
    fact("turns", rate_limit(NAMES, occupy=3, timeout_seconds=5))


@flow
def strict():
    """Unless that is to be an error."""

    def inside():
        with concurrency("never-declared", strict=True):
            return "inside"

    fact("strict", raised(inside) is not None)
    fact("strict turn", raised(rate_limit, "never-declared", strict=True) is not None)


@flow
def raising():
    """What is raised inside comes out."""

    def inside():
        with concurrency("never-declared"):
            raise KeyError("wet")

    fact("raised inside", outcome(inside))


@task
def held(number):
    """In a task."""
    with concurrency("never-declared"):
        return number * 2


@flow
def in_tasks():
    """Also in many at once."""
    fact("in tasks", sorted(future.result() for future in held.map([1, 2, 3])))


@flow
async def in_async_code():
    """Async of both."""
    async with aconcurrency("never-declared", occupy=2):
        fact("async", True)
    async with aconcurrency(NAMES):
        fact("async, several", True)
    fact("async turn", await arate_limit("never-declared"))

    async def inside():
        async with aconcurrency("never-declared", strict=True):
            return "inside"

    try:
        await inside()
    except Exception as error:
        fact("async, strict", error is not None)


if __name__ == "__main__":
    undeclared()
    strict()
    raising()
    in_tasks()
    asyncio.run(in_async_code())
