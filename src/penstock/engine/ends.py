"""The end of a step: what is recorded of it, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.core.context import Scope
from penstock.core.decisions import Finish, TaskState
from penstock.core.errors import JournalError, ResultNotSaved
from penstock.core.events import ErrorInfo, Saved, now_us
from penstock.core.states import NO_DATA, Elsewhere, State, StateType
from penstock.engine.failures import error_info
from penstock.engine.logs import engine_logger
from penstock.engine.outcome import Path
from penstock.engine.waits import Commit

if TYPE_CHECKING:
    from penstock.engine.tasks import StepCall


def finish_step(
    call: StepCall,
    state: TaskState,
    outcome: State,
    started: int,
    child: str | None = None,
    scope: Scope | None = None,
) -> Path[State]:
    """Record the end of a step. Only then may anybody see its outcome.

    Args:
        call: the step.
        state: of the step.
        outcome: how it ended.
        started: when it began.
        child: the run of a subflow.
        scope: of the code that was executed for it.
    """
    live = call.live
    around = scope.around if scope is not None else None
    if around is not None and around.hit is not None:
        result, error, data = around.hit.saved, None, around.hit.data
    else:
        result, error, data = outcome_record(call, state, outcome)
    at = now_us()
    outcome.timestamp = at / 1_000_000
    name = outcome.name if outcome.name != outcome.type.word else None
    command = Finish(at, outcome.type, name, outcome.message, result, error, started, child, outcome._returned)
    if around is not None:
        command = around.marked(command, data)
    if scope is not None and scope.joined is not None:
        yield Commit(True, live.recorder.finish_within, state, command, data, scope.joined.append)
    elif live.remote:
        yield Commit(True, live.recorder.finish, state, command, data)
    else:
        live.recorder.finish(state, command, data)
    if around is not None:
        yield from around.ended(command)
    return outcome.recorded()


def outcome_record(
    call: StepCall, state: TaskState, outcome: State
) -> tuple[Saved | None, ErrorInfo | None, bytes | None]:
    """What is recorded of a step's outcome: the saved value, or the exception, and their bytes."""
    value = outcome._data
    if isinstance(value, BaseException):
        info, data = error_info(value)
        return None, info, data
    if isinstance(value, Elsewhere):
        return value.saved, None, value.data
    if value is NO_DATA and outcome.type is not StateType.COMPLETED:
        return None, None, None
    try:
        saved, data = call.live.results.save(None if value is NO_DATA else value)
    except JournalError as fault:
        call.live.recorder.fail(fault)
        raise
    except ResultNotSaved as problem:
        engine_logger().warning(
            "%s: %s If this run is resumed, it cannot go past this step.", state.step.key, problem.message
        )
        return Saved("none"), None, None
    return saved, None, data
