"""Parameters that were given as texts, for engines that take JSON by its schema and convert nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


def as_described(parameters: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, with the values that their texts stand for where a text is not what is wanted.

    Args:
        parameters: as they were given, such as on the command line.
        schema: a JSON Schema of all of them.
    """
    properties = schema.get("properties") or {}
    return {name: _value(value, properties.get(name) or {}, schema) for name, value in parameters.items()}


def _value(value: Any, wanted: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    if not isinstance(value, str):
        return value
    kinds = _kinds(wanted, schema)
    if not kinds or "string" in kinds:
        return value
    try:
        found = msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return value
    return value if isinstance(found, str) else found


def _kinds(wanted: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 5) -> set[str]:
    """Which types of JSON are wanted; none where that cannot be told."""
    if not depth:
        return set()
    if reference := wanted.get("$ref"):
        name = str(reference).rpartition("/")[2]
        found = (schema.get("$defs") or schema.get("definitions") or {}).get(name) or {}
        return _kinds(found, schema, depth - 1)
    if isinstance(wanted.get("enum"), list):
        return {"string"} if any(isinstance(each, str) for each in wanted["enum"]) else {"other"}
    if "type" in wanted:
        kind = wanted["type"]
        return set(kind) if isinstance(kind, list) else {kind}
    parts = [_kinds(each, schema, depth - 1) for each in (*wanted.get("anyOf", ()), *wanted.get("oneOf", ()))]
    return set().union(*parts) if parts and all(parts) else set()
