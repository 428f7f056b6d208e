"""Calls of a wait: what is on record answers them; otherwise they wait, in place or until a worker goes on."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.core.context import Scope, current_scope
from penstock.core.decisions import TaskState
from penstock.core.errors import MissingContextError, WrongProcess
from penstock.core.events import Step
from penstock.core.extras import LateModule
from penstock.core.interruptions import Interruption, Suspended
from penstock.core.states import State, StateType
from penstock.engine.deadlines import limits_around
from penstock.engine.limits.calls import in_async_code
from penstock.engine.live import LiveRun
from penstock.engine.outcome import Path, adrive, drive, what_ended
from penstock.engine.places import engine_code
from penstock.engine.replay import state_of
from penstock.engine.waiting.asks import Ask
from penstock.engine.waiting.lookout import Held
from penstock.engine.waiting.pauses import LATE, WaitRecord
from penstock.engine.waiting.standing import Standing
from penstock.engine.waits import Commit

_halts: Any = LateModule("penstock.engine.waiting.halts")


def call_wait(ask: Ask, awaited: bool | None) -> Any:
    """See `Engine.call_wait`.

    Raises:
        MissingContextError: there is no run around it.
    """
    scope = current_scope.get()
    if scope is None:
        raise MissingContextError(
            f"{ask.name}() was called outside a run, and only a run can wait.", hint="call it inside a flow or a task"
        )
    path = run_wait(WaitCall(scope, ask))
    if in_async_code() if awaited is None else awaited:
        return adrive(path)
    with engine_code():
        return drive(path)


class WaitCall:
    """One call of a wait: its number is drawn when the call is made."""

    __slots__ = ("ask", "live", "scope", "step")

    def __init__(self, scope: Scope, ask: Ask) -> None:
        if scope.foreign:
            raise WrongProcess()
        if scope.closed:
            raise Interruption(f"{scope.key} has ended; {ask.name} from its abandoned thread is refused.")
        key, ordinal = scope.next_key(ask.name)
        self.ask = ask
        self.live: LiveRun = scope.live
        self.scope = scope
        self.step = Step(key, ask.key or ask.name, ask.name, ordinal, scope.key)


def run_wait(call: WaitCall) -> Path[Any]:
    """Wait; gives what the call gives.

    Raises:
        WaitTimedOut: time was up, and there is no default.
        Suspended: the process is let go.
        Interruption: the run is to stop.
    """
    live, ask = call.live, call.ask
    live.check_interrupted()
    known = _on_record(call)
    if isinstance(known, State):
        return _value(ask, known)
    if ask.key is not None and (ask.name, ask.key) in live.keyed:
        return live.keyed[ask.name, ask.key]
    if live.root.recorder.state.pausing is not None and not known.attempt:
        yield from _halts.halt(live, call.scope)
    pause = WaitRecord(call, known)
    held = Held(live, call.scope, pause.key, pause.until, ask.kind != "sleep", pause.is_idle)
    value = _value(ask, (yield from stand(pause, held, call.scope)))
    if ask.key is not None:
        live.keyed[ask.name, ask.key] = value
    return value


def _on_record(call: WaitCall) -> State | TaskState:
    """The recorded end; or the step as it began on record; or a new one."""
    replay = call.live.replay
    found = replay.find(call.step) if replay is not None else None
    if found is None:
        return TaskState(call.step)
    if not found.state.ended:
        return found.state
    if found.earlier and found.state.type is not StateType.COMPLETED:
        return TaskState(msgspec.structs.replace(call.step, key=f"{call.step.key}~{found.generation + 1}"))
    return state_of(found.stored, call.live.results)


def _value(ask: Ask, state: State) -> Any:
    return ask.value(state.result(), late=state.name == LATE)


def stand(place: Standing, held: Held, scope: Scope) -> Path[Any]:
    """Stay there until it is over; gives what came of it.

    Args:
        place: where.
        held: wakes whoever is there.
        scope: of the call.

    Raises:
        Suspended: the process is let go.
        Interruption: the run is to stop.
    """
    live, engine = place.live, place.live.engine
    limits = limits_around()
    for limit in limits:
        limit.hold()
    try:
        while True:
            held.arm()
            live.check_interrupted()
            if held.abandoned():
                raise Interruption(f"{scope.key} has ended, and does not wait for anything any more.")
            ended = yield Commit(live.remote, place.turn, place.may_let_go())
            if ended is not None:
                return ended
            if place.let_go:
                raise _suspended(live, place)
            if not place.told:
                place.tell()
                engine.lookout.add(held)
            yield held
    except BaseException as error:
        if not live.root.suspended:
            place.break_off(what_ended(error))
        raise
    finally:
        engine.lookout.remove(held)
        for limit in limits:
            limit.go_on()


def _suspended(live: LiveRun, place: Standing) -> Suspended:
    """From here to its end, the process records nothing more."""
    root = live.root
    place.tell()
    error = Suspended(f"The run waits ({place.key}); it goes on in another process.")
    root.suspended = True
    root.interruption = error
    live.recorder.fail(error)
    live.engine.unwinds(root)
    root.interrupted.set()
    return error
