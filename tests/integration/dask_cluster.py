"""A Dask scheduler and workers of a test's own, each a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.conftest import missing
from tests.ports import own_port

try:
    import distributed
except ImportError:
    distributed = None

PATIENCE_SECONDS = 80
"""For interpreters to start on a busy machine."""


class Cluster:
    """One of them, as a context manager."""

    def __init__(self, folder: Path, workers: int = 2, **environment: str) -> None:
        if distributed is None:
            missing("Dask is not installed: pip install 'penstock[dask]'")
        self._folder = folder
        self._wanted = workers
        self._environment = {**os.environ, **environment}
        self.address = f"tcp://127.0.0.1:{own_port()}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self._scheduler: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Cluster:
        self.start_scheduler()
        for _ in range(self._wanted):
            self.add_worker()
        try:
            with self.client() as client:
                if self._wanted:
                    client.wait_for_workers(self._wanted, timeout=PATIENCE_SECONDS)
        except BaseException as error:
            self.__exit__()
            for log in sorted(self._folder.glob("*.log")):
                error.add_note(f"{log.name}:\n{log.read_text()}")
            raise
        return self

    def __exit__(self, *unused: object) -> None:
        for process in [*self.workers, *([self._scheduler] if self._scheduler else [])]:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def start_scheduler(self) -> None:
        port = self.address.rpartition(":")[2]
        self._scheduler = self._started("scheduler", "--host", "127.0.0.1", "--port", port, *_pages())

    def client(self) -> Any:
        return distributed.Client(self.address, timeout=PATIENCE_SECONDS, set_as_default=False)

    def add_worker(self) -> None:
        folder = self._folder / f"worker-{len(self.workers)}-{time.monotonic_ns()}"
        own = ["--no-nanny", "--nthreads", "1", "--memory-limit", "0", "--local-directory", str(folder)]
        port = own_port()  # or one of the next, where another process has taken it meanwhile
        where = ["--host", "127.0.0.1", "--worker-port", f"{port}:{port + 50}", *_pages()]
        self.workers.append(self._started("worker", self.address, *own, *where))

    def kill_worker(self, pid: int | None = None) -> None:
        process = next(worker for worker in reversed(self.workers) if pid in (None, worker.pid))
        self.workers.remove(process)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def kill_scheduler(self) -> None:
        if self._scheduler is not None:
            self._scheduler.send_signal(signal.SIGKILL)
            self._scheduler.wait()

    def _started(self, kind: str, *arguments: str) -> subprocess.Popen[bytes]:
        log = (self._folder / f"{kind}-{time.monotonic_ns()}.log").open("wb")
        with log:
            command = [sys.executable, "-m", "dask", kind, *arguments]
            return subprocess.Popen(
                command, cwd=self._folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self._environment
            )


def _pages() -> list[str]:
    return ["--dashboard-address", f"127.0.0.1:{own_port()}"]
