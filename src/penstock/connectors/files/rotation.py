"""A log and the files it was before: which of them holds a place, and which comes next.

A log is renamed and a new one begun under its name, or copied and cut to nothing. A file is known again by its inode
and its first bytes; where the inode is another one (it was copied, or compressed), by its first bytes alone.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from penstock.connectors.files.opening import Text
from penstock.connectors.files.storage import unreadable
from penstock.core.packed import Broken, compression_of

_HEAD = 1024


@dataclass(frozen=True)
class Spot:
    """A place in a log.

    Attributes:
        inode: of the file.
        head: stands for its first bytes; of nothing where nothing was read.
        known: how many bytes that are.
        offset: bytes that were read.
        line: number of the next line.
    """

    inode: int = 0
    head: str = ""
    known: int = 0
    offset: int = 0
    line: int = 1

    def as_json(self) -> dict[str, Any]:
        """For a position."""
        return {
            "inode": self.inode,
            "head": self.head,
            "known": self.known,
            "offset": self.offset,
            "line": self.line,
        }

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Spot:
        """The reverse of `as_json`."""
        return cls(said["inode"], said["head"], said["known"], said["offset"], said["line"])


class Log:
    """One file of a log, open, read up to a place.

    Args:
        path: the file.
        offset, line: where to go on.

    Raises:
        FileNotFoundError: it is gone.
        SourceUnavailable: it cannot be read.
        Broken: it is compressed, and damaged.
    """

    def __init__(self, path: str, offset: int = 0, line: int = 1) -> None:
        self.path = path
        try:
            self._file: BinaryIO = open(path, "rb")  # noqa: SIM115 - open for as long as it is read
        except FileNotFoundError:
            raise
        except OSError as error:
            raise unreadable(path, error) from error
        self.inode = os.fstat(self._file.fileno()).st_ino
        self.packed = compression_of(os.pread(self._file.fileno(), 4, 0)) != "none"
        self._text = Text(self._file) if self.packed else None
        if self._text is not None:
            self._text.to(offset)
        self._waiting = b""
        self.offset, self.line = offset, line

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    @property
    def modified(self) -> int:
        """When it was last written (nanoseconds)."""
        return os.fstat(self._file.fileno()).st_mtime_ns

    def read(self, size: int, most: int) -> bytes:
        """Whole lines, as many as there are in so many bytes; one line where it is longer than that.

        They count as read when they are taken. A line of more than `most` bytes is not looked for the end of.
        """
        while True:
            end = self._waiting.rfind(b"\n") + 1
            more = b"" if end or self.begun > most else self._read(self.offset + len(self._waiting), size)
            if not more:
                return self._waiting[:end]
            self._waiting += more

    def rest(self) -> bytes:
        """What stands after the last line end; nobody will write on."""
        return self._waiting

    @property
    def begun(self) -> int:
        """Bytes of a line whose end is not there yet."""
        return len(self._waiting)

    def _read(self, offset: int, size: int) -> bytes:
        return self._text.read(size) if self._text is not None else os.pread(self._file.fileno(), size, offset)

    def take(self, some: bytes, *, ends: bool = True) -> None:
        """These bytes have been read; what is after the last line end is a line, too, if it `ends` there."""
        self._waiting = self._waiting[len(some) :]
        self.offset += len(some)
        self.line += some.count(b"\n") + (ends and not some.endswith(b"\n"))

    @property
    def spot(self) -> Spot:
        """The place, so that it can be found again."""
        there = self.offset if self.packed else max(self.offset, os.fstat(self._file.fileno()).st_size)
        known = min(there, _HEAD)
        return Spot(self.inode, head_of(self.path if self.packed else self._file, known), known, self.offset, self.line)

    def was_cut(self, spot: Spot) -> bool:
        """It has been written anew from its beginning."""
        if self.packed:
            return False
        size = os.fstat(self._file.fileno()).st_size
        return size < self.offset or head_of(self._file, spot.known) != spot.head


def head_of(file: str | BinaryIO, size: int) -> str:
    """Stands for the first bytes of a file, decompressed; empty for none, or where there are not so many."""
    if not size:
        return ""
    if isinstance(file, str):
        with open(file, "rb") as opened:
            raw = _unpacked(opened, size)
    else:
        raw = os.pread(file.fileno(), size, 0)
    return hashlib.blake2b(raw, digest_size=16).hexdigest() if len(raw) == size else ""


def _unpacked(file: BinaryIO, size: int) -> bytes:
    text, raw = Text(file), b""
    try:
        text.to(0) if text.plain else None
        while len(raw) < size and (more := text.read(size - len(raw))):
            raw += more
    except Broken:
        return b""
    return raw


class Family:
    """A log and what it was before: `app.log`, `app.log.1`, `app.log.2.gz`, `app-20240131.log`.

    Args:
        path: the log.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._folder, self._name = os.path.split(path)
        stem, suffix = os.path.splitext(self._name)
        dated = r"[-._]\d[\dT:._-]*"
        packed = r"(?:\.(?:gz|zst))?"
        self._match = re.compile(
            rf"{re.escape(self._name)}{dated}{packed}|{re.escape(stem)}{dated}{re.escape(suffix)}{packed}"
        )

    def files(self) -> list[str]:
        """What there is, the oldest first; the log itself is last."""
        found = []
        for name in _names(self._folder or "."):
            if name != self._name and self._match.fullmatch(name):
                path = os.path.join(self._folder, name)
                try:
                    found.append((os.stat(path).st_mtime_ns, path))
                except FileNotFoundError:
                    continue
        own = [self.path] if os.path.exists(self.path) else []
        return [path for _, path in sorted(found)] + own

    def holds(self, spot: Spot) -> str | None:
        """The file that the place is in."""
        paths = self.files()[::-1]
        by_inode = [path for path in paths if _inode(path) == spot.inode]
        for path in [*by_inode, *(path for path in paths if path not in by_inode and spot.known)]:
            try:
                if head_of(path, spot.known) == spot.head and _reaches(path, spot.offset):
                    return path
            except FileNotFoundError:
                continue
        return None

    def after(self, log: Log) -> str | None:
        """The file that was begun when this one was left."""
        paths = self.files()
        places = [place for place, path in enumerate(paths) if _inode(path) == log.inode]
        if places:
            later = paths[places[-1] + 1 :]
        else:
            modified = log.modified
            later = [path for path in paths if path == self.path or _modified(path) > modified]
        return later[0] if later else None


def _names(folder: str) -> Iterator[str]:
    try:
        yield from os.listdir(folder)
    except FileNotFoundError:
        return


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return -1


def _modified(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return -1


def _reaches(path: str, offset: int) -> bool:
    """It has so many bytes, decompressed."""
    with open(path, "rb") as file:
        if compression_of(file.read(4)) == "none":
            return os.fstat(file.fileno()).st_size >= offset
        file.seek(0)
        try:
            Text(file).to(offset)
        except Broken:
            return False
        return True
