"""What may happen to a run and to a step: pure functions, without a journal.

`decide_run` and `decide_task` turn a command into the event that records it, or refuse it. `evolve_run` and
`evolve_task` fold events into the state the next decision is made on.
"""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.core.errors import InvalidTransition, NotWaiting
from penstock.core.events import (
    ON_REQUEST,
    ErrorInfo,
    Event,
    RunAnswered,
    RunCancelRequested,
    RunClaimed,
    RunCompleted,
    RunContinued,
    RunCrashed,
    RunCreated,
    RunEnded,
    RunFailed,
    RunPaused,
    RunPauseRequested,
    RunReleased,
    RunRescheduled,
    RunResumed,
    RunRetrying,
    RunStarted,
    RunStopped,
    Saved,
    Staged,
    Step,
    TaskCompleted,
    TaskCrashed,
    TaskEnded,
    TaskEvent,
    TaskFailed,
    TaskRetrying,
    TaskStarted,
    TaskStopped,
    Waiting,
)
from penstock.core.states import FINAL, StateType


class Start(msgspec.Struct, frozen=True):
    """Begin the first or the next attempt."""

    at: int
    owner: str = ""
    lease_until: int = 0
    child: str | None = None
    name: str | None = None


class Resume(msgspec.Struct, frozen=True):
    """Take over a run whose process is gone."""

    at: int
    owner: str
    lease_until: int


class Claim(msgspec.Struct, frozen=True):
    """Take a run that is due out of its queue, for a process that will execute it."""

    at: int
    owner: str
    lease_until: int


class Reschedule(msgspec.Struct, frozen=True):
    """Put the run back into its queue; with `crashed`, because its process died."""

    at: int
    due_at: int
    reason: str | None = None
    crashed: bool = False


class Pause(msgspec.Struct, frozen=True):
    """Let the run wait for something more; `held` where its process waits with it."""

    at: int
    waiting: Waiting
    held: bool = False


class Answer(msgspec.Struct, frozen=True):
    """Answer what a step of a paused run (or of its subflow run `run`) asks."""

    at: int
    step: str
    run: str | None = None
    by: str | None = None


class Continue(msgspec.Struct, frozen=True):
    """A step of the run (or of its subflow run `run`) does not wait any more."""

    at: int
    step: str
    run: str | None = None


class Retry(msgspec.Struct, frozen=True):
    """The attempt failed; there will be another."""

    at: int
    delay: float = 0.0
    error: ErrorInfo | None = None


class Release(msgspec.Struct, frozen=True):
    """Let go of the run without ending it."""

    at: int
    reason: str | None = None


class RequestCancel(msgspec.Struct, frozen=True):
    """Ask the run to stop."""

    at: int
    reason: str | None = None


class RequestPause(msgspec.Struct, frozen=True):
    """Ask the run to begin no other step, until somebody lets it go on."""

    at: int
    by: str | None = None
    reason: str | None = None


class Finish(msgspec.Struct, frozen=True):
    """End it, for good."""

    at: int
    type: StateType
    state_name: str | None = None
    message: str | None = None
    result: Saved | None = None
    error: ErrorInfo | None = None
    started: int = 0
    child: str | None = None
    returned: bool = False
    cache_key: str | None = None
    cache_until: int | None = None
    staged: Staged | None = None


RunCommand = (
    Start
    | Claim
    | Resume
    | Reschedule
    | Pause
    | Answer
    | Continue
    | Retry
    | Release
    | RequestCancel
    | RequestPause
    | Finish
)
TaskCommand = Start | Retry | Finish


class RunState(msgspec.Struct, frozen=True):
    """What decisions about a run are made on.

    Attributes:
        pausing: somebody asked it to pause, and nobody has let it go on since.
        cancel_reason: why it was asked to stop.
    """

    type: StateType = StateType.PENDING
    attempt: int = 0
    owner: str | None = None
    cancel_requested: bool = False
    name: str = ""
    crashes: int = 0
    waits: tuple[Waiting, ...] = ()
    pausing: RunPauseRequested | None = None
    cancel_reason: str | None = None

    @property
    def ended(self) -> bool:
        """The run has its one final state."""
        return self.type in FINAL

    def without(self, step: str, run: str | None) -> tuple[Waiting, ...]:
        """What it waits for besides this."""
        return tuple(each for each in self.waits if (each.key, each.run) != (step, run))

    @property
    def halted(self) -> bool:
        """It waits because it was asked to."""
        return any(each.key == ON_REQUEST for each in self.waits)


class TaskState(msgspec.Struct, frozen=True):
    """What decisions about a step are made on."""

    step: Step
    type: StateType = StateType.PENDING
    attempt: int = 0
    started: int = 0
    child: str | None = None

    @property
    def ended(self) -> bool:
        """The step has its one final state."""
        return self.type in FINAL


_AT_WORK = (StateType.RUNNING, StateType.PAUSED)
_RUN_END: dict[StateType, type[RunEnded]] = {
    StateType.COMPLETED: RunCompleted,
    StateType.FAILED: RunFailed,
    StateType.CRASHED: RunCrashed,
    StateType.CANCELLED: RunStopped,
}
_TASK_END: dict[StateType, type[TaskEnded]] = {
    StateType.COMPLETED: TaskCompleted,
    StateType.FAILED: TaskFailed,
    StateType.CRASHED: TaskCrashed,
    StateType.CANCELLED: TaskStopped,
}
_END_OF: dict[type[Event], StateType] = {
    **{event: kind for kind, event in _RUN_END.items()},
    **{event: kind for kind, event in _TASK_END.items()},
}


def decide_run(state: RunState, command: RunCommand) -> Event:
    """The event that records this command.

    Raises:
        InvalidTransition: the run has ended, or the command does not fit its state.
    """
    if state.ended:
        raise InvalidTransition(f"The run ended {state.type.word}, and an ended run never changes.")
    match command:
        case Start():
            if state.type is StateType.RUNNING:
                raise InvalidTransition("The run is running already.")
            attempt = state.attempt + 1
            return RunStarted(
                at=command.at,
                owner=command.owner,
                lease_until=command.lease_until,
                attempt=attempt,
                name=command.name,
            )
        case Resume():
            if state.attempt == 0:
                raise InvalidTransition("The run has not started, so there is nothing to resume.")
            return RunResumed(at=command.at, owner=command.owner, lease_until=command.lease_until)
        case Claim():
            if state.owner is not None:
                raise InvalidTransition("The run is taken already.")
            return RunClaimed(at=command.at, owner=command.owner, lease_until=command.lease_until)
        case Reschedule():
            crashes = state.crashes + command.crashed
            return RunRescheduled(at=command.at, due_at=command.due_at, crashes=crashes, reason=command.reason)
        case Pause():
            if state.type not in _AT_WORK or state.owner is None:
                raise InvalidTransition(f"Only a running run can be paused; this one is {state.type.word}.")
            return RunPaused(at=command.at, waiting=command.waiting, held=command.held)
        case Answer():
            return _answered(state, command)
        case Continue():
            if state.type is not StateType.PAUSED:
                raise InvalidTransition(f"Only a paused run can be continued; this one is {state.type.word}.")
            left = state.without(command.step, command.run)
            return RunContinued(at=command.at, step=command.step, run=command.run, waiting=left[-1] if left else None)
        case Retry():
            if state.type not in _AT_WORK:
                raise InvalidTransition(f"Only a running run can be retried; this one is {state.type.word}.")
            return RunRetrying(at=command.at, attempt=state.attempt, delay=command.delay, error=command.error)
        case Release():
            return RunReleased(at=command.at, reason=command.reason)
        case RequestCancel():
            return RunCancelRequested(at=command.at, reason=command.reason)
        case RequestPause():
            if state.cancel_requested:
                raise InvalidTransition("The run was asked to stop, and pauses no more.")
            return RunPauseRequested(at=command.at, by=command.by, reason=command.reason)
        case Finish():
            return _RUN_END[command.type](
                at=command.at,
                state_name=command.state_name,
                message=command.message,
                result=command.result,
                error=command.error,
            )


def _answered(state: RunState, command: Answer) -> RunAnswered:
    """An answer counts while the step waits, and its time is not over.

    Who was asked to pause may be told to go on before it has come so far.
    """
    wanted = (command.step, command.run)
    asked = next((each for each in state.waits if (each.key, each.run) == wanted and each.kind != "sleep"), None)
    if asked is None and not (command.step == ON_REQUEST and state.pausing is not None):
        raise NotWaiting(f"{command.step} does not wait for an answer (any more).")
    if asked is not None and asked.until is not None and command.at >= asked.until:
        raise NotWaiting(
            f"The time to answer {command.step} is over.", hint="the run goes on by itself, as if nobody had answered"
        )
    left = state.without(command.step, command.run)
    return RunAnswered(
        at=command.at,
        step=command.step,
        run=command.run,
        by=command.by,
        due_at=command.at if state.owner is None and asked is not None else None,
        waiting=left[-1] if left else None,
    )


def evolve_run(state: RunState, event: Event) -> RunState:
    """The state after this event. Events of steps, and unknown ones, leave a run's state alone."""
    match event:
        case RunCreated():
            kind = StateType.PENDING if event.due_at is None else StateType.SCHEDULED
            return RunState(name=event.name, type=kind)
        case RunClaimed():
            return msgspec.structs.replace(state, type=StateType.PENDING, owner=event.owner, waits=())
        case RunRescheduled():
            return msgspec.structs.replace(state, type=StateType.SCHEDULED, owner=None, crashes=event.crashes, waits=())
        case RunPaused():
            waits = (*state.without(event.waiting.key, event.waiting.run), event.waiting)
            owner = state.owner if event.held else None
            return msgspec.structs.replace(state, type=StateType.PAUSED, owner=owner, waits=waits)
        case RunAnswered():
            kind = state.type if event.due_at is None else StateType.SCHEDULED
            pausing = None if event.step == ON_REQUEST else state.pausing
            return msgspec.structs.replace(
                state, type=kind, waits=state.without(event.step, event.run), pausing=pausing
            )  # fmt: skip
        case RunContinued():
            left = state.without(event.step, event.run)
            kind = StateType.PAUSED if left else StateType.RUNNING
            return msgspec.structs.replace(state, type=kind, waits=left)
        case RunStarted():
            return msgspec.structs.replace(
                state,
                type=StateType.RUNNING,
                attempt=event.attempt,
                owner=event.owner,
                name=event.name or state.name,
            )
        case RunResumed():
            return msgspec.structs.replace(
                state, type=StateType.RUNNING, owner=event.owner, cancel_requested=False, cancel_reason=None, waits=()
            )
        case RunRetrying():
            return msgspec.structs.replace(state, type=StateType.RETRYING, waits=())
        case RunReleased():
            return msgspec.structs.replace(state, type=StateType.PENDING, owner=None, waits=())
        case RunCancelRequested():
            reason = event.reason or state.cancel_reason
            return msgspec.structs.replace(state, cancel_requested=True, cancel_reason=reason)
        case RunPauseRequested():
            return msgspec.structs.replace(state, pausing=event)
        case RunEnded():
            return msgspec.structs.replace(state, type=_END_OF[type(event)], owner=None, waits=())
        case _:
            return state


def decide_task(state: TaskState, command: TaskCommand) -> TaskEvent:
    """The event that records this command.

    Raises:
        InvalidTransition: the step has ended, or the command does not fit its state.
    """
    kind = state.type
    if kind in FINAL:
        raise InvalidTransition(f"The step {state.step.key} ended {kind.word}, and an ended step never changes.")
    if type(command) is Finish:
        cached: dict[str, Any] = {}
        if command.type is StateType.COMPLETED and (command.cache_key is not None or command.staged is not None):
            cached = {
                "cache_key": command.cache_key,
                "cache_until": command.cache_until,
                "staged": command.staged,
            }
        return _TASK_END[command.type](
            **cached,
            at=command.at,
            step=state.step,
            attempt=state.attempt or 1,
            started=state.started or command.started,
            child=command.child,
            returned=command.returned,
            state_name=command.state_name,
            message=command.message,
            result=command.result,
            error=command.error,
        )
    if type(command) is Start:
        if kind is StateType.RUNNING:
            raise InvalidTransition(f"The step {state.step.key} is running already.")
        return TaskStarted(
            at=command.at,
            step=state.step,
            attempt=state.attempt + 1,
            started=state.started or command.at,
            child=command.child,
        )
    if type(command) is Retry:
        if kind is not StateType.RUNNING:
            raise InvalidTransition(f"Only a running step can be retried; {state.step.key} is {kind.word}.")
        return TaskRetrying(
            at=command.at,
            step=state.step,
            attempt=state.attempt,
            started=state.started,
            delay=command.delay,
            error=command.error,
        )
    raise InvalidTransition(f"{type(command).__name__} is no command for a step.")


def evolve_task(state: TaskState | None, event: TaskEvent) -> TaskState:
    """The state after this event."""
    kind = _END_OF.get(type(event))
    if kind is None:
        kind = StateType.RETRYING if type(event) is TaskRetrying else StateType.RUNNING
    started = state.started if state is not None and state.started else event.started
    return TaskState(event.step, kind, event.attempt, started, event.child)


def ended_as(event: Event) -> StateType | None:
    """Which end this event is, or None if it is not an end."""
    return _END_OF.get(type(event))
