"""Where something is inside a JSON value: `data.items`, `data.items[-1].id`, `["odd.name"].rows`, `items?`."""

from __future__ import annotations

import re
from typing import Any, Final

_STEP = re.compile(r"""\.?(?P<name>[^.\[\]?"']+)|\[(?P<index>-?\d+)\]|\[(?P<quote>["'])(?P<quoted>.*?)(?P=quote)\]""")


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()
"""There is nothing at the path; not the same as null."""


class Path:
    """A path that was understood.

    Args:
        text: names joined by dots; `[3]` and `[-1]` for elements, `["a.b"]` for a name that has dots in it. Empty for
            the value itself. A question mark at the end: it may be missing.

    Raises:
        ValueError: this is no path; the message tells where it goes wrong.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.optional = text.endswith("?")
        self.steps = _steps(text.removesuffix("?"))

    def find(self, value: Any) -> Any:
        """What is there, or MISSING."""
        for step in self.steps:
            if isinstance(step, str):
                if not isinstance(value, dict) or step not in value:
                    return MISSING
                value = value[step]
            else:
                if not isinstance(value, list) or not -len(value) <= step < len(value):
                    return MISSING
                value = value[step]
        return value

    def put(self, value: Any, inside: Any) -> Any:
        """A copy of `inside` with the value at this path; objects on the way are made where there are none."""
        return _put(inside, self.steps, value)

    def __repr__(self) -> str:
        return f"Path({self.text!r})"


def _steps(text: str) -> tuple[str | int, ...]:
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None or (at == 0 and text.startswith(".")):
            raise ValueError(f'{text!r} is no path: {text[at:]!r} is neither a name nor [3] nor ["name"]')
        if found["index"] is not None:
            steps.append(int(found["index"]))
        else:
            steps.append(found["quoted"] if found["quote"] else found["name"])
        at = found.end()
    return tuple(steps)


def _put(inside: Any, steps: tuple[str | int, ...], value: Any) -> Any:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        if not isinstance(inside, list) or not -len(inside) <= step < len(inside):
            raise ValueError(f"there is no element [{step}] to replace")
        changed = list(inside)
        changed[step] = _put(inside[step], rest, value)
        return changed
    known = inside if isinstance(inside, dict) else {}
    return {**known, step: _put(known.get(step), rest, value)}


def outline(value: Any) -> str:
    """What a value has, for a message: names of an object, the length of an array, else its type."""
    if isinstance(value, dict):
        names = ", ".join(map(str, list(value)[:12]))
        return f"an object with {names or 'nothing in it'}{', ...' if len(value) > 12 else ''}"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    return {str: "text", bool: "true or false", type(None): "null"}.get(type(value), "a number")
