"""JSON and YAML that people wrote or sent, read without believing them: nothing in it is executed, or there twice."""

from __future__ import annotations

import functools
import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from penstock.core.extras import require

DEEPEST = 40
LONGEST_TEXT = 10_000
"""Characters of a name, or of a text that people write beside it."""

_LONGEST_VALUE = 10_000_000


def json_value(text: str) -> Any:
    """What JSON says.

    Raises:
        ValueError: it is no JSON, or an object has a name twice.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise ValueError(f"{', '.join(sorted(name for name, count in counts.items() if count > 1))} is there twice")
    return found


def yaml_value(text: str, extra: str) -> Any:
    """What YAML says: plain values only.

    Args:
        text: the YAML.
        extra: what PyYAML is installed with here.

    Raises:
        ValueError: it is no YAML, holds aliases, a name twice, or is nested too deeply.
        MissingExtra: PyYAML is not installed.
    """
    yaml = require("yaml", extra)
    try:
        return yaml.load(text, Loader=_loader(extra))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


@functools.cache
def _loader(extra: str) -> Any:
    """A loader of plain values that follows no aliases, which can make a short text a large one."""
    yaml = require("yaml", extra)

    class Loader(yaml.SafeLoader):  # type: ignore[misc,name-defined,unused-ignore]
        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                mark = self.peek_event().start_mark
                raise yaml.composer.ComposerError(None, None, "aliases (*name) are not followed here", mark)
            self.depth += 1
            if self.depth > DEEPEST:
                raise yaml.composer.ComposerError(None, None, "nested too deeply", self.peek_event().start_mark)
            try:
                return super().compose_node(parent, index)
            finally:
                self.depth -= 1

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            names = set()
            for each, _ in node.value:
                if isinstance(each.value, str) and each.value in names:
                    what = f"{each.value} is there twice"
                    raise yaml.constructor.ConstructorError(None, None, what, each.start_mark)
                names.add(each.value if isinstance(each.value, str) else id(each))
            return super().construct_mapping(node, deep)

    return Loader


def json_mistakes(value: Any, place: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """What in a value has no form in JSON, or cannot be stored.

    Args:
        value: the value.
        place: where it is.
        depth: how deep that is.
    """
    if depth > DEEPEST:
        yield place, f"it is nested more than {DEEPEST} deep"
    elif isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str) or text_mistake(name, LONGEST_TEXT):
                yield place, f"{str(name)[:50]!r} cannot be the name of a field"
            yield from json_mistakes(item, f"{place}.{name}", depth + 1)
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from json_mistakes(item, f"{place}[{number}]", depth + 1)
    elif told := _plain_mistake(value):
        yield place, told


def text_mistake(text: str, longest: int) -> str | None:
    """Why a text cannot be kept; None where it can."""
    if len(text) > longest:
        return f"it has {len(text):,} characters; at most {longest:,} can be"
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        return "it holds a character that cannot be stored"
    return None


def _plain_mistake(value: Any) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return text_mistake(value, _LONGEST_VALUE)
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**63 else "the number is too large; write it as a text"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{value} is no number of JSON"
    return f"a {type(value).__name__} is no JSON; write it as a text, in quotes"
