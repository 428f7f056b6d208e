"""Penstock's futures and states among arguments, as Prefect has them: so that it waits, and draws what depends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.authoring.futures import PenstockFuture, PenstockFutureList
from penstock.core.annotations import allow_failure, opaque, quote, unmapped
from penstock.core.extras import LateExtra
from penstock.core.states import State
from penstock.deploy.prefect.states import to_prefect
from penstock.engine.arguments import futures_in

_annotations: Any = LateExtra("prefect.utilities.annotations", "prefect")
_PLAIN = frozenset({int, str, float, bool, bytes, type(None)})
_DEEPEST = 8


def exchanged(value: Any, submitted: Mapping[str, Any], depth: int = _DEEPEST) -> Any:
    """The value with Prefect's futures for ours; it is copied only where something is replaced.

    Args:
        value: an argument.
        submitted: Prefect's futures, by the id of the task run.
        depth: how deep to look.
    """
    kind = type(value)
    if kind in _PLAIN or not depth:
        return value
    if kind is PenstockFuture:
        theirs = submitted.get(value.task_run_id)
        return theirs if theirs is not None else exchanged(_ended(value), submitted)
    if kind is State:
        return value.result() if value.is_completed() else to_prefect(value)
    if kind is unmapped:
        return exchanged(value.value, submitted, depth)
    if kind in (allow_failure, opaque, quote):
        inner = value.value if kind is quote else exchanged(value.value, submitted, 1 if kind is opaque else depth)
        return getattr(_annotations, kind.__name__)(inner)
    return _exchanged_parts(value, kind, submitted, depth - 1)


def _exchanged_parts(value: Any, kind: type, submitted: Mapping[str, Any], depth: int) -> Any:
    if kind in (list, tuple, set, frozenset, PenstockFutureList):
        if set(map(type, value)) <= _PLAIN:
            return value
        items = [exchanged(item, submitted, depth) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return items if kind is PenstockFutureList else value if same else kind(items)
    if kind is dict:
        pairs = {key: exchanged(item, submitted, depth) for key, item in value.items()}
        return value if all(pairs[key] is item for key, item in value.items()) else pairs
    if hasattr(kind, "__dataclass_fields__") and any(True for _ in futures_in(value)):
        import dataclasses

        names = [field.name for field in dataclasses.fields(value) if field.init]
        found = {name: exchanged(getattr(value, name), submitted, depth) for name in names}
        return dataclasses.replace(value, **found)
    return value


def _ended(future: PenstockFuture[Any]) -> State:
    """The state of a future of another run: the only ones that Prefect does not know."""
    future.wait()
    return future.state
