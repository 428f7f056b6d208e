"""What worker processes do. Everything here is called in a process of its own, by `Lab`."""

from __future__ import annotations

import asyncio
import fcntl
import importlib
import inspect
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos import programs, shapes

from penstock import flow, get_run_logger, task
from penstock.app import Penstock, Settings, open_journal
from penstock.core import ids
from penstock.core.model import RunFilter
from penstock.core.ports import Journal
from penstock.engine import keeper
from penstock.engine.recovery import cancel
from penstock.journal.postgres import PostgresJournal
from penstock.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner
from penstock.testing.faults import Fault, FaultyJournal, kill_process, stop_process

STRIKES = {"kill": kill_process, "stop": stop_process}


def settings_of(store: dict[str, Any]) -> Settings:
    """Where the journal is. An eager one has the start of every step on record, for steps take a little longer."""
    given = {"log_level": "WARNING", **store}
    if given.pop("eager", False):
        keeper._FLUSH_SECONDS = 0.002
        shapes.linger = 0.01
    return Settings(**given)


@contextmanager
def opened(store: dict[str, Any], fault: list[Any] | None = None) -> Iterator[Penstock]:
    """A Penstock of this process, with a fault `[moment, at]` or `[moment, at, strike]` in its journal."""
    settings = settings_of(store)
    journal: Journal = open_journal(settings)
    if fault is not None:
        moment, at, *how = fault
        if moment == "effect":
            shapes.kill_at_effect = at
        else:
            journal = FaultyJournal(journal, Fault(at, moment, STRIKES[how[0] if how else "kill"]))
    app = Penstock(settings, journal=journal)
    with app.activate():
        yield app
    app.close()


def finished(value: Any) -> Any:
    """The value, awaited if need be."""
    return asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value


async def _awaited(value: Any) -> Any:
    return await value


def run(store: dict[str, Any], shape: str, where: str, name: str, fault: list[Any] | None = None) -> Any:
    """Run a flow."""
    with opened(store, fault):
        return finished(shapes.SHAPES[shape].flow(where, name))


def resume(store: dict[str, Any], run_id: str, fault: list[Any] | None = None) -> Any:
    """Resume a run, its flow found by what is recorded."""
    with opened(store, fault) as app:
        return finished(app.resume(run_id))


def run_impatiently(store: dict[str, Any], shape: str, where: str, name: str, fault: list[Any] | None = None) -> Any:
    """Run a flow that does not wait long for a server that is away."""
    PostgresJournal.__init__.__kwdefaults__["outage_seconds"] = 2.0
    return run(store, shape, where, name, fault)


def run_at_the_gate(store: dict[str, Any], gate: str, shape: str, where: str, names: list[str]) -> list[Any]:
    """Wait for the gate to open, then open the journal and run a flow many times."""
    wait_at(gate)
    with opened(store):
        return [finished(shapes.SHAPES[shape].flow(where, name)) for name in names]


def resume_at_the_gate(store: dict[str, Any], gate: str, run_id: str) -> Any:
    """Resume a run when the gate opens."""
    with opened(store) as app:
        wait_at(gate)
        return finished(app.resume(run_id))


def open_at_the_gate(store: dict[str, Any], gate: str) -> int:
    """Open the journal when the gate opens."""
    wait_at(gate)
    with opened(store) as app:
        return int(app.journal.status()["runs"])


def run_elsewhere(store: dict[str, Any], shape: str, where: str, name: str, fault: list[Any] | None = None) -> Any:
    """Run a flow as if on another machine: only the lease tells others whether this process lives."""
    ids._host = lambda: "another-machine/00000000"
    return run(store, shape, where, name, fault)


def wait_at(gate: str) -> None:
    """Wait until the gate is unlocked."""
    with open(gate) as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)


def trouble(store: dict[str, Any], flow: str, where: str, **more: Any) -> Any:
    """Run one of the flows that make trouble, or are late."""
    found = getattr(importlib.import_module("tests.chaos.trouble"), flow, None)
    with opened(store):
        return finished((found or getattr(importlib.import_module("tests.chaos.late"), flow))(where, **more))


def trouble_in_thread(store: dict[str, Any], flow: str, where: str) -> Any:
    """The same in a thread that is not the main one."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(trouble(store, flow, where)))
    thread.start()
    thread.join()
    return answers[0]


def cancel_at_the_gate(store: dict[str, Any], gate: str, run_id: str) -> str:
    """Cancel a run when the gate opens."""
    journal = open_journal(settings_of(store))
    wait_at(gate)
    return cancel(journal, run_id, grace_seconds=20).state


def left_behind(store: dict[str, Any], where: str, gate: str) -> list[Any]:
    """Run a flow whose task is left behind by its timeout, then let that task go on."""
    with opened(store) as app:
        name = importlib.import_module("tests.chaos.late").left_behind(where, gate)
        (run,) = app.journal.runs(RunFilter())
        before = len(list(app.journal.load(run.id)))
        Path(gate).touch()
        for thread in threading.enumerate():
            if thread.name.endswith("-timed"):
                thread.join(20)
        return [name, before, len(list(app.journal.load(run.id)))]


FILLING = 60


@task
def fill(where: str, number: int, size: int) -> bytes:
    """A result of that size, and a line that says that it was made."""
    with open(where, "a") as file:
        file.write(f"{number}\n")
    return os.urandom(size)


@flow
def filling(where: str, size: int) -> int:
    return sum(len(fill(where, number, size)) == size for number in range(FILLING))


def fill_journal(store: dict[str, Any], where: str, size: int) -> int:
    """Run a flow whose results take some room."""
    with opened(store):
        return int(filling(where, size))


def peak_megabytes() -> float:
    """The most memory this process has used so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


def log_much(store: dict[str, Any], lines: int, length: int) -> list[float]:
    """Log many lines in one task; the lines on record, and the memory that took."""

    @task
    def talk() -> float:
        logger = get_run_logger()
        logger.warning("the first line")
        before = peak_megabytes()
        for number in range(lines):
            logger.warning("%d %s", number, "x" * length)
        return peak_megabytes() - before

    @flow
    def talking() -> float:
        return talk()

    with opened(store) as app:
        used = talking()
        (run,) = app.journal.runs(RunFilter())
        seen = after = 0
        while page := app.journal.logs(run.id, after=after, limit=5_000):
            seen += len(page)
            after = page[-1].id
        return [seen, used]


def return_much(store: dict[str, Any], kind: str, runner: str) -> list[Any]:
    """A task returns 100 MB, another one takes it; then a new run takes over what is recorded."""
    runners = {"thread": ThreadPoolTaskRunner, "process": ProcessPoolTaskRunner}
    fails = [True]

    @flow(task_runner=runners[runner](max_workers=1) if runner in runners else None)
    def heavy() -> int:
        value = heap(kind) if runner == "called" else heap.submit(kind).result()
        if fails:
            raise ValueError("once")
        return weigh(value) if runner == "called" else int(weigh.submit(value).result())

    with opened(store) as app:
        state = heavy(return_state=True)
        fails.clear()
        (failed,) = app.journal.runs(RunFilter())
        return [state.name, app.resume(failed.id, heavy)]


@task
def heap(kind: str) -> Any:
    """About 100 MB."""
    if kind == "bytes":
        return os.urandom(1_000_000) * 100
    if kind == "text":
        return "penstock " * 11_111_112
    return [float(number) for number in range(5_000_000)]


@task
def weigh(value: Any) -> int:
    return len(value)


def run_while_the_clock_jumps(store: dict[str, Any], seconds: float, where: str, shape: str) -> Any:
    """Run a flow; the wall clock jumps whenever a side effect is made."""
    real = time.time_ns
    jumps = [0]

    def jumping() -> int:
        return real() + int(seconds * 1e9) * jumps[0]

    time.time_ns = jumping
    make = shapes.effect

    def effect(path: str) -> None:
        make(path)
        jumps[0] += 1

    shapes.effect = effect
    return run(store, shape, where, "jumping")


def sleep_while_the_clock_jumps(store: dict[str, Any], where: str) -> Any:
    """Start a flow that sleeps, then turn the clock back by a day."""
    real = time.time_ns
    module = importlib.import_module("tests.chaos.trouble")
    note = module.ready

    def ready(path: str, *more: int) -> None:
        time.time_ns = lambda: real() - 86_400 * 10**9
        note(path, *more)

    module.ready = ready
    return trouble(store, "sleeping", where)


def resume_in_the_past(store: dict[str, Any], run_id: str) -> Any:
    """Resume a run by a clock that is a day behind."""
    real = time.time_ns
    time.time_ns = lambda: real() - 86_400 * 10**9
    return resume(store, run_id)


def run_random(store: dict[str, Any], seed: int, where: str, name: str, fault: list[Any] | None = None) -> Any:
    """Run a made-up flow."""
    with opened(store, fault):
        return programs.random_flow(where, name, seed)
