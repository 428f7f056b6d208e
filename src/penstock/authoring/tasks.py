"""`@task`: one step of a flow."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from penstock.authoring.futures import PenstockFuture, PenstockFutureList
from penstock.authoring.mapping import map_calls
from penstock.authoring.naming import NameTemplate, display_name, storable
from penstock.authoring.options import (
    Hook,
    checked_delays,
    checked_function,
    checked_hooks,
    checked_name,
    checked_retries,
    checked_tags,
    not_there,
    refuse_unknown,
)
from penstock.core.extras import LateModule
from penstock.core.ports import current_engine
from penstock.core.retry import RetryDelay

if TYPE_CHECKING:
    from penstock.authoring import parameters as _parameters
else:
    _parameters = LateModule("penstock.authoring.parameters")

P = ParamSpec("P")
R = TypeVar("R")


class Task(Generic[P, R]):
    """A function that is recorded when a flow calls it. Made by `@task`; see there for the options."""

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        tags: Iterable[str] | None = None,
        version: str | None = None,
        retries: int | None = None,
        retry_delay_seconds: RetryDelay = 0,
        retry_jitter_factor: float | None = None,
        retry_condition_fn: Callable[..., bool] | None = None,
        timeout_seconds: float | None = None,
        log_prints: bool | None = None,
        task_run_name: NameTemplate | None = None,
        on_completion: Iterable[Hook] | None = None,
        on_failure: Iterable[Hook] | None = None,
        on_crashed: Iterable[Hook] | None = None,
        on_cancellation: Iterable[Hook] | None = None,
        on_running: Iterable[Hook] | None = None,
        persist_result: bool | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown("task", unknown)
        self._of_class, self._static = isinstance(fn, classmethod), isinstance(fn, staticmethod)
        self.fn, self.isasync = checked_function("task", fn)
        functools.update_wrapper(self, self.fn)
        self.name = storable(name or display_name(self.fn))
        self.description = description or inspect.getdoc(self.fn)
        self.tags = checked_tags("task", self.name, tags)
        self.version = version
        self.retries, self.timeout_seconds = checked_retries("task", self.name, retries, timeout_seconds)
        self.retry_delay_seconds = checked_delays(
            self.name, self.retries, retry_delay_seconds, retry_jitter_factor, retry_condition_fn
        )
        self.retry_jitter_factor = retry_jitter_factor
        self.retry_condition_fn = retry_condition_fn
        self.log_prints = log_prints
        self.task_run_name = checked_name("task", "task_run_name", self.name, task_run_name)
        self.on_completion_hooks = checked_hooks("task", "on_completion", on_completion)
        self.on_failure_hooks = checked_hooks("task", "on_failure", on_failure)
        self.on_crashed_hooks = checked_hooks("task", "on_crashed", on_crashed)
        self.on_cancellation_hooks = checked_hooks("task", "on_cancellation", on_cancellation)
        self.on_running_hooks = checked_hooks("task", "on_running", on_running)
        self.persist_result = persist_result
        self.sorted_tags = tuple(sorted(self.tags))
        self._signature: inspect.Signature | None = None
        self._bound: tuple[Any, ...] = ()
        code = getattr(self.fn, "__code__", None)
        self.positional: tuple[str, ...] = code.co_varnames[: code.co_argcount] if code else ()

    @property
    def signature(self) -> inspect.Signature:
        """The function's signature."""
        if self._signature is None:
            self._signature = inspect.signature(self.fn)
        return self._signature

    def parameters(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Arguments by name, defaults included."""
        return _parameters.bind(f"task {self.name!r}", self.signature, args, kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """A task that is a method: bound to its object."""
        owned_by = owner if self._of_class else instance
        if owned_by is None or self._static:
            return self
        bound = copy.copy(self)
        bound._bound = (owned_by,)
        return bound

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, *args: Any, return_state: bool, wait_for: Any = None, **kwargs: Any) -> Any: ...
    def __call__(  # type: ignore[misc]
        self, *args: Any, return_state: bool = False, wait_for: Any = None, **kwargs: Any
    ) -> Any:
        """Run here and now, and give the value (a coroutine for an async task).

        Args:
            args: arguments of the function; futures among them are waited for and replaced by their results.
            return_state: give the final State instead of the value, and raise nothing.
            wait_for: futures (or States) that must complete first.
            kwargs: arguments of the function.
        """
        if self._bound:
            args = self._bound + args
        return current_engine().call_task(self, args, kwargs, wait_for, return_state)

    def submit(self, *args: Any, return_state: bool = False, wait_for: Any = None, **kwargs: Any) -> Any:
        """Run beside the flow on its task runner, and give a future at once."""
        if self._bound:
            args = self._bound + args
        future: PenstockFuture[R] = current_engine().submit_task(self, args, kwargs, wait_for)
        if return_state:
            future.wait()
            return future.state
        return future

    def map(self, *args: Any, return_state: bool = False, wait_for: Any = None, **kwargs: Any) -> Any:
        """Submit one call for each item of the iterable arguments, side by side; the others go to every call whole.

        Raises:
            MappingError: nothing to map over, or lengths that differ.
        """
        calls = map_calls(self, self._bound + args, kwargs)
        engine = current_engine()
        futures = PenstockFutureList(engine.submit_task(self, a, k, wait_for) for a, k in calls)
        if return_state:
            futures.wait()
            return [future.state for future in futures]
        return futures

    def with_options(self, **options: Any) -> Task[P, R]:
        """A copy with other options."""
        current: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "tags": self.tags,
            "version": self.version,
            "retries": self.retries,
            "retry_delay_seconds": self.retry_delay_seconds,
            "retry_jitter_factor": self.retry_jitter_factor,
            "retry_condition_fn": self.retry_condition_fn,
            "timeout_seconds": self.timeout_seconds,
            "log_prints": self.log_prints,
            "task_run_name": self.task_run_name,
            "on_completion": self.on_completion_hooks,
            "on_failure": self.on_failure_hooks,
            "on_crashed": self.on_crashed_hooks,
            "on_cancellation": self.on_cancellation_hooks,
            "on_running": self.on_running_hooks,
            "persist_result": self.persist_result,
        }
        copied = type(self)(self.fn, **{**current, **options})
        copied._bound = self._bound
        return copied

    def on_completion(self, hook: Hook) -> Hook:
        """Decorator: call this function when the task completed."""
        self.on_completion_hooks.append(hook)
        return hook

    def on_failure(self, hook: Hook) -> Hook:
        """Decorator: call this function when the task failed for good."""
        self.on_failure_hooks.append(hook)
        return hook

    def on_running(self, hook: Hook) -> Hook:
        """Decorator: call this function when an attempt begins."""
        self.on_running_hooks.append(hook)
        return hook

    def __getattr__(self, name: str) -> Any:
        raise not_there(type(self).__name__, name)

    def __repr__(self) -> str:
        return f"<task {self.name!r}>"


@overload
def task(fn: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(fn: None = None, /, **options: Any) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(fn: Any = None, /, **options: Any) -> Any:
    """Make a function a task: its calls inside a flow are recorded, retried, timed out, and never repeated.

    Args:
        fn: the function, sync or async.
        options: `name`, `description`, `tags`, `version`; `retries`, `retry_delay_seconds` (number, list, or
            function such as `exponential_backoff(2)`), `retry_jitter_factor`,
            `retry_condition_fn(task, task_run, state)`; `timeout_seconds`; `log_prints`; `task_run_name` (template or
            function); `on_running`, `on_completion`, `on_failure`, `on_crashed`, `on_cancellation` (lists of
            functions of task, task run and state).

    Raises:
        UnsupportedFunction: a class or a generator.
        AuthoringError: an option that cannot be.

    Example:
        @task(retries=3, retry_delay_seconds=5)
        def fetch(url: str) -> list[dict]: ...
    """
    if fn is None:
        return lambda decorated: Task(decorated, **options)
    return Task(fn, **options)
