"""Flows whose tasks run on a Dask cluster that is about to be killed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from penstock import flow, task
from penstock.testing.engine_flows import note, notes_in


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)


@task
def gated(folder: str, name: str, gate: str) -> str:
    """Goes on when somebody has opened the gate."""
    note(folder, f"begin {name} {os.getpid()}")
    try:
        wait_for(Path(folder) / gate)
    except BaseException:
        note(folder, f"stopped {name}")
        raise
    note(folder, f"end {name}")
    return name


@task
def large(folder: str, count: int) -> bytes:
    note(folder, f"large {os.getpid()}")
    return bytes(count)


@task
def length(folder: str, what: bytes) -> int:
    note(folder, "length")
    return len(what)


@task(retries=1)
def deadly(folder: str) -> str:
    """Kills whoever executes it, the first time."""
    note(folder, "deadly")
    if notes_in(folder).count("deadly") == 1:
        os.kill(os.getpid(), 9)
    return "alive"


@flow
def gates(folder: str, count: int = 4) -> list[str]:
    done = gated(folder, "here", "open at once")
    return [done, *gated.map([folder] * count, [f"n{n}" for n in range(count)], ["gate"] * count).result()]


@flow
def left_behind(folder: str, count: int = 1_000_000) -> int:
    made = large.submit(folder, count)
    made.wait()
    wait_for(Path(folder) / "gate")
    return length.submit(folder, made).result()  # type: ignore[arg-type]


@flow
def dies(folder: str) -> str:
    return deadly.submit(folder).result()
