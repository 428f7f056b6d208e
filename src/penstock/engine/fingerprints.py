"""A short mark for each argument of a step, so that a replay notices when one is no longer what it was.

Marks are CRC-32 of the value's kind and content, bounded in effort: of long collections only the length and some
items count, of objects and frames the type (and shape). They reveal nothing of the value, and need not be unique.
"""

from __future__ import annotations

from itertools import islice
from typing import Any
from zlib import crc32

_PLAIN = frozenset({float, bool, type(None), complex})
_ITEMS = 200
_BUDGET = 2_000


def fingerprint(value: Any) -> str:
    """Eight hexadecimal digits."""
    return f"{crc32(_content(value, 4, [_BUDGET])):08x}"


def _content(value: Any, depth: int, budget: list[int]) -> bytes:
    kind = type(value)
    if kind is int:
        return f"int:{value:x}".encode()
    if kind in _PLAIN:
        return f"{kind.__name__}:{value!r}".encode()
    if kind is str:
        text: str = value
        return b"str:" + text.encode("utf-8", "surrogatepass")
    if kind is bytes:
        raw: bytes = value
        return b"bytes:" + raw
    if not depth or budget[0] <= 0 or kind not in (list, tuple, dict, set, frozenset):
        shape = getattr(value, "shape", None) if not isinstance(value, type) else None
        shown = f":{shape}" if isinstance(shape, tuple) else ""
        return f"{kind.__module__}.{kind.__qualname__}{shown}".encode()
    some = list(islice(value.items() if kind is dict else value, _ITEMS))
    budget[0] -= len(some) + 1
    if kind is dict:
        parts = sorted(
            _content(key, depth - 1, budget) + b"=" + _content(item, depth - 1, budget) for key, item in some
        )
    else:
        parts = [_content(item, depth - 1, budget) for item in some]
    if kind in (set, frozenset):
        parts = sorted(parts) if len(value) <= _ITEMS else []  # the first ones differ from process to process
    return f"{kind.__name__}:{len(value)}:".encode() + b",".join(parts)


def fingerprints(names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, str]:
    """A mark for each argument, by its name where it is known."""
    marks: dict[str, str] = {}
    known = len(names)
    for index, value in enumerate(args):
        marks[names[index] if index < known else f"*{index}"] = fingerprint(value)
    for name, value in kwargs.items():
        marks[name] = fingerprint(value)
    return marks
