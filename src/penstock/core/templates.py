"""Texts with `{facts}` in them. Nothing is evaluated: a fact is looked up, and that is all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from penstock.core.errors import PenstockError

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PATH = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)*", re.ASCII)

ALIASES = {"resource": "about", "payload": "facts"}
"""Facts that have two names: those of webhooks' templates, too."""


class FactMissing(PenstockError):
    """A text asks for a fact that is not there."""

    code = "fact-missing"


def is_path(text: str) -> bool:
    """Whether this can name a fact: `flow`, `run.id`, `facts.rows`, `tags.0`."""
    return _PATH.fullmatch(text) is not None


def names_fact(text: str) -> bool:
    """Whether a text asks for a fact."""
    return any(part[1] is not None and is_path(part[1]) for part in _PART.finditer(text))


def lookup(facts: Any, path: str) -> Any:
    """The fact of this name, from within facts.

    Raises:
        KeyError: it is not there.
    """
    found = facts
    parts = path.split(".")
    if parts[0] in ALIASES and isinstance(facts, Mapping) and parts[0] not in facts:
        parts[0] = ALIASES[parts[0]]
    for part in parts:
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, (list, tuple)) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            raise KeyError(path)
    return found


def paths_in(value: Any) -> Iterator[str]:
    """The names of facts that texts ask for, wherever they are in a value.

    Raises:
        ValueError: a brace that belongs to nothing, or something that cannot be a name.
    """
    if isinstance(value, str):
        for part in _PART.finditer(value):
            if part[0] in ("{{", "}}"):
                continue
            if part[1] is None:
                raise ValueError(f"{value!r} has a lone {part[0]!r}; write it twice where it is meant as it is")
            if not is_path(part[1]):
                raise ValueError(f"{part[0]!r} is no fact; write {{{{ and }}}} where braces are meant as they are")
            yield part[1]
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from paths_in(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from paths_in(each)


def fill(value: Any, facts: Mapping[str, Any], missing: str | None = None) -> Any:
    """A value with the facts in its texts; a text that is one `{fact}` and nothing else becomes that fact itself.

    Args:
        value: a text, or lists and dicts with texts in them.
        facts: what is known.
        missing: what to put for a fact that is not there.

    Raises:
        FactMissing: a fact is not there, and there is nothing to put for it.
    """
    if isinstance(value, str):
        whole = _PART.fullmatch(value)
        if whole is not None and whole[1] is not None:
            return _fact(facts, whole[1], missing)
        return fill_text(value, facts, missing)
    if isinstance(value, Mapping):
        return {key: fill(each, facts, missing) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [fill(each, facts, missing) for each in value]
    return value


def fill_text(text: str, facts: Mapping[str, Any], missing: str | None = None) -> str:
    """A text with the facts in it, as text."""

    def put(part: re.Match[str]) -> str:
        if part[1] is None:
            return part[0][0]
        return as_text(_fact(facts, part[1], missing))

    return _PART.sub(put, text)


def with_variables(text: str, value_of: Callable[[str], str]) -> str:
    """A text with values for its `${NAMES}`."""
    return _VARIABLE.sub(lambda part: value_of(part[1]), text)


def as_text(value: Any) -> str:
    """A fact as people read it."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _fact(facts: Mapping[str, Any], path: str, missing: str | None) -> Any:
    try:
        return lookup(facts, path)
    except KeyError:
        if missing is not None:
            return missing
        raise FactMissing(
            f"There is no fact {path!r}.", hint=f"there are: {', '.join(sorted(map(str, facts)))}"
        ) from None
