"""Flows that are put on a real Prefect server; copied into a project of their own first."""

from __future__ import annotations

import os
import time
from pathlib import Path

from penstock import flow, get_run_logger, runtime, sleep, task, transaction, unmapped
from penstock.artifacts import create_markdown_artifact


def note(folder: str, text: str) -> None:
    with (Path(folder) / "notes.txt").open("a") as notes:
        notes.write(f"{text}\n")


@task(retries=1)
def fetch(folder: str, number: int) -> int:
    note(folder, f"fetch {number}")
    if runtime.task_run.run_count < 2:
        raise ConnectionError("no answer yet")
    get_run_logger().info("fetched %s", number)
    return number * 2


@task
def first(folder: str) -> str:
    note(folder, "first")
    return "first"


@task
def waits(folder: str) -> int:
    """Until somebody says go."""
    (Path(folder) / "pid").write_text(str(os.getpid()))
    while not (Path(folder) / "go").exists():
        time.sleep(0.1)
    return os.getpid()


@flow
def below(folder: str, number: int) -> int:
    return fetch(folder, number)


@flow(tags=["shop"])
def shop(folder: str, count: int = 2, name: str = "nobody") -> dict[str, object]:
    create_markdown_artifact("# Shop", key="page")
    got = fetch.map(unmapped(folder), range(count)).result() if count else []
    return {"got": got, "name": name, "below": below(folder, 7), "deployment": runtime.deployment.name}


@flow
def patient(folder: str) -> list[object]:
    return [first(folder), waits(folder)]


@flow
def cannot(folder: str) -> None:
    """Needs what Prefect lacks."""
    with transaction():
        first(folder)
    sleep(1)


@flow(name="a/b", retries=2, retry_delay_seconds=[1, 2])
def odd(folder: str, **more: int) -> None:
    first(folder)
