"""Where files are: what is there, and their bytes."""

from __future__ import annotations

import hashlib
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from penstock.core.errors import SourceUnavailable
from penstock.core.ports.data import Place

_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as a listing shows it.

    Attributes:
        name: below the root of its storage, with slashes.
        size: bytes.
        modified: when its content last changed (nanoseconds since 1970).
        tag: the entity tag of an object; empty for a file on disk.
        arrived: when it came to be under this name, at the latest (nanoseconds); see `Storage.slack`.
    """

    name: str
    size: int
    modified: int
    tag: str = ""
    arrived: int = 0

    @property
    def order(self) -> tuple[int, str]:
        """The oldest file comes first."""
        return (self.modified, self.name)

    @property
    def version(self) -> bytes:
        """Eight bytes that stand for its content: for its tag and size, or for the time of its change and size."""
        return _digest(f"{self.size} {self.tag or self.modified}")

    @property
    def identity(self) -> bytes:
        """Sixteen bytes that stand for its name and its content."""
        return _digest(self.name) + self.version

    def same_content(self, other: Entry | None) -> bool:
        """Nothing says that the content changed between two looks at a file."""
        return other is not None and self.version == other.version


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()


class Storage(ABC):
    """A folder or a prefix, and a pattern of names.

    Attributes:
        slack: by how much `Entry.arrived` may be earlier than the file was first to be seen (nanoseconds).
        atomic: a file is there whole or not at all.
        base: what every name begins with.
    """

    slack = 2_000_000_000
    atomic = False
    base = ""

    @property
    @abstractmethod
    def place(self) -> Place:
        """As lineage names it."""

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """Every file whose name matches, in any order.

        Raises:
            SourceUnavailable: they cannot be listed.
        """

    @abstractmethod
    def entry(self, name: str) -> Entry | None:
        """One file as it is now; any name, whether it matches or not."""

    @abstractmethod
    def open(self, entry: Entry) -> BinaryIO:
        """Its bytes; can be sought in.

        Raises:
            FileNotFoundError: it is gone.
            SourceUnavailable: it cannot be read.
        """

    @abstractmethod
    def label(self, name: str) -> str:
        """A file as messages call it."""

    def matches(self, name: str) -> bool:
        """The pattern includes this name."""
        return True


class Folder(Storage):
    """Files on disk.

    Args:
        path: a file, a folder (every file in it, at any depth), or a pattern with `*`, `?`, `[...]` and `**`. What
            begins with a dot is left out unless the pattern says so.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.root, self.pattern = _parted(os.fspath(path))
        self._match = pattern_of(self.pattern)

    @property
    def place(self) -> Place:
        """See `Storage.place`."""
        return Place("file", str(Path(os.path.abspath(self.root)) / self.pattern))

    def matches(self, name: str) -> bool:
        """See `Storage.matches`."""
        return self._match.fullmatch(name) is not None

    def entries(self) -> Iterator[Entry]:
        """See `Storage.entries`. What is a link to a folder is not followed."""
        depth = None if "**" in self.pattern.split("/") else self.pattern.count("/")
        waiting = [("", 0)]
        while waiting:
            below, level = waiting.pop()
            try:
                with os.scandir(os.path.join(self.root, below)) as found:
                    for item in found:
                        name = below + item.name
                        if item.is_dir(follow_symlinks=False):
                            if depth is None or level < depth:
                                waiting.append((f"{name}/", level + 1))
                        elif self._match.fullmatch(name) and (entry := _entry(name, item)) is not None:
                            yield entry
            except FileNotFoundError:
                continue
            except OSError as error:
                raise unreadable(self.label(below), error) from error

    def entry(self, name: str) -> Entry | None:
        """See `Storage.entry`."""
        try:
            return _of_stat(name, os.stat(os.path.join(self.root, name)))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise unreadable(self.label(name), error) from error

    def open(self, entry: Entry) -> BinaryIO:
        """See `Storage.open`."""
        try:
            return open(os.path.join(self.root, entry.name), "rb")
        except FileNotFoundError:
            raise
        except OSError as error:
            raise unreadable(self.label(entry.name), error) from error

    def label(self, name: str) -> str:
        """See `Storage.label`."""
        return os.path.normpath(os.path.join(self.root, name))


def unreadable(what: str, error: OSError) -> SourceUnavailable:
    """A file or folder that is there and cannot be read."""
    hint = "see that this user may read it" if isinstance(error, PermissionError) else None
    return SourceUnavailable(f"{what} cannot be read: {error.strerror or error}.", hint=hint)


def _entry(name: str, item: os.DirEntry[str]) -> Entry | None:
    try:
        return _of_stat(name, item.stat()) if item.is_file() else None
    except FileNotFoundError:  # it left meanwhile, or is a link to nothing
        return None


def _of_stat(name: str, stat: os.stat_result) -> Entry:
    return Entry(name, stat.st_size, stat.st_mtime_ns, arrived=stat.st_ctime_ns)


def _parted(path: str) -> tuple[str, str]:
    """The folder that a path begins with, and the pattern of names below it."""
    parts = path.split("/")
    plain = next((place for place, part in enumerate(parts) if _MAGIC.search(part)), None)
    if plain is None:
        if os.path.isdir(path) or path.endswith("/"):
            return path.rstrip("/") or "/", "**"
        plain = len(parts) - 1
    root = "/".join(parts[:plain])
    pattern = "/".join(parts[plain:])
    return root or ("/" if path.startswith("/") else "."), pattern


def pattern_of(pattern: str) -> re.Pattern[str]:
    """A pattern of names; `**` stands for any number of folders."""
    parts = pattern.split("/")
    told = []
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        if part == "**":
            told.append(r"(?:[^/.][^/]*/)*" + (r"[^/.][^/]*" if last else ""))
        else:
            told.append(_segment(part) + ("" if last else "/"))
    return re.compile("".join(told), re.DOTALL)


def _segment(part: str) -> str:
    pieces = re.split(r"(\*|\?|\[!?\]?[^\]]*\])", part)
    told = "" if part.startswith(".") else r"(?!\.)"
    for piece in pieces:
        if piece == "*":
            told += "[^/]*"
        elif piece == "?":
            told += "[^/]"
        elif piece.startswith("[") and piece.endswith("]") and len(piece) > 2:
            inner = piece[1:-1].replace("\\", r"\\")
            told += r"(?!/)[" + (f"^{inner[1:]}" if inner.startswith("!") else inner.replace("^", r"\^")) + "]"
        else:
            told += re.escape(piece)
    return told
