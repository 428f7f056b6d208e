"""`@flow`: a function whose task calls are recorded, and which can be resumed from what is recorded."""

from __future__ import annotations

import copy
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

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
from penstock.authoring.registry import forget, remember
from penstock.core.errors import AuthoringError
from penstock.core.extras import LateModule
from penstock.core.ports import TaskRunner, current_engine
from penstock.core.retry import RetryDelay

if TYPE_CHECKING:
    from penstock.authoring import parameters as _parameters
else:
    _parameters = LateModule("penstock.authoring.parameters")

P = ParamSpec("P")
R = TypeVar("R")


class Flow(Generic[P, R]):
    """A function that is run durably. Made by `@flow`; see there for the options."""

    is_flow = True
    alone = False

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        tags: Iterable[str] | None = None,
        version: str | None = None,
        flow_run_name: NameTemplate | None = None,
        retries: int | None = None,
        retry_delay_seconds: RetryDelay = 0,
        timeout_seconds: float | None = None,
        validate_parameters: bool = True,
        log_prints: bool | None = None,
        task_runner: TaskRunner | type[TaskRunner] | None = None,
        on_completion: Iterable[Hook] | None = None,
        on_failure: Iterable[Hook] | None = None,
        on_crashed: Iterable[Hook] | None = None,
        on_cancellation: Iterable[Hook] | None = None,
        on_running: Iterable[Hook] | None = None,
        persist_result: bool | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown("flow", unknown)
        self._of_class, self._static = isinstance(fn, classmethod), isinstance(fn, staticmethod)
        self.fn, self.isasync = checked_function("flow", fn)
        functools.update_wrapper(self, self.fn)
        self.name = storable(name or display_name(self.fn).replace("_", "-"))
        self.description = description or inspect.getdoc(self.fn)
        self.tags = checked_tags("flow", self.name, tags)
        self.version = version
        self.flow_run_name = checked_name("flow", "flow_run_name", self.name, flow_run_name)
        self.retries, self.timeout_seconds = checked_retries("flow", self.name, retries, timeout_seconds)
        self.retry_delay_seconds = checked_delays(self.name, self.retries, retry_delay_seconds, None, None)
        self.should_validate_parameters = validate_parameters
        self.log_prints = log_prints
        if isinstance(task_runner, type):
            task_runner = task_runner()
        if task_runner is not None and not isinstance(task_runner, TaskRunner):
            raise AuthoringError(
                f"task_runner of flow {self.name!r} must be a task runner, and is {task_runner!r}.",
                hint="write task_runner=ThreadPoolTaskRunner(max_workers=10)",
            )
        self.task_runner = task_runner
        self.on_completion_hooks = checked_hooks("flow", "on_completion", on_completion)
        self.on_failure_hooks = checked_hooks("flow", "on_failure", on_failure)
        self.on_crashed_hooks = checked_hooks("flow", "on_crashed", on_crashed)
        self.on_cancellation_hooks = checked_hooks("flow", "on_cancellation", on_cancellation)
        self.on_running_hooks = checked_hooks("flow", "on_running", on_running)
        self.persist_result = persist_result
        self.sorted_tags = tuple(sorted(self.tags))
        code = getattr(self.fn, "__code__", None)
        self.positional: tuple[str, ...] = code.co_varnames[: code.co_argcount] if code else ()
        self._bound: tuple[Any, ...] = ()
        self._signature: inspect.Signature | None = None
        remember(self)

    @classmethod
    def unlisted(cls, fn: Callable[..., Any], name: str) -> Flow[..., Any]:
        """For the engine: a flow around a single task that was called outside any flow."""
        made = cls(fn, name=name, validate_parameters=False)
        made.alone = True
        forget(made)
        return made

    @property
    def signature(self) -> inspect.Signature:
        """The function's signature."""
        if self._signature is None:
            self._signature = inspect.signature(self.fn)
        return self._signature

    @property
    def entrypoint(self) -> str | None:
        """Where a new process finds this flow: `FILE:NAME` or `MODULE:NAME`; None for one defined inside a function."""
        qualname = getattr(self.fn, "__qualname__", "<lambda>")
        if "<" in qualname or self._bound:
            return None
        module = getattr(self.fn, "__module__", None) or "__main__"
        spec = getattr(sys.modules.get(module), "__spec__", None)
        file = getattr(getattr(self.fn, "__code__", None), "co_filename", None)
        alone = "." not in module  # another process may not have its folder on the path
        if file and os.path.isfile(file) and (spec is None or alone or not _importable(module, file)):
            return f"{os.path.abspath(file)}:{qualname}"
        return f"{module}:{qualname}" if spec is not None else None

    def parameters(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Arguments by name, defaults included.

        Raises:
            ParameterError: arguments are missing or unexpected.
        """
        return _parameters.bind(f"flow {self.name!r}", self.signature, args, kwargs)

    def validated(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Parameters checked and converted by annotation (not with `validate_parameters=False`).

        Raises:
            ParameterError: it lists every mistake.
        """
        if not self.should_validate_parameters:
            return parameters
        return _parameters.validate(f"flow {self.name!r}", self.fn, parameters)

    def arguments(self, parameters: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Parameters by name as positional and keyword arguments."""
        return _parameters.call_arguments(self.signature, parameters)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """A flow that is a method: bound to its object."""
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
        """Run the flow in this process, and give its value (a coroutine for an async flow).

        Args:
            args: arguments of the function.
            return_state: give the final State instead of the value, and raise nothing.
            wait_for: futures that must complete first (for a subflow).
            kwargs: arguments of the function.

        Raises:
            ParameterError: arguments that do not fit the annotations.
        """
        if self._bound:
            args = self._bound + args
        return current_engine().call_flow(self, args, kwargs, wait_for, return_state)

    def with_options(self, **options: Any) -> Flow[P, R]:
        """A copy with other options."""
        current: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "tags": self.tags,
            "version": self.version,
            "flow_run_name": self.flow_run_name,
            "retries": self.retries,
            "retry_delay_seconds": self.retry_delay_seconds,
            "timeout_seconds": self.timeout_seconds,
            "validate_parameters": self.should_validate_parameters,
            "log_prints": self.log_prints,
            "task_runner": self.task_runner,
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
        """Decorator: call this function when the flow completed."""
        self.on_completion_hooks.append(hook)
        return hook

    def on_failure(self, hook: Hook) -> Hook:
        """Decorator: call this function when the flow failed for good."""
        self.on_failure_hooks.append(hook)
        return hook

    def on_crashed(self, hook: Hook) -> Hook:
        """Decorator: call this function when the flow crashed."""
        self.on_crashed_hooks.append(hook)
        return hook

    def on_cancellation(self, hook: Hook) -> Hook:
        """Decorator: call this function when the flow was cancelled."""
        self.on_cancellation_hooks.append(hook)
        return hook

    def on_running(self, hook: Hook) -> Hook:
        """Decorator: call this function when an attempt begins."""
        self.on_running_hooks.append(hook)
        return hook

    def __getattr__(self, name: str) -> Any:
        raise not_there(type(self).__name__, name)

    def __repr__(self) -> str:
        return f"<flow {self.name!r}>"


def _importable(module: str, file: str) -> bool:
    """True when this module is found by name from the path as it stands, rather than run or loaded as a file."""
    if module == "__main__":
        return False
    tail = os.path.join(*module.split("."))
    here = os.path.realpath(file)
    return any(
        os.path.realpath(os.path.join(root or os.curdir, place)) == here
        for root in sys.path
        for place in (f"{tail}.py", os.path.join(tail, "__init__.py"))
    )


@overload
def flow(fn: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def flow(fn: None = None, /, **options: Any) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def flow(fn: Any = None, /, **options: Any) -> Any:
    """Make a function a flow: every call is a run, recorded step by step, which can be resumed and forked.

    Args:
        fn: the function, sync or async.
        options: `name`, `description`, `tags`, `version`, `flow_run_name` (template or function); `retries`,
            `retry_delay_seconds`; `timeout_seconds`; `validate_parameters`; `log_prints`; `task_runner`;
            `on_running`, `on_completion`, `on_failure`, `on_crashed`, `on_cancellation` (lists of functions of
            flow, flow run and state).

    Raises:
        UnsupportedFunction: a class or a generator.
        AuthoringError: an option that cannot be.

    Example:
        @flow
        def nightly(day: date):
            load(clean(fetch(day)))
    """
    if fn is None:
        return lambda decorated: Flow(decorated, **options)
    return Flow(fn, **options)
