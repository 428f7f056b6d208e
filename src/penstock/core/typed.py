"""Data read into types, in threads that may be the first to do so.

msgspec works out how a type is read when that is asked for first, and keeps it with the type before it is complete: the
process of a second thread that reads into the type meanwhile crashes. So it is worked out under one lock, here.

The lock knows nothing of code that asks msgspec itself, nor of a signal handler that reads into the very type that its
own thread is at.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast, overload
from weakref import WeakSet

import msgspec

T = TypeVar("T")
K = TypeVar("K")

_lock = threading.RLock()
_classes: WeakSet[type] = WeakSet()
_others: dict[Any, Any] = {}
"""Types that are no classes, `Page[Run]` for example: what msgspec knows is kept with the very object, and an equal one
may be made later."""
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


@overload
def json_decoder(kind: type[T]) -> msgspec.json.Decoder[T]: ...
@overload
def json_decoder(kind: Any) -> msgspec.json.Decoder[Any]: ...
def json_decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """A decoder that gives values of a type.

    Raises:
        TypeError: msgspec knows no such type.
    """
    with _lock:
        return msgspec.json.Decoder(kind)


def from_json(data: bytes | str, kind: type[T]) -> T:
    """A value of a type.

    Raises:
        msgspec.DecodeError: it is no JSON.
        msgspec.ValidationError: it is no value of the type.
    """
    return msgspec.json.decode(data, type=_learned(kind))


def from_msgpack(data: bytes, kind: type[T]) -> T:
    """The same of MessagePack."""
    return msgspec.msgpack.decode(data, type=_learned(kind))


@overload
def convert(value: Any, kind: type[T], *, strict: bool = True) -> T: ...
@overload
def convert(value: Any, kind: Any, *, strict: bool = True) -> Any: ...
def convert(value: Any, kind: Any, *, strict: bool = True) -> Any:
    """Plain data as a value of a type.

    Args:
        value: dicts, lists and scalars.
        kind: the type.
        strict: take no text for a number.

    Raises:
        msgspec.ValidationError: it is no value of the type.
        TypeError: msgspec knows no such type.
    """
    return msgspec.convert(value, _learned(kind), strict=strict)


def json_schema(kind: Any, hook: Callable[[type], dict[str, Any]], template: str) -> tuple[dict[str, Any], Any]:
    """The JSON Schema of a type, and the parts that it refers to.

    Args:
        kind: the type.
        hook: says what a type is that msgspec does not know.
        template: of references to parts, with `{name}`.

    Raises:
        TypeError, NotImplementedError, ValueError: there is none.
    """
    with _lock:
        (found,), parts = msgspec.json.schema_components([kind], schema_hook=hook, ref_template=template)
        return found, parts


def type_info(kind: Any) -> msgspec.inspect.Type:
    """What msgspec says of a type."""
    with _lock:
        return msgspec.inspect.type_info(kind)


def _learned(kind: K) -> K:
    """The type to read with, once it is worked out how."""
    known: Any = _classes if isinstance(kind, type) else _others
    try:
        if kind in known:
            return kind if known is _classes else cast(K, _others[kind])
    except TypeError:  # it has no hash, as where it is annotated with a list: it is worked out each time
        known = None
    with _lock:
        msgspec.msgpack.Decoder(kind)
        if known is _classes:
            _classes.add(cast(type, kind))
        elif known is _others:
            return cast(K, _others.setdefault(kind, kind))
    return kind
