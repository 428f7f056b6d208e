"""The flows that every engine runs the same; see `penstock.testing.engines`.

Each takes the folder in which its tasks note what they do: a line for each time that one is executed, in whatever
process that is.
"""

# ruff: noqa: D103 - what they do is what their names say

from __future__ import annotations

import asyncio
import datetime
import os
import time
from pathlib import Path
from typing import Any

from penstock.authoring.caching import INPUTS
from penstock.authoring.flows import flow
from penstock.authoring.tasks import task
from penstock.core.annotations import allow_failure, unmapped
from penstock.core.states import Failed, State
from penstock.engine.artifacts.making import create_markdown_artifact, create_table_artifact
from penstock.engine.logs import get_run_logger
from penstock.engine.runtime import task_run
from penstock.engine.transactions.blocks import get_transaction, transaction

NOTES = "notes.txt"
_LARGE = 200_000


def note(folder: str, text: str) -> None:
    """Write one line, whole, whoever else writes at the same time."""
    handle = os.open(Path(folder) / NOTES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, f"{text}\n".encode())
    finally:
        os.close(handle)


def notes_in(folder: str | Path) -> list[str]:
    """The lines, in the order in which they were written."""
    try:
        return (Path(folder) / NOTES).read_text().splitlines()
    except FileNotFoundError:
        return []


@task
def one(folder: str) -> int:
    note(folder, "one")
    return 1


@task
def add(folder: str, first: int, second: int = 1) -> int:
    note(folder, f"add {first} {second}")
    return first + second


@task
def total(folder: str, numbers: list[int]) -> int:
    note(folder, f"total {len(numbers)}")
    return sum(numbers)


@task
def broken(folder: str) -> int:
    note(folder, "broken")
    raise ValueError("nothing comes of it")


@task(retries=2)
def third_time(folder: str) -> str:
    note(folder, "third_time")
    if notes_in(folder).count("third_time") < 3:
        raise ConnectionError("no answer yet")
    return "at last"


@task(retries=1, retry_delay_seconds=0.05)
def never(folder: str) -> str:
    note(folder, "never")
    raise ConnectionError("no answer")


def is_worth_it(_: Any, __: Any, state: State) -> bool:
    """Whether to try again after this."""
    return isinstance(state.data, ConnectionError)


@task(retries=3, retry_condition_fn=is_worth_it)
def hopeless(folder: str) -> str:
    note(folder, "hopeless")
    raise ValueError("and it will not get better")


@task(timeout_seconds=2)
def slow(folder: str) -> None:
    note(folder, "slow")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.01)


@task
async def add_async(folder: str, first: int, second: int) -> int:
    note(folder, "add_async")
    await asyncio.sleep(0)
    return first + second


@task
def much(folder: str) -> bytes:
    note(folder, "much")
    return bytes(range(250)) * (_LARGE // 250)


@task
def size(folder: str, what: bytes) -> int:
    note(folder, "size")
    return len(what)


@task
def shows(folder: str) -> None:
    note(folder, "shows")
    create_table_artifact([{"a": 1}], key="rows")


@task
def says(folder: str) -> None:
    note(folder, "says")
    get_run_logger().info("said in a task")
    get_run_logger().warning("warned in a task")


@task(log_prints=True)
def prints(folder: str) -> None:
    note(folder, "prints")
    print("printed in a task")


@task(cache_policy=INPUTS)
def kept(folder: str, number: int) -> int:
    note(folder, f"kept {number}")
    return number * 2


@task(retries=1)
def knows(folder: str) -> dict[str, Any]:
    note(folder, "knows")
    if notes_in(folder).count("knows") < 2:
        raise ConnectionError("no answer yet")
    return {"name": task_run.task_name, "attempt": task_run.run_count}


@task
def decides(folder: str) -> Any:
    note(folder, "decides")
    return Failed(message="it said so itself")


def _told(_: Any, __: Any, state: State) -> None:
    note(str(state.result(raise_on_failure=False)), "hook")


@task(on_completion=[_told])
def tells(folder: str) -> str:
    note(folder, "tells")
    return folder


@task
def written(folder: str) -> str:
    note(folder, "written")
    around = get_transaction()
    assert around is not None
    around.set("folder", folder)
    return folder


@written.on_rollback
def unwritten(around: Any) -> None:
    """Undo it."""
    note(around.get("folder"), "unwritten")


@flow
def sequence(folder: str) -> Any:
    return add(folder, add(folder, one(folder), 10), 100)


@flow
def arguments(folder: str) -> Any:
    first = one.submit(folder)
    second = add.submit(folder, first, 10)
    third = add.submit(folder, 5, 6, wait_for=[second])
    return total(folder, [first, second, third])


@flow
def mapped(folder: str, count: int = 4) -> Any:
    numbers = add.map(unmapped(folder), range(count), unmapped(10))
    more = add.map(unmapped(folder), numbers)
    return total.submit(folder, more).result()


@flow
def tried_again(folder: str) -> Any:
    return third_time.submit(folder).result()


@flow
def fails(folder: str) -> Any:
    first = never.submit(folder)
    second = add.submit(folder, first)
    one.submit(folder).wait()
    return second.result()


@flow
def forgives(folder: str) -> Any:
    first = broken.submit(folder)
    told = describe.submit(folder, allow_failure(first))
    return told.result()


@task
def describe(folder: str, what: Any) -> str:
    note(folder, "describe")
    return f"{type(what).__name__}: {what}"


@flow
def catches(folder: str) -> Any:
    try:
        broken(folder)
    except ValueError as error:
        return f"{one(folder)} {error}"
    return "nothing happened"


@flow
def gives_up(folder: str) -> Any:
    return hopeless.submit(folder).result()


@flow
def too_slow(folder: str) -> Any:
    slow.submit(folder).result()


@flow
def branches(folder: str) -> Any:
    return add(folder, 1, 1) if one.submit(folder).result() == 1 else total(folder, [])


@flow
def below(folder: str, number: int) -> Any:
    return add.submit(folder, number, 1).result()


@flow
def above(folder: str) -> Any:
    return below(folder, below(folder, 1))


@flow
async def asynchronous(folder: str) -> Any:
    first = await add_async(folder, 1, 2)
    second = add_async.submit(folder, first, 10)
    return await second


@flow
def by_reference(folder: str) -> Any:
    what = much.submit(folder)
    return size.submit(folder, what).result() + size(folder, what)


@flow
def shown(folder: str) -> Any:
    create_markdown_artifact("# Shown", key="page")
    shows.submit(folder).wait()


@flow
def logged(folder: str) -> Any:
    get_run_logger().info("said in the flow")
    says.submit(folder).wait()
    prints.submit(folder).wait()


@flow
def given(folder: str, day: datetime.date, number: int = 7, names: list[str] | None = None) -> Any:
    return [add.submit(folder, number).result(), day.isoformat(), names or []]


@flow
def cached(folder: str) -> Any:
    first = kept.submit(folder, 21).result()
    return first + kept.submit(folder, 21).result()


@flow
def hooked(folder: str) -> Any:
    tells.submit(folder).wait()


@flow
def aware(folder: str) -> Any:
    return knows.submit(folder).result()


@flow
def decided(folder: str) -> Any:
    state = decides.submit(folder)
    state.wait()
    return f"{state.state.name}: {state.state.message}"


@flow
def rolled_back(folder: str) -> Any:
    with transaction():
        written(folder)
        broken(folder)


def extract(folder: str, rows: int) -> dict[str, Any]:
    """For workflows: some rows."""
    note(folder, "extract")
    return {"rows": [{"id": number} for number in range(rows)], "total": rows}


def multiply(folder: str, value: int, by: int = 2) -> int:
    """For workflows: a product."""
    note(folder, f"multiply {value} {by}")
    return value * by


def unsteady(folder: str, times: int) -> str:
    """For workflows: fails so many times."""
    note(folder, "unsteady")
    if notes_in(folder).count("unsteady") <= times:
        raise ConnectionError("no answer yet")
    return "at last"
