"""Processes and all they have started."""

from __future__ import annotations

import contextlib
import os


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
