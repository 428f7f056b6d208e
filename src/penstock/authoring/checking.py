"""JSON values checked against a JSON Schema (2020-12), as far as `authoring.schema` and pydantic write such schemas.

Whoever answers a run seldom has the type the run asks for, but its schema is on record.
"""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from penstock.core import typed

Mistakes = list[tuple[str, str]]
Schema = dict[str, Any] | bool

_TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: not isinstance(value, bool) and (isinstance(value, int) or _is_whole(value)),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_WORDS = {"array": "a list", "object": "an object", "integer": "an integer", "null": "null"}
_FORMATS: dict[str, tuple[str, Any]] = {
    "date-time": ("a date and time (such as 2026-01-31T17:00:00Z)", datetime.datetime),
    "date": ("a date (such as 2026-01-31)", datetime.date),
    "time": ("a time (such as 17:00:00)", datetime.time),
    "duration": ("a duration (such as PT90M)", datetime.timedelta),
    "uuid": ("a UUID", uuid.UUID),
}
_SIZES: dict[str, tuple[type | tuple[type, ...], Callable[[Any, Any], bool], str]] = {
    "minimum": ((int, float), lambda value, most: value >= most, "at least {}"),
    "maximum": ((int, float), lambda value, most: value <= most, "at most {}"),
    "exclusiveMinimum": ((int, float), lambda value, most: value > most, "more than {}"),
    "exclusiveMaximum": ((int, float), lambda value, most: value < most, "less than {}"),
    "multipleOf": ((int, float), lambda value, step: value % step == 0, "a multiple of {}"),
    "minLength": (str, lambda value, most: len(value) >= most, "at least {} characters"),
    "maxLength": (str, lambda value, most: len(value) <= most, "at most {} characters"),
    "pattern": (str, lambda value, pattern: re.search(pattern, value) is not None, "text like {}"),
    "minItems": (list, lambda value, most: len(value) >= most, "at least {} items"),
    "maxItems": (list, lambda value, most: len(value) <= most, "at most {} items"),
    "minProperties": (dict, lambda value, most: len(value) >= most, "at least {} fields"),
    "maxProperties": (dict, lambda value, most: len(value) <= most, "at most {} fields"),
}


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def mistakes_in(value: Any, schema: Schema, path: str = "answer") -> Mistakes:
    """Everything in a JSON value that does not fit, each with its path, such as `answer.tags[2]`."""
    found: Mistakes = []
    _check(value, schema, path, found, schema.get("$defs", {}) if isinstance(schema, dict) else {})
    return found


def resolved(schema: Schema, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema itself, where it only refers to one of these definitions."""
    if not isinstance(schema, dict):
        return {} if schema else {"enum": []}
    ref = schema.get("$ref")
    if isinstance(ref, str) and ref.startswith("#/$defs/"):
        rest = {name: part for name, part in schema.items() if name != "$ref"}
        return {**resolved(definitions.get(ref.removeprefix("#/$defs/"), {}), definitions), **rest}
    return schema


def _check(value: Any, schema: Schema, path: str, found: Mistakes, definitions: dict[str, Any]) -> None:
    schema = resolved(schema, definitions)
    members = schema.get("anyOf") or schema.get("oneOf")
    if members:
        _check_members(value, members, path, found, definitions)
    for member in schema.get("allOf", ()):
        _check(value, member, path, found, definitions)
    wanted = schema.get("type")
    kinds = [wanted] if isinstance(wanted, str) else list(wanted or ())
    if kinds and not any(_TYPES.get(kind, lambda _: True)(value) for kind in kinds):
        found.append(
            (path, f"expected {' or '.join(_WORDS.get(kind, f'a {kind}') for kind in kinds)}, got {_shown(value)}")
        )
        return
    if "const" in schema and not _same(value, schema["const"]):
        found.append((path, f"expected {_shown(schema['const'])}, got {_shown(value)}"))
    if "enum" in schema and not any(_same(value, choice) for choice in schema["enum"]):
        choices = ", ".join(map(_shown, schema["enum"]))
        found.append((path, f"expected one of {choices}, got {_shown(value)}"))
    _check_sizes(value, schema, path, found)
    if isinstance(value, dict):
        _check_object(value, schema, path, found, definitions)
    elif isinstance(value, list):
        _check_array(value, schema, path, found, definitions)


def _check_members(value: Any, members: list[Schema], path: str, found: Mistakes, definitions: dict[str, Any]) -> None:
    """One of them has to fit; if none does, the mistakes are those of the nearest one of the same shape."""
    nearest: Mistakes | None = None
    for member in members:
        trial: Mistakes = []
        _check(value, member, path, trial, definitions)
        if not trial:
            return
        inside = all(where != path for where, _ in trial)
        if inside and (nearest is None or len(trial) < len(nearest)):
            nearest = trial
    if nearest is None:
        told = " or ".join(dict.fromkeys(described(member, definitions) for member in members))
        nearest = [(path, f"expected {told}, got {_shown(value)}")]
    found += nearest


def _check_sizes(value: Any, schema: dict[str, Any], path: str, found: Mistakes) -> None:
    for name, (kinds, fits, told) in _SIZES.items():
        applies = name in schema and isinstance(value, kinds) and not isinstance(value, bool)
        if applies and not fits(value, schema[name]):
            found.append((path, f"expected {told.format(schema[name])}, got {_shown(value)}"))
    told, kind = _FORMATS.get(schema.get("format", ""), ("", None))
    if kind is not None and isinstance(value, str):
        try:
            typed.convert(value, kind, strict=False)
        except (msgspec.ValidationError, ValueError):
            found.append((path, f"expected {told}, got {_shown(value)}"))


def _check_object(
    value: dict[str, Any], schema: dict[str, Any], path: str, found: Mistakes, definitions: dict[str, Any]
) -> None:
    fields = schema.get("properties", {})
    more = schema.get("additionalProperties", True)
    for name, item in value.items():
        if name in fields:
            _check(item, fields[name], f"{path}.{name}", found, definitions)
        elif more is False:
            found.append((f"{path}.{name}", f"no such field (there are: {', '.join(fields) or 'none'})"))
        else:
            _check(item, more, f"{path}[{name!r}]", found, definitions)
    found += [(f"{path}.{name}", "missing") for name in schema.get("required", ()) if name not in value]


def _check_array(
    value: list[Any], schema: dict[str, Any], path: str, found: Mistakes, definitions: dict[str, Any]
) -> None:
    first = schema.get("prefixItems", [])
    for place, item in enumerate(value):
        rest = first[place] if place < len(first) else schema.get("items", True)
        if rest is False:
            found.append((f"{path}[{place}]", f"there are {len(first)} items at most"))
        else:
            _check(item, rest, f"{path}[{place}]", found, definitions)
    if schema.get("uniqueItems") and any(item in value[:place] for place, item in enumerate(value)):
        found.append((path, "expected no item twice"))


def described(schema: Schema, definitions: dict[str, Any]) -> str:
    """What fits a schema, in a few words."""
    schema = resolved(schema, definitions)
    members = schema.get("anyOf") or schema.get("oneOf")
    if members:
        return " or ".join(dict.fromkeys(described(member, definitions) for member in members))
    if "enum" in schema:
        return "one of " + ", ".join(map(_shown, schema["enum"]))
    if "const" in schema:
        return _shown(schema["const"])
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]][0]
    wanted = schema.get("type")
    kinds = [wanted] if isinstance(wanted, str) else list(wanted or ())
    return _named(kinds) or "anything"


def _named(kinds: list[str]) -> str:
    return " or ".join(_WORDS.get(kind, f"a {kind}") for kind in kinds)


def _same(value: Any, choice: Any) -> bool:
    """Equal as JSON: 1 is 1.0, and not true."""
    return isinstance(value, bool) == isinstance(choice, bool) and bool(value == choice)


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."
