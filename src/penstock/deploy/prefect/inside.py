"""The engine inside a process of Prefect: tasks are Prefect's task runs, flows its flow runs.

Prefect retries them, times them out and shows them; Penstock numbers the calls, checks the parameters, and keeps how
each step ended in its result store.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from penstock.authoring.futures import PenstockFuture
from penstock.core.context import Scope, current_scope, current_tags
from penstock.core.errors import MissingContextError, ParameterError, ParameterTypeError, UpstreamFailed
from penstock.core.events import Step, now_us
from penstock.core.extras import LateExtra
from penstock.core.ids import child_run_id
from penstock.core.states import State, StateType
from penstock.deploy.prefect.flows import FlowCall, ended, prefect_flow
from penstock.deploy.prefect.live import Family, Live, lacking
from penstock.deploy.prefect.steps import Call
from penstock.engine.arguments import futures_in, resolved
from penstock.engine.replay import split_key
from penstock.engine.tasks import StepCall, aborted_message

_prefect: Any = LateExtra("prefect", "prefect")
_task_engine: Any = LateExtra("prefect.task_engine", "prefect")
_flow_engine: Any = LateExtra("prefect.flow_engine", "prefect")
_context: Any = LateExtra("prefect.context", "prefect")


class PrefectInside:
    """What `@flow` and `@task` objects call in a process of Prefect; see `penstock.core.ports.running.Engine`.

    Args:
        family: what the runs of this process share.
    """

    def __init__(self, family: Family) -> None:
        self.family = family

    def call_task(
        self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: bool
    ) -> Any:
        """See `Engine.call_task`."""
        call = Call(StepCall(self._scope(task).live, self._scope(task), task, args, kwargs, wait_for))
        if task.isasync:
            return self._task_async(call, return_state)
        made, parameters, upstream = call.task()
        theirs = _task_engine.run_task_sync(made, parameters=parameters, wait_for=upstream, return_type="state")
        return _answer(call.ended(theirs), return_state)

    async def _task_async(self, call: Call, return_state: bool) -> Any:
        made, parameters, upstream = call.task()
        theirs = await _task_engine.run_task_async(made, parameters=parameters, wait_for=upstream, return_type="state")
        return _answer(call.ended(theirs), return_state)

    def submit_task(self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any) -> Any:
        """See `Engine.submit_task`."""
        scope = self._scope(task)
        live: Live = scope.live
        step = StepCall(scope.live, scope, task, args, kwargs, wait_for)
        call = Call(step)
        future = step.future = PenstockFuture(step.id, call.key)
        with live.lock:
            live.pending.add(future)
        try:
            made, parameters, upstream = call.task()
            runner = _context.FlowRunContext.get().task_runner
            theirs = runner.submit(made, parameters=parameters, wait_for=upstream)
        except BaseException:
            with live.lock:
                live.pending.discard(future)
            raise
        live.family.submitted[step.id] = theirs

        def settle(_: Any) -> None:
            try:
                theirs.wait()
                state = call.ended(theirs.state)
            except BaseException as error:
                state = State(StateType.CRASHED, None, aborted_message(error), error).recorded()
            with live.lock:
                live.pending.discard(future)
            future.settle(state)

        theirs.add_done_callback(settle)
        return future

    def call_flow(
        self, flow: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: bool
    ) -> Any:
        """See `Engine.call_flow`."""
        scope = current_scope.get()
        if scope is not None:
            step = StepCall(scope.live, scope, flow, args, kwargs, wait_for)
            if flow.isasync:
                return self._child_async(step, return_state)
            for future in list(futures_in((args, kwargs, wait_for))):
                future.wait()
            return _answer(self._child(step), return_state)
        parameters = flow.parameters(args, kwargs)
        try:
            flow.validated(parameters)
        except ParameterTypeError as error:
            if not return_state:
                raise
            return State(StateType.FAILED, None, f"Validation of flow parameters failed: {error}", error)
        call = FlowCall(self.family)
        if flow.isasync:
            return self._root_async(call, flow, parameters, return_state)
        with _tagged(flow):
            theirs = _flow_engine.run_flow(_called(flow, call), parameters=parameters, return_type="state")
        return _answer(ended(call, theirs), return_state)

    async def _root_async(self, call: FlowCall, flow: Any, parameters: dict[str, Any], return_state: bool) -> Any:
        with _tagged(flow):
            theirs = await _flow_engine.run_flow(_called(flow, call), parameters=parameters, return_type="state")
        return _answer(ended(call, theirs), return_state)

    def _child(self, step: StepCall) -> State:
        child = Child(step)
        if child.known is not None:
            return child.known
        with _tagged(step.task):
            theirs = _flow_engine.run_flow(
                _called(step.task, child.call), parameters=child.parameters, return_type="state"
            )
        return child.ended(theirs)

    async def _child_async(self, step: StepCall, return_state: bool) -> Any:
        for future in list(futures_in((step.args, step.kwargs, step.wait_for))):
            await future.wait_async()
        child = Child(step)
        if child.known is not None:
            return _answer(child.known, return_state)
        with _tagged(step.task):
            theirs = await _flow_engine.run_flow(
                _called(step.task, child.call), parameters=child.parameters, return_type="state"
            )
        return _answer(child.ended(theirs), return_state)

    def call_wait(self, ask: Any, awaited: bool | None = None) -> NoReturn:
        """See `Engine.call_wait`.

        Raises:
            Unsupported: always.
        """
        raise lacking("waiting")

    def _scope(self, task: Any) -> Scope:
        scope = current_scope.get()
        if scope is None:
            raise MissingContextError(
                f"The task {task.name} was called outside a flow, in a process of Prefect.",
                hint="call it inside a flow; its function alone is there as .fn",
            )
        return scope


class Child:
    """A call of a subflow: a step of its parent, and a run of its own.

    Attributes:
        call: what Prefect is to run.
        parameters: of the run.
        known: how it ended, where that is known before it begins.
    """

    def __init__(self, step: StepCall) -> None:
        self.step, self.live = step, step.live
        self.started = now_us()
        self.known: State | None = None
        self.parameters: dict[str, Any] = {}
        record = step.live.record  # type: ignore[attr-defined]
        key, before = record.key_for(step.step.key, step.step.inputs)
        if key != step.step.key:
            old = step.step
            step.step = Step(key, old.name, old.task, old.ordinal, old.parent, old.tags, old.inputs)
        base, generation = split_key(key)
        live: Any = step.live
        self.call = FlowCall(live.family, child_run_id(live.id, base, generation), live)
        if before is not None:
            self.known = State(StateType.COMPLETED, before.name, before.message, record.value(before)).recorded()
            return
        flow = step.task
        try:
            resolved(step.wait_for)
            args = tuple(resolved(value) for value in step.args)
            kwargs = {name: resolved(value) for name, value in step.kwargs.items()}
            self.parameters = flow.parameters(args, kwargs)
            flow.validated(self.parameters)
        except (ParameterError, UpstreamFailed) as error:
            name = "NotReady" if isinstance(error, UpstreamFailed) else None
            failed = State(StateType.FAILED, name, f"Validation of flow parameters failed: {error}", error)
            self.known = self._kept(failed, attempt=0)

    def ended(self, theirs: Any) -> State:
        """The final state, after Prefect has come to its own; it is on record then."""
        return self._kept(ended(self.call, theirs), attempt=1)

    def _kept(self, state: State, attempt: int) -> State:
        live: Any = self.live
        live.record.keep(self.step.step.key, state, started=self.started, ended=now_us(), step=self.step.step)
        return state.recorded()


def _answer(state: State, return_state: bool) -> Any:
    return state if return_state or state._returned else state.result()


def _called(flow: Any, call: FlowCall) -> Any:
    made = copy.copy(prefect_flow(flow))
    made.penstock = call
    return made


@contextmanager
def _tagged(flow: Any) -> Iterator[None]:
    """With the tags that the run is to have on Prefect."""
    with _prefect.tags(*flow.tags, *current_tags.get()):
        yield
