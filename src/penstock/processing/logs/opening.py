"""The text of log files: plain, gzip or zstd, whatever their names say; UTF-16 as UTF-8; folders; standard input."""

from __future__ import annotations

import codecs
import datetime
import io
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from penstock.core.errors import BadData, SourceUnavailable
from penstock.core.packed import STEP, Broken, Readable, compression_of, unpacked

STDIN = "-"


class Opened:
    """A log file that is read from its beginning to its end.

    Args:
        path: a file; `-` for standard input.

    Attributes:
        name: as messages call it.
        size: bytes of the file; None where nobody knows.
        position: bytes of the file that have been read.

    Raises:
        SourceUnavailable: it cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == STDIN else path
        self.position = 0
        try:
            self._file: BinaryIO = io.FileIO(0 if path == STDIN else path, "rb", closefd=path != STDIN)
            self.size = None if path == STDIN else os.fstat(self._file.fileno()).st_size
            self._head = self._first(4)
        except OSError as error:
            raise SourceUnavailable(f"{self.name} cannot be read: {error.strerror}.", hint="check the path") from None
        compression = compression_of(self._head)
        self._unpacked: Readable | None = None if compression == "none" else unpacked(self, compression)
        if is_utf16(self._head):
            self._unpacked = _Utf16(self)

    def _first(self, size: int) -> bytes:
        found = b""
        while len(found) < size and (more := self._file.read(size - len(found))):
            found += more
        return found

    def read(self, size: int = -1, /) -> bytes:
        """Bytes as they are in the file."""
        if self._head:
            found, self._head = self._head[:size], self._head[size:]
        else:
            found = self._file.read(size)
        self.position += len(found)
        return found

    def readinto(self, view: memoryview) -> int:
        """Read text; 0 at the end.

        Raises:
            Broken: there is more, and it cannot be read.
        """
        try:
            if self._unpacked is None and not self._head:
                count: int = self._file.readinto(view)  # type: ignore[attr-defined]
                self.position += count
                return count
            source = self if self._unpacked is None else self._unpacked
            found = source.read(min(len(view), STEP))
        except OSError as error:
            raise Broken(f"it cannot be read any further: {error.strerror or error}") from None
        view[: len(found)] = found
        return len(found)

    def beginning(self, size: int) -> bytes:
        """The first bytes of its text; what it has where it is shorter, or breaks."""
        found = bytearray(size)
        with memoryview(found) as view, suppress(Broken):
            full = 0
            while full < size and (count := self.readinto(view[full:])):
                full += count
        return bytes(found[:full])

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


def is_utf16(head: bytes) -> bool:
    """Whether a file with these first four bytes is UTF-16: it says so, and begins with an ASCII character."""
    first = head[2:4] if head.startswith(codecs.BOM_UTF16_BE) else head[3:1:-1]
    return head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and len(first) == 2 and 0 == first[0] < first[1]


class _Utf16:
    """Such a file as UTF-8; what is no character becomes U+FFFD."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
        self._waiting = b""

    def read(self, size: int = -1, /) -> bytes:
        more = b"..."
        while not self._waiting and more:
            more = self._file.read(STEP)
            self._waiting = self._decoder.decode(more, not more).encode()
        found, self._waiting = self._waiting[:size], self._waiting[size:]
        return found


def files_of(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
    """The files that are meant, each once, in the order they are read; a folder stands for all files below it.

    Raises:
        SourceUnavailable: one is not there.
        BadData: there is no file at all.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found: list[str] = []
    for path in [os.fspath(each) for each in given]:
        if path == STDIN or os.path.isfile(path):
            found.append(path)
        elif os.path.isdir(path):
            found += sorted(str(each) for each in Path(path).rglob("*") if _is_log(each, Path(path)))
        elif os.path.exists(path):
            found.append(path)
        else:
            raise SourceUnavailable(f"There is no file {path}.", hint="check the path; a folder may be given, too")
    if not found:
        raise BadData("There is no file to read.", hint="give files, folders with files in them, or -")
    return list(dict.fromkeys(found))


def _is_log(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return path.is_file() and not hidden


def total_size(paths: list[str]) -> int | None:
    """Bytes of all of them; None where one is standard input or a pipe."""
    if any(path == STDIN or not os.path.isfile(path) for path in paths):
        return None
    return sum(os.path.getsize(path) for path in paths)


def year_of(path: str) -> int:
    """When the file was last changed: the year of times that have none."""
    try:
        changed = os.path.getmtime(path) if path != STDIN else time.time()
    except OSError:
        changed = time.time()
    return datetime.datetime.fromtimestamp(changed, datetime.UTC).year
