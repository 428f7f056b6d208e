"""Addresses of sources and sinks, as people type them: `SCHEME:REST#TABLE`, and options of the kind NAME=VALUE."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from penstock.core.errors import ConfigurationError

FILES = "files"
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):(.*)", re.DOTALL)
_WITHOUT_TABLE = frozenset({"http", "https", FILES})
_PASSWORD = re.compile(r"(//[^:/?#@]*):[^?#]*@")
_SECRET = re.compile(r"passw(?:or)?d|secret|token|credential|(?:^|[._-])(?:api_?|access_?)?key(?!s)", re.IGNORECASE)
_OPTION = re.compile(r"([?&])([^=&#]+)=[^&#]*")


class Address(NamedTuple):
    """Where something is.

    Attributes:
        scheme: what kind of thing it is.
        rest: where, in the scheme's own terms; of `postgresql://host/shop` this is `//host/shop`.
        table: what stands behind a `#`.
        options: what else was said of it, by name.
    """

    scheme: str
    rest: str
    table: str = ""
    options: Mapping[str, str] = {}

    @property
    def url(self) -> str:
        """Scheme and rest, as other tools write it."""
        return f"{self.scheme}:{self.rest}"

    def taken(self, *known: str) -> dict[str, str]:
        """The options.

        Raises:
            ConfigurationError: there is one that is not among those known.
        """
        for name in self.options:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known) or 'none'}"
                raise ConfigurationError(f"{self.scheme} has no option {name}.", hint=hint)
        return dict(self.options)


def parsed(text: str, options: Mapping[str, str] | None = None) -> Address:
    """Take an address apart; one without a scheme is that of files.

    Raises:
        ConfigurationError: it is empty.
    """
    if not text.strip():
        raise ConfigurationError(
            "An address is empty.", hint="such as orders.csv or postgresql://localhost/shop#orders"
        )
    found = _SCHEME.fullmatch(text)
    scheme, rest = (found[1], found[2]) if found else (FILES, text)
    table = ""
    if scheme not in _WITHOUT_TABLE:
        rest, _, table = rest.partition("#")
    return Address(scheme, rest, table, dict(options or {}))


def without_secrets(url: str) -> str:
    """An address without its password, and without options that look like secrets."""

    def without(found: re.Match[str]) -> str:
        return f"{found[1]}{found[2]}=" if is_secret(found[2]) else found[0]

    return _OPTION.sub(without, _PASSWORD.sub(r"\1@", url))


def is_secret(option: str) -> bool:
    """Whether an option is called like a secret."""
    return _SECRET.search(option) is not None


def several(text: str) -> list[str]:
    """Names that are separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def options_of(texts: Iterable[str]) -> dict[str, str]:
    """Options as people type them: NAME=VALUE.

    Raises:
        ConfigurationError: one has no equals sign, or comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"{text!r} is no option.", hint="options are NAME=VALUE, such as delimiter=;")
        if name in found:
            raise ConfigurationError(f"The option {name} is given twice.")
        found[name] = value
    return found
