"""The engine of a process that executes one step: what is on record is given back, and all else is left to others."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any, NoReturn

from penstock.authoring.futures import PenstockFuture
from penstock.core.context import Scope, current_scope
from penstock.core.errors import PenstockError, Unsupported, UpstreamFailed
from penstock.core.interruptions import Interruption
from penstock.core.retry import delay_before
from penstock.core.states import State, StateType
from penstock.deploy.symbols import futures_within
from penstock.engine.local import LocalEngine


class AwayEngine(LocalEngine):
    """Executes what an engine elsewhere has it execute: nobody is there who could answer."""

    def call_wait(self, ask: Any, awaited: bool | None = None) -> NoReturn:
        """See `Engine.call_wait`.

        Raises:
            Unsupported: always.
        """
        raise Unsupported(
            "A run that is executed by another engine cannot wait for a moment, an answer or an event.",
            hint="deploy the flow for Penstock's own workers",
        )


class StepEnded(Interruption):
    """The step that this process is for has ended; the rest of the flow is for others.

    Attributes:
        state: how it ended.
        delay: seconds until it is to be tried again; None where it is not.
    """

    def __init__(self, state: State, delay: float | None) -> None:
        super().__init__()
        self.state = state
        self.delay = delay


class Elsewise(Interruption):
    """The flow does not do what it did when it was deployed."""


class StepLost(PenstockError):
    """The step's process ended without an outcome."""

    code = "step-lost"
    hint = "its log in the engine says more; have the engine execute it again"


class _Pending(PenstockFuture[Any]):
    """The future of a step that another process executes, now or later."""

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise Elsewise(
            f"The flow asks for {self.key} earlier than it did when it was deployed, or its outcome is gone: "
            "deploy the flow again."
        )

    state = property(_refuse)
    done = wait = result = add_done_callback = _refuse


class StepEngine:
    """Executes one step of a flow.

    Args:
        local: what executes it.
        known: keys of steps whose outcome is on record.
        own: the key of the step; None to execute none, and find out how the flow ends.
        planned: the keys of the plan.
    """

    def __init__(self, local: LocalEngine, known: set[str], own: str | None, planned: set[str]) -> None:
        self._local = local
        self._known = known
        self._own = own
        self._planned = planned
        self._ended: StepEnded | None = None
        self.elsewise: Elsewise | None = None

    def call_task(
        self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: bool
    ) -> Any:
        """See `Engine.call_task`."""
        return self._direct(self._local.call_task, task, args, kwargs, wait_for, return_state)

    def call_flow(
        self, flow: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: bool
    ) -> Any:
        """See `Engine.call_flow`."""
        return self._direct(self._local.call_flow, flow, args, kwargs, wait_for, return_state)

    def submit_task(self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any) -> Any:
        """See `Engine.submit_task`."""
        scope = current_scope.get()
        key = self._key(scope, task.name)
        if scope is None or key is None or key in self._known:
            return self._local.submit_task(task, args, kwargs, wait_for)
        if key == self._own:
            once = _Once(task)
            future = self._local.submit_task(once.task, args, kwargs, wait_for)
            future.wait()  # nothing that it needs is pending: it comes after that
            self._end(future.state, once.delay)
        if self._own is None:
            return self._local.submit_task(_lost(task), args, kwargs, wait_for)
        scope.next_key(task.name)
        return _failed_before(key, (args, kwargs, wait_for)) or _Pending(key, key)

    def call_wait(self, ask: Any, awaited: bool | None = None) -> Any:
        """See `Engine.call_wait`."""
        return self._local.call_wait(ask, awaited)  # which refuses

    def _direct(
        self, call: Any, called: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, state: bool
    ) -> Any:
        key = self._key(current_scope.get(), called.name)
        if key is None or key in self._known:
            return call(called, args, kwargs, wait_for, state)
        if key != self._own:
            if self._own is None or _failed_before(key, (args, kwargs, wait_for)):
                return call(_lost(called), args, kwargs, wait_for, state)
            self.refuse(f"The flow calls {key} earlier than it did when it was deployed: deploy the flow again.")
        once = _Once(called)
        ended = call(once.task, args, kwargs, wait_for, True)
        if called.isasync:
            return self._awaited(ended, once)
        self._end(ended, once.delay)

    async def _awaited(self, state: Any, once: _Once) -> NoReturn:
        self._end(await state, once.delay)

    def _key(self, scope: Scope | None, name: str) -> str | None:
        """Of a call that the plan is about; None for one that is made inside of a step."""
        if self._ended is not None:
            raise self._ended
        if scope is None or scope.key is not None or scope.live.parent is not None:
            return None
        key = f"{name}#{scope.calls.get(name, 0) + 1}"
        if key not in self._planned:
            self.refuse(f"The flow calls {key} now, and did not when it was deployed: deploy the flow again.")
        return key

    def refuse(self, reason: str) -> NoReturn:
        """The flow is another than it was."""
        self.elsewise = Elsewise(reason)
        raise self.elsewise

    def _end(self, state: State, delay: float | None) -> NoReturn:
        self._ended = StepEnded(state, delay)
        raise self._ended


class _Once:
    """A task that is tried once, and that tells whether it would be tried again.

    Attributes:
        task: the task.
        delay: seconds until it is to be tried again; None where it is not.
    """

    def __init__(self, task: Any) -> None:
        self.delay: float | None = None
        self.task = task
        if getattr(task, "is_flow", False):  # it is tried again here
            return
        self._condition = task.retry_condition_fn
        self.task = copy.copy(task)
        self.task.retry_condition_fn = self._asked
        self.task.on_failure_hooks = [self._at_last(hook) for hook in task.on_failure_hooks]

    def _asked(self, task: Any, run: Any, state: State) -> bool:
        if self._condition is None or self._condition(task, run, state):
            self.delay = delay_before(run.run_count, task.retry_delay_seconds, task.retry_jitter_factor)
        return False

    def _at_last(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(hook)
        def called(*args: Any) -> Any:
            return None if self.delay is not None else hook(*args)

        return called


def _failed_before(key: str, arguments: Any) -> PenstockFuture[Any] | None:
    """The future of a step that no process is begun for, as what it needs did not complete; None for other steps."""
    for upstream, surely in futures_within(arguments):
        if surely and type(upstream) is PenstockFuture and not upstream.state.is_completed():
            message = f"Upstream task run {upstream.key!r} did not reach a 'COMPLETED' state."
            future: PenstockFuture[Any] = PenstockFuture(key, key)
            future.settle(State(StateType.FAILED, "NotReady", message, UpstreamFailed(message)).recorded())
            return future
    return None


def _lost(called: Any) -> Any:
    """A task, or a flow, of whose process nothing is known: it fails, unless something before it did."""
    lost = copy.copy(called)
    message = f"{called.name} has no outcome: its process was ended, or could not begin."

    def gone(*_: Any, **__: Any) -> NoReturn:
        raise StepLost(message)

    async def agone(*_: Any, **__: Any) -> NoReturn:
        raise StepLost(message)

    lost.fn = agone if called.isasync else gone
    lost.retries = 0
    for hooks in ("on_running", "on_failure", "on_completion"):
        setattr(lost, f"{hooks}_hooks", [])
    return lost
