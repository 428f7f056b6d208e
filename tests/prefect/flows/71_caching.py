"""Results that are used again: functions that make keys, expiry, refreshing, and how a hit looks."""

import asyncio
import datetime
import time
from datetime import timedelta
from uuid import uuid4

from facts import fact, outcome
from prefect import flow, task
from prefect.cache_policies import INPUTS, TASK_SOURCE
from prefect.states import Completed
from prefect.tasks import task_input_hash

NEW = uuid4().hex
made: list[str] = []
log: list[object] = []


def count_of(name: str) -> int:
    """How often a task was executed."""
    return made.count(name)


def by_name(context, parameters) -> str:
    """A key shared by every task with this argument."""
    return f"{NEW}-{parameters['name']}"


@task(cache_key_fn=by_name)
def dig(name: str) -> str:
    """One task."""
    made.append(name)
    return f"dug {name}"


@task(cache_key_fn=by_name)
def drill(name: str) -> str:
    """Another one with the same keys."""
    made.append(name)
    return f"drilled {name}"


@task(cache_policy=INPUTS)
def left(name: str) -> str:
    """A task."""
    made.append(f"left {name}")
    return f"left {name}"


@task(cache_policy=INPUTS)
def right(name: str) -> str:
    """Another one that is called with the same."""
    made.append(f"right {name}")
    return f"right {name}"


@flow
def keys():
    """Who shares a result with whom."""
    fact("a key of one's own", [dig(f"{NEW} a") == f"dug {NEW} a", drill(f"{NEW} a") == f"dug {NEW} a"])
    fact("ran", count_of(f"{NEW} a"))
    fact("the same inputs of two tasks", [left(NEW) == f"left {NEW}", right(NEW) == f"right {NEW}"])
    nothing = task(cache_key_fn=lambda context, parameters: None)(dig.fn)
    [nothing(f"{NEW} b") for _ in range(2)]
    fact("no key", count_of(f"{NEW} b"))

    def broken(context, parameters):
        raise KeyError("no key")

    wrong = task(cache_key_fn=broken)(dig.fn)
    fact("a broken key", [wrong(f"{NEW} c").replace(NEW, "") for _ in range(2)], ran=count_of(f"{NEW} c"))
    seen = []

    def looking(context, parameters):
        seen.append([context.task.name, type(context.task_run.id).__name__ != "NoneType", sorted(parameters)])
        return f"{NEW}-looked"

    task(cache_key_fn=looking)(dig.fn)(f"{NEW} d")
    fact("what the function is given", seen)
    both = task(cache_policy=INPUTS, cache_key_fn=by_name)(dig.fn)
    fact("a policy and a function", both(f"{NEW} a") == f"dug {NEW} a")
    old = task(cache_key_fn=task_input_hash)(dig.fn)
    [old(f"{NEW} e") for _ in range(2)]
    fact("task_input_hash", count_of(f"{NEW} e"))


@flow
def expiry():
    """For how long a result counts."""
    short = task(cache_policy=INPUTS, cache_expiration=timedelta(milliseconds=1))(left.fn)
    long = task(cache_policy=INPUTS, cache_expiration=timedelta(hours=1))(left.fn)
    names = []
    for subject, name in ((short, "short"), (long, "long")):
        for _ in range(2):
            names.append(subject(f"{NEW} {name}", return_state=True).name)
            time.sleep(0.1)
    fact("expired, and not", names)


@flow
def refreshing():
    """A new result takes the place of the old one."""
    values = iter(range(100))

    def next_value(name: str) -> int:
        return next(values)

    plain = task(cache_policy=INPUTS)(next_value)
    always = plain.with_options(refresh_cache=True)
    never = plain.with_options(refresh_cache=False)
    name = f"{NEW} refreshed"
    fact("refreshed", [subject(name) for subject in (plain, plain, always, plain, always, never, plain)])


@task(cache_policy=INPUTS, retries=1)
def shaky(name: str) -> str:
    """Fails when it is tried first."""
    made.append(f"shaky {name}")
    if count_of(f"shaky {name}") == 1:
        raise OSError("not yet")
    return name


@task(cache_policy=INPUTS)
def broken(name: str) -> str:
    """Always fails."""
    made.append(f"broken {name}")
    raise OSError("dry")


def note(kind: str):
    """A hook that writes down that it was called."""

    def hook(task, task_run, state) -> None:
        log.append([kind, state.type.value, state.name])

    return hook


@task(cache_policy=INPUTS, on_running=[note("running")], on_completion=[note("done")], on_failure=[note("failed")])
def watched(name: str) -> str:
    """A task with hooks."""
    log.append("body")
    return name


@task(cache_policy=INPUTS)
def by_hand(name: str):
    """A task that returns a state."""
    made.append(f"hand {name}")
    return Completed(message="by hand", data=[1, 2])


@task(cache_policy=INPUTS)
def rows(name: str) -> list[int]:
    """Something that can be changed."""
    made.append(f"rows {name}")
    return [1, 2]


@flow
def hits():
    """How a hit looks."""
    first, second = (left(f"{NEW} look", return_state=True) for _ in range(2))
    fact("states", [[state.type.value, state.name, state.message, state.is_completed()] for state in (first, second)])
    fact("value", second.result() == first.result())
    shaking, breaking = f"{NEW} shaking", f"{NEW} breaking"
    fact(
        "after a retry",
        [shaky(shaking) == shaking, shaky(shaking, return_state=True).name],
        ran=count_of(f"shaky {shaking}"),
    )
    fact("failures", [outcome(broken, breaking) for _ in range(2)], ran=count_of(f"broken {breaking}"))
    for _ in range(2):
        log.clear()
        watched(f"{NEW} watched")
        fact(f"hooks {'of a hit' if 'body' not in log else 'at first'}", list(log))
    given = [by_hand(f"{NEW} hand") for _ in range(2)]
    fact("a state by hand", given, ran=count_of(f"hand {NEW} hand"))
    got = rows(f"{NEW} rows")
    got.append(3)
    fact("changed by its first user", rows(f"{NEW} rows"))
    fact(
        "a value that is nothing",
        [task(cache_policy=INPUTS)(nothing)(f"{NEW} nothing") for _ in range(2)],
        ran=len(nothings),
    )


nothings: list[int] = []


def nothing(name: str) -> None:
    """None is a result too."""
    nothings.append(1)


@task(cache_policy=INPUTS + TASK_SOURCE)
def area(width: float, day: datetime.date, name: str) -> float:
    """Something to map over."""
    made.append(f"area {name}")
    return width * 2


@flow
def submitted():
    """Submitted and mapped."""
    day = datetime.date(2026, 1, 31)
    fact("submit", [area.submit(1.5, day, f"{NEW} area").result() for _ in range(2)], ran=count_of(f"area {NEW} area"))
    names = []
    for _ in range(2):
        for future in area.map([1.5, 2.5], day, f"{NEW} area"):
            future.wait()
            names.append(future.state.name)
    fact("map", names, ran=count_of(f"area {NEW} area"))


@task(cache_policy=INPUTS)
async def slow(name: str) -> str:
    """An async task."""
    made.append(f"slow {name}")
    await asyncio.sleep(0)
    return "slow"


@flow
async def asynchronous():
    """The same for async."""
    fact(
        "async",
        [await slow(f"{NEW} slow"), (await slow(f"{NEW} slow", return_state=True)).name],
        ran=count_of(f"slow {NEW} slow"),
    )


@flow
def by_default(name: str):
    """A task without options is executed whenever it is called."""
    plain = task(left.fn)
    [plain(name) for _ in range(3)]
    fact("without options", count_of(f"left {name}"))
    kept = task(persist_result=True)(left.fn)
    [kept(f"{name} kept") for _ in range(3)]
    fact("only persist_result", count_of(f"left {name} kept"))
    memory = task(cache_policy=INPUTS, cache_result_in_memory=False)(left.fn)
    [memory(f"{name} memory") for _ in range(3)]
    fact("not in memory", count_of(f"left {name} memory"))


if __name__ == "__main__":
    keys()
    expiry()
    refreshing()
    hits()
    submitted()
    asyncio.run(asynchronous())
    by_default(f"{NEW} default")
    fact(
        "outside a flow",
        [left(f"{NEW} alone") == f"left {NEW} alone" for _ in range(2)],
        ran=count_of(f"left {NEW} alone"),
    )
