"""JSON schemas of webhooks: checked whole when a webhook is made, and in a time that grows with the body alone.

Patterns are those of an engine without backtracking, so that no body makes one of them run for ever. Nothing is
fetched from elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NoReturn

import msgspec

from penstock.control.webhooks.requests import Refused
from penstock.core.extras import require

_MOST_LEVELS = 64
_LONGEST = 300


def check_schema(schema: dict[str, Any] | None, value: Any) -> None:
    """Look whether what a request says follows a schema.

    Raises:
        Refused: it does not; the first place is told.
    """
    if schema is None:
        return
    try:
        error = next(iter(_validator(msgspec.json.encode(schema)).iter_errors(value)), None)
    except Exception as failure:  # one that was declared before it was looked at as closely as now
        told = f"The schema cannot be used: {type(failure).__name__}."
        raise Refused("schema", told, failed=True) from None
    if error is not None:
        place = _place(error.instance_path)
        raise Refused("schema", f"The body does not follow the schema at {place}: {error.message[:_LONGEST]}")


def schema_mistake(schema: dict[str, Any]) -> str | None:
    """Why this cannot be the schema of a webhook; None where it can."""
    if _levels(schema) > _MOST_LEVELS:
        return f"is nested too deeply: it has more than {_MOST_LEVELS} levels"
    invalid = require("jsonschema_rs", "server").ValidationError
    try:
        _validator(msgspec.json.encode(schema))
    except invalid as error:
        told = f"is no JSON schema that can be used at {_place(error.instance_path)}: {error.message[:_LONGEST]}"
        pattern = error.message.endswith('is not a "regex"')
        return f"{told} (patterns have no look-around and no back-references)" if pattern else told
    except ValueError as error:
        return f"is no JSON schema that can be used: {str(error)[:_LONGEST]}"
    return None


def _place(path: Sequence[str | int]) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def _levels(schema: Any) -> int:
    deepest, waiting = 0, [(schema, 1)]
    while waiting and deepest <= _MOST_LEVELS:
        each, level = waiting.pop()
        if isinstance(each, (dict, list)):
            deepest = max(deepest, level)
            waiting += [(part, level + 1) for part in (each.values() if isinstance(each, dict) else each)]
    return deepest


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> Any:
    engine = require("jsonschema_rs", "server")
    options = engine.RegexOptions(size_limit=1_000_000)
    return engine.validator_for(msgspec.json.decode(schema), pattern_options=options, retriever=_nothing)


def _nothing(uri: str) -> NoReturn:
    raise LookupError("it is not in the schema, and nothing is fetched")
