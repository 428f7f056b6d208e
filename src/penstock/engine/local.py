"""The local engine: runs flows in the calling process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from penstock.authoring.flows import Flow
from penstock.authoring.naming import render_name
from penstock.core.context import current_scope, current_tags, current_transaction, worker
from penstock.core.decisions import TaskState
from penstock.core.errors import (
    MissingContextError,
    ParameterError,
    ParameterTypeError,
    RunNotResumable,
    UpstreamFailed,
)
from penstock.core.events import RunCreated, Saved, now_us
from penstock.core.extras import LateModule
from penstock.core.ids import child_run_id, new_owner, new_run_id, new_run_name
from penstock.core.ports import Journal, Observer, ResultStore, TaskRunner
from penstock.core.states import State, StateType
from penstock.engine.answers import answer, answer_async, answer_within, unwrapped
from penstock.engine.arguments import futures_in, needs_a_look, resolved
from penstock.engine.ends import finish_step
from penstock.engine.flows import created_record, info_of, run_flow
from penstock.engine.keeper import Keeper
from penstock.engine.live import LiveRun
from penstock.engine.outcome import Path, drive
from penstock.engine.places import engine_code
from penstock.engine.recorder import Recorder, ignore_errors
from penstock.engine.replay import split_key
from penstock.engine.runners.jobs import submit
from penstock.engine.runners.threads import ThreadPoolTaskRunner
from penstock.engine.shown import shown_parameters
from penstock.engine.signals import noted, raise_noted, shielded
from penstock.engine.tasks import StepCall, recorded_state, run_task
from penstock.engine.waits import Futures

_around: Any = LateModule("penstock.engine.transactions.around")
_halts: Any = LateModule("penstock.engine.waiting.halts")
_lookout: Any = LateModule("penstock.engine.waiting.lookout")
_waits: Any = LateModule("penstock.engine.waiting.calls")
_slots: Any = LateModule("penstock.engine.limits.slots")


class LocalEngine:
    """Executes flows here and now, recording every step in a journal.

    Args:
        journal: where everything is recorded.
        results: where values are kept.
        lease_seconds: how long a run stays this process's own when nothing is heard of it.
        suspend_seconds: a run of a worker that waits longer than that needs no process meanwhile.
        max_workers: threads of the default task runner.
        refresh_cache: results of other runs are not looked for, unless a task says so itself.
        files: gives those that runs may be given; see `penstock.engine.uploads.FileShelf`.
    """

    def __init__(
        self,
        journal: Journal,
        results: ResultStore,
        *,
        lease_seconds: float = 30.0,
        suspend_seconds: float = 5.0,
        max_workers: int | None = None,
        refresh_cache: bool = False,
        files: Callable[[], Any] | None = None,
    ) -> None:
        self.journal = journal
        self.results = results
        self.lease_us = int(lease_seconds * 1_000_000)
        self.suspend_us = int(suspend_seconds * 1_000_000)
        self.max_workers = max_workers
        self.refresh_cache = refresh_cache
        self.files = files
        self.owner = new_owner()
        self.pid = os.getpid()
        self.observers: list[Observer] = []
        self.keeper = Keeper(self)
        self._slots: Any = None
        self._slots_lock = threading.Lock()
        self._lookout: Any = None

    @property
    def slots(self) -> Any:
        """What this process holds of limits, and waits for; see `penstock.engine.limits.slots.Slots`."""
        if self._slots is None:
            with self._slots_lock:
                self._slots = self._slots or _slots.Slots(self)
        return self._slots

    @property
    def lookout(self) -> Any:
        """Wakes those who wait in this process; see `penstock.engine.waiting.lookout.Lookout`."""
        if self._lookout is None:
            with self._slots_lock:
                self._lookout = self._lookout or _lookout.Lookout(self.journal)
        return self._lookout

    def observe(self, observer: Observer) -> None:
        """Tell this function of every event of this process's runs, as it happens. What it raises is ignored."""
        self.observers.append(ignore_errors(observer))

    def register(self, live: LiveRun) -> None:
        """For the engine: a run begins here."""
        self.keeper.add(live)

    def below(self, live: LiveRun) -> list[LiveRun]:
        """For the engine: the runs of its subflows that are still executed here, innermost first."""
        return [other for other in reversed(self.keeper.runs()) if other is not live and live in other.around()]

    def unwinds(self, live: LiveRun) -> None:
        """For the engine: a run is on its way out."""
        self.keeper.unwinds(live)

    def unregister(self, live: LiveRun) -> None:
        """For the engine: a run has ended here."""
        self.keeper.remove(live)

    @shielded
    def call_task(
        self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: bool
    ) -> Any:
        """See `Engine.call_task`."""
        try:
            if getattr(worker, "place", None) is not None:
                with engine_code():
                    return self._call_task(task, args, kwargs, wait_for, return_state)
            return self._call_task(task, args, kwargs, wait_for, return_state)
        finally:
            if noted:
                raise_noted()

    def _call_task(
        self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: bool
    ) -> Any:
        scope = current_scope.get()
        if scope is None:
            return self._call_alone(task, args, kwargs, return_state)
        call = StepCall(scope.live, scope, task, args, kwargs, wait_for)
        if scope.info is not None:
            call.runner = scope.info[0].runner
        path = run_task(call) if wait_for is None and not needs_a_look(args, kwargs) else _after_upstream(call)
        if task.isasync and call.runner is None:
            return answer_async(path, return_state)
        state = drive(path)
        return state if return_state or state._returned else state.result()

    @shielded
    def submit_task(self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any) -> Any:
        """See `Engine.submit_task`."""
        scope = current_scope.get()
        if scope is None:
            raise MissingContextError(
                f"{task.name}.submit() was called outside a flow.",
                hint="call it inside a flow, or call the task directly",
            )
        try:
            scope.live.check_interrupted()
            with engine_code():
                return submit(StepCall(scope.live, scope, task, args, kwargs, wait_for))
        finally:
            if noted:
                raise_noted()

    @shielded
    def call_wait(self, ask: Any, awaited: bool | None = None) -> Any:
        """See `Engine.call_wait`."""
        try:
            return _waits.call_wait(ask, awaited)
        finally:
            if noted:
                raise_noted()

    def call_flow(
        self, flow: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: bool
    ) -> Any:
        """See `Engine.call_flow`."""
        scope = current_scope.get()
        if scope is not None:
            path = self._child_path(StepCall(scope.live, scope, flow, args, kwargs, wait_for))
            return answer_within(flow, path, return_state)
        try:
            parameters = flow.validated(flow.parameters(args, kwargs))
        except ParameterTypeError as error:
            if not return_state:
                raise
            return State(StateType.FAILED, None, f"Validation of flow parameters failed: {error}", error)
        live = self.root_run(flow, parameters, new_run_id(), flow.name, flow.tags | current_tags.get())
        live.name = name_of_run(live)
        created = created_record(live, None, shown_parameters(parameters), None)
        return answer(flow, run_flow(live, created), return_state, live)

    def _call_alone(self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], return_state: bool) -> Any:
        """A task called outside any flow is a run of its own with one step."""
        if task.isasync:

            async def asolo() -> Any:
                return await self.call_task(task, args, kwargs, None, True)

            async def aunwrapped() -> Any:
                return unwrapped(await Flow.unlisted(asolo, task.name)(return_state=True), return_state)

            return aunwrapped()

        def solo() -> Any:
            return self.call_task(task, args, kwargs, None, True)

        return unwrapped(Flow.unlisted(solo, task.name)(return_state=True), return_state)

    def root_run(self, flow: Any, parameters: dict[str, Any], run_id: str, name: str, tags: frozenset[str]) -> LiveRun:
        """A live run that is nobody's subflow."""
        recorder = Recorder(self.journal, run_id, self.owner, self.observers)
        runner = self._runner(flow, None)
        return LiveRun(self, flow, run_id, name, recorder, parent=None, parameters=parameters, tags=tags, runner=runner)

    def _runner(self, flow: Any, parent: LiveRun | None) -> TaskRunner:
        if flow.task_runner is not None:
            runner: TaskRunner = flow.task_runner.duplicate()
            return runner
        return ThreadPoolTaskRunner(self.max_workers)

    def _child_path(self, call: StepCall) -> Path[State]:
        """A subflow: a step of its parent, and a run of its own."""
        live, flow = call.live, call.task
        live.check_interrupted()
        known = recorded_state(call)
        within = current_transaction.get()
        if isinstance(known, State):
            if within is not None:
                yield from _around.rejoin(call, known)
            return known
        if within is not None:
            _around.check_open(within)
        upstream = [f for f in futures_in((call.args, call.kwargs, call.wait_for)) if not f.done()]
        if upstream:
            yield Futures(upstream)
        if known is None and live.root.recorder.state.pausing is not None:
            yield from _halts.halt(live, call.scope)
        state = known if known is not None else TaskState(call.step)
        if state.attempt:  # it goes on under its own id, and that is no other attempt
            state = TaskState(state.step, attempt=state.attempt - 1)
        try:
            resolved(call.wait_for)
            args = tuple(resolved(value) for value in call.args)
            kwargs = {name: resolved(value) for name, value in call.kwargs.items()}
            parameters = flow.validated(flow.parameters(args, kwargs))
        except (ParameterError, UpstreamFailed) as error:
            name = "NotReady" if isinstance(error, UpstreamFailed) else None
            failed = State(StateType.FAILED, name, f"Validation of flow parameters failed: {error}", error)
            return (yield from finish_step(call, state, failed, now_us()))
        base, generation = split_key(state.step.key)
        child_id = child_run_id(live.id, base, generation)
        started = now_us()
        state = live.recorder.begin(state, started, child_id)
        recorder = Recorder(self.journal, child_id, self.owner, self.observers, live.recorder)
        child = LiveRun(
            self,
            flow,
            child_id,
            flow.name,
            recorder,
            parent=live,
            parameters=parameters,
            tags=flow.tags | live.tags | current_tags.get(),
            runner=self._runner(flow, live),
        )
        child.name = name_of_run(child)
        child.parent_key = state.step.key
        created = created_record(child, call.step.key, shown_parameters(parameters), None)
        try:
            outcome = yield from run_flow(child, created)
        except (RecursionError, MemoryError):  # perhaps there was no room to record its end
            live.unended.append(child)
            raise
        yield from finish_step(call, state, outcome, started, child_id)
        if within is not None:
            _around.subflow_ended(call, state.step.key, outcome)
        return outcome

    def with_files(self, flow: str, parameters: Any) -> Any:
        """Parameters with the paths of files that were sent in; see `penstock.engine.uploads.FileShelf.resolved`."""
        return self.files().resolved(f"flow {flow!r}", parameters) if self.files is not None else parameters

    def resume(self, run_id: str, flow: Any, return_state: bool, takes_over: str | None = None) -> Any:
        """Go on with a run that is in the journal; gives what calling the flow gives.

        Args:
            run_id: the run.
            flow: its flow.
            return_state: give the state instead of the value.
            takes_over: who executed it last, and does no more; somebody else now is refused.

        Raises:
            RunNotResumable: its parameters could not be recorded.
        """
        created = next((s for s in self.journal.load(run_id) if isinstance(s.event, RunCreated)), None)
        if created is None:
            raise RunNotResumable(f"Run {run_id} has no recorded beginning.")
        event = created.event
        assert isinstance(event, RunCreated)
        saved = event.parameters or Saved("json")
        if saved.serializer == "none":
            raise RunNotResumable(f"The parameters of run {run_id} could not be recorded.", hint="start the flow anew")
        parameters = self.results.load(saved, created.data)
        if event.deployment is not None:  # as they were given, which is JSON
            parameters = self.with_files(flow.name, parameters)
            parameters = flow.validated(flow.parameters((), parameters))
        live = self.root_run(flow, parameters, run_id, event.name, frozenset(event.tags))
        live.takes_over = takes_over
        return answer(flow, run_flow(live, None), return_state, live)


def _after_upstream(call: StepCall) -> Path[State]:
    """A step called directly with futures: wait for them, then run it."""
    upstream = [f for f in futures_in((call.args, call.kwargs, call.wait_for)) if not f.done()]
    if upstream:
        yield Futures(upstream)
    return (yield from run_task(call))


def name_of_run(live: LiveRun) -> str:
    """What a run is called: as its flow names its runs, or two words.

    Raises:
        AuthoringError: the template, or the function, gives no name.
    """
    flow = live.flow
    if flow.flow_run_name is None:
        return new_run_name()
    live.info = info_of(live)
    token = current_scope.set(live.scope)
    try:
        return render_name(flow.flow_run_name, live.parameters, f"flow {flow.name!r}")
    finally:
        current_scope.reset(token)
