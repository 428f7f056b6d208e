"""A short mark for each argument of a step, so that a replay notices when one is no longer what it was.

Marks are CRC-32 of the value's kind and content, bounded in effort: of long collections only the length and some
items count, of objects and frames the type (and shape). They reveal nothing of the value, and need not be unique.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

_PLAIN = frozenset({int, float, bool, type(None), complex})
_ITEMS = 200


def fingerprint(value: Any, depth: int = 4) -> str:
    """Eight hexadecimal digits."""
    return f"{crc32(_content(value, depth)):08x}"


def _content(value: Any, depth: int) -> bytes:
    kind = type(value)
    if kind in _PLAIN:
        return f"{kind.__name__}:{value!r}".encode()
    if kind is str:
        text: str = value
        return b"str:" + text.encode("utf-8", "surrogatepass")
    if kind is bytes:
        raw: bytes = value
        return b"bytes:" + raw
    if depth and (kind is list or kind is tuple):
        parts = [_content(item, depth - 1) for item in value[:_ITEMS]]
        return f"{kind.__name__}:{len(value)}:".encode() + b",".join(parts)
    if depth and kind is dict:
        parts = []
        for index, (key, item) in enumerate(value.items()):
            if index == _ITEMS:
                break
            parts.append(_content(key, depth - 1) + b"=" + _content(item, depth - 1))
        return f"dict:{len(value)}:".encode() + b",".join(sorted(parts))
    if depth and kind in (set, frozenset) and len(value) <= _ITEMS:
        return b"set:" + b",".join(sorted(_content(item, depth - 1) for item in value))
    shape = getattr(value, "shape", None) if not isinstance(value, type) else None
    shown = f":{shape}" if isinstance(shape, tuple) else ""
    return f"{kind.__module__}.{kind.__qualname__}{shown}".encode()


def fingerprints(names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, str]:
    """A mark for each argument, by its name where it is known."""
    marks: dict[str, str] = {}
    known = len(names)
    for index, value in enumerate(args):
        marks[names[index] if index < known else f"*{index}"] = fingerprint(value)
    for name, value in kwargs.items():
        marks[name] = fingerprint(value)
    return marks
