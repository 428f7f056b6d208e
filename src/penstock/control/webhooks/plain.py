"""Plain data as templates know it: measured before it is used, and looked into by names, never as Python objects."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.core.extras import LateExtra

if TYPE_CHECKING:
    import jinja2
    from jinja2 import runtime
else:
    jinja2 = LateExtra("jinja2", "server")
    runtime = LateExtra("jinja2.runtime", "server")

MOST_STEPS, MOST_CHARACTERS, MOST_ITEMS = 10_000, 1_000_000, 200_000
MOST_SECONDS = 1.0
NUMBERS = (int, float)
NOTHING: Any = object()
"""What is found where nothing is."""
_MOST_BITS = 512
_MOST_TEXT = 30_000_000
_LOOP = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem"})
_METHODS: dict[type, tuple[str, ...]] = {
    str: (
        *("lower", "upper", "title", "capitalize", "strip", "lstrip", "rstrip", "startswith", "endswith", "split"),
        *("rsplit", "removeprefix", "removesuffix", "splitlines", "isdigit", "count", "find"),
    ),
    dict: ("get", "items", "keys", "values"),
}


class Exceeded(Exception):
    """A template does more than it may."""


class Forbidden(Exception):
    """A template asks for what it may not have."""


class Raw(str):
    """A text that is JSON already."""


class Method:
    """A method that a template may call."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call


class Meter:
    """What one rendering has done so far."""

    def __init__(self) -> None:
        self.steps = 0
        self.until = time.monotonic() + MOST_SECONDS

    def step(self) -> None:
        """One more.

        Raises:
            Exceeded: there were too many, or they took too long.
        """
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise Exceeded(f"it takes more than {MOST_STEPS:,} steps")
        if time.monotonic() > self.until:
            raise Exceeded(f"it takes longer than {MOST_SECONDS:g} s")


_meter: ContextVar[Meter] = ContextVar("meter")


def metered(work: Callable[[], str]) -> str:
    """Render with a meter of its own."""
    token = _meter.set(Meter())
    try:
        return work()
    finally:
        _meter.reset(token)


def step() -> None:
    """Count a step of the rendering that is under way."""
    meter = _meter.get(None)
    if meter is not None:
        meter.step()


def there(value: Any) -> Any:
    """A value that is there.

    Raises:
        UndefinedError: it is not; Jinja says what.
    """
    if isinstance(value, jinja2.Undefined):
        str(value)
    return value


def measured(value: Any) -> Any:
    """A value that is plain data, and not too large.

    Raises:
        Exceeded, Forbidden: it is not.
    """
    items, room, waiting = MOST_ITEMS, _MOST_TEXT, [value]
    while waiting:
        each = there(waiting.pop())
        items -= 1
        if isinstance(each, str):
            room -= len(each)
        elif isinstance(each, Mapping):
            waiting += each.keys()
            waiting += each.values()
        elif isinstance(each, (list, tuple)):
            waiting += each
        elif each is not None and not isinstance(each, NUMBERS):
            called = "a method that is not called" if isinstance(each, Method) else f"a {type(each).__name__}"
            raise Forbidden(f"there is {called} where plain data is needed")
        if items < 0 or room < 0 or len(waiting) > MOST_ITEMS:
            raise Exceeded("a value becomes too large")
    return value


def number(value: Any, what: str) -> Any:
    """A number that is not too large.

    Raises:
        Exceeded, Forbidden: it is not.
    """
    if isinstance(there(value), bool) or not isinstance(value, NUMBERS):
        raise Forbidden(f"{what} is for numbers, and here is a {type(value).__name__}")
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise Exceeded("a number becomes too large")
    return value


def looked_up(value: Any, name: Any) -> Any:
    """What a dot or brackets find: in data, and nowhere else. NOTHING where it is not there."""
    if isinstance(there(value), dict):
        if isinstance(name, (str, int)) and name in value:
            return value[name]
    elif isinstance(value, (list, tuple, str)):
        if isinstance(name, str) and name.isdecimal() and name.isascii() and len(name) < 10:
            name = int(name)
        if type(name) is int:
            return value[name] if -len(value) <= name < len(value) else NOTHING
        if isinstance(name, slice):
            return value[name]
    elif isinstance(value, runtime.LoopContext):
        return getattr(value, name) if name in _LOOP else NOTHING
    kind = next((each for each in _METHODS if isinstance(value, each)), None)
    if kind is not None and name in _METHODS[kind]:
        return Method(getattr(value, name))
    if isinstance(name, str) and name.startswith("_"):
        raise Forbidden(f"{name[:60]} is no data")
    return NOTHING


def json_text(value: Any) -> str:
    """A value as JSON."""
    return msgspec.json.encode(measured(value)).decode()


def as_text(value: Any) -> str:
    """A text as it is, and everything else as JSON."""
    return str(value) if isinstance(there(value), str) else json_text(value)
