"""`@flow`: a function whose task calls are recorded, and which can be resumed from what is recorded."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from penstock.authoring.functions import Declared
from penstock.authoring.naming import NameTemplate
from penstock.authoring.options import Hook, checked_name
from penstock.authoring.registry import forget, remember
from penstock.core.errors import AuthoringError
from penstock.core.extras import LateModule
from penstock.core.ports import TaskRunner, current_engine, current_services

if TYPE_CHECKING:
    from penstock.authoring import parameters as _parameters
else:
    _parameters = LateModule("penstock.authoring.parameters")

P = ParamSpec("P")
R = TypeVar("R")


class Flow(Declared[P, R]):
    """A function that is run durably. Made by `@flow`; see there for the options."""

    kind = "flow"
    is_flow = True
    alone = False

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        flow_run_name: NameTemplate | None = None,
        validate_parameters: bool = True,
        task_runner: TaskRunner | type[TaskRunner] | None = None,
        partitions: Any = None,
        **shared: Any,
    ) -> None:
        super().__init__(fn, **shared)
        self.flow_run_name = checked_name("flow", "flow_run_name", self.name, flow_run_name)
        self.should_validate_parameters = validate_parameters
        if isinstance(task_runner, type):
            task_runner = task_runner()
        if task_runner is not None and not isinstance(task_runner, TaskRunner):
            raise AuthoringError(
                f"task_runner of flow {self.name!r} must be a task runner, and is {task_runner!r}.",
                hint="write task_runner=ThreadPoolTaskRunner(max_workers=10)",
            )
        self.task_runner = task_runner
        if partitions is not None and not hasattr(partitions, "ending_by"):
            raise AuthoringError(
                f"partitions of flow {self.name!r} must be partitions, and is {partitions!r}.",
                hint="from penstock.partitions import daily; write partitions=daily()",
            )
        self.partitions = partitions
        remember(self)

    def _default_name(self) -> str:
        return super()._default_name().replace("_", "-")

    @classmethod
    def unlisted(cls, fn: Callable[..., Any], name: str) -> Flow[..., Any]:
        """For the engine: a flow around a single task that was called outside any flow."""
        made = cls(fn, name=name, validate_parameters=False)
        made.alone = True
        forget(made)
        return made

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

    def to_deployment(self, name: str | None = None, **options: Any) -> Any:
        """A deployment of this flow: when it runs by itself, with which parameters, and which workers run it.

        Args:
            name: unique in the journal; the flow's name when left out.
            options: `cron`, `interval`, `rrule`, `at` (each one or a list), with `timezone`, `start`, `end`, `jitter`,
                `missed`, `horizon`; or `schedules`; `parameters`, `tags`, `description`, `version`, `paused`;
                `work_pool_name`, `work_queue_name`, `priority`, `concurrency_limit`, `collision`; `crash_retries`,
                `crash_delay_seconds`; `promises`. See `penstock.core.deployments.Deployment`.

        Raises:
            DeploymentError, BadSchedule, ParameterError: with every mistake.
        """
        return current_services().to_deployment(self, name, options)

    def serve(self, name: str | None = None, *, limit: int | None = None, **options: Any) -> None:
        """Deploy this flow, and execute its runs from here until the process is stopped.

        Args:
            name: of the deployment; the flow's name when left out.
            limit: so many runs at once.
            options: see `to_deployment`.
        """
        services = current_services()
        services.serve(services.to_deployment(self, name, options), limit=limit)

    def deploy(self, name: str | None = None, **options: Any) -> str:
        """Deploy this flow for workers (`penstock worker start`); returns the deployment's name.

        Args:
            name: of the deployment; the flow's name when left out.
            options: see `to_deployment`.
        """
        services = current_services()
        return services.deploy(services.to_deployment(self, name, options))[0]

    def on_crashed(self, hook: Hook) -> Hook:
        """Decorator: call this function when the flow crashed."""
        self.on_crashed_hooks.append(hook)
        return hook

    def on_cancellation(self, hook: Hook) -> Hook:
        """Decorator: call this function when the flow was cancelled."""
        self.on_cancellation_hooks.append(hook)
        return hook


def _importable(module: str, file: str) -> bool:
    """True when this module is found by name from the path as it stands, rather than run or loaded as a file."""
    if module == "__main__":
        return False
    tail = os.path.join(*module.split("."))
    here = os.path.realpath(file)
    for root in sys.path:
        for place in (f"{tail}.py", os.path.join(tail, "__init__.py")):
            if os.path.realpath(os.path.join(root or os.curdir, place)) == here:
                return True
    return False


@overload
def flow(fn: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def flow(fn: None = None, /, **options: Any) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def flow(fn: Any = None, /, **options: Any) -> Any:
    """Make a function a flow: every call is a run, recorded step by step, which can be resumed and forked.

    Args:
        fn: the function, sync or async.
        options: `name`, `description`, `tags`, `version`, `flow_run_name` (template or function); `retries`,
            `retry_delay_seconds`; `timeout_seconds`; `validate_parameters`; `log_prints`; `task_runner`; `partitions`;
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
