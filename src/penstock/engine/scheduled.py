"""Runs that nobody called: taken out of a queue, and executed in a process of their own."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable
from typing import Any

from penstock.core.decisions import Finish, Start
from penstock.core.errors import ParameterError, RunNotResumable
from penstock.core.events import RunCreated, now_us
from penstock.core.ids import run_name_of
from penstock.core.states import State, StateType
from penstock.engine.answers import answer
from penstock.engine.failures import error_info, text_of
from penstock.engine.flows import run_flow
from penstock.engine.live import LiveRun
from penstock.engine.local import LocalEngine, name_of_run
from penstock.engine.recorder import Recorder


def execute(engine: LocalEngine, run_id: str, flow: Any, takes_over: str | None) -> Any:
    """Begin, or go on with, a run that a worker has claimed.

    Args:
        engine: of this process.
        run_id: the run.
        flow: its flow.
        takes_over: the worker that holds its lease; a run somebody else holds by now is refused.

    Returns:
        The final state; for an async flow a coroutine for it. None when the run pauses and no process is needed.

    Raises:
        RunTakenOver: somebody else has it.
    """
    first = next(iter(engine.journal.load(run_id)), None)
    if first is None or not isinstance(first.event, RunCreated):
        raise RunNotResumable(f"Run {run_id} has no recorded beginning.")
    event = first.event
    assert event.parameters is not None
    given = engine.results.load(event.parameters, first.data)
    facts = facts_of(event)
    try:
        if event.deployment is not None:
            given = engine.with_files(event.flow, given)
        parameters = given if event.pool is None else _parameters(flow, given, facts)
    except ParameterError as error:
        return _refuse(engine, run_id, error, "Validation of flow parameters failed")
    tags = flow.tags | frozenset(event.tags)
    live = engine.root_run(flow, parameters, run_id, event.name, tags)
    live.facts = facts
    if flow.flow_run_name is not None and event.name == run_name_of(run_id):  # nobody gave it another name
        try:
            live.called = name_of_run(live)
        except Exception as error:
            return _refuse(engine, run_id, error, "The run could not be named")
    live.takes_over = takes_over
    live.suspends = True
    if flow.isasync:
        return _awaited(answer(flow, run_flow(live, None), True, live), live)
    try:
        return answer(flow, run_flow(live, None), True, live)
    except BaseException:
        if not live.suspended:
            raise
        _let_go(live)
        return None


async def _awaited(state: Awaitable[State], live: LiveRun) -> State | None:
    try:
        return await state
    except BaseException:
        if not live.suspended:
            raise
        _let_go(live)
        return None


def _let_go(live: LiveRun) -> None:
    """The run waits, whatever the flow's code made of the interruption; only what it said on its way out is left."""
    live.recorder.flush(now_us())


_FILLED_IN = ("partition", "data_interval_start", "data_interval_end", "scheduled_start_time")


def _parameters(flow: Any, given: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """The parameters as the flow wants them. Those it declares under the name of a fact are filled in."""
    wanted = [name for name in _FILLED_IN if name in flow.signature.parameters and name not in given and name in facts]
    parameters: dict[str, Any] = flow.validated(flow.parameters((), given | {name: facts[name] for name in wanted}))
    return parameters


def facts_of(event: RunCreated) -> dict[str, Any]:
    """What a run is told about why it is there."""
    facts: dict[str, Any] = {"deployment": event.deployment, "partition": event.partition}
    if event.interval is not None:
        facts["data_interval_start"], facts["data_interval_end"] = map(_moment, event.interval)
    due = event.scheduled_at or event.due_at
    if due:
        facts["scheduled_start_time"] = _moment(due)
    return {name: value for name, value in facts.items() if value is not None}


def _moment(micros: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(micros / 1_000_000, datetime.UTC)


def _refuse(engine: LocalEngine, run_id: str, error: Exception, what: str) -> State:
    """The flow cannot be begun, such as with parameters that do not fit it (any more): the run fails, and says so."""
    recorder = Recorder(engine.journal, run_id, engine.owner, engine.observers)
    for stored in engine.journal.load(run_id):
        recorder.replay(stored)
    now = now_us()
    info, data = error_info(error)
    message = f"{what}: {text_of(error)}"
    finish = Finish(now, StateType.FAILED, None, message, None, info)
    begin = [(Start(now, engine.owner, now + engine.lease_us), None)] if not recorder.state.attempt else []
    recorder.command(*begin, (finish, data))
    return State(StateType.FAILED, None, message, error)
