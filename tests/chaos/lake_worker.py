"""Processes that bring records into a lake, and are struck at a chosen step."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import deltalake  # noqa: F401 - imported once here, for all workers
import obstore.store  # noqa: F401
import pandas  # noqa: F401 - PyArrow does, when it is given a list
import pyarrow.parquet  # noqa: F401

from penstock.core.ports.data import Batch, Part, Place, Position, Rejected, Sink, Source
from penstock.data import ingest
from penstock.stores.lake import Lake
from penstock.stores.lake.delta import Table
from penstock.stores.lake.landing import TableSink
from penstock.stores.lake.several import TablesSink
from penstock.stores.lake.storage import Storage
from penstock.testing.data_memory import table_of

RECORDS = 120
KEYS = 37
STEPS = {
    Storage: ("put", "remove", "names"),
    Table: ("made", "touch", "append", "overwrite", "replace", "merge"),
}


def is_bad(number: int) -> bool:
    """The source itself rejects it."""
    return number % 17 == 3


def misfits(number: int) -> bool:
    """The sink rejects it: its amount is no number."""
    return number % 19 == 5


def record(number: int) -> dict[str, Any]:
    return {"id": number, "key": number % KEYS, "amount": "much" if misfits(number) else str(number)}


def change(number: int) -> str:
    """What the record does to its key, where records are changes."""
    return "delete" if number % 11 == 7 else "upsert"


class Records(Source):
    """The same records at every reading; how they are cut into batches depends on the seed."""

    def __init__(self, shape: str, seed: int, most: int = RECORDS) -> None:
        self._shape = shape
        self._dice = random.Random(seed)
        self._most = most

    @property
    def place(self) -> Place:
        return Place("memory", "records")

    def batches(self, position: Position | None) -> Iterator[Batch]:
        start = position["next"] if position else 0
        while start < self._most:
            stop = min(start + (10 if self._shape == "several" else self._dice.randint(1, 24)), self._most)
            numbers = range(start, stop)
            yield Batch(
                parts=tuple(self._parts([number for number in numbers if not is_bad(number)])),
                position={"next": stop},
                rejected=tuple(
                    Rejected("bad", f"records:{number}", str(number), self._table(number))
                    for number in numbers
                    if is_bad(number)
                ),
                last=stop == self._most,
                order=stop,
            )
            start = stop

    def _table(self, number: int) -> str:
        return f"t{number % 3}" if self._shape == "several" else ""

    def _parts(self, numbers: list[int]) -> Iterator[Part]:
        if self._shape == "changes":
            for how, some in itertools.groupby(numbers, change):
                yield from self._changes(how, list(some))
        elif self._shape == "several":
            for table in sorted({self._table(number) for number in numbers}):
                yield Part(table_of([record(number) for number in numbers if self._table(number) == table]), table)
        elif numbers:
            yield Part(table_of([record(number) for number in numbers]))

    def _changes(self, how: str, numbers: list[int]) -> Iterator[Part]:
        """At most one for a key in each part."""
        while numbers:
            first = [number for place, number in enumerate(numbers) if number - numbers[0] < KEYS]
            rows = [record(number) for number in first]
            yield Part(table_of(rows), how="delete" if how == "delete" else "upsert")
            numbers = numbers[len(first) :]


def sink_of(lake: Lake, shape: str) -> Sink:
    if shape == "several":
        return lake.tables("raw/", compact_every=7)
    if shape in ("merge", "changes"):
        return lake.table("raw/rows", mode="merge", keys=["key"], compact_every=7)
    return lake.table("raw/rows", mode="replace" if shape == "replace" else "append", compact_every=7)


def bring(lake: str, shape: str, seed: int, strike_at: int = 0, how: str = "kill", most: int = RECORDS) -> int:
    """Bring everything in; the steps it took. It is struck before the step of that number, or does not come so far."""
    steps = Steps(strike_at, how)
    random.seed(seed)
    place = Lake(lake)
    if how == "kill":
        steps.watch()
    make_first_rows_of_known_columns(place, shape)
    if how == "stop":
        steps.watch_when_open()
    ingest(Records(shape, seed, most), sink_of(place, shape), name="pipe")
    return steps.taken


def make_first_rows_of_known_columns(lake: Lake, shape: str) -> None:
    """Whatever batch comes first, amounts are numbers."""
    if shape == "several":
        sinks = [lake.table(f"raw/t{number}") for number in range(3)]
    else:
        sinks = [lake.table("raw/rows")] if shape != "replace" else []
    rows = table_of([{"id": -1, "key": -1, "amount": -1}])
    for sink in sinks:
        with sink.open("columns") as landing:
            if landing.position is None:
                landing.land(Batch(parts=(Part(rows),), position={"done": True}))


class Steps:
    """Counts what touches the lake, and strikes before the chosen one."""

    def __init__(self, strike_at: int, how: str) -> None:
        self.taken = 0
        self._at = strike_at
        self._how = how

    def watch(self) -> None:
        for kind, names in STEPS.items():
            for name in names:
                plain = vars(kind)[name]
                made: Any = self._watched(plain.__func__ if isinstance(plain, classmethod) else plain)
                setattr(kind, name, classmethod(made) if isinstance(plain, classmethod) else made)

    def watch_when_open(self) -> None:
        """Only what comes after the pipe was opened."""
        for kind in (TableSink, TablesSink):
            opening: Any = self._opening(kind.open)
            kind.open = opening

    def _opening(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def opened(*args: Any) -> Any:
            landing = method(*args)
            self.watch()
            return landing

        return opened

    def _watched(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **options: Any) -> Any:
            self.taken += 1
            if self.taken == self._at:
                if self._how == "stop":
                    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
                else:
                    os.kill(os.getpid(), signal.SIGKILL)
            return method(*args, **options)

        return step


def bring_until(lake: str, shape: str, seed: int, seconds: float) -> int:
    """The same, ended by a signal that nobody handles, after some time: also in the middle of delta-rs's own work."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    return bring(lake, shape, seed)


def bring_as(lake: str, pipe: str, start: int, stop: int, mode: str, rows: int) -> list[int]:
    """One of several pipes into the same table, each with keys of its own."""
    place = Lake(lake)
    keys = ["id"] if mode == "merge" else []
    sink = place.table("raw/shared", mode="merge" if mode == "merge" else "append", keys=keys, compact_every=5)
    with sink.open(pipe) as landing:
        for first in range(start, stop, rows):
            numbers = range(first, min(first + rows, stop))
            part = Part(table_of([{"id": number, "pipe": pipe} for number in numbers]))
            landing.land(Batch(parts=(part,), position={"next": numbers.stop}))
        return [landing.counts.read, landing.counts.landed]


def keep_tidy(lake: str, times: int) -> int:
    """Compaction, again and again."""
    place = Lake(lake)
    return sum(place.compact("raw/shared").added for _ in range(times))


def fill_up(lake: str, most: int) -> int:
    """Bring records in until there are so many batches, or the disk is full; how many there were before."""
    with Lake(lake).table("raw/rows", compact_every=5).open("pipe") as landing:
        start: int = landing.position["next"] if landing.position else 0
        for number in range(start, most):
            rows = table_of([{"id": number, "text": os.urandom(3000).hex()} for _ in range(20)])
            rejected = (Rejected("bad", "nowhere", os.urandom(3000).hex()),)
            landing.land(Batch(parts=(Part(rows),), position={"next": number + 1}, rejected=rejected))
    return start
