"""The filters that a template has, and what is computed in one: each looks at the size of what it makes, first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from penstock.control.webhooks.bodies import json_of
from penstock.control.webhooks.plain import (
    MOST_CHARACTERS,
    MOST_STEPS,
    NOTHING,
    Exceeded,
    Forbidden,
    Method,
    Raw,
    as_text,
    json_text,
    looked_up,
    measured,
    number,
    step,
)
from penstock.control.webhooks.requests import Refused
from penstock.core.extras import LateExtra

if TYPE_CHECKING:
    import jinja2
else:
    jinja2 = LateExtra("jinja2", "server")

_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
}


def computed(operator: str, left: Any, right: Any) -> Any:
    """What an operator makes of two values.

    Raises:
        Exceeded, Forbidden: it becomes too large, or is not for such values.
    """
    if operator == "+" and isinstance(left, (str, list)) and isinstance(right, (str, list)):
        if isinstance(left, str) and isinstance(right, str):
            return concatenated([left, right])
        if isinstance(left, list) and isinstance(right, list):
            return measured([*left, *right])
    number(left, operator)
    number(right, operator)
    if operator == "**" and not (abs(right) <= 64 and abs(left) <= 1 << 32):
        raise Exceeded("a power becomes too large")
    return _OPERATIONS[operator](left, right)


def spread(*numbers: Any) -> list[int]:
    """`range`, as a list that is not too long.

    Raises:
        Exceeded, Forbidden: it would be, or has no such numbers.
    """
    if not 1 <= len(numbers) <= 3 or not all(type(each) is int for each in numbers):
        raise Forbidden("range takes one to three whole numbers")
    try:
        found = range(*numbers)[: MOST_STEPS + 1]
    except OverflowError:
        raise Exceeded("a number becomes too large") from None
    if len(found) > MOST_STEPS:
        raise Exceeded(f"range gives more than {MOST_STEPS:,} numbers")
    return list(found)


def each_of(value: Any) -> Iterator[Any]:
    """What a loop goes through: counted."""
    for each in _several(value):
        step()
        yield each


def concatenated(value: Any) -> str:
    """`~`."""
    return _joined(list(value))


def _several(value: Any) -> Any:
    """A list, an object or a text."""
    if not isinstance(measured(value), (list, tuple, dict, str)):
        raise Forbidden(f"there is a {type(value).__name__} where a list is needed")
    return value


def _default(value: Any, other: Any = "", boolean: bool = False) -> Any:
    missing = isinstance(value, jinja2.Undefined)
    return other if missing or (boolean and not value) else value


def _joined(value: Any, between: str = "", attribute: str | None = None) -> str:
    parts, room, between = [], MOST_CHARACTERS, as_text(between)
    for each in _several(value) if attribute is None else _mapped(value, attribute):
        parts.append(as_text(each))
        room -= len(parts[-1]) + len(between)
        if room < -len(between):
            raise Exceeded("a text becomes too long")
    return between.join(parts)


def _replaced(value: Any, old: str, new: str) -> str:
    text, old, new = as_text(value), as_text(old), as_text(new)
    if len(text) + text.count(old) * len(new) > MOST_CHARACTERS:
        raise Exceeded("a text becomes too long")
    return text.replace(old, new)


def _cut(value: Any, length: int = 255, end: str = "...") -> str:
    text, length = as_text(value), number(length, "truncate")
    return text if len(text) <= length else text[: max(0, length - len(end))] + end


def _whole(value: Any, default: Any = 0) -> Any:
    try:
        return number(int(value), "int") if not isinstance(value, str) or len(value) <= 150 else default
    except (TypeError, ValueError, OverflowError):
        return default


def _real(value: Any, default: Any = 0.0) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return default


def _rounded(value: Any, precision: int = 0) -> Any:
    return round(float(number(value, "round")), max(-20, min(20, number(precision, "round"))))


def _items(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(measured(value), dict):
        raise Forbidden(f"items is for objects, and here is a {type(value).__name__}")
    return list(value.items())


def _at(value: Any, path: Any) -> Any:
    for part in as_text(path).split("."):
        value = looked_up(value, part)
        if value is NOTHING or isinstance(value, Method):
            raise Forbidden(f"one of them has no {as_text(path)[:60]}")
    return value


def _mapped(value: Any, attribute: str) -> list[Any]:
    return [_at(each, attribute) for each in _several(value)]


def _chosen(value: Any, attribute: str, wanted: Any = NOTHING) -> list[Any]:
    found = [(each, _at(each, attribute)) for each in _several(value)]
    return [each for each, fact in found if (bool(fact) if wanted is NOTHING else fact == wanted)]


def _parsed(value: Any) -> Any:
    try:
        return measured(json_of(as_text(value).encode("utf-8", "surrogatepass")))
    except Refused as error:
        raise Forbidden(f"fromjson: {error.message}") from None


def _summed(value: Any) -> Any:
    return number(sum(number(each, "sum") for each in _several(value)), "sum")


def _of_several(work: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: work(_several(value))


def _of_text(work: Callable[[str], Any]) -> Callable[[Any], Any]:
    return lambda value: work(as_text(value))


OWN: dict[str, Callable[..., Any]] = {"_each": each_of, "_measured": measured, "_concatenated": concatenated}
"""What no template can name."""
FILTERS: dict[str, Callable[..., Any]] = {
    "abs": lambda value: abs(number(value, "abs")),
    "capitalize": _of_text(str.capitalize),
    "count": _of_several(len),
    "d": _default,
    "default": _default,
    "first": _of_several(lambda value: next(iter(value), None)),
    "float": _real,
    "fromjson": _parsed,
    "int": _whole,
    "items": _items,
    "join": _joined,
    "last": _of_several(lambda value: list(value)[-1] if value else None),
    "length": _of_several(len),
    "list": _of_several(list),
    "lower": _of_text(str.lower),
    "map": _mapped,
    "max": _of_several(lambda value: max(value, default=None)),
    "min": _of_several(lambda value: min(value, default=None)),
    "replace": _replaced,
    "reverse": _of_several(lambda value: value[::-1] if isinstance(value, str) else list(value)[::-1]),
    "round": _rounded,
    "selectattr": _chosen,
    "sort": _of_several(sorted),
    "string": as_text,
    "sum": _summed,
    "title": _of_text(str.title),
    "tojson": lambda value: Raw(json_text(value)),
    "trim": _of_text(str.strip),
    "truncate": _cut,
    "unique": _of_several(lambda value: list({json_text(each): each for each in value}.values())),
    "upper": _of_text(str.upper),
}
TESTS = frozenset(
    {
        *("defined", "undefined", "none", "boolean", "true", "false", "integer", "float", "number", "string"),
        *("mapping", "sequence", "in", "eq", "equalto", "==", "ne", "!=", "gt", "greaterthan", ">", "ge", ">="),
        *("lt", "lessthan", "<", "le", "<="),
    }
)
"""Those of Jinja that a template may use."""
