"""The fields of connection types: what they are called, what fits into them, and what they are for.

A type says it with annotations, defaults and the `Attributes:` of its docstring; nothing is said twice.
"""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from penstock.core.secrets import Secret

REQUIRED: Any = object()
"""The default of a field that must be given."""

_YES, _NO = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})
_CONTROLS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_ATTRIBUTE = re.compile(r"(\w+(?:, \w+)*): (.*)")


class Range(NamedTuple):
    """Bounds of a number, both included; for `Annotated[int, Range(1, 65_535)]`."""

    least: float
    most: float


Port = Annotated[int, Range(1, 65_535)]
Seconds = Annotated[float, Range(0.001, 86_400)]


class Unfit(ValueError):
    """A value that does not fit a field. The message does not hold it."""


class Field(NamedTuple):
    """A field of a connection type.

    Attributes:
        name: its name.
        kind: str, int, float, bool, tuple, dict, or a kind of secret.
        optional: it may be None.
        default: REQUIRED, or its value where nothing is given.
        choices: the only texts that fit; empty for any.
        bounds: of a number.
        told: what it is for.
    """

    name: str
    kind: Any
    optional: bool
    default: Any
    choices: tuple[str, ...] = ()
    bounds: Range | None = None
    told: str = ""

    @property
    def secret(self) -> bool:
        """Its value is not shown."""
        return issubclass(self.kind, Secret)

    @property
    def required(self) -> bool:
        """It must be given."""
        return self.default is REQUIRED

    @property
    def wanted(self) -> str:
        """What fits, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        words = _WORDS.get(self.kind, "a text")
        if self.bounds is not None:
            words += f" from {self.bounds.least:g} to {self.bounds.most:,.10g}"
        return words

    def fitted(self, value: object) -> Any:
        """The value as the field holds it; texts are read as what is wanted.

        Raises:
            Unfit: it does not fit.
        """
        if value is None:
            if self.optional:
                return None
            raise Unfit(f"must be {self.wanted}")
        fitted = _FITTED[Secret if self.secret else self.kind](value, self)
        if fitted is None:
            raise Unfit(f"must be {self.wanted}")
        return fitted


_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    tuple: "texts, with commas between them",
    dict: 'texts by name, such as {"name": "value"}',
}


def _secret(value: object, field: Field) -> Any:
    if not isinstance(value, (str, Secret)):
        return None
    text = value.reveal() if isinstance(value, Secret) else value
    if not text:
        raise Unfit("must not be empty")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Unfit("cannot hold half a surrogate pair")
    return field.kind(value)


def _text(value: object, field: Field) -> str | None:
    if not isinstance(value, str):
        return None
    if field.choices:
        return value if value in field.choices else None
    if not value:
        raise Unfit("must not be empty")
    if _CONTROLS.search(value):
        raise Unfit("must not hold control characters")
    return value


def _flag(value: object, field: Field) -> bool | None:
    if isinstance(value, str):
        word = value.strip().lower()
        return True if word in _YES else False if word in _NO else None
    return value if isinstance(value, bool) else None


def _number(value: object, field: Field) -> Any:
    if isinstance(value, str):
        try:
            value = field.kind(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int if field.kind is int else (int, float)):
        return None
    number = field.kind(value)
    inside = math.isfinite(number) and (field.bounds is None or field.bounds.least <= number <= field.bounds.most)
    return number if inside else None


def _texts(value: object, field: Field) -> tuple[str, ...] | None:
    parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or not parts:
        return None
    plain = Field(field.name, str, False, REQUIRED)
    found = [_text(part, plain) for part in parts]
    return None if None in found else tuple(part for part in found if part is not None)


def _named(value: object, field: Field) -> dict[str, str] | None:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, dict):
        return None
    plain = Field(field.name, str, False, REQUIRED)
    return (
        {
            str(_text(name, plain)): text
            for name, given in value.items()
            if isinstance(name, str) and (text := _text(given, plain)) is not None
        }
        if all(isinstance(each, str) for pair in value.items() for each in pair)
        else None
    )


_FITTED: dict[Any, Any] = {
    Secret: _secret,
    str: _text,
    bool: _flag,
    int: _number,
    float: _number,
    tuple: _texts,
    dict: _named,
}


_known: dict[type, dict[str, Field]] = {}


def fields_of(cls: type, below: type) -> dict[str, Field]:
    """The fields of a connection type by name, those of the classes it derives from (all below this one) first.

    Raises:
        TypeError: an annotation is none that a connection can have.
    """
    if cls in _known:
        return _known[cls]
    hints = get_type_hints(cls, include_extras=True)
    told = dict(_attributes(cls))
    found: dict[str, Field] = {}
    for each in reversed(cls.__mro__):
        if not issubclass(each, below) or each is below:
            continue
        for name in inspect.get_annotations(each):
            if get_origin(hints[name]) is not ClassVar and not name.startswith("_"):
                found[name] = _field(name, hints[name], getattr(cls, name, REQUIRED), told.get(name, ""))
    _known[cls] = found
    return found


def _field(name: str, hint: Any, default: Any, told: str) -> Field:
    optional, bounds, choices = False, None, ()
    if get_origin(hint) in (UnionType, Union):
        parts = [part for part in get_args(hint) if part is not type(None)]
        if len(parts) != 1 or len(get_args(hint)) != 2:
            raise TypeError(f"{name}: a field is of one type, or of one type and None")
        optional, hint = True, parts[0]
    if get_origin(hint) is Annotated:
        hint, *more = get_args(hint)
        bounds = next((each for each in more if isinstance(each, Range)), None)
    if get_origin(hint) is Literal:
        hint, choices = str, get_args(hint)
    kind = get_origin(hint) or hint
    if kind not in _FITTED and not (isinstance(kind, type) and issubclass(kind, Secret)):
        raise TypeError(f"{name}: a connection cannot have a field of type {hint}")
    return Field(name, kind, optional, default, choices, bounds, told)


def _attributes(cls: type) -> Iterator[tuple[str, str]]:
    """What the docstrings of a class, and of those it derives from, say of its attributes."""
    for each in reversed(cls.__mro__):
        _, found, section = inspect.cleandoc(each.__doc__ or "").partition("\nAttributes:\n")
        if not found:
            continue
        for entry in re.split(r"\n {4}(?=\w)", "\n" + section.split("\n\n")[0]):
            if (matched := _ATTRIBUTE.fullmatch(" ".join(entry.split()))) is not None:
                for name in matched[1].split(", "):
                    yield name, matched[2]


def fit(fields: Mapping[str, Field], given: Mapping[str, object]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """What is given as the fields hold it, and every mistake in it. No mistake holds a value."""
    values: dict[str, Any] = {}
    mistakes: list[tuple[str, str]] = []
    for name, field in fields.items():
        if name not in given and not field.required:
            values[name] = field.default
        elif name not in given:
            mistakes.append((name, f"is missing; it is {field.wanted}"))
        else:
            try:
                values[name] = field.fitted(given[name])
            except Unfit as unfit:
                mistakes.append((name, str(unfit)))
    unknown = sorted(str(name) for name in given if name not in fields)
    mistakes += [(name[:60], f"is not a field; there are: {', '.join(fields)}") for name in unknown]
    return values, mistakes
