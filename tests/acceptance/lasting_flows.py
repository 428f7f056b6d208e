"""Flows that ask, sleep, hold slots and leave artifacts, for the tests of the command line."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from penstock import approve, concurrency, flow, pause_run, sleep, task, wait_for_input
from penstock.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

_PATIENCE_SECONDS = 90.0


@dataclass
class Delivery:
    crates: int
    day: date
    remarks: str = "none"


def write(folder: Path, what: Any) -> None:
    with open(folder / "told.txt", "a") as told:
        told.write(f"{json.dumps(what, default=str)}\n")


@flow
def delivery(folder: Path) -> None:
    """Asks for an object."""
    given = wait_for_input(Delivery, "How much came?")
    assert type(given.day) is date
    write(folder, [given.crates, given.day, given.remarks])


@flow
def number(folder: Path) -> None:
    """Asks for a number, for an hour."""
    write(folder, wait_for_input(int, "How many?", timeout=timedelta(hours=1), default=0))


@flow
def publishes(folder: Path) -> None:
    """Asks for approval."""
    write(folder, list(approve("Publish the figures?", timeout=timedelta(hours=8), approvers=["ada", "bob"])))


@flow
def hurries(folder: Path) -> None:
    """Asks for approval, for a moment."""
    write(folder, approve("Now?", timeout=12).approved)


@flow
def two_at_once(folder: Path) -> None:
    """Two of its tasks ask at the same time."""

    @task
    def ask(what: str) -> int:
        count: int = wait_for_input(int, what)
        return count

    write(folder, [future.result() for future in [ask.submit("first"), ask.submit("second")]])


@flow
def halts(folder: Path) -> None:
    """Only pauses."""
    pause_run("have a look at the tank")
    write(folder, "went on")


@flow
def sleeper(folder: Path, hours: float = 24) -> None:
    """Sleeps."""
    sleep(timedelta(hours=hours))
    write(folder, "woke")


@flow
def quick(folder: Path, word: str = "quick") -> None:
    """Does not wait."""
    write(folder, word)


@flow
def holds(folder: Path, name: str = "holder", limit: str = "database", occupy: int = 1) -> None:
    """Holds slots until it is let through."""
    with concurrency(limit, occupy=occupy) as slot:
        (folder / f"{name}.here").write_text(str(os.getpid()))
        end = time.monotonic() + _PATIENCE_SECONDS
        while not (folder / f"{name}.go").exists():
            if time.monotonic() > end:
                raise TimeoutError(f"nobody has let {name} through")
            time.sleep(0.01)
        slot.check()
    write(folder, name)


@task
def measures() -> None:
    create_table_artifact([{"day": "mon", "rain": 0.5}, {"day": "tue", "rain": None}], key="rain", description="in mm")


@flow
def reports(note: str = "# Rain\n\nLittle of it.") -> None:
    """Leaves one of each."""
    create_markdown_artifact(note, key="report", description="of the week")
    measures()
    create_link_artifact("https://example.com/map?a=1", link_text="The map", key="map")
    create_image_artifact("https://example.com/dam.png", key="dam")
    lake = create_progress_artifact(0, key="lake")
    update_progress_artifact(lake, 62.5)
