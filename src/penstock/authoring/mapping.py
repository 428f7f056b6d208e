"""Which calls `.map()` makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from penstock.authoring.futures import PenstockFuture
from penstock.core.annotations import allow_failure, quote, unmapped
from penstock.core.errors import MappingLengthMismatch, MappingMissingIterable
from penstock.core.states import State

_WHOLE = (str, bytes, bytearray)

Call = tuple[tuple[Any, ...], dict[str, Any]]


def _items(value: Any) -> list[Any] | None:
    if isinstance(value, (unmapped, quote)):
        return None
    if isinstance(value, allow_failure):
        inner = _items(value.value)
        return None if inner is None else [allow_failure(item) for item in inner]
    if isinstance(value, (PenstockFuture, State)):
        return _items(value.result())
    if isinstance(value, (list, tuple, set, frozenset, range)):
        return list(value)
    if isinstance(value, _WHOLE) or not hasattr(value, "__iter__"):
        return None
    return list(value)


def map_calls(task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Call]:
    """Positional and keyword arguments for each call.

    Lists, tuples, sets, the keys of mappings and other iterables are mapped over; texts, bytes and
    `unmapped(...)` are passed
    whole. A future is mapped over its result, which is waited for.

    Raises:
        MappingMissingIterable, MappingLengthMismatch: nothing to map over, or lengths that differ.
    """
    task.parameters(args, kwargs)
    positions = [_items(value) for value in args]
    names = {name: _items(value) for name, value in kwargs.items()}
    lengths = {f"argument {i + 1}": len(items) for i, items in enumerate(positions) if items is not None}
    lengths |= {name: len(items) for name, items in names.items() if items is not None}
    if not lengths:
        raise MappingMissingIterable(
            f"{task.name}.map() got no iterable to map over.",
            hint="pass a list for at least one argument, or use .submit() for one call",
        )
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise MappingLengthMismatch(
            f"{task.name}.map() got iterables of different lengths: {told}.",
            hint="wrap what every call should get whole in unmapped(...)",
        )
    count = next(iter(lengths.values()))
    whole = [value.value if isinstance(value, unmapped) else value for value in args]
    whole_names = {name: value.value if isinstance(value, unmapped) else value for name, value in kwargs.items()}

    def calls() -> Iterator[Call]:
        for index in range(count):
            yield (
                tuple(w if items is None else items[index] for w, items in zip(whole, positions, strict=True)),
                {n: whole_names[n] if items is None else items[index] for n, items in names.items()},
            )

    return calls()
