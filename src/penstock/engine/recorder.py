"""The only pen: what a run appends to its journal goes through its recorder.

A commit returns when the record is on disk; threads that commit at once share one transaction. Starts of steps and log
lines are not worth a transaction of their own: they ride on the next commit, or are written by the keeper within a
moment.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence

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
from penstock.core.errors import SequenceConflict, StepTransactionFailed
from penstock.core.events import (
    ArtifactSaved,
    Event,
    Record,
    RunAnswered,
    RunCancelRequested,
    RunPaused,
    RunPauseRequested,
    Stored,
    TaskEnded,
    TaskEvent,
    Waiting,
)
from penstock.core.interruptions import Interruption, RunFenced
from penstock.core.model import LogLine
from penstock.core.ports import Journal, Observer
from penstock.core.states import StateType
from penstock.engine.artifacts.shelf import Shelf
from penstock.engine.commits import WAITING, Entry, SharedCommits

_MAX_LOG_SIZE = 4_000_000
_NO_ROOM = (RecursionError, MemoryError)
_NOT_THE_JOURNALS = (*_NO_ROOM, StepTransactionFailed)
_FROM_OTHERS = (RunCancelRequested, RunPauseRequested, RunAnswered)
"""What others may append to a run that is executed here."""
Append = Callable[[str, int, Sequence[Record], Sequence[LogLine]], None]


class Recorder(SharedCommits):
    """Appends to one run.

    Attributes:
        seq: the last record known to be in the journal.
        state: the run's state after that record.
        running: steps that have begun (or wait to be attempted again) and have not ended, by key.
        waits: what steps have waited for so far, by key.
        answers: to steps that asked, by key.
        shelf: artifacts that wait to be recorded; None where none was made.
    """

    def __init__(
        self,
        journal: Journal,
        run_id: str,
        owner: str,
        observers: list[Observer],
        parent: Recorder | None = None,
    ) -> None:
        super().__init__()
        self.journal = journal
        self.run_id = run_id
        self.owner = owner
        self.seq = 0
        self.state = RunState()
        self.running: dict[str, TaskState] = {}
        self.waits: dict[str, Waiting] = {}
        self.answers: dict[str, Stored] = {}
        self._announced: set[str] = set()
        self._observers = observers
        self._logs: deque[LogLine] = deque()
        self._log_size = 0
        self.lock = threading.RLock()
        self._closing = False
        self.shelf: Shelf | None = None
        self._doubts: list[Event] = []
        self._riders: list[Record] | None = None
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
        self._note_wait(stored.event, stored)

    def _note_wait(self, event: Event, stored: Stored | None) -> None:
        if type(event) is RunPaused and event.waiting.run is None:
            self.waits[event.waiting.key] = event.waiting
            self.answers.pop(event.waiting.key, None)
        elif type(event) is RunAnswered and event.run is None and stored is not None:
            self.answers[event.step] = stored

    def command(self, *commands: tuple[RunCommand, bytes | None]) -> None:
        """Decide and commit commands for the run itself, in one transaction."""
        with self.lock:
            self._be_sure()
            state = self.state
            records = []
            for command, data in commands:
                event = decide_run(state, command)
                state = evolve_run(state, event)
                records.append(Record(event, data))
            self._append(records)

    def create(self, created: Record, command: RunCommand) -> None:
        """Commit the birth of the run and its first command in one transaction."""
        with self.lock:
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

    def adopt(self, state: TaskState) -> None:
        """A step runs whose start is on record, or will be in a moment."""
        key = state.step.key
        self._announced.add(key)
        self.running[key] = state
        if self._closing:
            self.drop(key)
            raise Interruption("The run is ending; no step begins any more.")

    def drop(self, key: str) -> None:
        """A step that was adopted runs no more."""
        self.running.pop(key, None)
        self._announced.discard(key)

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

    def finish_within(self, state: TaskState, command: Finish, data: bytes | None, append: Append) -> None:
        """Commit the end of a step through `append`, which also commits what the step itself has written."""
        entry: Entry = [Record(decide_task(state, command), data), WAITING, state.step.key]
        with self.lock:
            self._be_sure()
            if not self._leave(entry):
                raise entry[1]
            try:
                self._append([entry[0]], append=append)
            except BaseException:
                self.running[state.step.key] = state
                raise

    def conclude(self, state: TaskState, records: list[Record]) -> TaskState:
        """Commit several records in one transaction; gives the state of this step after those that are about it."""
        with self.lock:
            self._be_sure()
            self._append(records)
            for event, _ in records:
                if isinstance(event, TaskEvent) and event.step.key == state.step.key:
                    state = evolve_task(state, event)
                elif isinstance(event, TaskEnded):
                    self.drop(event.step.key)
            if state.ended:
                self.drop(state.step.key)
            else:
                self._announced.add(state.step.key)
                self.running[state.step.key] = state
        return state

    def end_steps(self, command: Finish, below: str = "") -> None:
        """Record this end for every step that still runs: nobody waits for them.

        Args:
            command: the end.
            below: only for the steps below this one. Without it the run is ending, and no other step begins.
        """
        with self.lock:
            self._closing = self._closing or not below
            self._be_sure()
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
        self.wake_followers()
        if not self.running and not self._logs and self.shelf is None:
            return
        with self.lock:
            self._be_sure()
            records = []
            for key, state in [] if self._closing or self.state.ended else list(self.running.items()):
                if state.started <= older_than and key not in self._announced and key in self.running:
                    self._announced.add(key)
                    opening = TaskState(state.step, attempt=state.attempt - 1)
                    records.append(Record(decide_task(opening, Start(state.started, child=state.child))))
            if records or (self.shelf is not None and self.shelf.waits() and not self.state.ended):
                self._append(records, told=True)
            elif self._logs:
                self.journal.write_logs(self._take_logs())

    def _write(self, batch: list[Entry]) -> None:
        with self.lock:
            if self._doubts:
                self._be_sure()
            seq = self.seq
            try:
                records = [entry[0] for entry in batch if self._leave(entry)]
                if records:
                    self._append(records)
            except BaseException:
                if self.seq == seq:  # nothing was written, so they still run
                    self.running.update((entry[2], entry[3]) for entry in batch if len(entry) > 3)
                raise

    def _leave(self, entry: Entry) -> bool:
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

    def _append(self, records: list[Record], told: bool = False, append: Append | None = None) -> None:
        if self._faults:
            raise self._faults[0]
        if self.state.ended:
            raise RunFenced(f"Run {self.run_id} has ended; nothing more is recorded.")
        append = append or self.journal.append
        logs = self._take_logs() if self._logs else ()
        seq, state = self.seq, self.state
        riders = self.shelf.take(records) if self.shelf is not None else None
        every = [*riders, *records] if riders else records
        try:
            try:
                append(self.run_id, self.seq, every, logs)
            except SequenceConflict:
                self._catch_up()
                append(self.run_id, self.seq, every, logs)
            self.seq += len(every)
            for record in records:
                if not isinstance(record.event, TaskEvent):
                    self.state = evolve_run(self.state, record.event)
        except BaseException as error:
            if isinstance(error, (Exception, RunFenced)) and not isinstance(error, _NOT_THE_JOURNALS):
                self.fail(error)
                raise
            self.seq, self.state = seq, state
            self.doubt(every, riders)
            raise
        if not told:
            for record in records:
                for observer in self._observers:
                    observer(self.run_id, record.event)

    def keep(self, event: ArtifactSaved, data: bytes) -> None:
        """Record an artifact with the next commit."""
        shelf = self._shelf()
        shelf.put(event, data)
        self._tell(event)
        if shelf.size >= _MAX_LOG_SIZE:
            self.flush(0)

    def move(self, event: ArtifactSaved, data: bytes, step: str | None) -> None:
        """Record an artifact whose content has changed, from time to time, and when the step ends."""
        self._shelf().move(event, data, step)
        self._tell(event)

    def _tell(self, event: Event) -> None:
        for observer in self._observers:
            observer(self.run_id, event)

    def recorded(self, event: ArtifactSaved) -> None:
        """This artifact is on record already."""
        self._shelf().note(event)

    def _shelf(self) -> Shelf:
        if self.shelf is None:
            with self.lock:
                self.shelf = self.shelf or Shelf()
        return self.shelf

    def take_note(self, records: list[Record]) -> None:
        """These were appended, by `append_together`."""
        self.seq += len(records)
        for event, _ in records:
            self._note_wait(event, None)
            if not isinstance(event, TaskEvent):
                self.state = evolve_run(self.state, event)
        for event, _ in records:
            for observer in self._observers:
                observer(self.run_id, event)

    def doubt(self, records: list[Record], riders: list[Record] | None = None) -> None:
        """A signal, or the end of the stack, broke into an append of these: nobody knows whether it was committed.

        Args:
            records: all of them.
            riders: those that have to be written another time if it was not.
        """
        self._doubts, self._riders = [event for event, _ in records], riders
        with contextlib.suppress(Exception):
            self._be_sure()

    def _be_sure(self) -> None:
        """Ask the journal whether what is in doubt was committed.

        Raises:
            RecursionError, MemoryError: there is no room to ask either; there may be before the next append.
            JournalError: the journal does not answer, and nothing more is recorded.
        """
        if not self._doubts:
            return
        try:
            for stored in self.journal.load(self.run_id, self.seq):
                if stored.event not in self._doubts and not isinstance(stored.event, _FROM_OTHERS):
                    break
                self.replay(stored)
                if isinstance(stored.event, TaskEnded):
                    self.running.pop(stored.event.step.key, None)
                if stored.event in self._doubts:
                    self._riders = None
            self._doubts = []
        except Exception as error:
            if not isinstance(error, _NO_ROOM):
                self.fail(error)
            raise
        if self._riders and self.shelf is not None:
            self.shelf.put_back(self._riders)
        self._riders = None

    def _catch_up(self) -> None:
        """Somebody else appended, or deleted the run."""
        if not self.take_news():
            raise RunFenced(f"Run {self.run_id} is no longer in the journal; this process stops.")

    def take_news(self) -> bool:
        """Requests to cancel or pause are fine, and so is an answer; all else means the run is no longer ours."""
        seq = self.seq
        self._be_sure()
        for stored in self.journal.load(self.run_id, self.seq):
            if not isinstance(stored.event, _FROM_OTHERS):
                raise RunFenced(f"Run {self.run_id} was taken over by another process; this one stops.")
            self.replay(stored)
        return self.seq > seq


def ignore_errors(observer: Observer) -> Observer:
    """An observer that cannot disturb the run."""

    def safe(run_id: str, event: Event) -> None:
        with contextlib.suppress(Exception):  # a broken display must not end a run
            observer(run_id, event)

    return safe
