"""Penstock's flows as Prefect's: one call is one flow run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import GeneratorType
from typing import Any

from penstock.authoring.futures import PenstockFuture
from penstock.authoring.naming import render_name
from penstock.core.context import current_scope, current_tags
from penstock.core.events import now_us
from penstock.core.extras import LateExtra
from penstock.core.states import State, StateType
from penstock.deploy.prefect.live import Family, Live
from penstock.deploy.prefect.names import run_id_of
from penstock.deploy.prefect.record import RUN
from penstock.deploy.prefect.states import data_of, failed_flow, from_prefect, to_prefect
from penstock.deploy.prefect.steps import dressed
from penstock.engine.arguments import as_states
from penstock.engine.live import FlowRun
from penstock.engine.logs import with_prints
from penstock.engine.tasks import aborted_message
from penstock.engine.values import final_state, plain

_flows: Any = LateExtra("prefect.flows", "prefect")
_runners: Any = LateExtra("prefect.task_runners", "prefect")
_context: Any = LateExtra("prefect.context", "prefect")
_lock = threading.Lock()


class FlowCall:
    """A flow that is called in a process of Prefect.

    Attributes:
        run_id: of the run; None for what Prefect calls it.
        parent: the run around it.
        family: what runs share.
        live: the run, when it has begun.
    """

    def __init__(self, family: Family, run_id: str | None = None, parent: Live | None = None) -> None:
        self.family = family
        self.run_id = run_id
        self.parent = parent
        self.live: Live | None = None


def prefect_flow(flow: Any) -> Any:
    """Prefect's flow for one of ours; made once."""
    made = flow.__dict__.get("_on_prefect")
    if made is None:
        with _lock:
            made = flow.__dict__.get("_on_prefect") or _made(flow)
            flow.__dict__["_on_prefect"] = made
    return made


def _made(flow: Any) -> Any:
    workers = flow.task_runner.max_workers if flow.task_runner is not None else None
    return _flows.Flow(
        _body(flow),
        name=flow.name,
        description=flow.description,
        version=flow.version,
        flow_run_name=_name(flow) if flow.flow_run_name is not None else None,
        retries=flow.retries,
        retry_delay_seconds=flow.retry_delay_seconds,
        task_runner=_runners.ThreadPoolTaskRunner(max_workers=workers) if workers is not None else None,
        timeout_seconds=flow.timeout_seconds,
        validate_parameters=False,  # Penstock does, by its own rules
        persist_result=False,
        log_prints=False,
        on_running=[_hook(flow, each) for each in flow.on_running_hooks],
        on_completion=[_hook(flow, each) for each in flow.on_completion_hooks],
        on_failure=[_hook(flow, each) for each in flow.on_failure_hooks],
        on_crashed=[_hook(flow, each) for each in flow.on_crashed_hooks],
        on_cancellation=[_hook(flow, each) for each in flow.on_cancellation_hooks],
    )


def _body(flow: Any) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        with _attempt(flow) as live:
            parameters = _parameters(flow, live, args, kwargs)
            args, kwargs = flow.arguments(parameters)
            try:
                value = _function(flow, live)(*args, **kwargs)
            finally:
                for future in _left(live):
                    future.wait()
            return _came_to(live, value)

    async def run_async(*args: Any, **kwargs: Any) -> Any:
        with _attempt(flow) as live:
            parameters = _parameters(flow, live, args, kwargs)
            args, kwargs = flow.arguments(parameters)
            try:
                value = await _function(flow, live)(*args, **kwargs)
            finally:
                for future in _left(live):
                    await future.wait_async()
            return _came_to(live, value)

    return dressed(run_async if flow.isasync else run, flow)


def _function(flow: Any, live: Live) -> Callable[..., Any]:
    inherited = live.parent.flow.log_prints if live.parent is not None else None
    found: Callable[..., Any] = with_prints(flow.fn, flow.isasync, flow.log_prints, inherited)
    return found


def _left(live: Live) -> Iterator[PenstockFuture[Any]]:
    """The submitted steps that have not ended, until there are none."""
    while live.pending:
        yield from list(live.pending)


def _parameters(flow: Any, live: Live, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = flow.validated(flow.parameters(args, kwargs))
    live.parameters = found
    return found


@contextmanager
def _attempt(flow: Any) -> Iterator[Live]:
    """Around one attempt of a flow: Penstock's context, and the record of how it ended."""
    context = _context.FlowRunContext.get()
    flow_run = context.flow_run
    call: FlowCall = context.flow.penstock
    run_id = call.run_id or run_id_of(str(flow_run.id), flow_run.idempotency_key)
    tags = flow.tags | frozenset(flow_run.tags)
    live = call.live = Live(flow, run_id, flow_run, dict(context.parameters), tags, call.parent, call.family)
    scope_token = current_scope.set(live.scope)
    tags_token = current_tags.set(live.tags)
    try:
        yield live
    except BaseException as error:
        failed = failed_flow(error, flow.timeout_seconds)
        if not isinstance(error, Exception):
            failed = State(StateType.CRASHED, None, aborted_message(error), error)
        _keep(live, failed)
        raise
    finally:
        current_tags.reset(tags_token)
        current_scope.reset(scope_token)
        live.record.close()


def _came_to(live: Live, value: Any) -> Any:
    """Take what the flow returned; gives what Prefect is told."""
    state = final_state(list(value) if type(value) is GeneratorType else as_states(value))
    if state.type is StateType.FAILED and live.attempt <= live.flow.retries:
        raise state._error()
    _keep(live, state)
    plain = state.type is StateType.COMPLETED and not state.message and state.name == state.type.word
    return state._data if plain else to_prefect(State(state.type, state.name, state.message, _shown(state)))


def _shown(state: State) -> Any:
    """What a state of Prefect's holds: nothing that Prefect would take for states of its own."""
    return state.data if isinstance(state.data, BaseException) or not state.is_completed() else None


def _keep(live: Live, state: State) -> None:
    live.outcome = state
    recorded = State(state.type, state.name, state.message, plain(state._data))
    live.record.keep(RUN, recorded, attempt=live.attempt, started=live.started, ended=now_us())


def ended(call: FlowCall, theirs: Any) -> State:
    """The final state of a flow, after Prefect has come to its own."""
    live = call.live
    if theirs.name == "TimedOut" and isinstance(data_of(theirs), TimeoutError) and live is not None:
        live.outcome = failed_flow(data_of(theirs), live.flow.timeout_seconds)
    state = live.outcome if live is not None and live.outcome is not None else from_prefect(theirs)
    return state.recorded()


def _name(flow: Any) -> Callable[[], str]:
    def name() -> str:
        return render_name(flow.flow_run_name, _context.FlowRunContext.get().parameters, f"flow {flow.name!r}")

    return name


def _hook(flow: Any, hook: Callable[..., Any]) -> Callable[..., Any]:
    def called(theirs: Any, flow_run: Any, state: Any) -> Any:
        info = FlowRun(
            id=run_id_of(str(flow_run.id), flow_run.idempotency_key),
            name=flow_run.name,
            flow_name=flow.name,
            flow_version=flow.version,
            run_count=flow_run.run_count,
            tags=sorted(flow_run.tags),
            parameters=dict(flow_run.parameters),
            start_time=flow_run.start_time,
        )
        call: FlowCall | None = getattr(theirs, "penstock", None)
        if call is None or call.live is None or not state.is_final():
            return hook(flow, info, from_prefect(state))
        return hook(flow, info, ended(call, state))

    called.__name__ = getattr(hook, "__name__", type(hook).__name__)
    return called
