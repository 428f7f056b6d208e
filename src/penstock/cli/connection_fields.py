"""The fields of a connection as they are given on the command line. No secret is ever taken from it."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penstock.core.connection_fields import Field
from penstock.core.connections import BadFields, Connection
from penstock.core.errors import ConfigurationError
from penstock.core.secrets import Secret, SecretUrl

STDIN = "-"
_FILE = "_file"
_URL = Field("url", SecretUrl, True, None, told="Stands for the fields that are in it.")
_MOST_BYTES = 1_000_000


def option_of(name: str) -> str:
    """The option of a field."""
    return f"--{name.replace('_', '-')}"


def options_of(cls: type[Connection]) -> dict[str, Field]:
    """What can be given on the command line: the fields, and a URL that stands for several."""
    fields = cls.fields()
    return fields if "url" in fields or not cls.schemes else {"url": _URL, **fields}


def given_fields(cls: type[Connection], words: list[str]) -> dict[str, object]:
    """The fields that a command line gives: `--field value`, `--flag`, `--no-flag`, `--field -`, `--field-file FILE`.

    Raises:
        BadFields: it lists every mistake.
        ConfigurationError: a file cannot be read.
    """
    known = options_of(cls)
    found: dict[str, object] = {}
    mistakes: list[tuple[str, str]] = []
    for option, value in _pairs(known, words, mistakes):
        name = option.removeprefix("--").replace("-", "_")
        if name not in known and name.endswith(_FILE) and name.removesuffix(_FILE) in known:
            name = name.removesuffix(_FILE)
            found[name] = _content(value)
        elif name not in known:
            mistakes.append((option, f"is not a field; there are: {', '.join(map(option_of, known))}"))
        elif value == STDIN:
            found[name] = _content(value)
        elif not known[name].secret or _harmless(known[name], value):
            found[name] = value
        else:
            mistakes.append((option, _visible(known[name], option)))
    del words[:]
    if mistakes:
        found.clear()
        raise BadFields(f"the options of the {cls.kind} connection", mistakes)
    return found


def _pairs(known: dict[str, Field], words: list[str], mistakes: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Options with their values."""
    waiting = list(words)
    while waiting:
        option, equals, value = waiting.pop(0).partition("=")
        name = option.removeprefix("--").replace("-", "_")
        if not option.startswith("--"):
            mistakes.append(("an argument", "is too much: fields are given as --field value"))
        elif equals:
            yield option, value
        elif name in known and known[name].kind is bool:
            plain = bool(waiting) and waiting[0].lower() in ("true", "false")
            yield option, waiting.pop(0) if plain else "true"
        elif name.startswith("no_") and (of := known.get(name.removeprefix("no_"))) is not None and of.kind is bool:
            yield option_of(of.name), "false"
        elif not waiting or waiting[0].startswith("--"):
            mistakes.append((option, "needs a value"))
        else:
            yield option, waiting.pop(0)


def _harmless(field: Field, value: str) -> bool:
    return field.kind is SecretUrl and SecretUrl(value).harmless


def _visible(field: Field, option: str) -> str:
    what = "holds a password" if field.kind is SecretUrl else "is a secret"
    return (
        f"{what}, and everybody on this machine can see a command line: give {option}-file FILE, or {option} - to read "
        f"it from standard input{'' if field.kind is SecretUrl else '; in a terminal it is asked for'}"
    )


def _content(place: str) -> Secret:
    """A file, or standard input, without the line break at its end."""
    try:
        data = sys.stdin.buffer.read(_MOST_BYTES) if place == STDIN else Path(place).expanduser().read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{place} cannot be read: {error.strerror or error}.", hint="check the name of the file"
        ) from None
    try:
        text: Secret | None = Secret(data.decode().removesuffix("\n").removesuffix("\r"))
    except UnicodeDecodeError:
        text = None
    del data
    if text is None:
        raise ConfigurationError(f"{place if place != STDIN else 'Standard input'} is not UTF-8.")
    return text


def plain_where_needed(cls: type[Connection], given: dict[str, object]) -> None:
    """What was read from a file or standard input for a field that is no secret becomes text."""
    for name, value in given.items():
        field = options_of(cls)[name]
        if isinstance(value, Secret) and not field.secret:
            given[name] = value.reveal()


def ask_for_secrets(cls: type[Connection], given: dict[str, object]) -> None:
    """Ask for the secrets that are wanted, without showing what is typed; an empty answer is none.

    Where nobody sits at a terminal nothing is asked, and what is missing is told later.
    """
    if not sys.stdin.isatty():
        return
    for name in cls.asks(given):
        if name not in given:
            label = f"{name.replace('_', ' ')} of the {cls.kind} connection"
            if not cls.fields()[name].required:
                label += " (empty for none)"
            typed = Secret(getpass.getpass(f"{label}: ", stream=sys.stderr))
            if typed:
                given[name] = typed


def described(field: Field) -> dict[str, Any]:
    """A field as JSON."""
    default = None if field.required or field.default is None else field.default
    return {
        "name": field.name,
        "option": option_of(field.name),
        "wants": field.wanted,
        "secret": field.secret,
        "required": field.required,
        "default": str(default) if isinstance(default, Secret) else default,
        "told": field.told,
    }
