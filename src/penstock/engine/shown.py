"""Parameters as they are shown to people."""

from __future__ import annotations

import math
import reprlib
from typing import Any

_LONGEST = 200
_short = reprlib.Repr()  # the built-in repr never ends for values that are tangled up with each other
_short.maxlevel, _short.maxother, _short.maxstring = 4, _LONGEST, _LONGEST
_SPEAKING = ("pathlib", "datetime", "decimal", "uuid")  # their str() says all that there is to say


def shown_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """Plain values as they are; everything else as a short text."""
    return {name: shown(value) for name, value in parameters.items()}


def shown(value: Any, depth: int = 3) -> Any:
    """A value that JSON can hold, cut short where it is long."""
    kind = type(value)
    if value is None or kind is bool or (kind is int and abs(value) < 2**63):
        return value
    if kind is float and math.isfinite(value):
        return value
    if kind is str:
        text = value if len(value) <= _LONGEST else value[:_LONGEST] + "..."
        return text.encode("utf-8", "backslashreplace").decode()
    if depth and kind in (list, tuple) and len(value) <= 20:
        return [shown(item, depth - 1) for item in value]
    if depth and kind is dict and len(value) <= 20:
        return {str(key): shown(item, depth - 1) for key, item in value.items()}
    try:
        text = str(value) if kind.__module__ in _SPEAKING else _short.repr(value)
    except Exception:
        text = f"<{kind.__name__}>"
    return shown(text)
