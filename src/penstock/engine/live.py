"""A run while it is being executed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any, Protocol

from penstock.authoring.futures import Latch
from penstock.core.context import Scope
from penstock.core.interruptions import Interruption
from penstock.core.ports import Journal, ResultStore, TaskRunner
from penstock.engine.places import Place
from penstock.engine.recorder import Recorder
from penstock.engine.replay import Replay
from penstock.engine.runners.trees import since_boot
from penstock.engine.signals import Stop


class Host(Protocol):
    """What a run needs of the engine that executes it."""

    journal: Journal
    results: ResultStore
    owner: str
    pid: int
    lease_us: int
    suspend_us: int
    refresh_cache: bool

    @property
    def lookout(self) -> Any:
        """Wakes those who wait for time to pass, or for an answer."""

    @property
    def slots(self) -> Any:
        """What this process holds of limits."""

    def register(self, live: LiveRun) -> None:
        """The run begins here."""

    def below(self, live: LiveRun) -> list[LiveRun]:
        """The runs of its subflows that are still executed here, innermost first."""
        return []

    def unwinds(self, live: LiveRun) -> None:
        """The run is on its way out; it must not be interrupted again."""

    def unregister(self, live: LiveRun) -> None:
        """The run has ended here."""


class RunInfo:
    """What hooks and `penstock.runtime` are told about a run or a task run."""

    def __init__(self, **facts: Any) -> None:
        self.__dict__.update(facts)

    def __repr__(self) -> str:
        return f"<run {self.__dict__.get('name')!r}>"


class FlowRun(RunInfo):
    """A run of a flow, as hooks and the runtime see it."""


class TaskRun(RunInfo):
    """A run of a task, as hooks and the runtime see it."""


class LiveRun:
    """One run in this process: its recorder, its replay, its runner, and what is still under way.

    Attributes:
        id, name: of the run.
        alone: there is no flow, only a task that was called outside any.
        root: the run whose process this is (itself, unless it is a subflow).
        scope: numbers the calls the flow makes.
        attempt: of the flow, from 1.
        interrupted: set when the run is to stop; `interruption` says why.
        stop: the signal for which an async run is cancelled on its loop.
        place: of a root run outside the main thread.
        facts: what the runtime tells of it besides: deployment, partition, when it was due.
        suspends: a wait ends the process instead of holding it: a worker goes on with the run later.
        suspended: it waits, and this process has let go of it.
        parent_key: the step of the run around it that it is.
        keyed: what waits that have a key of their own gave.
        called: as its flow names it, where that is not on record yet.
        takes_over: the process that had the run before, where it is resumed.
        began: seconds since the machine was started; what was started later, by this process, belongs to the run.
        wake_signal: what interrupts the main thread (SIGTERM where the run handles it; SIGINT may be ignored).
        pending: submitted steps that have not ended.
        unended: subflow runs of the family that may not have come to the record of their end.
    """

    def __init__(
        self,
        engine: Host,
        flow: Any,
        run_id: str,
        name: str,
        recorder: Recorder,
        *,
        parent: LiveRun | None,
        parameters: dict[str, Any],
        tags: frozenset[str],
        runner: TaskRunner,
    ) -> None:
        self.engine = engine
        self.flow = flow
        self.alone: bool = flow.alone
        self.id = run_id
        self.name = name
        self.recorder = recorder
        self.results: ResultStore = engine.results
        self.remote: bool = engine.journal.remote
        self.replay: Replay | None = None
        self.parent = parent
        self.root: LiveRun = parent.root if parent is not None else self
        self.parameters = parameters
        self.tags = tags
        self.runner = runner
        self.runner_started = False
        self.attempt = 0
        self.started = 0
        self.scope = Scope(self, None)
        self.thread = threading.get_ident()
        self.interrupted: Latch = self.root.interrupted if parent is not None else Latch()
        self.interruption: Interruption | None = None
        self.stop: Stop | None = None
        self.place: Place | None = None
        self.called: str | None = None
        self.takes_over: str | None = None
        self.facts: dict[str, Any] = parent.facts if parent is not None else {}
        self.suspends: bool = parent.suspends if parent is not None else False
        self.suspended = False
        self.parent_key: str | None = None
        self.keyed: dict[tuple[str, str], Any] = {}
        self.told = 0.0
        self.wake_signal: int = signal.SIGINT
        self.began: float = since_boot() if parent is None else parent.began
        self.unwinding = False
        self.unended: list[LiveRun] = [] if parent is None else parent.unended
        self.pending: set[Any] = set()
        self.info: RunInfo | None = None
        self.loop: Any = None
        self.cancel_async: Any = None

    def around(self) -> Iterator[LiveRun]:
        """The runs around this one, nearest first."""
        parent = self.parent
        while parent is not None:
            yield parent
            parent = parent.parent

    def ensure_runner(self) -> TaskRunner:
        """The task runner, started."""
        if not self.runner_started:
            self.runner.start(self)
            self.runner_started = True
        return self.runner

    def stop_runner(self, kill: bool = False) -> None:
        """Let go of the runner's workers."""
        if self.runner_started:
            self.runner_started = False
            self.runner.stop(kill)

    def on_loop(self, loop: Any, cancel: Any) -> None:
        """The run is executed on this event loop; `cancel` ends it there."""
        self.loop = loop
        self.cancel_async = cancel
        self.thread = threading.get_ident()

    def check_interrupted(self) -> None:
        """Raise the interruption if the run is to stop.

        Raises:
            Interruption: it was cancelled or taken over.
        """
        if self.interrupted.is_set():
            root = self.root
            kind = type(root.interruption) if root.interruption is not None else Interruption
            raise kind(root.interruption.reason if root.interruption is not None else "interrupted")
