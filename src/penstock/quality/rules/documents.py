"""Rules as files and texts: YAML, TOML and JSON, read without believing them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.core.documents import json_value, yaml_value
from penstock.quality.errors import BadRules

LARGEST = 4 * 1024 * 1024
"""Bytes. Rules are written by people."""
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
    known = {".yaml": _yaml, ".yml": _yaml, ".toml": _toml, ".json": json_value}
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
        return json_value
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


def _toml(text: str) -> Any:
    return tomllib.loads(text)


def _yaml(text: str) -> Any:
    return yaml_value(text, "quality")
