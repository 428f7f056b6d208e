"""One run of a flow: created or taken over, executed with retries, ended once."""

from __future__ import annotations

import datetime
import os
from contextlib import suppress
from types import GeneratorType
from typing import Any

from penstock.core.context import current_scope, current_tags, current_transaction
from penstock.core.decisions import Finish, Release, Resume, Retry, Start
from penstock.core.errors import (
    FlowTimedOut,
    InvalidTransition,
    JournalError,
    ReplayDiverged,
    ResultNotSaved,
    RunTakenOver,
)
from penstock.core.events import Record, RunCreated, RunEnded, Saved, Stored, now_us
from penstock.core.extras import LateModule
from penstock.core.interruptions import Interruption, RunCancelled, RunFenced
from penstock.core.retry import delay_before
from penstock.core.states import NO_DATA, Elsewhere, State, StateType
from penstock.engine.arguments import as_states
from penstock.engine.failures import error_info
from penstock.engine.hooks import run_hooks
from penstock.engine.live import FlowRun, LiveRun
from penstock.engine.logs import engine_logger, with_prints
from penstock.engine.outcome import Path, what_ended
from penstock.engine.replay import Replay, state_of
from penstock.engine.runners.trees import kill_children_since
from penstock.engine.signals import behind
from penstock.engine.tasks import aborted_message, failed_state
from penstock.engine.values import final_state, plain
from penstock.engine.waits import Call, Commit, Futures, Sleep

_around: Any = LateModule("penstock.engine.transactions.around")


def run_flow(live: LiveRun, created: Record | None) -> Path[State]:
    """Execute a run to its final state.

    Args:
        live: the run.
        created: what to record for a new run; None to go on with one that is in the journal.

    Raises:
        Interruption: the run was cancelled or taken over (a cancelled one is on record as such).
        JournalError: the journal takes no more records; the run can be resumed.
    """
    engine = live.engine
    token = current_scope.set(live.scope)
    tags_token = current_tags.set(live.tags)
    try:
        ended = yield from _open(live, created)
        if ended is not None:
            if current_transaction.get() is not None:
                _around.ended_before(live)
            return state_of(ended, live.results)
        engine.register(live)
        state = yield from _attempts(live)
        live.stop_runner()
        return (yield from _end(live, state))
    except BaseException as error:
        if os.getpid() != engine.pid:  # a forked child leaves: nothing here is its own
            raise
        if live.recorder.state.owner != engine.owner:  # not begun, or somebody else's
            raise
        engine.unwinds(live.root)
        state = yield from _abort(live, error)
        if (
            live.parent is not None
            or not isinstance(live.interruption, RunCancelled)
            or live.recorder.fault is not None
        ):
            raise
        return state
    finally:
        current_tags.reset(tags_token)
        current_scope.reset(token)
        if os.getpid() == engine.pid:
            live.stop_runner()
            engine.unregister(live)


def _open(live: LiveRun, created: Record | None) -> Path[Stored | None]:
    """Record the beginning; the recorded end if there is one already."""
    recorder, engine = live.recorder, live.engine
    last = None
    if created is None or (live.parent is not None and live.parent.replay is not None):
        replay = Replay(strict=True)
        for last in engine.journal.load(live.id):
            recorder.replay(last)
            replay.take(last)
        if last is not None:
            live.replay = replay
            live.name = recorder.state.name or live.name
            live.attempt = recorder.state.attempt
    if recorder.state.ended and last is not None:
        return next(s for s in engine.journal.load(live.id) if isinstance(s.event, RunEnded))
    if last is not None and live.parent is None and recorder.state.owner != live.takes_over:
        raise RunTakenOver(f"Run {live.id} was taken over by another process just now.")
    now = now_us()
    until = now + engine.lease_us
    if recorder.seq == 0 and created is not None:
        yield Commit(live.remote, recorder.create, created, Start(now, engine.owner, until))
    elif recorder.state.attempt == 0 or recorder.state.type is StateType.RETRYING:
        name = live.called if recorder.state.attempt == 0 else None
        yield Commit(live.remote, recorder.command, (Start(now, engine.owner, until, name=name), None))
        live.name = recorder.state.name or live.name
    else:
        yield Commit(live.remote, recorder.command, (Resume(now, engine.owner, until), None))
    live.attempt = recorder.state.attempt
    live.started = now
    return None


def _attempts(live: LiveRun) -> Path[State]:
    flow = live.flow
    while True:
        live.info = info_of(live)
        if flow.on_running_hooks:
            yield from run_hooks(flow.on_running_hooks, flow, live.info, State(StateType.RUNNING))
        state = yield from _attempt(live)
        if state.type is not StateType.FAILED or live.attempt > flow.retries:
            return state
        yield from _again(live, state)


def _attempt(live: LiveRun) -> Path[State]:
    flow = live.flow
    args, kwargs = flow.arguments(live.parameters)
    inherited = live.parent.flow.log_prints if live.parent is not None else None
    fn = with_prints(flow.fn, flow.isasync, flow.log_prints, inherited)
    seconds = flow.timeout_seconds
    late = FlowTimedOut(f"Flow run exceeded timeout of {seconds} second(s)") if seconds is not None else None
    try:
        value = yield Call(fn, args, kwargs, seconds, late)
    except Exception as error:
        if live.recorder.fault is not None:
            raise live.recorder.fault from None
        if error is late:
            yield from _leave_steps(live)
        yield from _wait_for_steps(live)
        _check_replay(live)
        return failed_state(error, "Flow run")
    yield from _wait_for_steps(live)
    live.check_interrupted()
    _check_replay(live, at_end=True)
    return final_state(list(value) if type(value) is GeneratorType else as_states(value))


def _check_replay(live: LiveRun, at_end: bool = False) -> None:
    """Raise what the flow's code may have swallowed: that it does not follow its record."""
    if live.replay is not None:
        if live.replay.diverged is not None:
            raise live.replay.diverged
        if at_end:
            live.replay.check_all_reached()


def _leave_steps(live: LiveRun) -> Path[None]:
    """The flow is out of time: stop what it submitted, and record that it was stopped."""
    live.stop_runner(kill=True)
    message = "The flow ran out of time while this step was running."
    finish = Finish(now_us(), StateType.CANCELLED, None, message)
    yield Commit(live.remote, live.recorder.end_steps, finish)
    for future in list(live.pending):
        future.settle(State(StateType.CANCELLED, None, message).recorded())
    live.pending.clear()
    live.runner = live.runner.duplicate()
    live.recorder.reopen()


def _wait_for_steps(live: LiveRun) -> Path[None]:
    while live.pending:
        yield Futures(list(live.pending))


def _again(live: LiveRun, state: State) -> Path[None]:
    """Record that another attempt follows, wait, and begin it."""
    flow, recorder, engine = live.flow, live.recorder, live.engine
    delay = delay_before(live.attempt, flow.retry_delay_seconds, None)
    info = error_info(state.data)[0] if isinstance(state.data, BaseException) else None
    engine_logger().warning(
        "The flow %s failed in attempt %d of %d (%s); next attempt in %g s.",
        flow.name,
        live.attempt,
        flow.retries + 1,
        state.message,
        delay,
    )
    yield Commit(live.remote, recorder.command, (Retry(now_us(), delay, info), None))
    if delay > 0:
        yield Sleep(delay, live.interrupted)
    live.check_interrupted()
    now = now_us()
    yield Commit(live.remote, recorder.command, (Start(now, engine.owner, now + engine.lease_us), None))
    live.attempt = recorder.state.attempt
    live.replay = Replay(strict=False)
    for stored in engine.journal.load(live.id):
        live.replay.take(stored)
    live.scope.reset()


def _end(live: LiveRun, state: State) -> Path[State]:
    """Record the end, then call the hooks."""
    error, result, data = None, None, None
    value = state._data
    if isinstance(value, BaseException):
        error, data = error_info(value)
    elif isinstance(value, Elsewhere):
        result, error, data = value.saved, value.error, value.data
    elif value is not NO_DATA:
        try:
            result, data = live.results.save(plain(value))
        except ResultNotSaved:
            result = Saved("none")
    for below in list(live.unended):
        yield Commit(live.remote, _end_quietly, below, state, f"The run around this one ended {state.name}.")
        with suppress(ValueError):
            live.unended.remove(below)
    if live.recorder.running:
        message = "The run ended before this step did."
        yield Commit(live.remote, live.recorder.end_steps, Finish(now_us(), StateType.CANCELLED, None, message))
    name = state.name if state.name != state.type.word else None
    command = Finish(now_us(), state.type, name, state.message, result, error)
    yield Commit(live.remote, live.recorder.command, (command, data))
    flow = live.flow
    hooks = {
        StateType.COMPLETED: flow.on_completion_hooks,
        StateType.FAILED: flow.on_failure_hooks,
        StateType.CRASHED: flow.on_crashed_hooks,
        StateType.CANCELLED: flow.on_cancellation_hooks,
    }[state.type]
    if hooks:
        yield from run_hooks(hooks, flow, info_of(live), state)
    live.recorder.flush(now_us())
    return state.recorded()


def _abort(live: LiveRun, error: BaseException) -> Path[State]:
    """Something stronger than an exception ends the run: stop the workers, and record why if that is possible."""
    closed, error = isinstance(error, GeneratorExit), behind(what_ended(error), live.root)
    live.interrupted.set()
    live.stop_runner(kill=True)
    if live.parent is None and isinstance(live.interruption, RunCancelled):
        kill_children_since(live.began)
    interruption = live.root.interruption or (error if isinstance(error, Interruption) else None)
    crashing = live.parent is not None and live.root.unwinding and live.root.interruption is None
    if isinstance(interruption, RunCancelled) and not crashing:
        state = State(StateType.CANCELLED, None, interruption.reason)
    else:
        state = State(StateType.CRASHED, None, aborted_message(error), error)
    gone = live.recorder.fault is not None or isinstance(interruption, RunFenced)
    if gone or isinstance(error, JournalError):
        return state
    if closed:  # a coroutine that is closed may not wait for anything
        _end_quietly(live, state, aborted_message(error))
        return state
    if isinstance(error, ReplayDiverged):
        yield Commit(live.remote, live.recorder.command, (Release(now_us(), error.message), None))
        return state
    try:
        for below in live.engine.below(live):
            below.stop_runner(kill=True)
            yield Commit(live.remote, _end_quietly, below, state, f"The run around this one ended {state.name}.")
        message = f"The run ended {state.name} while this step was running."
        yield Commit(live.remote, live.recorder.end_steps, Finish(now_us(), state.type, None, message))
        return (yield from _end(live, state))
    except InvalidTransition:  # the run around this one has recorded its end already
        return state
    except (JournalError, Interruption):
        engine_logger().error("The end of run %s could not be recorded; it can be resumed.", live.id)
        return state


def _end_quietly(live: LiveRun, state: State, message: str) -> None:
    """Record the end of a run whose own code may not come to it."""
    finish = Finish(now_us(), state.type, None, message)
    with suppress(InvalidTransition):
        live.recorder.end_steps(finish)
        if live.recorder.seq:  # else there is no such run
            live.recorder.command((finish, None))


def info_of(live: LiveRun) -> FlowRun:
    """What hooks and the runtime are told about a run."""
    return FlowRun(
        id=live.id,
        name=live.name,
        flow_name=live.flow.name,
        flow_version=live.flow.version,
        run_count=live.attempt,
        tags=sorted(live.tags),
        parameters=dict(live.parameters),
        parent_flow_run_id=live.parent.id if live.parent is not None else None,
        root_flow_run_id=live.root.id,
        start_time=datetime.datetime.fromtimestamp(live.started / 1_000_000, datetime.UTC),
        **live.facts,
    )


def created_record(live: LiveRun, key: str | None, shown: dict[str, Any], origin: dict[str, Any] | None) -> Record:
    """The birth of a run."""
    flow = live.flow
    try:
        parameters, data = live.results.save(live.parameters)
    except ResultNotSaved:
        parameters, data = Saved("none"), None
    event = RunCreated(
        at=now_us(),
        flow=flow.name,
        name=live.name,
        parameters=parameters,
        shown=shown,
        entrypoint=flow.entrypoint,
        flow_version=flow.version,
        tags=tuple(sorted(live.tags)),
        parent_id=live.parent.id if live.parent is not None else None,
        parent_key=key,
        root_id=live.root.id if live.parent is not None else None,
        **(origin or {}),
    )
    return Record(event, data)
