"""Files that somebody sent in, for runs to read: what a journal keeps of them (`file/ID`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import msgspec

from penstock.core.events import Event

KIND = "file"
MARK = "$file"
"""`{"$file": ID}` in the parameters of a run stands for the path of a file."""
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_DEEPEST = 60


class FileUploaded(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A file is there, whole. Nothing of it ever changes.

    Attributes:
        id: sorts by time.
        name: what its sender calls it; no path is made of it.
        size: bytes.
        digest: SHA-256 of its content, in hexadecimal.
        media_type: what it seems to be, by its content.
        tags: who has one of these may see it.
        by: who sent it.
    """

    stored: ClassVar[str] = "FileUploaded"
    id: str
    name: str
    size: int
    digest: str
    media_type: str
    tags: tuple[str, ...] = ()
    by: str | None = None


class FileDeleted(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A file is not for use any more. Its content stays as long as a run is there that was given it."""

    stored: ClassVar[str] = "FileDeleted"
    id: str
    by: str | None = None


UPLOADS: tuple[type[Event], ...] = (FileUploaded, FileDeleted)


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as the journal lists it: see `FileUploaded`.

    Attributes:
        at: when it was sent (microseconds).
    """

    id: str
    name: str
    size: int
    digest: str
    media_type: str
    tags: tuple[str, ...]
    at: int
    uploaded_by: str | None


def is_file_id(text: Any) -> bool:
    """Whether this can be the id of a file."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def ref_of(file_id: str) -> str:
    """What a run that was given the file is found by, beside references to the result store."""
    return f"{KIND}-{file_id}"


def marked(value: Any) -> bool:
    """Whether an object stands for a file."""
    return isinstance(value, Mapping) and len(value) == 1 and MARK in value


def files_in(value: Any, place: str = "", depth: int = _DEEPEST) -> Iterator[tuple[str, Any]]:
    """Where files stand in parameters, and which; literals are not looked into."""
    if depth and marked(value):
        yield place, value[MARK]
    elif depth and isinstance(value, Mapping) and not (len(value) == 1 and "$literal" in value):
        for name, item in value.items():
            yield from files_in(item, f"{place}.{name}" if place else str(name), depth - 1)
    elif depth and isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from files_in(item, f"{place}[{number}]", depth - 1)
