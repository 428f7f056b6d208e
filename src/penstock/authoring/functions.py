"""What a flow and a task have in common: a function with options, which binds to objects like any other function."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, ParamSpec, Self, TypeVar, cast

from penstock.authoring.naming import display_name, storable
from penstock.authoring.options import (
    Hook,
    checked_delays,
    checked_function,
    checked_hooks,
    checked_retries,
    checked_tags,
    not_there,
    refuse_unknown,
)
from penstock.core.extras import LateModule
from penstock.core.retry import RetryDelay

if TYPE_CHECKING:
    from penstock.authoring import parameters as _parameters
else:
    _parameters = LateModule("penstock.authoring.parameters")

P = ParamSpec("P")
R = TypeVar("R")

_KEPT_AS = {"validate_parameters": "should_validate_parameters"}


class Declared(Generic[P, R]):
    """A function declared as a flow or a task.

    An option is a keyword of `__init__`, kept as an attribute of the same name (a list of hooks as `<option>_hooks`).
    That is all `with_options` needs to know of it.
    """

    kind: ClassVar[str]

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
        timeout_seconds: float | None = None,
        log_prints: bool | None = None,
        on_completion: Iterable[Hook] | None = None,
        on_failure: Iterable[Hook] | None = None,
        on_crashed: Iterable[Hook] | None = None,
        on_cancellation: Iterable[Hook] | None = None,
        on_running: Iterable[Hook] | None = None,
        persist_result: bool | None = None,
        cache_result_in_memory: bool = True,
        **unknown: Any,
    ) -> None:
        kind = self.kind
        refuse_unknown(kind, unknown)
        self._of_class, self._static = isinstance(fn, classmethod), isinstance(fn, staticmethod)
        self.fn, self.isasync = checked_function(kind, fn)
        functools.update_wrapper(cast("Any", self), self.fn)
        self.name = storable(name or self._default_name())
        self.description = description or inspect.getdoc(self.fn)
        self.tags = checked_tags(kind, self.name, tags)
        self.sorted_tags = tuple(sorted(self.tags))
        self.version = version
        self.retries, self.timeout_seconds = checked_retries(kind, self.name, retries, timeout_seconds)
        self.retry_delay_seconds = checked_delays(kind, self.name, self.retries, retry_delay_seconds)
        self.log_prints = log_prints
        self.on_completion_hooks = checked_hooks(kind, "on_completion", on_completion)
        self.on_failure_hooks = checked_hooks(kind, "on_failure", on_failure)
        self.on_crashed_hooks = checked_hooks(kind, "on_crashed", on_crashed)
        self.on_cancellation_hooks = checked_hooks(kind, "on_cancellation", on_cancellation)
        self.on_running_hooks = checked_hooks(kind, "on_running", on_running)
        self.persist_result = persist_result
        self.cache_result_in_memory = cache_result_in_memory
        code = getattr(self.fn, "__code__", None)
        self.positional: tuple[str, ...] = code.co_varnames[: code.co_argcount] if code else ()
        self._bound: tuple[Any, ...] = ()
        self._signature: inspect.Signature | None = None

    def _default_name(self) -> str:
        return display_name(self.fn)

    @property
    def signature(self) -> inspect.Signature:
        """The function's signature."""
        if self._signature is None:
            self._signature = inspect.signature(self.fn)
        return self._signature

    def parameters(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Arguments by name, defaults included.

        Raises:
            ParameterError: arguments are missing or unexpected.
        """
        return _parameters.bind(f"{self.kind} {self.name!r}", self.signature, args, kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As a method: bound to its object."""
        owned_by = owner if self._of_class else instance
        if owned_by is None or self._static:
            return self
        bound = copy.copy(self)
        bound._bound = (owned_by,)
        return bound

    def with_options(self, **options: Any) -> Self:
        """A copy with other options."""
        current = {option: getattr(self, _attribute(option)) for option in _options_of(type(self))}
        copied = type(self)(self.fn, **{**current, **options})
        copied._bound, copied._of_class, copied._static = self._bound, self._of_class, self._static
        return copied

    def on_completion(self, hook: Hook) -> Hook:
        """Decorator: call this function on completion."""
        self.on_completion_hooks.append(hook)
        return hook

    def on_failure(self, hook: Hook) -> Hook:
        """Decorator: call this function on failure, when no attempt is left."""
        self.on_failure_hooks.append(hook)
        return hook

    def on_running(self, hook: Hook) -> Hook:
        """Decorator: call this function when an attempt begins."""
        self.on_running_hooks.append(hook)
        return hook

    def __getattr__(self, name: str) -> Any:
        raise not_there(type(self).__name__, name)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name!r}>"


def _options_of(kind: type) -> list[str]:
    inits = [vars(base).get("__init__") for base in kind.__mro__]
    return [option for init in inits for option in getattr(init, "__kwdefaults__", None) or ()]


def _attribute(option: str) -> str:
    return f"{option}_hooks" if option.startswith("on_") else _KEPT_AS.get(option, option)
