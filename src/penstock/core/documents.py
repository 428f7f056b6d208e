"""JSON and YAML that people wrote or sent, read without believing them: nothing in it is executed, or there twice."""

from __future__ import annotations

import functools
import json
from collections import Counter
from typing import Any

from penstock.core.extras import require

_DEEPEST = 40


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
            if self.depth > _DEEPEST:
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
