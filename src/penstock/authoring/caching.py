"""Cache policies: what the key is made of under which a task's result is kept for other runs."""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self, cast

from penstock.core.contents import digest_of
from penstock.core.errors import BadOption, HashError, NotThereYet
from penstock.core.isolation import IsolationLevel
from penstock.core.origins import module_of

KeyFunction = Callable[[Any, dict[str, Any]], str | None]


@dataclass
class CachePolicy(ABC):
    """Makes keys. Extend it and define `compute_key` for a policy of your own; its keys are used as they are.

    Attributes:
        isolation_level: SERIALIZABLE lets runs that need the same key at once wait for the one that came first.
        key_storage: not there yet; keys are kept in the journal.
        lock_manager: not there yet; locks are kept in the journal.
    """

    key_storage: Any = None
    isolation_level: IsolationLevel | str | None = None
    lock_manager: Any = None

    of_one_task = False
    """Its keys are another task's only by accident, so that the task's identity is added to them."""

    @classmethod
    def from_cache_key_fn(cls, cache_key_fn: KeyFunction) -> CacheKeyFnPolicy:
        """The policy of a function that gives the key, or None for none."""
        return CacheKeyFnPolicy(cache_key_fn=cache_key_fn)

    def configure(
        self, key_storage: Any = None, lock_manager: Any = None, isolation_level: IsolationLevel | str | None = None
    ) -> Self:
        """A copy with another isolation level.

        Raises:
            NotThereYet: keys and locks are to be kept elsewhere than in the journal.
            BadOption: there is no such level.
        """
        for name, given in (("key_storage", key_storage), ("lock_manager", lock_manager)):
            if given is not None:
                raise NotThereYet(
                    f"configure({name}=...) is not there yet: the journal keeps both keys and locks.",
                    hint=f"leave {name} out; every process that uses the journal sees them",
                )
        made = copy.deepcopy(self)
        if isolation_level is not None:
            level_of(isolation_level)
            made.isolation_level = isolation_level
        return made

    @abstractmethod
    def compute_key(
        self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """The key of a call; None where it has none.

        Args:
            task_ctx: knows `task` and `task_run`.
            inputs: arguments by name, defaults included.
            flow_parameters: of the flow around it.
            kwargs: more that is known, some day.
        """

    def __sub__(self, other: str) -> CachePolicy:
        _check_name(other)
        return self

    def __add__(self, other: CachePolicy) -> CachePolicy:
        if isinstance(other, _None):
            return self
        return CompoundCachePolicy(policies=[self, other], **_common(self, other))


@dataclass
class CacheKeyFnPolicy(CachePolicy):
    """Keys from a function of the task run's context and the arguments; tasks may share them."""

    cache_key_fn: KeyFunction | None = None

    def compute_key(
        self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """See `CachePolicy.compute_key`."""
        return self.cache_key_fn(task_ctx, inputs) if self.cache_key_fn is not None else None


@dataclass
class CompoundCachePolicy(CachePolicy):
    """The sum of policies: its key changes when the key of one of them does. Parts without a key do not count."""

    policies: list[CachePolicy] = field(default_factory=list)

    def __post_init__(self) -> None:
        flat: list[CachePolicy] = []
        for policy in self.policies:
            flat += policy.policies if isinstance(policy, CompoundCachePolicy) else [policy]
        excluded = {name for policy in flat if isinstance(policy, Inputs) for name in policy.exclude}
        self.policies = [policy for policy in flat if not isinstance(policy, Inputs)]
        if len(self.policies) < len(flat):
            self.policies.append(Inputs(exclude=sorted(excluded)))

    @property
    def of_one_task(self) -> bool:  # type: ignore[override]
        """See `CachePolicy.of_one_task`."""
        return all(policy.of_one_task for policy in self.policies)

    def compute_key(
        self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """See `CachePolicy.compute_key`."""
        keys = [policy.compute_key(task_ctx, inputs, flow_parameters, **kwargs) for policy in self.policies]
        found = [key for key in keys if key is not None]
        return digest_of(found) if found else None

    def __sub__(self, other: str) -> CachePolicy:
        _check_name(other)
        if not any(isinstance(policy, Inputs) for policy in self.policies):
            return self
        return replace(self, policies=[*self.policies, Inputs(exclude=[other])])


@dataclass
class _None(CachePolicy):
    """No key, and so no caching."""

    def compute_key(
        self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """See `CachePolicy.compute_key`."""
        return None

    def __add__(self, other: CachePolicy) -> CachePolicy:
        return other


@dataclass
class TaskSource(CachePolicy):
    """The text of the task's function, as it was when the task was declared; not of what it calls."""

    of_one_task = True

    def compute_key(
        self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """See `CachePolicy.compute_key`."""
        if not task_ctx:
            return None
        source = getattr(task_ctx.task, "source_code", None)
        return digest_of(source if source is not None else source_of(task_ctx.task.fn))


@dataclass
class FlowParameters(CachePolicy):
    """The parameters of the flow around the task."""

    of_one_task = True

    def compute_key(
        self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """See `CachePolicy.compute_key`."""
        return _digest_of_names(flow_parameters, "flow parameter") if flow_parameters else None


@dataclass
class RunId(CachePolicy):
    """The run around the task: its results are for this run only."""

    of_one_task = True

    def compute_key(
        self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """See `CachePolicy.compute_key`."""
        return str(task_ctx.task_run.flow_run_id) if task_ctx else None


@dataclass
class Inputs(CachePolicy):
    """The content of the arguments, defaults included; `INPUTS - "name"` leaves one out."""

    exclude: list[str] = field(default_factory=list)
    of_one_task = True

    def compute_key(
        self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """See `CachePolicy.compute_key`."""
        if not inputs:
            return None
        counted = {name: value for name, value in inputs.items() if name not in self.exclude}
        return _digest_of_names(counted, "argument")

    def __sub__(self, other: str) -> CachePolicy:
        _check_name(other)
        return replace(self, exclude=[*self.exclude, other])


def _digest_of_names(values: dict[str, Any], what: str) -> str:
    parts = {}
    for name, value in values.items():
        try:
            parts[name] = digest_of(value)
        except HashError as error:
            raise HashError(
                f"The {what} {name!r} cannot be part of a cache key. {error.message}",
                hint=error.hint or f'leave it out (INPUTS - "{name}"), or use cache_policy=NO_CACHE',
            ) from None
    return digest_of(parts)


def _check_name(other: Any) -> None:
    if not isinstance(other, str):
        raise TypeError(f"What is taken away from a cache policy is the name of an argument, and not {other!r}.")


def _common(one: CachePolicy, other: CachePolicy) -> dict[str, Any]:
    """What both are configured to.

    Raises:
        ValueError: they differ.
    """
    made = {}
    for name in ("key_storage", "isolation_level", "lock_manager"):
        here, there = getattr(one, name), getattr(other, name)
        if here is not None and there is not None and here != there:
            raise ValueError(f"Policies of different {name} ({here!r} and {there!r}) cannot be added.")
        made[name] = here if here is not None else there
    return made


INPUTS = Inputs()
NONE = _None()
NO_CACHE = _None()
TASK_SOURCE = TaskSource()
FLOW_PARAMETERS = FlowParameters()
RUN_ID = RunId()
DEFAULT = INPUTS + TASK_SOURCE + RUN_ID


def level_of(level: IsolationLevel | str | None) -> IsolationLevel:
    """An isolation level by its name; READ_COMMITTED for none.

    Raises:
        BadOption: there is no such level.
    """
    try:
        return IsolationLevel.READ_COMMITTED if level is None else IsolationLevel(level)
    except ValueError:
        raise BadOption(f"There is no isolation level {level!r}.", hint="use READ_COMMITTED or SERIALIZABLE") from None


def source_of(fn: Any) -> Any:
    """The text of a function; its code where there is no text (in an interactive session, say)."""
    try:
        return inspect.getsource(inspect.unwrap(fn))
    except (OSError, TypeError):
        return fn


def policy_of(
    name: str, cache_policy: Any, cache_key_fn: KeyFunction | None, persist_result: bool | None
) -> CachePolicy | None:
    """The policy that the options of a task mean; None for no caching.

    A task that has only persist_result=True has Prefect's default policy: once for each run and its arguments.

    Raises:
        BadOption: they are something else.
    """
    if cache_policy is not None and not isinstance(cache_policy, CachePolicy):
        raise BadOption(
            f"cache_policy of task {name!r} is {cache_policy!r}, which is no policy.",
            hint="use one of penstock.cache_policies, such as INPUTS",
        )
    if cache_key_fn is not None:
        if not callable(cache_key_fn) or inspect.iscoroutinefunction(cache_key_fn):
            what = "must not be async" if callable(cache_key_fn) else "must be a function"
            raise BadOption(
                f"cache_key_fn of task {name!r} {what}, and is {cache_key_fn!r}.",
                hint="write a function of the context and the arguments that returns text",
            )
        if cache_policy is not None:
            _warn("Task %r has a cache_policy and a cache_key_fn; the cache_key_fn is used.", name)
        cache_policy = CachePolicy.from_cache_key_fn(cache_key_fn)
    if cache_policy is None:
        return DEFAULT if persist_result else None
    if isinstance(cache_policy, _None):
        return None
    level_of(cache_policy.isolation_level)
    if persist_result is False:
        _warn("Task %r has persist_result=False, so its cache_policy is ignored.", name)
        return None
    return cast("CachePolicy", cache_policy)


def uses_source(policy: CachePolicy) -> bool:
    """Whether the text of the task's function is part of its keys."""
    parts = policy.policies if isinstance(policy, CompoundCachePolicy) else [policy]
    return any(isinstance(part, TaskSource) for part in parts)


def identity_of(task: Any) -> list[str]:
    """What tells a task from others, wherever it was imported from: the name of its file, its function and itself."""
    return [module_of(task.fn).rpartition(".")[2], getattr(task.fn, "__qualname__", ""), task.name]


def task_input_hash(context: Any, arguments: dict[str, Any]) -> str | None:
    """A cache_key_fn: the task, its function's code, and its arguments; None where they have no content."""
    try:
        return digest_of([identity_of(context.task), context.task.fn, arguments])
    except HashError:
        return None


def _warn(message: str, name: str) -> None:
    import logging

    logging.getLogger("penstock").warning(message, name)
