"""What the arguments of a rule may be."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

Accepts = Callable[[Any], str | None]
"""Looks at a value; what was expected, where it is not that."""

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LONGEST_PATTERN = 10_000
_LONGEST_CONDITION = 2_000  # beyond some thousand operators Polars overflows its stack, and the process is gone
_COMPARED = (str, date, time, timedelta)


class Argument(NamedTuple):
    """One argument of a kind of rule.

    Attributes:
        name: as it is written.
        accepts: which values it takes.
        required: whether a rule needs it.
        about: what it is for.
    """

    name: str
    accepts: Accepts
    required: bool = False
    about: str = ""


def truth(value: Any) -> str | None:
    """True or false."""
    return None if isinstance(value, bool) else "true or false"


def whole(value: Any) -> str | None:
    """0, 1, 2 and so on."""
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return None if good else "a whole number, 0 or more"


def number(value: Any) -> str | None:
    """A number that is one."""
    good = isinstance(value, int | float | Decimal) and not isinstance(value, bool) and not math.isnan(value)
    return None if good else "a number"


def bound(value: Any) -> str | None:
    """What values can be compared with: a number, a text, a date or a time."""
    if isinstance(value, _COMPARED) or number(value) is None:
        return None
    return "a number, a text, or a date"


def text(value: Any) -> str | None:
    """A text with something in it."""
    return None if isinstance(value, str) and value else "a text"


def texts(value: Any) -> str | None:
    """One text or several."""
    if text(value) is None:
        return None
    good = isinstance(value, list | tuple) and value and all(text(each) is None for each in value)
    return None if good else "a text, or a list of texts"


def pattern(value: Any) -> str | None:
    """Regular expressions, not too long."""
    if value != "" and (wrong := texts(value)) is not None:
        return wrong
    if max(len(each) for each in listed(value)) > _LONGEST_PATTERN:
        return f"patterns of at most {_LONGEST_PATTERN:,} characters"
    return None


def condition(value: Any) -> str | None:
    """A SQL condition, not too long."""
    if text(value) is not None:
        return "a SQL condition"
    return None if len(value) <= _LONGEST_CONDITION else f"a condition of at most {_LONGEST_CONDITION:,} characters"


def values(value: Any) -> str | None:
    """A list of single values."""
    if not isinstance(value, list | tuple | set | frozenset):
        return "a list of values"
    good = all(each is None or isinstance(each, bool | bytes) or bound(each) is None for each in value)
    return None if good else "a list of single values: numbers, texts, dates, true, false"


def pairs(value: Any) -> str | None:
    """A list of lists of two."""
    if isinstance(value, list | tuple) and all(isinstance(each, list | tuple) and len(each) == 2 for each in value):
        return None if all(values(each) is None for each in value) else "a list of pairs of single values"
    return "a list of pairs, such as [[a, b], [c, d]]"


def mapping(value: Any) -> str | None:
    """Names and values."""
    return None if isinstance(value, Mapping | bool) else "a mapping"


def age(value: Any) -> str | None:
    """A length of time."""
    return None if seconds_of(value) is not None else "a length of time, such as 24h, 90min or 7d"


def fractions(value: Any) -> str | None:
    """A list of numbers from 0 to 1."""
    good = isinstance(value, list | tuple) and value and all(number(each) is None and 0 <= each <= 1 for each in value)
    return None if good else "a list of numbers from 0 to 1"


def ranges(value: Any) -> str | None:
    """A list of [least, most], either of which may be missing."""
    good = isinstance(value, list | tuple) and all(
        isinstance(each, list | tuple) and len(each) == 2 and all(end is None or number(end) is None for end in each)
        for each in value
    )
    if good and any(None not in each and each[0] > each[1] for each in value):
        return "a list of ranges, the lower end first"
    return None if good else "a list of ranges, such as [[0, 10], [null, 20]]"


def one_of(*words: str) -> Accepts:
    """One of some words."""

    def accepts(value: Any) -> str | None:
        return None if value in words else f"one of {', '.join(words)}"

    return accepts


def listed(value: Any) -> list[Any]:
    """One or several as several."""
    return list(value) if isinstance(value, list | tuple | set | frozenset) else [value]


def seconds_of(value: Any) -> float | None:
    """A length of time in seconds; None where it is none."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str) and (found := _AGE.fullmatch(value.strip())):
        return float(found[1]) * _SECONDS[found[2]]
    return None


def weights(value: Any) -> str | None:
    """How often something comes, by value or in the order of its ranges."""
    parts = list(value.values()) if isinstance(value, Mapping) else value
    good = isinstance(parts, list | tuple) and parts and all(number(each) is None and each >= 0 for each in parts)
    return None if good and sum(parts) > 0 else "weights, such as {a: 0.7, b: 0.3}, or a list of them for bins"


def increasing(value: Any) -> str | None:
    """A list of numbers, each greater than the one before."""
    good = isinstance(value, list | tuple) and len(value) > 1 and all(number(each) is None for each in value)
    if good and all(left < right for left, right in itertools.pairwise(value)):
        return None
    return "a list of numbers, each greater than the one before"


def parameters(value: Any) -> str | None:
    """Numbers, by name or in order."""
    parts = list(value.values()) if isinstance(value, Mapping) else value
    good = isinstance(parts, list) and all(number(each) is None for each in parts)
    return None if good else "parameters of the distribution, such as {loc: 0, scale: 1}"
