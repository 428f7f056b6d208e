"""Rules as files and texts: YAML, TOML and JSON, read without believing them."""

from __future__ import annotations

import functools
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.core.extras import require
from penstock.quality.errors import BadRules

LARGEST = 4 * 1024 * 1024
"""Bytes. Rules are written by people."""
_DEEPEST = 40
_TOML = re.compile(r"^\s*(\[\[?[\w.\"' -]+\]?\]|[\w\"'-]+\s*=)", re.MULTILINE)
_YAML = re.compile(r"^\s*(-\s|[\w\"'-]+\s*:(\s|$))", re.MULTILINE)


def read_document(source: Path | str) -> Any:
    """What a file or a text says. A text has more than one line, or begins as JSON does; anything else is a path.

    Raises:
        BadRules: it cannot be read, or is no YAML, TOML or JSON.
    """
    if isinstance(source, str) and ("\n" in source or source.lstrip()[:1] in ("{", "[")):
        return _read(source.encode(), _format_of(source), "the rules")
    path = Path(source)
    known = {".yaml": _yaml, ".yml": _yaml, ".toml": _toml, ".json": _json}
    if path.suffix.lower() not in known:
        raise BadRules([(str(path), "no file of rules")], hint="name it .yaml, .toml or .json")
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise BadRules([(str(path), f"cannot be read: {error.strerror or error}")]) from None
    return _read(data, known[path.suffix.lower()], str(path))


def _format_of(text: str) -> Callable[[str], Any]:
    if text.lstrip()[:1] == "{" or (text.lstrip()[:1] == "[" and not _TOML.match(text.lstrip())):
        return _json
    toml, yaml = _TOML.search(text), _YAML.search(text)
    return _toml if toml and (not yaml or toml.start() < yaml.start()) else _yaml


def _read(data: bytes, parse: Callable[[str], Any], place: str) -> Any:
    if len(data) > LARGEST:
        raise BadRules([(place, f"larger than {LARGEST // 1024 // 1024} MB, which no rules are")])
    try:
        return parse(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadRules([(place, f"no UTF-8 text: byte {error.start} is {data[error.start]:#04x}")]) from None
    except RecursionError:
        raise BadRules([(place, "nested too deeply")]) from None
    except ValueError as error:
        raise BadRules([(place, str(error))]) from None


def _json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{', '.join(sorted({name for name in names if names.count(name) > 1}))} is there twice")
    return found


def _toml(text: str) -> Any:
    return tomllib.loads(text)


def _yaml(text: str) -> Any:
    yaml = require("yaml", "quality")
    try:
        return yaml.load(text, Loader=_loader())
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


@functools.cache
def _loader() -> Any:
    """A loader of plain values that follows no aliases, which can make a short text a large one."""
    yaml = require("yaml", "quality")

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
            names = [each.value for each, _ in node.value]
            for each, _ in node.value:
                if names.count(each.value) > 1:
                    what = f"{each.value} is there twice"
                    raise yaml.constructor.ConstructorError(None, None, what, each.start_mark)
            return super().construct_mapping(node, deep)

    return Loader
