"""Penstock's tasks as Prefect's: one call is one task run, with the retries, the timeout and the hooks it declares."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from penstock.authoring.naming import render_name
from penstock.core.context import Scope, current_scope
from penstock.core.decisions import TaskState
from penstock.core.errors import ParameterError, UpstreamFailed
from penstock.core.events import Step, now_us
from penstock.core.extras import LateExtra, LateModule
from penstock.core.states import State, StateType
from penstock.deploy.prefect.exchange import exchanged
from penstock.deploy.prefect.states import data_of, failed_task, from_prefect, to_prefect
from penstock.engine.arguments import needs_a_look, resolved
from penstock.engine.live import TaskRun
from penstock.engine.logs import with_prints
from penstock.engine.tasks import StepCall, aborted_message, info_of, state_of_value

if TYPE_CHECKING:
    from penstock.deploy.prefect.live import Live

_tasks: Any = LateExtra("prefect.tasks", "prefect")
_policies: Any = LateExtra("prefect.cache_policies", "prefect")
_caching: Any = LateModule("penstock.engine.transactions.caching")
_context: Any = LateExtra("prefect.context", "prefect")
_lock = threading.Lock()


class Call:
    """One call of a task on Prefect.

    Attributes:
        step: the call, as Penstock numbers it.
        known: how it ended in an earlier attempt of the run, where that still counts.
        state: what the last attempt came to; None where none was made.
        attempt: the number of the last attempt.
        started: when it began.
    """

    def __init__(self, step: StepCall) -> None:
        self.step = step
        self.live = cast("Live", step.live)
        key, self.known = self.live.record.key_for(step.step.key, step.step.inputs)
        if key != step.step.key:
            old = step.step
            step.step = Step(key, old.name, old.task, old.ordinal, old.parent, old.tags, old.inputs)
        self.state: State | None = None
        self.attempt = 0
        self.started = now_us()
        self.raised: BaseException | None = None

    @property
    def key(self) -> str:
        """Of the step."""
        return self.step.step.key

    def task(self) -> tuple[Any, dict[str, Any], Any]:
        """What Prefect is to run for it: its task, the parameters by name, and what to wait for."""
        step = self.step
        made = copy.copy(prefect_task(step.task))
        made.penstock, made.task_key, made.tags = self, self.key, set(step.step.tags)
        submitted = self.live.family.submitted
        try:
            parameters = step.task.parameters(step.args, step.kwargs)
        except ParameterError as error:
            made.fn = _raiser(error, step.task.isasync)
            return made, {}, None
        if needs_a_look(step.args, step.kwargs):
            parameters = {name: exchanged(value, submitted) for name, value in parameters.items()}
        wait_for = step.wait_for
        if wait_for is not None:
            wait_for = exchanged(wait_for if isinstance(wait_for, (list, tuple, set)) else [wait_for], submitted)
        return made, parameters, wait_for

    @contextmanager
    def attempted(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Around one attempt: Penstock's context, and what the attempt came to."""
        step, task_run = self.step, _context.TaskRunContext.get().task_run
        self.attempt, self.started, self.state, self.raised = task_run.run_count, now_us(), None, None
        if step.future is not None:
            step.future.begin()
        state = TaskState(step.step, StateType.RUNNING, self.attempt, self.started)
        scope = Scope(self.live, self.key, (step, state, self.started, args, kwargs))
        token = current_scope.set(scope)
        try:
            yield
        except BaseException as error:
            self.raised = error
            if not isinstance(error, Exception):  # Prefect may not come back for it
                self._keep(State(StateType.CRASHED, None, aborted_message(error), error), str(task_run.id))
            raise
        finally:
            scope.closed = True
            current_scope.reset(token)

    def fn(self) -> Callable[..., Any]:
        """What is executed: the task's function, with its prints logged where that is wanted."""
        task = self.step.task
        found: Callable[..., Any] = with_prints(task.fn, task.isasync, task.log_prints, self.live.flow.log_prints)
        return found

    def came_to(self, value: Any) -> Any:
        """Take what the function returned; gives what Prefect is told."""
        self.state = state_of_value(value)
        return to_prefect(self.state) if self.state._returned else self.state._data

    def recalled(self) -> Any:
        """The value of an earlier attempt of the run."""
        assert self.known is not None
        value = self.live.record.value(self.known)
        self.state = State(StateType.COMPLETED, self.known.name, self.known.message, value)
        return value

    def ended(self, theirs: Any) -> State:
        """The final state, after Prefect has come to its own; it is on record then."""
        state = self._final(theirs)
        if theirs.name == "Cached":
            self.attempt = 1
        if self.known is None:
            self._keep(state, str(theirs.state_details.task_run_id))
        return state.recorded()

    def _keep(self, state: State, reference: str) -> None:
        self.live.record.keep(
            self.key,
            state,
            attempt=self.attempt,
            started=self.started,
            ended=now_us(),
            step=self.step.step,
            reference=reference,
        )

    def _final(self, theirs: Any) -> State:
        if theirs.name == "NotReady":
            return _not_ready(self.step, theirs)
        if theirs.name == "Cached" and self.state is None:
            return State(StateType.COMPLETED, "Cached", None, data_of(theirs))
        if theirs.is_crashed() and self.raised is not None:
            return State(StateType.CRASHED, None, aborted_message(self.raised), self.raised)
        if theirs.is_failed() and (self.state is None or self.raised is not None):
            error = self.raised if self.raised is not None else data_of(theirs)
            if theirs.name == "TimedOut" and isinstance(data_of(theirs), TimeoutError):
                error = data_of(theirs)
            if isinstance(error, BaseException):
                return failed_task(error, self.step.task.timeout_seconds)
        return self.state if self.state is not None else from_prefect(theirs)


def _not_ready(step: StepCall, theirs: Any) -> State:
    """An upstream has failed; Prefect has left the task Pending for it."""
    try:
        resolved([step.wait_for, step.args, step.kwargs])
    except UpstreamFailed as error:
        return State(StateType.FAILED, "NotReady", error.message, error)
    failed = UpstreamFailed(theirs.message or "An upstream task run did not complete.")
    return State(StateType.FAILED, "NotReady", failed.message, failed)


def call_here() -> Call:
    """The call whose task run this code is in."""
    found: Call = _context.TaskRunContext.get().task.penstock
    return found


def prefect_task(task: Any) -> Any:
    """Prefect's task for one of ours; made once."""
    made = task.__dict__.get("_on_prefect")
    if made is None:
        with _lock:
            made = task.__dict__.get("_on_prefect") or _made(task)
            task.__dict__["_on_prefect"] = made
    return made


def _made(task: Any) -> Any:
    delays = task.retry_delay_seconds
    cached = task.caching is not None
    return _tasks.Task(
        _body(task),
        name=task.name,
        description=task.description,
        tags=task.tags,
        version=task.version,
        cache_policy=_cache_policy() if cached else _policies.NO_CACHE,
        cache_expiration=task.cache_expiration if cached else None,
        refresh_cache=task.refresh_cache,
        persist_result=cached,
        task_run_name=_name if task.task_run_name is not None else None,
        retries=task.retries,
        retry_delay_seconds=delays if isinstance(delays, (int, float)) else list(delays),
        retry_jitter_factor=task.retry_jitter_factor,
        retry_condition_fn=_condition(task.retry_condition_fn),
        timeout_seconds=task.timeout_seconds,
        log_prints=False,
        on_running=[_hook(each) for each in task.on_running_hooks],
        on_completion=[_hook(each) for each in task.on_completion_hooks],
        on_failure=[_hook(each) for each in task.on_failure_hooks],
    )


def _body(task: Any) -> Callable[..., Any]:
    """What Prefect calls; it knows by its context which call it is about."""

    def run(*args: Any, **kwargs: Any) -> Any:
        call = call_here()
        if call.known is not None:
            return call.recalled()
        with call.attempted(args, kwargs):
            return call.came_to(call.fn()(*args, **kwargs))

    async def run_async(*args: Any, **kwargs: Any) -> Any:
        call = call_here()
        if call.known is not None:
            return call.recalled()
        with call.attempted(args, kwargs):
            return call.came_to(await call.fn()(*args, **kwargs))

    return dressed(run_async if task.isasync else run, task)


def dressed(body: Any, declared: Any) -> Callable[..., Any]:
    """With the name and the signature of what was declared. Not `__wrapped__`, which Prefect would look through."""
    body.__name__ = body.__qualname__ = declared.name
    body.__module__, body.__doc__ = declared.fn.__module__, declared.description
    body.__signature__ = declared.signature
    return body  # type: ignore[no-any-return]


def _raiser(error: Exception, isasync: bool) -> Callable[..., Any]:
    """What stands for a call with arguments that do not fit."""

    def refuse() -> None:
        call = call_here()
        with call.attempted((), {}):
            raise error

    async def refuse_async() -> None:
        refuse()

    return refuse_async if isasync else refuse


def _name() -> str:
    context = _context.TaskRunContext.get()
    task = context.task.penstock.step.task
    return render_name(task.task_run_name, context.parameters, f"task {task.name!r}")


def _hook(hook: Callable[..., Any]) -> Callable[..., Any]:
    def called(task: Any, task_run: Any, state: Any) -> Any:
        call: Call = task.penstock
        info = _info(call, task_run)
        return _within(call, hook, (call.step.task, info, _told(call, state)))

    called.__name__ = getattr(hook, "__name__", type(hook).__name__)
    return called


def _told(call: Call, state: Any) -> State:
    """The state that a hook is told."""
    if state.is_final():
        return call._final(state)
    return State(StateType.RUNNING, "Retrying" if state.name == "Retrying" else None)


def _condition(condition: Callable[..., Any] | None) -> Any:
    if condition is None:
        return None

    def wants(task: Any, task_run: Any, state: Any) -> Any:
        call: Call = task.penstock
        found = call.state if call.raised is None and call.state is not None else None
        if found is None:
            found = failed_task(data_of(state), call.step.task.timeout_seconds)
        return _within(call, condition, (call.step.task, _info(call, task_run), found))

    return wants


def _info(call: Call, task_run: Any) -> TaskRun:
    state = TaskState(call.step.step, StateType.RUNNING, max(task_run.run_count, 1), call.started)
    return info_of(call.step, state)


def _within(call: Call, fn: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call a function of the user's in the context of the step; a coroutine is awaited by Prefect."""
    token = current_scope.set(Scope(call.live, call.key, None))
    try:
        return fn(*arguments)
    finally:
        current_scope.reset(token)


def _cache_policy() -> Any:
    """Prefect keeps what is cached, under the keys that Penstock makes."""

    class Keys(_policies.CachePolicy):  # type: ignore[misc]
        def compute_key(self, task_ctx: Any, inputs: Any, flow_parameters: Any, **more: Any) -> str | None:
            return _cache_key(task_ctx.task.penstock, inputs)

    return Keys()


def _cache_key(call: Call, inputs: dict[str, Any]) -> str | None:
    step = call.step
    scope = Scope(call.live, call.key, (step, TaskState(step.step, StateType.RUNNING, 1), now_us(), (), inputs))
    key: str | None = _caching.cache_key(step.task, scope, call.live.parameters)
    return key
