"""One step: replayed, or executed with retries, and recorded before anybody sees its result."""

from __future__ import annotations

from types import GeneratorType
from typing import Any

from penstock.authoring.futures import PenstockFuture
from penstock.authoring.naming import render_name
from penstock.core.context import Scope, current_scope, current_tags, current_transaction
from penstock.core.decisions import Finish, Retry, TaskState, decide_task
from penstock.core.errors import ParameterBindError, ReplayDiverged, TaskTimedOut, UpstreamFailed, WrongProcess
from penstock.core.events import Step, now_us
from penstock.core.extras import LateModule
from penstock.core.interruptions import Interruption
from penstock.core.ports import RemoteTaskRunner
from penstock.core.retry import delay_before
from penstock.core.states import State, StateType
from penstock.engine.arguments import needs_a_look, resolved
from penstock.engine.ends import finish_step
from penstock.engine.failures import error_info, is_timeout, text_of, type_name
from penstock.engine.fingerprints import fingerprints
from penstock.engine.hooks import HookCall, run_hooks
from penstock.engine.live import LiveRun, TaskRun
from penstock.engine.logs import engine_logger, with_prints
from penstock.engine.outcome import Path, what_ended
from penstock.engine.replay import Replay, state_of
from penstock.engine.signals import behind
from penstock.engine.waits import Call, Commit, Sleep, called

_COMPLETED, _FAILED = StateType.COMPLETED, StateType.FAILED
_around: Any = LateModule("penstock.engine.transactions.around")
_joining: Any = LateModule("penstock.engine.transactions.joining")
_halts: Any = LateModule("penstock.engine.waiting.halts")
_tag_limits: Any = LateModule("penstock.engine.limits.tags")


class StepCall:
    """One call of a task: its number is drawn when the call is made, so that concurrency cannot change it.

    Attributes:
        halts: it was submitted after the run had been asked to pause, and waits until that may go on.
    """

    __slots__ = ("args", "future", "halts", "kwargs", "live", "runner", "scope", "step", "tags", "task", "wait_for")

    def __init__(
        self,
        live: LiveRun,
        scope: Scope,
        task: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        wait_for: Any,
    ) -> None:
        if scope.foreign:
            raise WrongProcess()
        if scope.closed:
            raise Interruption(f"{scope.key} has ended; a call of {task.name} from its abandoned thread is refused.")
        key, ordinal = scope.next_key(task.name)
        self.live = live
        self.scope = scope
        self.task = task
        self.args = args
        self.kwargs = kwargs
        self.wait_for = wait_for
        self.runner: RemoteTaskRunner | None = None
        self.future: PenstockFuture[Any] | None = None
        self.halts = False
        around = current_tags.get()
        self.tags = tuple(sorted(task.tags | around)) if around else task.sorted_tags
        inputs = fingerprints(task.positional, args, kwargs) if args or kwargs else {}
        self.step = Step(key, task.name, task.name, ordinal, scope.key, self.tags, inputs)

    @property
    def id(self) -> str:
        """Id of the task run; also the idempotency key to hand to outside systems."""
        return f"{self.live.id}/{self.step.key}"

    def abandoned(self) -> bool:
        """Nobody waits for it any more: what called it has ended, or its own end was recorded by the run."""
        return self.scope.closed or (self.future is not None and self.future.done())


def recorded_state(call: StepCall) -> State | TaskState | None:
    """The recorded end of this call; or what is known of an unfinished one; or None.

    Raises:
        ReplayDiverged: the flow does not follow its record.
        ResultUnavailable: the recorded value cannot be read back.
    """
    live = call.live
    if live.replay is None:
        return None
    found = live.replay.find(call.step)
    if found is None:
        return None
    if not found.state.ended:
        key = found.state.step.key
        return TaskState(_with_key(call.step, key), attempt=found.state.attempt)
    changed = found.state.type is not _COMPLETED or found.state.step.inputs != call.step.inputs
    if found.earlier and (changed or found.settled == "rollback"):
        return TaskState(_with_key(call.step, f"{call.step.key}~{found.generation + 1}"))
    return state_of(found.stored, live.results)


def _with_key(step: Step, key: str) -> Step:
    return Step(key, step.name, step.task, step.ordinal, step.parent, step.tags, step.inputs)


def run_task(call: StepCall) -> Path[State]:
    """Run one step to its final state. User errors become states; interruptions and journal errors are raised."""
    live = call.live
    if live.interrupted.is_set():
        live.check_interrupted()
    known = recorded_state(call) if live.replay is not None else None
    transaction = current_transaction.get()
    if isinstance(known, State):
        if transaction is not None or call.task.on_commit_hooks:
            yield from _around.rejoin(call, known)
        return known
    if transaction is not None:
        _around.check_open(transaction)
    if live.root.recorder.state.pausing is not None and (call.future is None or call.halts):
        yield from _halts.halt(live, call.scope)
    state = known if known is not None else TaskState(call.step)
    args, kwargs = call.args, call.kwargs
    if call.wait_for is not None or needs_a_look(args, kwargs):
        looks = call.task.task_run_name is not None or call.task.caching is not None  # at the arguments, here
        kept = call.runner is not None and call.runner.keeps and not looks
        try:
            if call.wait_for is not None:
                resolved(call.wait_for, kept=True)
            args = tuple([resolved(value, kept=kept) for value in args])
            kwargs = {name: resolved(value, kept=kept) for name, value in kwargs.items()}
        except UpstreamFailed as error:
            outcome = State(_FAILED, "NotReady", error.message, error)
            yield from finish_step(call, state, outcome, now_us())
            return outcome
    return (yield from _execute(call, state, args, kwargs))


def _named(call: StepCall, state: TaskState, args: tuple[Any, ...], kwargs: dict[str, Any]) -> TaskState:
    step = state.step
    task = call.task
    name = render_name(task.task_run_name, task.parameters(args, kwargs), f"task {task.name!r}")
    return TaskState(
        Step(step.key, name, step.task, step.ordinal, step.parent, step.tags, step.inputs),
        attempt=state.attempt,
    )


def _execute(call: StepCall, state: TaskState, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Path[State]:
    live, task = call.live, call.task
    scope = Scope(live, state.step.key)
    limited: Any = None
    ended = False
    if task.caching is not None or task.on_commit_hooks or task.on_rollback_hooks or current_transaction.get():
        scope.around = _around.Around(call, scope)
    token = current_scope.set(scope)
    try:
        if task.task_run_name is not None:
            scope.info = (call, state, now_us(), args, kwargs)
            state = _named(call, state, args, kwargs)
        while True:
            if call.tags:
                limited = yield from _tag_limits.admission(call)
            started = now_us()
            state = live.recorder.begin(state, started)
            scope.info = (call, state, started, args, kwargs)
            if task.on_running_hooks:
                yield from run_hooks(
                    task.on_running_hooks, task, info_of(call, state), _running(state.attempt), live.flow.log_prints
                )
            try:
                wait = _call_of(call, args, kwargs)
                if scope.around is not None:
                    value = yield from scope.around.called(wait)
                else:
                    value = (yield wait) if call.runner is None else (yield from called(wait))
            except Exception as error:
                if live.recorder.fault is not None or isinstance(error, ReplayDiverged):
                    raise
                outcome = failed_state(_binding_error(call, error) or error, "Task run")
                if isinstance(error, TaskTimedOut):
                    message = "The task around this step ran out of time."
                    finish = Finish(now_us(), StateType.CANCELLED, None, message)
                    yield Commit(live.remote, live.recorder.end_steps, finish, f"{state.step.key}/")
            except BaseException as error:
                yield from _unwind(call, state, error, started)
                raise
            else:
                outcome = state_of_value(value) if scope.around is None else scope.around.outcome_of(value)
            if scope.joined is not None:
                outcome, ended = yield from _joining.settled(call, scope, state, outcome, started)
            if limited is not None:
                yield from limited.end()
                limited = None
            if ended or outcome.type is not _FAILED or state.attempt > task.retries or live.interrupted.is_set():
                break
            if task.retry_condition_fn is not None and not (yield from _wants_retry(call, state, outcome)):
                break
            delay = delay_before(state.attempt, task.retry_delay_seconds, task.retry_jitter_factor)
            state = yield from _retry(call, scope, state, outcome, delay)
            scope.reset()
        if not ended:
            outcome = yield from finish_step(call, state, outcome, started, scope=scope)
    finally:
        if limited is not None:
            limited.drop()
        if scope.around is not None:
            scope.around.drop()
        if scope.joined is not None:
            scope.joined.undo()
        scope.closed = True
        current_scope.reset(token)
    hooks = task.on_completion_hooks if outcome.type is _COMPLETED else task.on_failure_hooks
    if hooks and outcome.type is not StateType.CANCELLED:
        yield from run_hooks(hooks, task, info_of(call, state), outcome, live.flow.log_prints)
    return outcome


def _call_of(call: StepCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    task = call.task
    fn = with_prints(task.fn, task.isasync, task.log_prints, call.live.flow.log_prints)
    seconds = task.timeout_seconds
    if seconds is None:
        return Call(fn, args, kwargs, None, None, call.runner)
    late = TaskTimedOut(f"Task run exceeded timeout of {float(seconds)} second(s)")
    return Call(fn, args, kwargs, seconds, late, call.runner)


def state_of_value(value: Any) -> State:
    """The state that a task's return value stands for."""
    if type(value) is PenstockFuture:
        value.wait()
        value = value.state
    elif type(value) is GeneratorType:
        value = list(value)
    if type(value) is State and value.is_final():
        value._returned = True
        return value
    return State(_COMPLETED, None, None, value, 0.0)


def _running(attempt: int) -> State:
    return State(StateType.RUNNING, "Retrying" if attempt > 1 else None)


def _binding_error(call: StepCall, error: Exception) -> Exception | None:
    """What is wrong with the arguments, if that is why the call failed before any code of the task was executed."""
    if type(error) is not TypeError:
        return None
    try:
        call.task.parameters(call.args, call.kwargs)
    except ParameterBindError as mistakes:
        return mistakes
    return None


def failed_state(error: BaseException, what: str) -> State:
    """The Failed state an exception makes: named TimedOut when time was up."""
    if isinstance(error, TimeoutError) and is_timeout(error):
        own = getattr(error, "message", None)
        return State(
            _FAILED, "TimedOut", own or f"{what} failed due to timeout: {type_name(error)}({text_of(error)!r})", error
        )
    colon = ":" if what == "Flow run" else ""
    return State(_FAILED, None, f"{what} encountered an exception{colon} {type_name(error)}: {text_of(error)}", error)


def _wants_retry(call: StepCall, state: TaskState, outcome: State) -> Path[bool]:
    task = call.task
    try:
        answer = yield HookCall(task.retry_condition_fn, (task, info_of(call, state), outcome), {})
    except Exception as error:
        engine_logger().warning("The retry condition of %s raised %r; it is not retried.", state.step.key, error)
        return False
    return bool(answer)


def _retry(call: StepCall, call_scope: Scope, state: TaskState, outcome: State, delay: float) -> Path[TaskState]:
    live = call.live
    error = outcome.data if isinstance(outcome.data, BaseException) else None
    info = error_info(error)[0] if error is not None else None
    event = decide_task(state, Retry(now_us(), delay, info))
    engine_logger().warning(
        "%s failed in attempt %d of %d (%s); next attempt in %g s.",
        state.step.name,
        state.attempt,
        call.task.retries + 1,
        outcome.message,
        round(delay, 3),
    )
    state = yield Commit(live.remote, live.recorder.record, state, event)
    if call_scope.ordinal:
        replay = live.replay = live.replay or Replay(strict=False)
        replay.reopen(state.step.key, live.engine.journal.load(live.id))
    if delay > 0:
        yield Sleep(delay, live.interrupted)
    live.check_interrupted()
    return state


def _unwind(call: StepCall, state: TaskState, error: BaseException, started: int) -> Path[None]:
    """A step that something stronger than an exception ended: on record if the journal still takes it."""
    live = call.live
    error = behind(what_ended(error), live.root)
    interruption = live.root.interruption
    stopped = isinstance(error, Interruption) or interruption is not None or type(error).__name__ == "CancelledError"
    kind = StateType.CANCELLED if stopped else StateType.CRASHED
    outcome = State(kind, None, aborted_message(interruption or error), error)
    try:
        yield from finish_step(call, state, outcome, started)
    except (Exception, Interruption):
        return
    task = call.task
    hooks = task.on_crashed_hooks if kind is StateType.CRASHED else task.on_cancellation_hooks
    if hooks:
        yield from run_hooks(hooks, task, info_of(call, state), outcome, live.flow.log_prints)


def aborted_message(error: BaseException) -> str:
    """Why something ended without an exception of its own."""
    if isinstance(error, Interruption):
        return error.reason
    if isinstance(error, KeyboardInterrupt):
        return "Execution was aborted by an interrupt signal."
    if isinstance(error, SystemExit):
        return f"Execution was aborted by Python system exit call (code {error.code!r})."
    if type(error).__name__ == "CancelledError":
        return "Execution was cancelled from outside: by an interrupt signal, or through its asyncio task."
    return f"Execution was aborted by {type_name(error)}: {text_of(error)}"


def info_of(call: StepCall, state: TaskState) -> TaskRun:
    """What hooks and the runtime are told about a task run."""
    live = call.live
    return TaskRun(
        id=call.id,
        name=state.step.name,
        task_key=state.step.task,
        dynamic_key=state.step.key,
        run_count=state.attempt,
        tags=list(state.step.tags),
        flow_run_id=live.id,
        start_time=state.started,
    )
