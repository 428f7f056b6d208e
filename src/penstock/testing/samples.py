"""Runs, steps and log lines to test a journal with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from penstock.core.events import (
    Record,
    RunCreated,
    RunStarted,
    Saved,
    Step,
    Stored,
    TaskCompleted,
    TaskStarted,
    now_us,
)
from penstock.core.ids import new_run_id
from penstock.core.model import LogLine
from penstock.core.plans import Happened
from penstock.core.ports import Journal

MINUTE = 60_000_000

HOSTILE = {
    "newlines": "first\nsecond\r\nthird\ttabbed",
    "emoji": "\N{OWL} \N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER} \U0010ffff",
    "quotes": "'; DROP TABLE runs; -- \" ` \\ % _ ? $1 {} %s",
    "controls": "".join(map(chr, range(1, 32))) + "\x7f\x85\u2028",
    "right to left": "\u202eabc\u202c \u0645\u0631\u062d\u0628\u0627",
    "NUL": "before\0after",
    "half a surrogate pair": "before\ud83eafter\udfff",
    "all at once": "\0\ud800'\n\N{OWL}",
    "long": "\N{OWL}long " * 200_000,
    "empty": "",
}
"""Text that people, files and networks really produce."""


def shown(text: str) -> str:
    r"""The text as a store may show it: what it cannot hold is escaped (`\x00`, `\ud800`)."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


class Refusal:
    """What was raised.

    Attributes:
        caught: the error.
    """

    caught: Any = None


@contextmanager
def refused(kind: type[BaseException]) -> Iterator[Refusal]:
    """What is inside must raise this kind of error."""
    refusal = Refusal()
    try:
        yield refusal
    except kind as error:
        refusal.caught = error
        return
    raise AssertionError(f"{kind.__name__} was not raised")


def together(work: Callable[[int], None], count: int) -> None:
    """Run work(0), work(1), ... in as many threads that start at once; the first error is raised here."""
    errors: list[BaseException] = []
    gate = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            gate.wait()
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def happened(name: str = "orders.imported", **more: Any) -> Record:
    """The record of a fact from outside."""
    return Record(Happened(at=now_us(), name=name, **more))


def created(flow: str = "shop", name: str = "amber-otter", **more: Any) -> Record:
    """The record that makes a run."""
    return Record(RunCreated(at=now_us(), flow=flow, name=name, **more), b'{"limit":100}')


def started(owner: str = "here|1|2|3", attempt: int = 1) -> Record:
    """The record of a run that begins an attempt."""
    at = now_us()
    return Record(RunStarted(at=at, owner=owner, lease_until=at + MINUTE, attempt=attempt))


def step(number: int = 1, task: str = "fetch", parent: str | None = None) -> Step:
    """A call of a task."""
    prefix = f"{parent}/" if parent else ""
    return Step(f"{prefix}{task}#{number}", f"{task}-{number}", task, number, parent, ("api",), {"url": "b1946ac9"})


def task_started(number: int = 1, task: str = "fetch", parent: str | None = None, **more: Any) -> Record:
    """The record of a step that runs."""
    at = now_us()
    return Record(TaskStarted(at=at, step=step(number, task, parent), started=at, **more))


def task_completed(number: int = 1, task: str = "fetch", parent: str | None = None, **more: Any) -> Record:
    """The record of a step that ended well, with its result."""
    at = now_us()
    event = TaskCompleted(at=at, step=step(number, task, parent), started=at - 1000, result=Saved("json", 2), **more)
    return Record(event, b"42")


def log_line(run_id: str, message: str = "hello", key: str | None = "fetch#1") -> LogLine:
    """A line a run logged."""
    return LogLine(run_id, key, now_us(), 20, "penstock.task", message)


def begin_run(journal: Journal, run_id: str | None = None, **more: Any) -> str:
    """Append the two records of a run that has begun; returns its id."""
    run_id = run_id or new_run_id()
    journal.append(run_id, 0, [created(**more), started()])
    return run_id


def bare(stored: Stored) -> tuple[int, Any, bytes | None]:
    """A record without its position, for comparing."""
    return stored.seq, stored.event, stored.data


def contents(journal: Journal, run_id: str) -> tuple[Any, ...]:
    """All that a journal tells of a run."""
    records = [bare(stored) for stored in journal.load(run_id)]
    return records, journal.run(run_id), journal.task_runs(run_id), journal.logs(run_id, limit=100_000)
