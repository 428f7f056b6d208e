"""`@task`: one step of a flow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from penstock.authoring.functions import Declared
from penstock.authoring.futures import PenstockFuture, PenstockFutureList
from penstock.authoring.mapping import map_calls
from penstock.authoring.naming import NameTemplate
from penstock.authoring.options import (
    Hook,
    checked_expiration,
    checked_hooks,
    checked_name,
    checked_refresh,
    checked_retrying,
)
from penstock.authoring.registry import remember_hook
from penstock.core.extras import LateModule
from penstock.core.ports import current_engine

if TYPE_CHECKING:
    import datetime

    from penstock.authoring import caching as _caching
else:
    _caching = LateModule("penstock.authoring.caching")

P = ParamSpec("P")
R = TypeVar("R")


class Task(Declared[P, R]):
    """A function that is recorded when a flow calls it. Made by `@task`; see there for the options."""

    kind = "task"

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        task_run_name: NameTemplate | None = None,
        retry_jitter_factor: float | None = None,
        retry_condition_fn: Callable[..., bool] | None = None,
        cache_policy: _caching.CachePolicy | None = None,
        cache_key_fn: _caching.KeyFunction | None = None,
        cache_expiration: datetime.timedelta | None = None,
        refresh_cache: bool | None = None,
        on_commit: Iterable[Hook] | None = None,
        on_rollback: Iterable[Hook] | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(fn, **shared)
        self.task_run_name = checked_name("task", "task_run_name", self.name, task_run_name)
        checked_retrying(self.name, retry_jitter_factor, retry_condition_fn)
        self.retry_jitter_factor = retry_jitter_factor
        self.retry_condition_fn = retry_condition_fn
        self.on_commit_hooks = checked_hooks("task", "on_commit", on_commit)
        self.on_rollback_hooks = checked_hooks("task", "on_rollback", on_rollback)
        for hook in (*self.on_commit_hooks, *self.on_rollback_hooks):
            remember_hook(hook)
        self.cache_policy, self.cache_key_fn = cache_policy, cache_key_fn
        self.refresh_cache = checked_refresh(self.name, refresh_cache)
        self.caching = self.source_code = None
        if cache_policy is not None or cache_key_fn is not None or self.persist_result:
            self.caching = _caching.policy_of(self.name, cache_policy, cache_key_fn, self.persist_result)
            if self.caching is not None and _caching.uses_source(self.caching):
                self.source_code = _caching.source_of(self.fn)
        self.cache_expiration = checked_expiration(self.name, cache_expiration, self.caching is not None)

    def on_commit(self, hook: Hook) -> Hook:
        """Decorator: call this function with the transaction when what the task did is committed."""
        self.on_commit_hooks.append(hook)
        remember_hook(hook)
        return hook

    def on_rollback(self, hook: Hook) -> Hook:
        """Decorator: call this function with the transaction when what the task did is to be undone."""
        self.on_rollback_hooks.append(hook)
        remember_hook(hook)
        return hook

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
            functions of task, task run and state); `cache_policy`, `cache_key_fn`, `cache_expiration`,
            `refresh_cache` (see the page on caching); `on_commit`, `on_rollback` (lists of functions of the
            transaction).

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
