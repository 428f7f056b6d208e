"""A worker: takes runs that are due out of a pool, and gives each a process of its own."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from penstock.core.decisions import Reschedule
from penstock.core.deployments import of_data
from penstock.core.errors import JournalError, PenstockError, RunError
from penstock.core.events import now_us
from penstock.core.ids import new_owner, owner_is_dead, owner_pid
from penstock.core.model import Claim, Run, Worker
from penstock.core.ports import Journal
from penstock.engine.commands import append_command
from penstock.engine.outside import is_followed, last_engine
from penstock.orchestrator.engines import FOLLOW
from penstock.orchestrator.losses import recover, refuse
from penstock.orchestrator.processes import Exit, Processes
from penstock.orchestrator.troubles import Trouble

_log = logging.getLogger("penstock.worker")
_REPORT_SECONDS = 10.0
_LOOK_SECONDS = 1.0
_KILL_AFTER_SECONDS = 10.0
_AT_ONCE = 50


class WorkerOptions(NamedTuple):
    """How a worker works.

    Attributes:
        pool: whose runs it takes.
        queues: of these queues only; empty for all.
        slots: so many runs at once.
        drain_seconds: how long to let runs end when it is asked to stop; what is left goes back to its queue.
        fresh: a new interpreter for each run, instead of a fork of one that has imported the flow.
        lease_seconds: how long a run is its own when nothing is heard of it.
        environment: what its processes have in their environment besides its own, such as which journal it is.
        until_idle: end as soon as nothing is due.
        runs_per_process: how many runs a process may execute, one after another. With more than one, very short runs
            begin sooner; what a run leaves in the memory of its process is then there for the next one.
    """

    pool: str = "default"
    queues: Sequence[str] = ()
    slots: int = 8
    drain_seconds: float = 30.0
    fresh: bool = False
    lease_seconds: float = 30.0
    environment: Mapping[str, str] = {}
    until_idle: bool = False
    runs_per_process: int = 1


class Told(NamedTuple):
    """What a worker tells of a run.

    Attributes:
        what: `taken`, and then one of `ended`, `paused`, `back` (in its queue again) and `left` (its process lives on,
            out of sight).
        run: as it is by then.
        why: what happened to its process, where that is not the run's own doing.
    """

    what: str
    run: Run
    why: str | None = None


def log_losses(told: Told) -> None:
    """Say in the log when the process of a run was lost; what a worker does if nobody else wants to be told."""
    if told.why is not None:
        _log.warning("Run %s: %s It is %s now.", told.run.name, told.why, told.run.state)


class PoolWorker:
    """Runs until told to stop.

    Args:
        journal: whose runs it takes.
        options: how.
        tell: called, from the thread it works in, when it takes a run and when the run has left it.

    Attributes:
        running: the runs it has, by id.
        done: how many runs have left it.
    """

    def __init__(self, journal: Journal, options: WorkerOptions, tell: Callable[[Told], None] = log_losses) -> None:
        self.journal = journal
        self.options = options
        self.tell = tell
        self.owner = new_owner()
        self.running: dict[str, Run] = {}
        self.done = 0
        self._processes = Processes(
            self._note, fresh=options.fresh, environment=options.environment, runs=options.runs_per_process
        )
        self._exits: deque[Exit] = deque()
        self._places: dict[str, tuple[float, str | None, str]] = {}
        self._started_at = now_us()
        self._reported = self._extended = self._looked = 0.0
        self._cancelled: dict[str, float] = {}
        self._early: dict[str, tuple[float, Run, str | None]] = {}
        """Runs that had only to wait for a moment: due again before the process that let go of them has ended."""
        self._stopping: float | None = None
        self._watch = journal.watch()

    def stop(self, *, now: bool = False) -> None:
        """Take no more runs, and end when those it has are done; with `now`, put them back into their queue."""
        if self._stopping is None or now:
            self._stopping = 0.0 if now else time.monotonic() + self.options.drain_seconds
        self._watch.wake()

    @property
    def seconds_left(self) -> float | None:
        """How long the runs it has may still take, when it was asked to stop; None before."""
        return None if self._stopping is None else max(0.0, self._stopping - time.monotonic())

    def run(self) -> None:
        """Work until stopped and empty. A journal that cannot be reached is waited for."""
        trouble = Trouble(_log, "The worker", "could not reach the journal")
        try:
            while self._stopping is None or self.running:
                try:
                    pause = self._turn()
                    trouble.over()
                except JournalError as error:
                    trouble.say(error.message)
                    pause = _LOOK_SECONDS
                self._wait(pause)
        finally:
            self._processes.close()
            self._watch.close()
            try:
                self.journal.forget_worker(self.owner)
            except PenstockError:
                _log.warning("The worker could not sign off.")

    def _wait(self, seconds: float) -> None:
        if seconds > 0 and not self._exits:
            self._watch.wait(seconds)

    def _note(self, exit_: Exit) -> None:
        self._exits.append(exit_)
        self._watch.wake()

    def _turn(self) -> float:
        """One look at everything; how many seconds to wait before the next."""
        while self._exits:
            self._ended(self._exits[0])
            self._exits.popleft()  # not before it is dealt with: the journal may be out of reach
        now = time.monotonic()
        self._keep(now)
        if self._stopping is not None:
            self._give_back(now)
        elif len(self.running) < self.options.slots and self._take():
            return 0.0
        elif self.options.until_idle and not self.running:
            self._stopping = now
        following = self.journal.next_due(self.options.pool, self.options.queues)
        if self._stopping is not None and not self.running:
            return 0.0
        if self._stopping is not None or following is None or len(self.running) >= self.options.slots:
            return _LOOK_SECONDS
        left = (following - now_us()) / 1_000_000
        return min(_LOOK_SECONDS, left) if left > 0 else _LOOK_SECONDS

    def _take(self) -> int:
        now = now_us()
        claim = Claim(
            pool=self.options.pool,
            queues=tuple(self.options.queues),
            owner=self.owner,
            now=now,
            lease_until=now + self._lease(),
            limit=min(_AT_ONCE, self.options.slots - len(self.running)),
        )
        runs = self.journal.claim(claim)
        for claimed in runs:
            run, folder = self._placed(claimed)  # a journal out of reach leaves this run, and those after it, unkept
            if run.id in self.running:
                self._early[run.id] = (time.monotonic(), run, folder)
                continue
            self.running[run.id] = run
            self.tell(Told("taken", run))
            if run.entrypoint is None:
                self._note(Exit(run.id, refused="it is not recorded where its flow is"))
            elif folder is not None and not os.path.isdir(folder):
                self._note(Exit(run.id, refused=f"its folder {folder} is not on this machine"))
            else:
                self._begin(run, folder)
        return len(runs)

    def _begin(self, run: Run, folder: str | None) -> None:
        try:
            self._processes.begin(run, folder, self.owner)
        except OSError as error:
            _log.error("No process could be started for run %s: %s.", run.name, error)
            self._note(Exit(run.id))

    def _lease(self) -> int:
        return int(self.options.lease_seconds * 1_000_000)

    def _placed(self, run: Run) -> tuple[Run, str | None]:
        """A run and the folder to execute it in; one that is executed elsewhere is followed here."""
        if run.deployment is None:
            return run, None
        known = self._places.get(run.deployment)
        if known is None or time.monotonic() - known[0] > _REPORT_SECONDS:
            found = self.journal.deployments(run.deployment)
            spec = of_data(found[0].spec) if found else None
            engine = spec.engine if spec else last_engine(self.journal, run.deployment)
            known = (time.monotonic(), spec.folder if spec else None, engine)
            self._places[run.deployment] = known
        if is_followed(run, known[2]):
            run = replace(run, entrypoint=FOLLOW)
        return run, known[1]

    def _ended(self, exit_: Exit) -> None:
        """The process of a run is gone: see that the run is not left behind."""
        if exit_.run_id not in self.running:
            return
        if exit_.run_id in self._early:
            _, again, folder = self._early.pop(exit_.run_id)
            self.running[again.id] = again
            self._begin(again, folder)
            return
        run, why = self.journal.run(exit_.run_id), None
        if run is not None and not run.ended and run.owner is not None:
            ours = run.owner == self.owner
            if exit_.refused is not None and ours:
                refuse(self.journal, run.id, exit_.refused, self.owner)
            elif ours or (exit_.pid is not None and owner_pid(run.owner) == exit_.pid and owner_is_dead(run.owner)):
                why = _why(exit_)
                recover(self.journal, run, why)
            run = self.journal.run(exit_.run_id)
        self.running.pop(exit_.run_id)
        self.done += 1
        self._cancelled.pop(exit_.run_id, None)
        if run is not None:
            self.tell(Told(_became(run), run, why))

    def _keep(self, now: float) -> None:
        """Leases, reports, and runs that were to stop and have not."""
        if now - self._extended >= self.options.lease_seconds / 3:
            self._extended = now
            if self.running:
                self.journal.extend_leases(list(self.running), self.owner, now_us() + self._lease())
        if now - self._reported >= _REPORT_SECONDS:
            self._reported = now
            self._report()
        for run_id, (since, _, _) in self._early.items():
            if now - since >= _KILL_AFTER_SECONDS:
                self._processes.kill(run_id)
        if self.running and now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            asked = self.journal.requested(list(self.running))
            for run_id in (each for each, what in asked.items() if what == "cancel"):
                since = self._cancelled.setdefault(run_id, now)
                if now - since >= _KILL_AFTER_SECONDS:
                    self._processes.kill(run_id)

    def _report(self) -> None:
        self.journal.report_worker(
            Worker(
                id=self.owner,
                pool=self.options.pool,
                queues=tuple(self.options.queues),
                slots=self.options.slots,
                running=len(self.running),
                state="draining" if self._stopping is not None else "running",
                started_at=self._started_at,
                seen_at=now_us(),
            )
        )

    def _give_back(self, now: float) -> None:
        """Time is up: what still runs goes back to its queue, and its process ends. It counts as no crash."""
        if self._stopping is None or now < self._stopping:
            return
        for run_id, run in list(self.running.items()):
            latest = self.journal.run(run_id)
            if latest is not None and not latest.ended and latest.owner is not None:
                try:
                    back = Reschedule(now_us(), now_us(), "Its worker stopped.")
                    append_command(self.journal, run_id, back, owner=latest.owner)
                except RunError:
                    _log.info("Run %s had just ended.", run.name)
            self._processes.kill(run_id)
        self._stopping = now + _KILL_AFTER_SECONDS


def _became(run: Run) -> str:
    if run.ended:
        return "ended"
    if run.owner is not None:
        return "left"
    return "paused" if run.waiting is not None else "back"


def _why(exit_: Exit) -> str:
    if exit_.status is None:
        return "Its process is gone."
    if exit_.status < 0:
        return f"Its process was killed by signal {-exit_.status}."
    return f"Its process ended with code {exit_.status} before the run had ended."


def work(worker: PoolWorker, name: str = "penstock-worker") -> threading.Thread:
    """Let a worker work in a thread of its own."""
    thread = threading.Thread(target=worker.run, name=name, daemon=True)
    thread.start()
    return thread
