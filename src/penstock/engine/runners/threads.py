"""The default task runner: threads of the flow's own process."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from penstock.core.context import worker
from penstock.core.errors import AuthoringError
from penstock.core.interruptions import Interruption, RunCancelled
from penstock.core.ports import TaskRunner
from penstock.engine.places import Place

DEFAULT_WORKERS = 64


class ThreadPoolTaskRunner(TaskRunner):
    """Runs submitted tasks on threads, made when they are needed.

    A task that waits for another one gives up its place meanwhile, so that nested submissions cannot deadlock however
    small the pool is, and no more than `max_workers` ever work at once.

    Args:
        max_workers: how many tasks run at once at most.
    """

    def __init__(self, max_workers: int | None = None) -> None:
        if max_workers is not None and (not isinstance(max_workers, int) or max_workers < 1):
            raise AuthoringError(f"max_workers must be a whole number from 1, and is {max_workers!r}.")
        self.max_workers = max_workers or DEFAULT_WORKERS
        self._jobs: deque[Any] = deque()
        lock = threading.Lock()
        self._work_to_do = threading.Condition(lock)
        self._place_free = threading.Condition(lock)
        self._threads = 0
        self._idle = 0
        self._working = 0
        self._waiting = 0
        self._returning = 0
        self._busy: set[Place] = set()
        self._stopping = False

    def duplicate(self) -> TaskRunner:
        """See `TaskRunner.duplicate`."""
        return type(self)(self.max_workers)

    def start(self, live: Any) -> None:
        """See `TaskRunner.start`."""
        self._stopping = False

    def submit(self, job: Callable[[], None]) -> None:
        """See `TaskRunner.submit`."""
        with self._work_to_do:
            self._jobs.append(job)
            self._find_worker()

    def submit_first(self, job: Callable[[], None]) -> None:
        """See `TaskRunner.submit_first`."""
        with self._work_to_do:
            self._jobs.appendleft(job)
            self._find_worker()

    def _find_worker(self) -> None:
        if self._idle:
            self._work_to_do.notify()
        if self._idle < len(self._jobs) and self._threads - self._waiting < self.max_workers:
            self._threads += 1
            threading.Thread(target=self._live, name=f"penstock-{self._threads}", daemon=True).start()

    def _live(self) -> None:
        worker.seat = self
        try:
            with contextlib.suppress(Interruption):  # sent to stop a task that has just ended by itself
                self._work()
        finally:
            loops = getattr(worker, "loops", None)
            if loops is not None:
                loops.close()

    def _work(self) -> None:
        me = worker.place = Place()
        while True:
            with self._work_to_do:
                while not self._jobs or self._working + self._returning >= self.max_workers:
                    if self._stopping:
                        self._threads -= 1
                        return
                    self._idle += 1
                    self._work_to_do.wait()
                    self._idle -= 1
                job = self._jobs.popleft()
                self._working += 1
                self._busy.add(me)
            try:
                job()
            finally:
                with self._work_to_do:
                    self._working -= 1
                    self._busy.discard(me)
                    if self._returning:
                        self._place_free.notify()

    def leave(self) -> None:
        """The calling worker waits for something: another one may work in its place."""
        worker.place.leave()
        with self._work_to_do:
            self._working -= 1
            self._waiting += 1
            if self._returning:
                self._place_free.notify()
            elif self._jobs:
                self._find_worker()

    def rejoin(self, *, at_once: bool = False) -> None:
        """The calling worker goes on as soon as there is a place.

        At once where that must not wait: on an event loop, and when the patience for what it waited for has run out.
        """
        with self._place_free:
            self._returning += 1
            while self._working >= self.max_workers and not at_once and not self._stopping:
                self._place_free.wait()
            self._returning -= 1
            self._waiting -= 1
            self._working += 1
        worker.place.enter()

    def stop(self, kill: bool = False) -> None:
        """See `TaskRunner.stop`."""
        with self._work_to_do:
            self._stopping = True
            self._work_to_do.notify_all()
            self._place_free.notify_all()
            left = [*self._jobs] if kill else []
            if kill:
                self._jobs.clear()
                for place in self._busy:
                    place.interrupt(RunCancelled)

        for job in left:
            job.abandon()  # nobody must wait for it in vain

    def __repr__(self) -> str:
        return f"{type(self).__name__}(max_workers={self.max_workers})"


def loop_runner() -> Any:
    """The event loop of the calling worker thread."""
    runner = getattr(worker, "loops", None)
    if runner is None:
        import asyncio

        runner = worker.loops = asyncio.Runner()
    return runner
