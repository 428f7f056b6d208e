"""Futures and states among the arguments of a task: found, waited for, and replaced by their values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from penstock.authoring.futures import PenstockFuture, PenstockFutureList
from penstock.core.annotations import allow_failure, opaque, quote, unmapped
from penstock.core.errors import UpstreamFailed
from penstock.core.states import State

_PLAIN = frozenset({int, str, float, bool, bytes, type(None)})
_LISTS = frozenset({list, tuple, set, frozenset, PenstockFutureList})
_MAX_DEPTH = 8


def needs_a_look(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """False when no argument can hold a future (the common case, told in a microsecond)."""
    for value in args:
        if type(value) not in _PLAIN:
            return True
    return bool(kwargs) and any(type(value) not in _PLAIN for value in kwargs.values())


def futures_in(value: Any, depth: int = _MAX_DEPTH) -> Iterator[PenstockFuture[Any]]:
    """Every future inside a value: in lists, tuples, sets, mappings and dataclasses."""
    kind = type(value)
    if kind in _PLAIN or kind is State or kind is quote or not depth:
        return
    if kind is PenstockFuture:
        yield value
    elif kind is allow_failure or kind is unmapped:
        yield from futures_in(value.value, depth)
    elif kind is opaque:
        yield from futures_in(value.value, 1)
    elif kind in _LISTS:
        if not set(map(type, value)) <= _PLAIN:
            for item in value:
                yield from futures_in(item, depth - 1)
    elif kind is dict:
        for item in value.values():
            yield from futures_in(item, depth - 1)
    elif hasattr(kind, "__dataclass_fields__"):
        for name in kind.__dataclass_fields__:
            yield from futures_in(getattr(value, name, None), depth - 1)


def resolved(value: Any, *, forgiving: bool = False, depth: int = _MAX_DEPTH) -> Any:
    """The value with every future and state replaced by its result. Everything in it must have ended.

    Args:
        value: what to look into; it is copied only where something is replaced.
        forgiving: give the exception of a failed one instead of raising.
        depth: how deep to look.

    Raises:
        UpstreamFailed: something in it did not complete.
    """
    kind = type(value)
    if kind in _PLAIN or not depth:
        return value
    if kind is PenstockFuture:
        return _value(value.state, value.key, forgiving)
    if kind is State:
        return _value(value, "an upstream task", forgiving)
    if kind is allow_failure:
        return resolved(value.value, forgiving=True, depth=depth)
    if kind is unmapped:
        return resolved(value.value, forgiving=forgiving, depth=depth)
    if kind is quote:
        return value.value
    if kind is opaque:
        inner = value.value
        return resolved(inner, forgiving=forgiving) if type(inner) in (PenstockFuture, State) else inner
    if kind in _LISTS:
        if set(map(type, value)) <= _PLAIN:
            return value
        items = [resolved(item, forgiving=forgiving, depth=depth - 1) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return (
            value if same and kind is not PenstockFutureList else (list if kind is PenstockFutureList else kind)(items)
        )
    if kind is dict:
        pairs = {key: resolved(item, forgiving=forgiving, depth=depth - 1) for key, item in value.items()}
        return value if all(pairs[key] is item for key, item in value.items()) else pairs
    if hasattr(kind, "__dataclass_fields__") and any(True for _ in futures_in(value, depth)):
        return _resolved_dataclass(value, forgiving, depth)
    return value


def _resolved_dataclass(value: Any, forgiving: bool, depth: int) -> Any:
    import dataclasses

    names = [field.name for field in dataclasses.fields(value) if field.init]
    changed = {name: resolved(getattr(value, name), forgiving=forgiving, depth=depth - 1) for name in names}
    return dataclasses.replace(value, **changed)


def _value(state: State, key: str, forgiving: bool) -> Any:
    if state.is_completed():
        return state.result(raise_on_failure=False)
    if forgiving:
        return state.result(raise_on_failure=False)
    raise UpstreamFailed(f"Upstream task run {key!r} did not reach a 'COMPLETED' state.")


def as_states(value: Any, depth: int = _MAX_DEPTH) -> Any:
    """What a flow returned, with every future replaced by its final state."""
    kind = type(value)
    if kind in _PLAIN or not depth:
        return value
    if kind is PenstockFuture:
        return value.state
    if kind in _LISTS:
        if set(map(type, value)) <= _PLAIN:
            return value
        items = [as_states(item, depth - 1) for item in value]
        return items if kind is PenstockFutureList else kind(items)
    if kind is dict:
        return {key: as_states(item, depth - 1) for key, item in value.items()}
    return value
