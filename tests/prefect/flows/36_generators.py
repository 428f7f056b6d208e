"""Flows and tasks that yield."""

import asyncio

from facts import fact
from prefect import flow, task


@task
def pages(count: int):
    """A task that yields."""
    for number in range(count):
        yield f"page {number}"


@task
def read(page: str) -> int:
    """A task that takes what was yielded."""
    return len(page)


@flow
def book(count: int):
    """A flow that yields."""
    for number in range(count):
        yield number * number


@flow
def torn():
    """Fails between two values."""
    yield "first"
    raise OSError("torn")


@flow
def reader() -> dict:
    """Consumers."""
    return {
        "by a loop": [read(page) for page in pages(3)],
        "submitted": pages.submit(3).result(),
        "of a flow": list(book(4)),
    }


@flow
async def async_book():
    """An asynchronous flow that yields."""
    for number in range(3):
        yield number


@task
async def async_pages():
    """An asynchronous task that yields."""
    for number in range(2):
        yield number


@flow
async def async_reader() -> list:
    """Consumer."""
    return [page async for page in async_pages()]


async def collect() -> list:
    """Everything the asynchronous flow yields."""
    return [number async for number in async_book()]


def until_it_fails() -> list:
    """What came before the failure, and the failure."""
    got: list[object] = []
    try:
        got.extend(torn_part for torn_part in torn())
    except OSError as error:
        got.append(str(error))
    return got


if __name__ == "__main__":
    fact("consumers", reader())
    fact("a flow", list(book(3)))
    fact("one at a time", next(book(3)))
    fact("failure", until_it_fails())
    fact("asynchronous flow", asyncio.run(collect()))
    fact("asynchronous task", asyncio.run(async_reader()))
