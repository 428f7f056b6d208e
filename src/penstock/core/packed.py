"""The bytes of compressed files."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

Compression = Literal["gzip", "zstd", "none"]

STEP = 256 << 10
"""Bytes that are read at a time."""
_MAGIC: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


class Broken(Exception):
    """From here on nothing can be read; what came before is good."""


class Readable(Protocol):
    """Gives bytes; none at the end."""

    def read(self, size: int = ..., /) -> bytes:
        """At most so many; b"" only at the end."""


def compression_of(head: bytes) -> Compression:
    """What the first four bytes of a file say."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "none")


def unpacked(file: Readable, compression: Compression) -> Readable:
    """What a file holds; reading it raises Broken where that cannot be told."""
    if compression == "none":
        return file
    return _Gzip(file) if compression == "gzip" else _Zstd(file)


class _Gzip:
    """One gzip stream after another, each checked to its end."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._waiting = b""
        self._one: zlib._Decompress | None = None
        self._begun = False

    def read(self, size: int = -1, /) -> bytes:
        while True:
            if not self._waiting:
                self._waiting = self._file.read(STEP)
            if self._one is None:
                self._waiting = self._without_padding() if self._begun else self._waiting
                if not self._waiting:
                    return b""
                self._one, self._begun = zlib.decompressobj(wbits=31), True
            ended = not self._waiting
            try:
                found = self._one.decompress(self._waiting, size)
            except zlib.error as error:
                raise Broken(f"the gzip stream is damaged ({error})") from None
            self._waiting = self._one.unconsumed_tail or self._one.unused_data
            if self._one.eof:
                self._one = None
            elif ended and not found:
                raise Broken("the gzip stream ends in the middle: the file is not complete")
            if found:
                return found

    def _without_padding(self) -> bytes:
        """What comes after a stream; tapes pad with zeros, however many."""
        waiting = self._waiting
        while waiting and not (rest := waiting.lstrip(b"\0")):
            waiting = self._file.read(STEP)
        return rest if waiting else b""


class _Lent:
    """A file that Arrow may read and does not close."""

    closed = False

    def __init__(self, file: Readable) -> None:
        self.read = file.read

    def close(self) -> None:
        self.closed = True


class _Zstd:
    def __init__(self, file: Readable) -> None:
        self._stream = pa.CompressedInputStream(pa.PythonFile(_Lent(file), mode="r"), "zstd")

    def read(self, size: int = -1, /) -> bytes:
        try:
            found: bytes = self._stream.read(size)
        except (OSError, pa.ArrowException) as error:
            whole = "Truncated" not in str(error)
            told = "is damaged" if whole else "ends in the middle: the file is not complete"
            raise Broken(f"the zstd stream {told}") from None
        return found
