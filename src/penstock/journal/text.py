r"""Text that no database takes as it is, made storable.

Half a surrogate pair has no UTF-8, and PostgreSQL refuses the character NUL. Both are rare, so nobody looks for them
beforehand: a journal that is refused makes the text storable and repeats what it did. The text stays readable: `\x00`,
`\ud800`.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from penstock.core.events import Event, Record, encode_event
from penstock.core.model import LogLine

E = TypeVar("E", bound=Event)


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
        return msgspec.convert(encodable(msgspec.to_builtins(event)), type(event))
    return event


def encodable_records(records: Any) -> list[Record]:
    """The same records, with text that has a UTF-8 encoding."""
    return [Record(encodable_event(event), data) for event, data in records]


def storable_values(values: Any) -> tuple[Any, ...]:
    """Column values without NUL and lone surrogates."""
    return tuple(storable(value) if isinstance(value, str) else value for value in values)


def storable_lines(lines: Any) -> list[LogLine]:
    """Log lines without NUL and lone surrogates."""
    return [
        msgspec.structs.replace(line, logger=storable(line.logger), message=storable(line.message)) for line in lines
    ]
