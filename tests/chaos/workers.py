"""What worker processes do. Everything here is called in a process of its own, by `Lab`."""

from __future__ import annotations

import asyncio
import fcntl
import importlib
import inspect
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from penstock import flow, task
from penstock.app import Penstock, Settings, open_journal
from penstock.core import ids
from penstock.core.model import RunFilter
from penstock.core.ports import Journal
from penstock.engine.recovery import cancel
from penstock.journal.postgres import PostgresJournal
from penstock.testing.faults import Fault, FaultyJournal, kill_process, stop_process
from tests.chaos import shapes

STRIKES = {"kill": kill_process, "stop": stop_process}


def settings_of(store: dict[str, Any]) -> Settings:
    """Where the journal is."""
    return Settings(**{"log_level": "WARNING", **store})


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


def run_impatiently(
    store: dict[str, Any], shape: str, where: str, name: str, fault: list[Any] | None = None
) -> Any:
    """Run a flow that does not wait long for a server that is away."""
    PostgresJournal.__init__.__kwdefaults__["outage_seconds"] = 2.0
    return run(store, shape, where, name, fault)


def run_at_the_gate(
    store: dict[str, Any], gate: str, shape: str, where: str, names: list[str]
) -> list[Any]:
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


def run_elsewhere(
    store: dict[str, Any], shape: str, where: str, name: str, fault: list[Any] | None = None
) -> Any:
    """Run a flow as if on another machine: only the lease tells others whether this process lives."""
    ids._host = lambda: "another-machine/00000000"
    return run(store, shape, where, name, fault)


def wait_at(gate: str) -> None:
    """Wait until the gate is unlocked."""
    with open(gate) as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)


def trouble(store: dict[str, Any], flow: str, where: str, **more: Any) -> Any:
    """Run one of the flows that make trouble."""
    with opened(store):
        return finished(getattr(importlib.import_module("tests.chaos.trouble"), flow)(where, **more))


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
        trouble_module = importlib.import_module("tests.chaos.trouble")
        name = trouble_module.left_behind(where, gate)
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
