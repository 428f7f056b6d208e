"""Futures and states among the arguments of a task: found, waited for, and replaced by their values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from penstock.authoring.futures import PenstockFuture, PenstockFutureList
from penstock.core.annotations import allow_failure, opaque, quote, unmapped
from penstock.core.errors import UpstreamFailed
from penstock.core.states import Elsewhere, State

_PLAIN = frozenset({int, str, float, bool, bytes, type(None)})
_LISTS = frozenset({list, tuple, set, frozenset, PenstockFutureList})
_MAX_DEPTH = 8


def needs_a_look(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """False when no argument can hold a future (the common case, told in a microsecond)."""
    for value in args:
        if type(value) not in _PLAIN:
            return True
    return bool(kwargs) and any(type(value) not in _PLAIN for value in kwargs.values())


def futures_in(value: Any, depth: int = _MAX_DEPTH, seen: set[int] | None = None) -> Iterator[PenstockFuture[Any]]:
    """Every future inside a value: in lists, tuples, sets, mappings and dataclasses. Nothing is looked into twice."""
    kind = type(value)
    if kind in _PLAIN or kind is State or kind is quote or not depth:
        return
    if kind is PenstockFuture:
        yield value
        return
    if kind is allow_failure or kind is unmapped:
        yield from futures_in(value.value, depth, seen)
        return
    if kind is opaque:
        yield from futures_in(value.value, 1)
        return
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    for item in parts_of(value, kind):
        yield from futures_in(item, depth - 1, seen)


def parts_of(value: Any, kind: type) -> Iterable[Any]:
    """What a value holds: items of a list, tuple or set, values of a mapping, fields of a dataclass."""
    if kind in _LISTS:
        return () if set(map(type, value)) <= _PLAIN else value
    if kind is dict:
        return list(value.values())
    if hasattr(kind, "__dataclass_fields__"):
        return [getattr(value, name, None) for name in kind.__dataclass_fields__]
    return ()


def resolved(
    value: Any,
    *,
    forgiving: bool = False,
    depth: int = _MAX_DEPTH,
    known: dict[int, Any] | None = None,
    kept: bool = False,
) -> Any:
    """The value with every future and state replaced by its result. Everything in it must have ended.

    Args:
        value: what to look into; it is copied only where something is replaced.
        forgiving: give the exception of a failed one instead of raising.
        depth: how deep to look.
        known: what has been looked into, by identity.
        kept: values that are kept elsewhere are not fetched.

    Raises:
        UpstreamFailed: something in it did not complete.
    """
    kind = type(value)
    if kind in _PLAIN or not depth:
        return value
    if kind is PenstockFuture:
        return _value(value.state, value.key, forgiving, kept)
    if kind is State:
        return _value(value, "an upstream task", forgiving, kept)
    if kind is allow_failure:
        return resolved(value.value, forgiving=True, depth=depth, kept=kept)
    if kind is unmapped:
        return resolved(value.value, forgiving=forgiving, depth=depth, known=known, kept=kept)
    if kind is quote:
        return value.value
    if kind is opaque:
        inner = value.value
        return resolved(inner, forgiving=forgiving, kept=kept) if type(inner) in (PenstockFuture, State) else inner
    known = {} if known is None else known
    if id(value) not in known:
        known[id(value)] = value  # where a value holds itself, it is left as it is
        known[id(value)] = _resolved_parts(value, kind, forgiving, depth, known, kept)
    return known[id(value)]


def _resolved_parts(value: Any, kind: type, forgiving: bool, depth: int, known: dict[int, Any], kept: bool) -> Any:
    def of(part: Any) -> Any:
        return resolved(part, forgiving=forgiving, depth=depth - 1, known=known, kept=kept)

    if kind in _LISTS:
        if set(map(type, value)) <= _PLAIN:
            return value
        items = [of(item) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        if kind is PenstockFutureList:
            return items
        return value if same else kind(items)
    if kind is dict:
        pairs = {key: of(item) for key, item in value.items()}
        return value if all(pairs[key] is item for key, item in value.items()) else pairs
    if hasattr(kind, "__dataclass_fields__") and any(True for _ in futures_in(value, depth)):
        import dataclasses

        names = [field.name for field in dataclasses.fields(value) if field.init]
        return dataclasses.replace(value, **{name: of(getattr(value, name)) for name in names})
    return value


def _value(state: State, key: str, forgiving: bool, kept: bool) -> Any:
    if kept and isinstance(state._data, Elsewhere):
        return state._data
    if state.is_completed() or forgiving:
        return state.result(raise_on_failure=False)
    raise UpstreamFailed(f"Upstream task run {key!r} did not reach a 'COMPLETED' state.")


def as_states(value: Any, depth: int = _MAX_DEPTH, known: dict[int, Any] | None = None) -> Any:
    """What a flow returned, with every future replaced by its final state."""
    kind = type(value)
    if kind in _PLAIN or not depth:
        return value
    if kind is PenstockFuture:
        return value.state
    if kind not in _LISTS and kind is not dict:
        return value
    known = {} if known is None else known
    if id(value) in known:
        return known[id(value)]
    known[id(value)] = value
    if kind is dict:
        known[id(value)] = {key: as_states(item, depth - 1, known) for key, item in value.items()}
    elif not set(map(type, value)) <= _PLAIN:
        items = [as_states(item, depth - 1, known) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        known[id(value)] = items if kind is PenstockFutureList else value if same else kind(items)
    return known[id(value)]
