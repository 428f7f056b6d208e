"""Flows that the tests deploy. What they did is written to files, for the test to see."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from penstock import flow, get_run_logger, runtime, task
from penstock.partitions import daily, keyed

_PATIENCE_SECONDS = 90.0


def write(folder: Path, word: str) -> None:
    with open(folder / "ran.txt", "a") as ran:
        ran.write(f"{word}\n")


def wait_at(folder: Path, name: str) -> None:
    """Tell that it is here, and wait to be let through."""
    (folder / f"{name}.pid").write_text(str(os.getpid()))
    (folder / f"{name}.here").touch()
    end = time.monotonic() + _PATIENCE_SECONDS
    while not (folder / f"{name}.go").exists():
        if time.monotonic() > end:
            raise TimeoutError(f"nobody has opened {name}")
        time.sleep(0.01)


@task
def note(folder: Path, word: str) -> str:
    write(folder, word)
    return word


@task
def gate(folder: Path, name: str) -> None:
    write(folder, name)
    wait_at(folder, name)


@flow
def quick(folder: Path, word: str = "quick", day: date = date(2026, 1, 1)) -> str:
    """Note a word."""
    assert type(day) is date
    get_run_logger().info("noting %s", word)
    return note(folder, word)


@flow
def gated(folder: Path, name: str = "gate") -> str:
    """A step, a gate, and another step."""
    note(folder, "before")
    gate(folder, name)
    return note(folder, "after")


@flow
def fails(folder: Path) -> None:
    note(folder, "failing")
    raise ValueError("there is nothing to be had")


@flow
def mends(folder: Path) -> None:
    """It fails until it is mended."""
    get_run_logger().info("looking for %s", folder / "mended")
    if not (folder / "mended").exists():
        raise ValueError("it is not mended")


@flow
def dies(folder: Path) -> None:
    """Its process is killed, the first two times."""
    note(folder, "before")
    tries = len(list(folder.glob("try*")))
    (folder / f"try{tries}").touch()
    if tries < 2:
        os.kill(os.getpid(), signal.SIGKILL)
    note(folder, "after")


@flow
def family(folder: Path, stubborn: bool = False) -> None:
    """Has a child, which has a child; a stubborn one does not listen when it is asked to stop."""
    script = "import subprocess, sys, time; subprocess.Popen(['sleep', '120']); time.sleep(120)"
    child = subprocess.Popen([sys.executable, "-c", script])
    (folder / "child.pid").write_text(str(child.pid))
    (folder / "family.pid").write_text(str(os.getpid()))
    (folder / "family.here").touch()
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        try:
            time.sleep(0.01)
        except BaseException:
            if not stubborn:
                raise


@flow
def tick(folder: Path) -> None:
    write(folder, "tick")


@flow
def chatty(folder: Path, lines: int = 3) -> None:
    for number in range(lines):
        get_run_logger().info("line %d", number)
        print(f"printed {number}", flush=True)
    note(folder, "chatty")
    wait_at(folder, "chatty")
    print("printed last", flush=True)
    os.write(1, b"written last\n")


@flow(partitions=daily(timezone="Europe/Paris"))
def per_day(folder: Path, bad: str = "none", stop_at: str = "none") -> str | None:
    """Note a day; one day may be bad until it is mended, at another one it waits."""
    day = runtime.flow_run.partition
    begin, end = runtime.flow_run.data_interval_start, runtime.flow_run.data_interval_end
    if day == stop_at:
        wait_at(folder, day)
    if day == bad and not (folder / "mended").exists():
        raise ValueError(f"nothing is there for {day}")
    if begin is not None and end is not None:
        note(folder, f"{day}|{begin:%dT%H}|{end:%dT%H}")
    return day


@flow(partitions=keyed(["no", "se", "dk"]))
def per_country(folder: Path) -> None:
    note(folder, str(runtime.flow_run.partition))
