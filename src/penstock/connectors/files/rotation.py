"""A log and the files it was before: which of them holds a place, and which comes next.

A log is renamed and a new one begun under its name, or copied and cut to nothing. A file is known again by its inode
and its first bytes; where the inode is another one (it was copied, or compressed), by its first bytes alone.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
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

    What is known of its first bytes is what was there when it was opened, and what was read of it since: the file may
    be cut and written anew between any two looks at it.

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
        self._head = os.pread(self._file.fileno(), _HEAD, 0)
        self.packed = compression_of(self._head) != "none"
        self._text: Text | None = None
        self._waiting = b""
        self.offset, self.line = offset, line
        if self.packed:
            try:
                self._unpack()
            except BaseException:
                self._file.close()
                raise

    def _unpack(self) -> None:
        self._head = _unpacked(self._file, _HEAD)
        self._file.seek(0)
        self._text = Text(self._file)
        self._text.to(self.offset)

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
        if len(self._head) < _HEAD:
            self._head += some[len(self._head) - self.offset :][: _HEAD - len(self._head)]
        self.offset += len(some)
        self.line += some.count(b"\n") + (ends and not some.endswith(b"\n"))

    @property
    def spot(self) -> Spot:
        """The place, so that it can be found again."""
        return Spot(self.inode, _mark(self._head), len(self._head), self.offset, self.line)

    def holds(self, spot: Spot) -> bool:
        """It is the file that the place is in."""
        if len(self._head) < spot.known or _mark(self._head[: spot.known]) != spot.head:
            return False
        return self.packed or os.fstat(self._file.fileno()).st_size >= spot.offset

    def was_cut(self) -> bool:
        """It has been written anew from its beginning."""
        if self.packed:
            return False
        size = os.fstat(self._file.fileno()).st_size
        return size < self.offset or os.pread(self._file.fileno(), len(self._head), 0) != self._head


def _mark(head: bytes) -> str:
    return hashlib.blake2b(head, digest_size=16).hexdigest() if head else ""


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
        dated = r"[-._](?:(?P<{}>\d{{1,3}})|\d[\dT:._-]*)"
        packed = r"(?:\.(?:gz|zst))?"
        self._match = re.compile(
            rf"{re.escape(self._name)}{dated.format('number')}{packed}"
            rf"|{re.escape(stem)}{dated.format('after')}{re.escape(suffix)}{packed}"
        )

    def files(self) -> list[str]:
        """What there is, the oldest first, by time and then by number; the log itself is last."""
        found = []
        for name in _names(self._folder or "."):
            if name != self._name and (said := self._match.fullmatch(name)):
                path = os.path.join(self._folder, name)
                number = int(said["number"] or said["after"] or 0)
                with suppress(FileNotFoundError):
                    found.append((os.stat(path).st_mtime_ns, -number, path))
        own = [self.path] if os.path.exists(self.path) else []
        return [path for *_, path in sorted(found)] + own

    def find(self, spot: Spot) -> Log | None:
        """The file that the place is in, open; None when it is gone."""
        while True:
            inodes = {path: _inode(path) for path in reversed(self.files())}
            by_inode = [path for path, inode in inodes.items() if inode == spot.inode]
            for path in [*by_inode, *(path for path in inodes if path not in by_inode and spot.known)]:
                try:
                    log = Log(path, spot.offset, spot.line)
                except (FileNotFoundError, Broken):
                    continue
                if log.holds(spot):
                    return log
                log.close()
            if inodes == {path: _inode(path) for path in reversed(self.files())}:  # not rotated while it was looked for
                return None

    def follows(self, fresh: Log, log: Log) -> bool:
        """The one is still what was begun when the other was left."""
        path = self.after(log)
        return path is not None and _inode(path) == fresh.inode

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
