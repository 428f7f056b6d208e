"""What `@flow` and `@task` have in common: checking options and functions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from penstock.core.errors import BadOption, NotThereYet, ReservedArgumentError, UnsupportedFunction
from penstock.core.retry import RetryDelay

Hook = Callable[..., Any]

NOT_YET = {
    "result_storage": "result storage per task",
    "result_storage_key": "result storage per task",
    "result_serializer": "serializers per task",
    "viz_return_value": "drawing a flow without running it",
    "asset_deps": "assets",
}


_METHODS_NOT_YET = {
    "serve": "call it from a flow, with .submit()",
    "from_source": "load it with penstock.flows.load_flow",
    "visualize": "`penstock runs show ID` draws a run's steps",
    "delay": "call it from a flow, with .submit()",
    "apply_async": "call it from a flow, with .submit()",
}


def not_there(kind: str, name: str) -> AttributeError:
    """The error for an attribute a flow or a task does not have; it says so where Prefect has it."""
    if name in _METHODS_NOT_YET:
        return NotThereYet(f"{kind}.{name} is not there yet.", hint=_METHODS_NOT_YET[name])
    return AttributeError(f"{kind!r} object has no attribute {name!r}")


def refuse_unknown(kind: str, options: dict[str, Any]) -> None:
    """Say what an option that is not taken would need.

    Raises:
        NotThereYet: the option is one of Prefect's that Penstock does not have yet.
        TypeError: it is not an option at all.
    """
    for name, value in options.items():
        if name in NOT_YET:
            if value is None or value is False:
                continue
            raise NotThereYet(
                f"@{kind}({name}=...) is not there yet: Penstock has no {NOT_YET[name]}.",
                hint=f"leave {name} out; results of steps are always recorded and reused when a run is resumed",
            )
        raise TypeError(f"@{kind}() got an unexpected option {name!r}")


def checked_function(kind: str, fn: Any) -> tuple[Callable[..., Any], bool]:
    """Refuse what cannot be run as one step; tell whether it is async.

    Raises:
        UnsupportedFunction: not callable, a class, or a generator.
    """
    if isinstance(fn, (staticmethod, classmethod)):
        fn = fn.__func__
    if not callable(fn):
        raise UnsupportedFunction(
            f"@{kind} needs a function, and got {type(fn).__name__}.",
            hint=f"write @{kind} or @{kind}(option=value) above a def",
        )
    if isinstance(fn, type):
        raise UnsupportedFunction(f"@{kind} needs a function, and {fn.__name__} is a class.")
    target = inspect.unwrap(fn)
    while isinstance(target, functools.partial):
        target = target.func
    target = target if inspect.isroutine(target) else getattr(target, "__call__", target)  # noqa: B004
    if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
        raise UnsupportedFunction(
            f"{getattr(fn, '__name__', fn)!r} is a generator, and a generator cannot be a {kind}: "
            "its items could not be recorded and replayed.",
            hint="return a list, or call one task for each item with .map()",
        )
    code = getattr(target, "__code__", None)
    taken = {"return_state", "wait_for"} & set(
        code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code else ()
    )
    if taken:
        raise ReservedArgumentError(
            f"{getattr(fn, '__name__', fn)!r} has a parameter named {taken.pop()!r}, which is an option of every call.",
            hint="give the parameter another name",
        )
    return fn, inspect.iscoroutinefunction(target)


def checked_hooks(kind: str, name: str, hooks: Iterable[Hook] | None) -> list[Hook]:
    """Hooks as a list.

    Raises:
        BadOption: something in it is not callable.
    """
    if hooks is None:
        return []
    if callable(hooks):
        raise BadOption(f"{name} of a {kind} takes a list of functions.", hint=f"write {name}=[my_hook]")
    found = list(hooks)
    for hook in found:
        if not callable(hook):
            raise BadOption(f"{name} of a {kind} takes functions, and got {hook!r}.")
    return found


def checked_retries(kind: str, name: str, retries: int | None, timeout: float | None) -> tuple[int, float | None]:
    """Numbers in their range.

    Raises:
        BadOption: a number of the wrong type or sign.
    """
    retries = 0 if retries is None else retries
    if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
        raise BadOption(f"retries of {kind} {name!r} must be a whole number from 0, and is {retries!r}.")
    if timeout is not None and (not isinstance(timeout, (int, float)) or timeout < 0):
        raise BadOption(f"timeout_seconds of {kind} {name!r} must be a number of seconds, and is {timeout!r}.")
    return retries, float(timeout) if timeout is not None else None


def checked_tags(kind: str, name: str, tags: Iterable[str] | None) -> frozenset[str]:
    """Tags as a set.

    Raises:
        BadOption: a bare string, or something that is not text.
    """
    if tags is None:
        return frozenset()
    found = [tags] if isinstance(tags, str) else list(tags)
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in found):
        raise BadOption(
            f"tags of {kind} {name!r} must be a list of texts, and is {tags!r}.", hint='write tags=["name"]'
        )
    return frozenset(found)


def checked_delays(kind: str, name: str, retries: int, delays: RetryDelay) -> float | Sequence[float]:
    """How long to wait before each retry: a number, or a list (a function is called with the number of retries).

    Raises:
        BadOption: delays that are no numbers from 0.
    """
    found = delays(retries) if callable(delays) else delays
    numbers = [found] if isinstance(found, (int, float)) else list(found)
    for number in numbers:
        if not isinstance(number, (int, float)) or isinstance(number, bool) or number < 0:
            raise BadOption(f"retry_delay_seconds of {kind} {name!r} must be seconds from 0, and has {number!r}.")
    return found if isinstance(found, (int, float)) else numbers


def checked_retrying(name: str, jitter: float | None, condition: Any) -> None:
    """How the delays of a task are spread, and whether it is retried at all.

    Raises:
        BadOption: a jitter below 0, a condition that cannot be called.
    """
    if jitter is not None and jitter < 0:
        raise BadOption(f"retry_jitter_factor of task {name!r} must be from 0, and is {jitter!r}.")
    if condition is not None and not callable(condition):
        raise BadOption(f"retry_condition_fn of task {name!r} must be a function, and is {condition!r}.")


def checked_refresh(name: str, refresh: bool | None) -> bool | None:
    """Whether the results of other runs are not looked for.

    Raises:
        BadOption: neither True, False nor None.
    """
    if refresh is not None and not isinstance(refresh, bool):
        raise BadOption(
            f"refresh_cache of task {name!r} must be True or False, and is {refresh!r}.",
            hint="leave it out to follow the setting refresh_cache",
        )
    return refresh


def checked_expiration(name: str, expiration: Any, cached: bool) -> Any:
    """How long results of a task may be used again.

    Raises:
        BadOption: not a timedelta, or none above 0.
    """
    seconds = getattr(expiration, "total_seconds", lambda: 1)()
    if expiration is not None and (not hasattr(expiration, "total_seconds") or seconds <= 0):
        raise BadOption(
            f"cache_expiration of task {name!r} must be a timedelta above 0, and is {expiration!r}.",
            hint="write cache_expiration=timedelta(hours=1)",
        )
    if expiration is not None and not cached:
        import logging

        logging.getLogger("penstock").warning("Task %r has a cache_expiration, but nothing is cached.", name)
    return expiration


def checked_name(kind: str, option: str, name: str, template: Any) -> Any:
    """A name template: text, a function, or none.

    Raises:
        BadOption: anything else.
    """
    if template is not None and not isinstance(template, str) and not callable(template):
        raise BadOption(f"{option} of {kind} {name!r} must be text or a function, and is {template!r}.")
    return template
