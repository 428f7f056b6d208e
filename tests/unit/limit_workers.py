"""What other processes do with limits. Whether too many are inside is witnessed by files, not by the journal."""

from __future__ import annotations

import errno
import os
import signal
import time
import traceback
from pathlib import Path
from typing import Any

from tests.unit.waiting import until

from penstock import concurrency, flow, rate_limit, task
from penstock.app import Penstock, Settings
from penstock.core.ports import Journal

NOBODY_WAITS = 100.0


class Witness:
    """At most so many hold one of its files at once."""

    def __init__(self, folder: str, most: int) -> None:
        self.folder = Path(folder)
        self.most = most

    def __enter__(self) -> Witness:
        for number in range(self.most):
            self.path = self.folder / f"seat-{number}"
            try:
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL))
                return self
            except OSError as error:
                if error.errno != errno.EEXIST:
                    raise
        (self.folder / "crowded").touch()
        raise AssertionError(f"more than {self.most} are inside")

    def __exit__(self, *_: object) -> None:
        self.path.unlink()


def note(folder: str, name: str, line: str) -> None:
    """Append a line to a file, whole."""
    handle = os.open(Path(folder) / name, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.write(handle, f"{line}\n".encode())
    os.close(handle)


def penstock_of(store: dict[str, Any]) -> Penstock:
    """A Penstock of this process."""
    return Penstock(Settings(**store, log_console=False))


def enter_often(store: dict[str, Any], folder: str, most: int, rounds: int, gate: Any, answers: Any) -> None:
    """Enter and leave, again and again."""
    entered = 0

    @task
    def enter() -> int:
        with concurrency("db", timeout_seconds=NOBODY_WAITS) as slot, Witness(folder, most):
            note(folder, "tickets", str(int(slot)))
            time.sleep(0.002)
        return int(slot)

    @flow
    def busy() -> None:
        nonlocal entered
        for _ in range(rounds):
            enter()
            entered += 1

    try:
        app = penstock_of(store)
        gate.wait()
        with app.activate():
            busy()
        app.close()
        answers.put((entered, ""))
    except BaseException:
        answers.put((entered, traceback.format_exc()))


def take_turns(store: dict[str, Any], rate: float, burst: int, rounds: int, gate: Any, answers: Any) -> None:
    """Wait for turn after turn; gives the turns that were granted, and when each was used."""
    turns: list[int] = []
    used: list[int] = []
    try:
        app = penstock_of(store)
        _overhear(app.journal, turns)

        @flow
        def hasty() -> None:
            for _ in range(rounds):
                rate_limit("api", per_second=rate, burst=burst)
                used.append(time.time_ns() // 1000)

        gate.wait()
        with app.activate():
            hasty()
        app.close()
        answers.put((list(zip(turns, used, strict=True)), ""))
    except BaseException:
        answers.put(([], traceback.format_exc()))


def _overhear(journal: Journal, turns: list[int]) -> None:
    reserve = journal.reserve

    def overheard(*args: Any, **options: Any) -> int:
        turns.append(reserve(*args, **options))
        return turns[-1]

    journal.reserve = overheard  # type: ignore[method-assign]


def hold_one(
    store: dict[str, Any], folder: str, name: str, how: str, owner: str | None, gate: Any, answers: Any
) -> None:
    """Enter once, and then: leave; wait until told to; stop oneself; or be stopped and work on.

    Args:
        store: where the journal is.
        folder: for files that tell what happens.
        name: of this process.
        how: leave, wait, stop, or work.
        owner: call oneself a process of another machine.
        gate: not used.
        answers: gets the name, and the ticket or the error.
    """
    tickets: list[int] = []

    @task
    def enter() -> int:
        with concurrency("db", timeout_seconds=NOBODY_WAITS) as slot:
            tickets.append(int(slot))
            (Path(folder) / f"{name}-inside").write_text(str(os.getpid()))
            if how == "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            elif how == "work":
                for _ in range(6_000):
                    time.sleep(0.01)
            elif how == "wait":
                until((Path(folder) / f"{name}-may-leave").exists)
        (Path(folder) / f"{name}-left").touch()
        return int(slot)

    @flow(name=f"flow-{name}", flow_run_name=name)
    def holds() -> int:
        return enter()

    try:
        app = penstock_of(store)
        if owner is not None:
            app.engine.owner = owner
        with app.activate():
            answers.put((name, holds(), ""))
        app.close()
    except BaseException as error:
        answers.put((name, tickets[-1] if tickets else None, f"{type(error).__name__}: {error}"))
