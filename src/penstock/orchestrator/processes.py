"""A worker's processes: one for each run, forked by a nursery for its flow where that is safe."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from penstock.core.model import Run
from penstock.engine.runners.trees import kill_tree
from penstock.orchestrator.orders import (
    Begin,
    Begun,
    Ended,
    NotReady,
    Ready,
    encode,
    read_told,
)

_IDLE_SECONDS = 600.0
_MOST_NURSERIES = 16


class Exit(NamedTuple):
    """The process of a run is gone, or never came to be.

    Attributes:
        run_id: the run.
        pid: its process; None when there was none.
        status: exit code, negative for a signal; None when nobody saw it.
        refused: why the flow could not be imported.
    """

    run_id: str
    pid: int | None = None
    status: int | None = None
    refused: str | None = None


Tell = Callable[[Exit], None]


class _Nursery:
    """One nursery, seen from the worker. A thread of its own listens to it."""

    def __init__(
        self,
        entrypoint: str,
        folder: str | None,
        environment: Mapping[str, str],
        tell: Tell,
        started: Callable[[str, int], None],
        runs: int,
    ) -> None:
        self.entrypoint = entrypoint
        self.sources: dict[str, float] = {}
        self.used = time.monotonic()
        self.runs: dict[str, int | None] = {}
        self.ready = threading.Event()
        self.alone = True
        self.refused: str | None = None
        self.gone = False
        self._folder = folder
        self._tell = tell
        self._started = started
        self._lock = threading.Lock()
        self._ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "penstock.orchestrator.nursery", str(theirs.fileno()), entrypoint, str(runs)]
        self._process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        threading.Thread(target=self._listen, name="penstock-nursery", daemon=True).start()

    def begin(self, run_id: str, takes_over: str) -> None:
        """Begin a run, as soon as the flow is imported."""
        with self._lock:
            self.used = time.monotonic()
            if not self.gone:
                self.runs[run_id] = None
                with contextlib.suppress(OSError):
                    self._ours.sendall(encode(Begin(run_id, takes_over)) + b"\n")
                return
        self._tell(Exit(run_id, refused=self.refused))

    def stale(self) -> bool:
        """A file that the flow came from is another by now, or importing it failed (and may not, next time)."""
        if self.gone or self.refused is not None:
            return True
        for path, changed in self.sources.items():
            try:
                if os.stat(path).st_mtime != changed:
                    return True
            except OSError:
                return True
        return False

    def close(self) -> None:
        """Let it end; processes of runs go on."""
        with contextlib.suppress(OSError):
            self._ours.shutdown(socket.SHUT_WR)

    def _listen(self) -> None:
        with self._ours, self._ours.makefile("rb") as lines:
            try:
                for line in lines:
                    self._hear(read_told(line))
            except OSError:
                pass
        self._process.wait()
        with self._lock:
            self.gone = True
            left, self.runs = self.runs, {}
        self.ready.set()
        for run_id, pid in left.items():
            self._tell(Exit(run_id, pid, None, self.refused))

    def _hear(self, told: Any) -> None:
        match told:
            case Ready():
                self.alone, self.sources = told.alone, told.sources
                self.ready.set()
            case NotReady():
                self.refused = told.reason
            case Begun():
                self.runs[told.run_id] = told.pid
                self._started(told.run_id, told.pid)
            case Ended():
                with self._lock:
                    self.runs.pop(told.run_id, None)
                    self.used = time.monotonic()
                self._tell(Exit(told.run_id, told.pid, told.status))


class Processes:
    """Every process a worker has for its runs.

    Args:
        tell: called, from any thread, when a process is gone.
        fresh: never fork: a new interpreter for each run.
        environment: what they have in their environment besides this process's own.
        runs: how many runs one of them may execute, one after another.
    """

    def __init__(
        self, tell: Tell, *, fresh: bool = False, environment: Mapping[str, str] | None = None, runs: int = 1
    ) -> None:
        self.fresh = fresh
        self.runs = runs
        self.environment = {**os.environ, **(environment or {})}
        self.pids: dict[str, int] = {}
        self._tell = tell
        self._nurseries: dict[tuple[str, str | None], _Nursery] = {}
        self._unsafe: set[tuple[str, str | None]] = set()

    def begin(self, run: Run, folder: str | None, takes_over: str) -> None:
        """Give a run its process."""
        entrypoint = run.entrypoint or ""
        where = (entrypoint, folder)
        if self.fresh or where in self._unsafe:
            self._begin_fresh(run.id, entrypoint, folder, takes_over)
            return
        nursery = self._nurseries.get(where)
        if nursery is None or nursery.stale():
            self._retire(where)
            self._make_room()
            nursery = _Nursery(entrypoint, folder, self.environment, self._gone, self._started, self.runs)
            self._nurseries[where] = nursery
        if nursery.ready.is_set() and not nursery.alone:
            self._unsafe.add(where)
            self._retire(where)
            self._begin_fresh(run.id, entrypoint, folder, takes_over)
            return
        nursery.begin(run.id, takes_over)

    def _started(self, run_id: str, pid: int) -> None:
        self.pids[run_id] = pid

    def _gone(self, exit_: Exit) -> None:
        self.pids.pop(exit_.run_id, None)
        self._tell(exit_)

    def _retire(self, where: tuple[str, str | None]) -> None:
        nursery = self._nurseries.pop(where, None)
        if nursery is not None:
            nursery.close()

    def _make_room(self) -> None:
        idle = sorted((n.used, where) for where, n in self._nurseries.items() if not n.runs)
        oldest = time.monotonic() - _IDLE_SECONDS
        for used, where in idle:
            if used < oldest or len(self._nurseries) >= _MOST_NURSERIES:
                self._retire(where)

    def _begin_fresh(self, run_id: str, entrypoint: str, folder: str | None, takes_over: str) -> None:
        command = [sys.executable, "-m", "penstock.orchestrator.nursery", "run", run_id, entrypoint, takes_over]
        process = subprocess.Popen(
            command, cwd=folder, env=self.environment, stdin=subprocess.DEVNULL, start_new_session=True
        )
        self._started(run_id, process.pid)
        waiter = threading.Thread(target=self._await, args=(run_id, process), name="penstock-process", daemon=True)
        waiter.start()

    def _await(self, run_id: str, process: subprocess.Popen[bytes]) -> None:
        self._gone(Exit(run_id, process.pid, process.wait()))

    def kill(self, run_id: str) -> None:
        """End the process of a run, and all it has started, at once."""
        pid = self.pids.get(run_id)
        if pid is not None:
            kill_tree(pid, signal.SIGKILL)

    def close(self) -> None:
        """Let the nurseries end."""
        for where in list(self._nurseries):
            self._retire(where)
