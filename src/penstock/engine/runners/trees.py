"""Processes and all they have started."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from penstock.core.ids import process_start


def descendants(pid: int) -> list[int]:
    """Every process this one has started, and so on; nearest first."""
    children: dict[int, list[int]] = {}
    for process, parent in _parents():
        children.setdefault(parent, []).append(process)
    found, queue = [], list(children.get(pid, ()))
    while queue:
        process = queue.pop(0)
        found.append(process)
        queue += children.get(process, ())
    return found


def _parents() -> list[tuple[int, int]]:
    if os.path.isdir("/proc/self"):
        pairs = []
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            with (
                contextlib.suppress(OSError, IndexError, ValueError),
                open(f"/proc/{name}/stat", "rb") as stat,
            ):
                pairs.append((int(name), int(stat.read().rpartition(b")")[2].split()[1])))
        return pairs
    import subprocess

    listing = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=False).stdout
    return [(int(pid), int(parent)) for pid, parent in (line.split() for line in listing.splitlines())]


def kill_tree(pid: int, number: int) -> None:
    """Send a signal to a process, to all it has started, and to the groups they lead; to itself last."""
    for process in reversed([pid, *descendants(pid)]):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process) == process and (process != os.getpgrp() or pid == os.getpid()):
                os.killpg(process, number)
            else:
                os.kill(process, number)


def since_boot() -> float:
    """Seconds since the machine was started, as process start times are told; 0 where they are not."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else 0.0


def kill_children_since(began: float) -> None:
    """Kill what this process has started since then, and all that was started by it."""
    ticks = os.sysconf("SC_CLK_TCK")
    for pid in descendants(os.getpid()):
        start = process_start(pid)
        if start is None:
            continue
        if not start.isdigit() or int(start) / ticks >= began - 1 / ticks:
            kill_tree(pid, signal.SIGKILL)
