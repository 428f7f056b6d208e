"""Flows that the tests of the command line run. What they did is written to files, for the test to see."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from penstock import flow, get_run_logger, task

HOSTILE = "\x1b]0;owned\x07\x1b[2J[red]evil[/red]\nsecond \u202eline"


@dataclass
class Place:
    city: str
    zip: int = 0


@task
def greet(name: str) -> str:
    return f"hello {name}"


@flow
def hello(name: str = "you", times: int = 1) -> list[str]:
    """Greet somebody.

    Args:
        name: who.
        times: how often.
    """
    get_run_logger().info("greeting %s", name)
    return [greet(name) for _ in range(times)]


@flow
async def hello_async(name: str = "you") -> str:
    return greet(name)


@flow
def typed(
    text: str,
    count: int,
    share: float = 0.5,
    day: date | None = None,
    kind: Literal["big", "small"] = "big",
    cities: list[str] = ["Oslo"],  # noqa: B006
    place: Place | None = None,
    folder: Path = Path("out"),
    loud: bool = False,
) -> list[str]:
    """Every kind of parameter."""
    return [repr(value) for value in (text, count, share, day, kind, cities, place, folder, loud)]


@task
def note(folder: Path, step: int) -> int:
    with open(folder / "ran.txt", "a") as ran:
        ran.write(f"{step}\n")
    return step


@task
def gate(folder: Path, name: str) -> None:
    """Tell that it is here, and wait to be let through."""
    with open(folder / "ran.txt", "a") as ran:
        ran.write(f"{name}\n")
    (folder / f"{name}.here").touch()
    while not (folder / f"{name}.go").exists():
        time.sleep(0.01)


@flow
def gated(folder: Path, before: int = 3, after: int = 2) -> int:
    """Some steps, a gate, and some more steps."""
    done = sum(note(folder, step) for step in range(before))
    gate(folder, "gate")
    return done + sum(note(folder, before + step) for step in range(after))


@task
def mapped(folder: Path, item: int) -> int:
    if item >= 4:
        gate.fn(folder, f"item{item}")
    return item


@task(retries=2, retry_delay_seconds=0)
def shaky(folder: Path) -> str:
    file = folder / "tries.txt"
    tries = int(file.read_text()) + 1 if file.exists() else 1
    file.write_text(str(tries))
    if tries < 3:
        raise ConnectionError(f"try {tries}")
    return "held"


@task
def inner(item: int) -> int:
    return item


@flow
def part(item: int) -> int:
    return inner(item)


@flow
def wide(folder: Path) -> int:
    """A retry, a subflow, and a map that stops in the middle."""
    get_run_logger().warning("a line with [bold]markup[/bold] and %s", HOSTILE)
    print("printed by the flow")
    shaky(folder)
    part(1)
    return sum(mapped.map([folder] * 6, range(6)).result())


@task
def picky(folder: Path) -> str:
    if not (folder / "mended").exists():
        raise FileNotFoundError("nobody has mended it")
    return "mended"


@flow
def breaks(folder: Path) -> str:
    note(folder, 1)
    note(folder, 2)
    return picky(folder)


@task(name="evil [red]\n\x1b[31mtask")
def evil() -> None:
    raise ValueError(HOSTILE)


@flow
def hostile() -> None:
    try:
        evil()
    except ValueError as error:
        raise RuntimeError("it was wrapped") from error


@flow
def leaves(code: int = 7) -> None:
    greet("before")
    sys.exit(code)


@flow
def prints() -> dict[str, int]:
    print("printed to stdout")
    return {"rows": 3}


@flow
def noisy(folder: Path, lines: int = 0) -> None:
    """Writes to the terminal by every way there is, and by one that would move its cursor."""
    for number in range(lines):
        print(f"line {number}.")
    gate(folder, "noise")
    os.write(1, b"straight to stdout\n")
    os.write(2, b"straight to stderr\n")
    subprocess.run(["sh", "-c", "echo from a child; echo of a child >&2"], check=True)
    print("\x1b[2J\x1b[32mgreen\x1b[0m\x1b]0;owned\x07", "and no end", end="")


@flow
def big() -> bytes:
    return make_big()


@task
def make_big() -> bytes:
    return b"\x00\xff" * 100_000
