"""What every tool is put through: the same flow, the same kill, the same questions afterwards."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from common import home, mark, report
from plant import Marks, Plant, descendants

WATCH_SECONDS = float(os.environ.get("LUCK_WATCH_SECONDS", "60"))
STAY_SECONDS = 600


def one() -> None:
    """Be a step that is done when the worker is killed."""
    mark("one")


def two() -> None:
    """Be the step in flight: it stays, unless it is executed again after the kill."""
    mark("two")
    if not os.path.exists(os.path.join(home(), "again")):
        time.sleep(STAY_SECONDS)


def program() -> None:
    """Start a program, and wait for it; nothing here ends it when the waiting is interrupted."""
    process = subprocess.Popen(["sleep", str(STAY_SECONDS)])
    mark(f"program-{process.pid}")
    process.wait()


@dataclass
class Tool:
    """How a tool is handled.

    `take` starts what executes runs; `ask` asks for a run of one of the flows `kill`, `quick` and `program`, under a
    key; `states` tells the states of all runs in the tool's own words; `cancel` cancels the only run there is.
    """

    running: Plant
    take: Callable[[], "subprocess.Popen[bytes]"]
    ask: Callable[[str, str], object]
    states: Callable[[], list[str]]
    cancel: Callable[[], object]


def kill(tool: Tool) -> None:
    """Kill the worker and its run's process with SIGKILL, start the worker again, and watch."""
    marks = Marks()
    worker = tool.take()
    tool.ask("kill", "a")
    seen = Counter(key for key in (marks.expect("one", 60) and "one", marks.expect("two", 60) and "two"))
    for pid in (worker.pid, *descendants(worker.pid)):
        os.kill(pid, signal.SIGKILL)
    worker.wait()
    with open(os.path.join(home(), "again"), "w", encoding="ascii"):
        pass
    told, began = [f"at the kill: {tool.states()}"], monotonic()
    tool.take()
    while monotonic() - began < WATCH_SECONDS:
        found = marks.next(1.0)
        if found is not None:
            seen[found[0]] += 1
            told.append(f"{monotonic() - began:.0f} s after the restart began: {found[0]} again")
        state = f"{tool.states()}"
        if not told[-1].endswith(state):
            told.append(f"{monotonic() - began:.0f} s after the restart began: {state}")
    report(steps=dict(seen), told=told, watched=WATCH_SECONDS)


def twice(tool: Tool) -> None:
    """Ask for a run twice with the same key."""
    marks = Marks()
    tool.take()
    answers, seen = [], 0
    for _ in range(2):
        try:
            answers.append(str(tool.ask("quick", "same"))[:120])
        except Exception as error:
            answers.append(f"{type(error).__name__}: {error}"[:200])
        seen += marks.next(20.0) is not None
    while marks.next(5.0) is not None:
        seen += 1
    report(answers=answers, executed=seen, states=tool.states())


def cancel(tool: Tool) -> None:
    """Cancel a run whose task has started a program, and see what becomes of it and of the program."""
    marks = Marks()
    tool.take()
    tool.ask("program", "a")
    found = marks.next(60.0)
    if found is None:
        sys.exit("error: nothing began")
    pid = int(found[0].rpartition("-")[2])
    told, began = [], monotonic()
    tool.cancel()
    ended = None
    while monotonic() - began < WATCH_SECONDS:
        if ended is None and not _lives(pid):
            ended = round(monotonic() - began, 1)
        state = f"{tool.states()}"
        if not told or not told[-1].endswith(state):
            told.append(f"{monotonic() - began:.1f} s: {state}")
        if ended is not None and monotonic() - began > ended + 15:
            break
        time.sleep(0.2)
    report(program_ended_after=ended, told=told, watched=round(monotonic() - began))


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def put(tool: Tool) -> None:
    """Do what the command line says."""
    {"kill": kill, "twice": twice, "cancel": cancel}[sys.argv[1]](tool)
