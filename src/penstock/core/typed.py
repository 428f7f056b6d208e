"""Data read into types, in threads that may be the first to do so.

msgspec works out how a type is read when that is asked for first, and keeps it with the type before it is complete: the
process of a second thread that reads into the type meanwhile crashes. So it is worked out under one lock, here.
"""

from __future__ import annotations

import os
import threading
from typing import Any, TypeVar, overload

import msgspec

T = TypeVar("T")

_lock = threading.RLock()
_known: set[Any] = set()
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
    _learn(kind)
    return msgspec.json.decode(data, type=kind)


def from_msgpack(data: bytes, kind: type[T]) -> T:
    """The same of MessagePack."""
    _learn(kind)
    return msgspec.msgpack.decode(data, type=kind)


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
    _learn(kind)
    return msgspec.convert(value, kind, strict=strict)


def _learn(kind: Any) -> None:
    """Have it worked out how a type is read."""
    try:
        if kind in _known:
            return
    except TypeError:  # annotated with something that has no hash
        with _lock:
            msgspec.msgpack.Decoder(kind)
        return
    with _lock:
        msgspec.msgpack.Decoder(kind)
        _known.add(kind)
