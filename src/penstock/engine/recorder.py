"""The only pen: what a run appends to its journal goes through its recorder.

A commit returns when the record is on disk. Threads that commit at once share one transaction: one of them leads and
writes what all have queued, while the others wait and those that come later queue for the next. Starts of steps and
log lines are not worth a transaction of their own: they ride on the next commit, or are written by the keeper within
a moment.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import Any

from penstock.core.decisions import (
    Finish,
    RunCommand,
    RunState,
    Start,
    TaskState,
    decide_run,
    decide_task,
    evolve_run,
    evolve_task,
)
from penstock.core.errors import Interruption, RunFenced, SequenceConflict
from penstock.core.events import Event, Record, RunCancelRequested, Stored, TaskEvent
from penstock.core.model import LogLine
from penstock.core.ports import Journal, Observer
from penstock.core.states import StateType

_WAITING, _WRITTEN = 0, 1
_MAX_LOG_SIZE = 4_000_000


class Recorder:
    """Appends to one run.

    Attributes:
        seq: the last record known to be in the journal.
        state: the run's state after that record.
        running: steps that have begun (or wait to be attempted again) and have not ended, by key.
    """

    def __init__(
        self,
        journal: Journal,
        run_id: str,
        owner: str,
        observers: list[Observer],
        parent: Recorder | None = None,
    ) -> None:
        self.journal = journal
        self.run_id = run_id
        self.owner = owner
        self.seq = 0
        self.state = RunState()
        self.running: dict[str, TaskState] = {}
        self._announced: set[str] = set()
        self._observers = observers
        self._queue: list[list[Any]] = []
        self._mutex = threading.Lock()
        self._written = threading.Condition(self._mutex)
        self._leading = False
        self._followers = 0
        self._logs: deque[LogLine] = deque()
        self._log_size = 0
        self._lock = threading.RLock()
        self._closing = False
        self._faults: list[BaseException] = [] if parent is None else parent._faults

    @property
    def fault(self) -> BaseException | None:
        """Why nothing more can be recorded of this run, its parents and its subflows by this process; or None."""
        return self._faults[0] if self._faults else None

    def fail(self, error: BaseException) -> None:
        """Record nothing more: the run can be resumed from what is on record."""
        self._faults.append(error)

    def replay(self, stored: Stored) -> None:
        """Take in a record that is in the journal already."""
        self.seq = stored.seq
        self.state = evolve_run(self.state, stored.event)

    def command(self, *commands: tuple[RunCommand, bytes | None]) -> None:
        """Decide and commit commands for the run itself, in one transaction."""
        with self._lock:
            state = self.state
            records = []
            for command, data in commands:
                event = decide_run(state, command)
                state = evolve_run(state, event)
                records.append(Record(event, data))
            self._append(records)

    def create(self, created: Record, command: RunCommand) -> None:
        """Commit the birth of the run and its first command in one transaction."""
        with self._lock:
            event = decide_run(evolve_run(self.state, created.event), command)
            self._append([created, Record(event)])

    def begin(self, state: TaskState, at: int, child: str | None = None) -> TaskState:
        """Note that a step runs: observers are told now, the journal a little later (see `flush`)."""
        event = decide_task(state, Start(at, child=child))
        state = evolve_task(state, event)
        self._announced.discard(state.step.key)
        self.running[state.step.key] = state
        if self._closing:  # looked at after the step is there to be seen by whoever closes
            self.running.pop(state.step.key, None)
            raise Interruption("The run is ending; no step begins any more.")
        for observer in self._observers:
            observer(self.run_id, event)
        return state

    def record(self, state: TaskState, event: TaskEvent, data: bytes | None = None) -> TaskState:
        """Commit an event of a step that goes on."""
        self._commit(Record(event, data), state.step.key)
        state = evolve_task(state, event)
        key = state.step.key
        self._announced.add(key)
        self.running[key] = state
        return state

    def finish(self, state: TaskState, command: Finish, data: bytes | None = None) -> None:
        """Commit the end of a step."""
        begun = state.type is not StateType.PENDING
        self._commit(Record(decide_task(state, command), data), state.step.key if begun else None)

    def end_steps(self, command: Finish, below: str = "") -> None:
        """Record this end for every step that still runs: nobody waits for them.

        Args:
            command: the end.
            below: only for the steps below this one. Without it the run is ending, and no other step begins.
        """
        with self._lock:
            self._closing = self._closing or not below
            found = [key for key in list(self.running) if key.startswith(below)]
            states = [state for key in found if (state := self.running.pop(key, None)) is not None]
            records = [Record(decide_task(state, command)) for state in states]
            if records:
                self._append(records)

    def reopen(self) -> None:
        """The run goes on after all, with another attempt."""
        self._closing = False

    def log(self, line: LogLine) -> None:
        """Queue a log line."""
        self._logs.append(line)
        self._log_size += len(line.message) + 100
        if self._log_size >= _MAX_LOG_SIZE:
            self.flush(0)

    def flush(self, older_than: int) -> None:
        """Write queued log lines, and the starts of steps that began before this time (microseconds)."""
        if not self.running and not self._logs:
            return
        with self._lock:
            records = []
            for key, state in [] if self._closing or self.state.ended else list(self.running.items()):
                if state.started <= older_than and key not in self._announced and key in self.running:
                    self._announced.add(key)
                    opening = TaskState(state.step, attempt=state.attempt - 1)
                    records.append(Record(decide_task(opening, Start(state.started, child=state.child))))
            if records:
                self._append(records, told=True)
            elif self._logs:
                self.journal.write_logs(self._take_logs())

    def _commit(self, record: Record, key: str | None) -> None:
        """Commit a step's record. With the key of a running step, it runs no more afterwards."""
        entry: list[Any] = [record, _WAITING, key]
        with self._mutex:
            self._queue.append(entry)
            while entry[1] is _WAITING:
                if self._leading:
                    self._followers += 1
                    self._written.wait()
                    self._followers -= 1
                else:
                    self._lead()
        if entry[1] is not _WRITTEN:
            raise entry[1]

    def _lead(self) -> None:
        """Append what is queued, for everybody. The mutex is held on entry and exit, and not meanwhile."""
        self._leading = True
        batch = [*self._queue]
        self._queue.clear()
        outcome: Any = _WRITTEN
        self._mutex.release()
        try:
            with self._lock:
                seq = self.seq
                try:
                    records = [entry[0] for entry in batch if self._leave(entry)]
                    if records:
                        self._append(records)
                except BaseException:
                    if self.seq == seq:  # nothing was written, so they still run
                        self.running.update((entry[2], entry[3]) for entry in batch if len(entry) > 3)
                    raise
        except BaseException as error:
            outcome = error
        finally:
            self._mutex.acquire()
            for entry in batch:
                if entry[1] is _WAITING:
                    entry[1] = outcome
            self._leading = False
            if self._followers:
                self._written.notify_all()

    def _leave(self, entry: list[Any]) -> bool:
        """The step runs no more. False when it was ended already, by the run that does not wait for its thread."""
        key = entry[2]
        if key is None:
            return True
        state = self.running.pop(key, None)
        if state is None:
            entry[1] = Interruption(f"{key} has ended already; what an abandoned thread of it says is not recorded.")
            return False
        entry.append(state)
        if self._announced:
            self._announced.discard(key)
        return True

    def _take_logs(self) -> list[LogLine]:
        logs: list[LogLine] = []
        size = 0
        while self._logs and size < _MAX_LOG_SIZE:
            line = self._logs.popleft()
            size += len(line.message) + 100
            logs.append(line)
        self._log_size = max(0, self._log_size - size)
        return logs

    def _append(self, records: list[Record], told: bool = False) -> None:
        if self._faults:
            raise self._faults[0]
        if self.state.ended:
            raise RunFenced(f"Run {self.run_id} has ended; nothing more is recorded.")
        logs = self._take_logs() if self._logs else ()
        seq, state = self.seq, self.state
        try:
            try:
                self.journal.append(self.run_id, self.seq, records, logs)
            except SequenceConflict:
                self._catch_up()
                self.journal.append(self.run_id, self.seq, records, logs)
            self.seq += len(records)
            for record in records:
                if not isinstance(record.event, TaskEvent):
                    self.state = evolve_run(self.state, record.event)
        except (Exception, RunFenced) as error:
            if not isinstance(error, (RecursionError, MemoryError)):
                self.fail(error)
                raise
            self.seq, self.state = seq, state
            self._look_again(records)
            raise
        except BaseException:
            self.seq, self.state = seq, state
            self._look_again(records)
            raise
        if not told:
            for record in records:
                for observer in self._observers:
                    observer(self.run_id, record.event)

    def _look_again(self, records: list[Record]) -> None:
        """A signal broke into an append, so that nobody knows whether it was committed: ask the journal."""
        ours = [record.event for record in records]
        try:
            for stored in self.journal.load(self.run_id, self.seq):
                if stored.event not in ours and not isinstance(stored.event, RunCancelRequested):
                    break
                self.replay(stored)
        except Exception as error:
            self.fail(error)

    def _catch_up(self) -> None:
        """Somebody else appended: a request to cancel is fine, anything else means the run is no longer ours."""
        seen = False
        for stored in self.journal.load(self.run_id, self.seq):
            seen = True
            if not isinstance(stored.event, RunCancelRequested):
                raise RunFenced(f"Run {self.run_id} was taken over by another process; this one stops.")
            self.replay(stored)
        if not seen:
            raise RunFenced(f"Run {self.run_id} is no longer in the journal; this process stops.")


def ignore_errors(observer: Observer) -> Observer:
    """An observer that cannot disturb the run."""

    def safe(run_id: str, event: Event) -> None:
        with contextlib.suppress(Exception):  # a broken display must not end a run
            observer(run_id, event)

    return safe
