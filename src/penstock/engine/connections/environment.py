"""Connections from the environment and from `.env`: `PENSTOCK_CONNECTION_WAREHOUSE=postgresql://...`, or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from penstock.core.connections import BadFields, Connection
from penstock.core.errors import BadConnection, ConfigurationError
from penstock.core.secrets import Secret
from penstock.engine.connections.types import type_named, type_of_scheme

PREFIX = "PENSTOCK_CONNECTION_"
ENVIRONMENT, DOTENV = "environment", ".env"
_MOST_BYTES = 1_000_000
_SPACE, _NAME = (
    re.compile(r"(?:[ \t]|#[^\n]*|\n)*"),
    re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*"),
)
_SINGLE, _DOUBLE = re.compile(r"'([^']*)'"), re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_PLAIN, _REST = re.compile(r"((?:[^\n#]|(?<![ \t])#)*)"), re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|$)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


class Found(NamedTuple):
    """What a variable says.

    Attributes:
        variable: its name.
        text: its value.
        place: `environment` or `.env`.
    """

    variable: str
    text: Secret
    place: str


def variable_of(name: str) -> str:
    """The variable that goes before the saved connection of this name."""
    return PREFIX + name.upper().replace("-", "_")


class Environment:
    """The environment, and behind it the `.env` of the project.

    Args:
        environ: the environment.
        folder: where `.env` may be; None for nowhere.
    """

    def __init__(self, environ: Mapping[str, str], folder: Path | None = None) -> None:
        self._environ = environ
        self._file = folder / DOTENV if folder is not None else None

    def get(self, variable: str) -> str | None:
        """A variable from the environment, else from `.env`."""
        found = self._environ.get(variable)
        if found:
            return found
        written = self._written().get(variable)
        return written.reveal() if written is not None else None

    def find(self, name: str) -> Found | None:
        """What is said of the connection of this name."""
        variable = variable_of(name)
        if self._environ.get(variable):
            return Found(variable, Secret(self._environ[variable]), ENVIRONMENT)
        text = self._written().get(variable)
        return Found(variable, text, DOTENV) if text is not None else None

    def listed(self) -> dict[str, Found]:
        """Every connection that is described here, by the name that its variable stands for."""
        found = {v: Found(v, text, DOTENV) for v, text in self._written().items() if v.startswith(PREFIX)}
        for variable, value in self._environ.items():
            if variable.startswith(PREFIX) and value:
                found[variable] = Found(variable, Secret(value), ENVIRONMENT)
        return {variable.removeprefix(PREFIX).lower(): each for variable, each in sorted(found.items())}

    def _written(self) -> dict[str, Secret]:
        if self._file is None:
            return {}
        try:
            data = self._file.read_bytes()[:_MOST_BYTES]
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return {}
        except OSError as error:
            raise ConfigurationError(
                f"{self._file} cannot be read: {error.strerror}.", hint="make it readable, or move it away"
            ) from None
        try:
            text: Secret | None = Secret(data.decode("utf-8-sig"))
        except UnicodeDecodeError:
            text = None
        del data
        if text is None:
            raise ConfigurationError(f"{self._file} is not UTF-8.", hint="save it as UTF-8")
        found, wrong = dotenv(text)
        if wrong is not None:
            raise ConfigurationError(f"{self._file}, line {wrong} cannot be read.", hint=_RULES)
        return found


_RULES = 'write NAME=value, NAME=\'as it is\' or NAME="with \\n and \\" in it"; a comment begins with # after a space'


def dotenv(text: Secret) -> tuple[dict[str, Secret], int | None]:
    """The variables of a `.env` file, and the number of the first line that cannot be read.

    The last line that sets a variable counts. Nothing is expanded.
    """
    found: dict[str, Secret] = {}
    source = text.reveal().replace("\r\n", "\n")
    at = 0
    while True:
        at = _SPACE.match(source, at).end()  # type: ignore[union-attr] # it matches nothing, too
        if at == len(source):
            return found, None
        line = source.count("\n", 0, at) + 1
        name = _NAME.match(source, at)
        if name is None:
            return {}, line
        value, at = _value(source, name.end())
        rest = _REST.match(source, at)
        if value is None or rest is None:
            return {}, line
        if value:
            found[name[1]] = value
        else:
            found.pop(name[1], None)
        at = rest.end()


def _value(source: str, at: int) -> tuple[Secret | None, int]:
    if source.startswith("'", at):
        quoted = _SINGLE.match(source, at)
        return (Secret(quoted[1]), quoted.end()) if quoted else (None, at)
    if source.startswith('"', at):
        quoted = _DOUBLE.match(source, at)
        return (
            (Secret(re.sub(r"\\(.)", _unescaped, quoted[1], flags=re.DOTALL)), quoted.end()) if quoted else (None, at)
        )
    plain = _PLAIN.match(source, at)
    return (Secret(plain[1].strip()), plain.end()) if plain else (None, at)


def _unescaped(found: re.Match[str]) -> str:
    return _ESCAPED.get(found[1], found[1])


def connection_in(found: Found) -> Connection:
    """The connection that a variable describes.

    Raises:
        BadConnection: it cannot be; the message shows nothing of the value.
    """
    cls, values, problem = _read(found.text)
    if cls is None:
        raise BadConnection(f"{found.variable} ({found.place}) cannot be read: {problem}.", hint=_FORMS)
    try:
        return cls.of(values)
    except BadFields as error:
        mistakes = error.mistakes
    finally:
        values.clear()
    raise BadFields(f"{found.variable} ({found.place})", mistakes)


_FORMS = 'write a URL such as postgresql://user@host/database, or JSON: {"type": "postgres", "host": "..."}'


def _read(text: Secret) -> tuple[type[Connection] | None, dict[str, Any], str]:
    """The type and the fields, or what is wrong."""
    value = text.reveal().strip()
    if not value.startswith("{"):
        scheme = value.partition("://")[0].lower() if "://" in value else ""
        cls = type_of_scheme(scheme) if scheme else None
        return cls, {"url": Secret(value)}, "it is no URL of a known kind, and no JSON object"
    try:
        values = json.loads(value)
    except ValueError as error:
        return None, {}, f"its JSON ends or goes wrong at character {getattr(error, 'pos', 0) + 1}"
    except RecursionError:
        return None, {}, "its JSON is too deep"
    kind = values.pop("type", None)
    if not isinstance(kind, str):
        return None, {}, 'the JSON has no "type"'
    try:
        return type_named(kind), values, ""
    except BadConnection:
        return None, {}, "its type is not known: penstock connection types lists those there are"
