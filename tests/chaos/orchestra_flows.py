"""Flows for the orchestra: each leaves a trace outside the journal of what it did."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from penstock import flow, runtime, task

EFFECTS = Path(os.environ.get("ORCHESTRA_EFFECTS", "effects.txt"))


def effect(*words: object) -> None:
    with EFFECTS.open("a") as file:
        file.write(" ".join(map(str, words)) + "\n")


@task
def act(step: int, seconds: float) -> int:
    time.sleep(seconds)
    effect("step", runtime.flow_run.id, step)
    return step


@flow
def quick(number: int = 0) -> int:
    return act(number, 0.0)


@flow
def steps(count: int = 4) -> int:
    return sum(act(step, 0.1) for step in range(count))


@task
def exclusive(run_id: str) -> None:
    """Only ever one at once: the deployment's concurrency is 1."""
    effect("enter", run_id, time.time_ns())
    time.sleep(0.05)
    effect("leave", run_id, time.time_ns())


@flow
def alone() -> None:
    exclusive(str(runtime.flow_run.id))


@flow
def moody() -> None:
    act(0, 0.0)
    if random.random() < 0.3:
        raise ValueError("a bad mood")
    act(1, 0.05)
