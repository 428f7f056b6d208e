"""The text of a query: where it comes from, and whether it only reads."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from penstock.core.errors import ConfigurationError

_READING = frozenset(
    {"select", "with", "values", "from", "table", "show", "describe", "desc", "summarize", "explain"}
    | {"pivot", "unpivot"}
)
_SKIPPED = re.compile(r"(?:\s|\(|;|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
_PIECE = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | \$(\w*)\$.*?\$\1\$ | --[^\n]* | /\*.*?\*/ | ;""", re.DOTALL | re.VERBOSE
)


def query_of(query: str | None, file: Path | None) -> str:
    """The query: of the command line, a file or standard input.

    Raises:
        ConfigurationError: there is none, or more than one.
    """
    if query is not None and file is not None:
        raise ConfigurationError("The query is given twice.", hint="give either QUERY or --file FILE")
    if file is not None:
        try:
            return file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            told = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
            raise ConfigurationError(f"{file} cannot be read: {told}.") from error
    if query is not None and query != "-":
        return query
    if query is None and sys.stdin.isatty():
        raise ConfigurationError("There is no query.", hint="penstock sql 'SELECT ...', or --file FILE")
    return sys.stdin.read()


def checked(sql: str) -> str:
    """One statement, without the semicolon at its end.

    Raises:
        ConfigurationError: there is none, or several.
    """
    ends = [found.start() for found in _PIECE.finditer(sql) if found[0] == ";"]
    if ends and _SKIPPED.fullmatch(sql, ends[0]):
        sql = sql[: ends[0]]
    elif ends and first_word(sql[ends[0] + 1 :]):
        raise ConfigurationError("There are several statements.", hint="ask one at a time")
    if not first_word(sql):
        raise ConfigurationError("The query is empty.", hint="such as: penstock sql 'SELECT 1'")
    return sql


def writes(sql: str) -> str:
    """The word that says that a statement changes something; nothing where it only reads.

    What a reading word does not show (a WITH that deletes, a function that writes) the database itself refuses, as it
    is opened for reading only.
    """
    word = first_word(sql)
    return "" if word.lower() in _READING else word.upper()


def first_word(sql: str) -> str:
    """The first word that is no comment."""
    start = _SKIPPED.match(sql)
    found = re.compile(r"\w+").match(sql, start.end() if start else 0)
    return found[0] if found else ""
