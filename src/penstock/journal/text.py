r"""Text that no database takes as it is, made storable.

Half a surrogate pair has no UTF-8, and PostgreSQL takes neither the character NUL nor a very long text in an indexed
column. All are rare, so nobody looks for them beforehand: a journal that is refused makes the text storable and repeats
what it did. The text stays readable: `\x00`, `\ud800`. Events keep it whole wherever JSON can.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from penstock.core import typed
from penstock.core.events import Event, Record, encode_event
from penstock.core.model import LogLine

E = TypeVar("E", bound=Event)

_INDEXED = frozenset({"name", "flow", "key"})
_MOST_CHARACTERS = 500


def storable(text: str) -> str:
    """The text without NUL and lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def encodable(value: Any) -> Any:
    """Plain data with text that has a UTF-8 encoding (NUL stays: JSON can express it)."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encodable(item) for item in value]
    return value


def encodable_event(event: E) -> E:
    """The event with text that has a UTF-8 encoding."""
    try:
        encode_event(event)
    except UnicodeEncodeError:
        return typed.convert(encodable(msgspec.to_builtins(event)), type(event))
    return event


def encodable_records(records: Any) -> list[Record]:
    """The same records, with text that has a UTF-8 encoding."""
    return [Record(encodable_event(event), data) for event, data in records]


def storable_values(values: Any) -> tuple[Any, ...]:
    """Column values without NUL and lone surrogates."""
    return tuple(storable(value) if isinstance(value, str) else value for value in values)


def indexable_values(columns: Sequence[str], values: Any) -> tuple[Any, ...]:
    """Column values without NUL and lone surrogates, and short where an index holds them."""
    return tuple(
        _short(value) if column in _INDEXED and isinstance(value, str) else value
        for column, value in zip(columns, storable_values(values), strict=True)
    )


def _short(text: str) -> str:
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[:_MOST_CHARACTERS]}...{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


def storable_lines(lines: Any) -> list[LogLine]:
    """Log lines without NUL and lone surrogates."""
    return [
        msgspec.structs.replace(
            line,
            key=storable(line.key) if line.key else line.key,
            logger=storable(line.logger),
            message=storable(line.message),
        )
        for line in lines
    ]
