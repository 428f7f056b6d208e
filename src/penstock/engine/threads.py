"""The default task runner: threads of the flow's own process."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from penstock.core.errors import AuthoringError, Interruption, RunCancelled
from penstock.core.ports import TaskRunner
from penstock.engine.deadlines import raise_in_thread

DEFAULT_WORKERS = 64
_here = threading.local()


class ThreadPoolTaskRunner(TaskRunner):
    """Runs submitted tasks on threads, made when they are needed.

    A worker that waits for another task's future runs queued tasks meanwhile, so that nested submissions cannot
    deadlock however small the pool is.

    Args:
        max_workers: how many tasks run at once at most.
    """

    def __init__(self, max_workers: int | None = None) -> None:
        if max_workers is not None and (not isinstance(max_workers, int) or max_workers < 1):
            raise AuthoringError(f"max_workers must be a whole number from 1, and is {max_workers!r}.")
        self.max_workers = max_workers or DEFAULT_WORKERS
        self._jobs: deque[Callable[[], None]] = deque()
        self._ready = threading.Condition(threading.Lock())
        self._threads: list[threading.Thread] = []
        self._busy: set[int] = set()
        self._idle = 0
        self._stopping = False

    def duplicate(self) -> TaskRunner:
        """See `TaskRunner.duplicate`."""
        return type(self)(self.max_workers)

    def start(self, live: Any) -> None:
        """See `TaskRunner.start`."""
        self._stopping = False

    def submit(self, job: Callable[[], None]) -> None:
        """See `TaskRunner.submit`."""
        with self._ready:
            self._jobs.append(job)
            if self._idle >= len(self._jobs):
                self._ready.notify()
                return
            if len(self._threads) >= self.max_workers:
                return
            thread = threading.Thread(target=self._work, name=f"penstock-{len(self._threads) + 1}", daemon=True)
            self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        _here.runner = self
        me = threading.get_ident()
        with contextlib.suppress(Interruption):  # sent to stop a task that has just ended by itself
            while True:
                with self._ready:
                    self._busy.discard(me)
                    while not self._jobs:
                        if self._stopping:
                            return
                        self._idle += 1
                        self._ready.wait()
                        self._idle -= 1
                    job = self._jobs.popleft()
                    self._busy.add(me)
                job()

    def helps(self) -> bool:
        """See `TaskRunner.helps`."""
        return getattr(_here, "runner", None) is self

    def stop(self, kill: bool = False) -> None:
        """See `TaskRunner.stop`."""
        with self._ready:
            self._stopping = True
            self._ready.notify_all()
            self._threads = []
            if kill:
                for ident in self._busy:
                    raise_in_thread(ident, RunCancelled)
            self._busy = set()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(max_workers={self.max_workers})"
