"""Tasks that are executed by workers of a Dask cluster, which know where they are."""

from __future__ import annotations

import os
import time
from typing import Any

import polars

from penstock import concurrency, get_run_logger, sleep, task
from penstock.artifacts import create_markdown_artifact
from penstock.runtime import flow_run, task_run


@task
def who() -> int:
    return os.getpid()


@task
def frame(rows: int) -> polars.DataFrame:
    return polars.DataFrame({"n": range(rows), "made": [os.getpid()] * rows})


@task(persist_result=False)
def unsaved(rows: int) -> polars.DataFrame:
    return polars.DataFrame({"n": range(rows)})


@task
def total(data: polars.DataFrame, *more: polars.DataFrame) -> int:
    return sum(int(each["n"].sum()) for each in (data, *more))


@task
def sizes(given: dict[str, Any], more: bytes = b"") -> tuple[int, int, int]:
    return given["frame"].height, len(given["bytes"]), len(more)


@task
def add(first: int, second: int = 1) -> int:
    return first + second


@task
def nested(number: int) -> tuple[int, int]:
    return add(number) + add(number, 10), os.getpid()


@task
async def nested_async(number: int) -> int:
    return await add_async(number)


@task
async def add_async(number: int) -> int:
    return number + 1


@task(timeout_seconds=0.3)
async def too_slow() -> None:
    import asyncio

    await asyncio.sleep(60)


@task
def asks() -> str:
    with concurrency("desk"):
        artifact = create_markdown_artifact("# Made on a worker", key="page")
    sleep(0.01)
    return str(artifact)


@task
def shows() -> dict[str, Any]:
    get_run_logger().debug("too low to be kept")
    get_run_logger().warning("kept")
    return {"run": flow_run.id, "parameters": flow_run.parameters, "task": task_run.id, "tags": task_run.tags}


@task
def brief(number: int, seconds: float = 0.0) -> int:
    time.sleep(seconds)
    return number * 2


@task
def unsendable() -> Any:
    import threading

    return threading.Lock()


@task
def vast() -> bytes:
    return bytes(1_000_000)


class Odd(Exception):
    """Cannot be unpickled: it needs two arguments, and keeps one."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


@task
def raises(kind: str) -> None:
    if kind == "odd":
        raise Odd("one", "two")
    if kind == "exit":
        raise SystemExit(3)
    raise ValueError(kind)
