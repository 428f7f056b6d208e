"""The bytes of a file as text in UTF-8: decompressed, decoded, and from any place on."""

from __future__ import annotations

import codecs
import zlib
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

Compression = Literal["gzip", "zstd", "none"]

_STEP = 256 << 10
_MAGIC: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_AS_IT_IS = ("utf-8", "ascii")


class Broken(Exception):
    """From here on nothing can be read; what came before is good."""


class Readable(Protocol):
    """Gives bytes; none at the end."""

    def read(self, size: int = ..., /) -> bytes:
        """At most so many; b"" only at the end."""


def compression_of(head: bytes) -> Compression:
    """What the first bytes of a file say."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "none")


def verify(file: BinaryIO, compression: Compression | None = None) -> None:
    """Decompress all of a file that is compressed, to see that it is whole, and go back to its beginning.

    Raises:
        Broken: it is not.
    """
    head = file.read(4)
    file.seek(0)
    compression = compression or compression_of(head)
    if compression != "none":
        stream: Readable = _Gzip(file) if compression == "gzip" else _Zstd(file)
        while stream.read(_STEP):
            pass
        file.seek(0)


class Text:
    """A file as UTF-8.

    Args:
        file: its bytes, at the beginning.
        encoding: None for UTF-8, unless the first bytes are the mark of another Unicode encoding.
        compression: None for what the first bytes say.

    Attributes:
        offset: how many bytes of the text have been read; those of the file where it is neither compressed nor
            in another encoding.

    Raises:
        Broken: it cannot be decompressed.
    """

    def __init__(self, file: BinaryIO, *, encoding: str | None = None, compression: Compression | None = None) -> None:
        self._file = file
        head = file.read(4)
        file.seek(0)
        compression = compression or compression_of(head)
        unpacked: Readable = file if compression == "none" else _Gzip(file) if compression == "gzip" else _Zstd(file)
        start = head if compression == "none" else _at_least(unpacked, 4)
        self.mark, found = next(((mark, name) for mark, name in _MARKS if start.startswith(mark)), (b"", "utf-8"))
        name = codecs.lookup(encoding or found).name.removesuffix("-sig")
        name = found if self.mark and name.startswith(found) else name  # utf-16-le with a mark is utf-16
        self.plain = compression == "none" and name in _AS_IT_IS
        if not self.plain:
            rest: Readable = unpacked if compression == "none" else _After(start, unpacked)
            unpacked = rest if name in _AS_IT_IS else _Decoded(rest, name)
        self._readable = unpacked
        self.offset = 0
        if name == "utf-8" and self.mark:
            self.to(len(self.mark))

    def read(self, size: int) -> bytes:
        """At most so many bytes; b"" at the end.

        Raises:
            Broken: there is more, and it cannot be read.
        """
        found = self._readable.read(size)
        self.offset += len(found)
        return found

    def to(self, offset: int) -> None:
        """Go on from there.

        Raises:
            Broken: it cannot be read so far.
        """
        if self.plain:
            self._file.seek(offset)
            self.offset = offset
            return
        while self.offset < offset:
            if not self.read(min(_STEP, offset - self.offset)):
                raise Broken(f"it ends at byte {self.offset}, and was read up to byte {offset} before")

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _at_least(source: Readable, size: int) -> bytes:
    found = b""
    while len(found) < size and (more := source.read(size - len(found))):
        found += more
    return found


class _After:
    """What was read ahead, and then the rest."""

    def __init__(self, ahead: bytes, rest: Readable) -> None:
        self._ahead, self._rest = ahead, rest

    def read(self, size: int = -1, /) -> bytes:
        if self._ahead:
            found, self._ahead = self._ahead[:size], self._ahead[size:]
            return found
        return self._rest.read(size)


class _Gzip:
    """One gzip stream after another, each checked to its end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._waiting = b""
        self._one: zlib._Decompress | None = None
        self._more = False

    def read(self, size: int = -1, /) -> bytes:
        while True:
            if not self._waiting:
                self._waiting = self._file.read(_STEP)
            if self._one is None:
                self._waiting = self._waiting.lstrip(b"\0") if self._more else self._waiting  # tapes pad with zeros
                if not self._waiting:
                    return b""
                self._one = zlib.decompressobj(wbits=31)
            ended = not self._waiting
            try:
                found = self._one.decompress(self._waiting, size)
            except zlib.error as error:
                raise Broken(f"the gzip stream is damaged ({error})") from None
            self._waiting = self._one.unconsumed_tail or self._one.unused_data
            if self._one.eof:
                self._one, self._more = None, True
            elif ended and not found:
                raise Broken("the gzip stream ends in the middle: the file is not complete")
            if found:
                return found


class _Lent:
    """A file that Arrow may read and does not close."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read

    def close(self) -> None:
        self.closed = True


class _Zstd:
    def __init__(self, file: BinaryIO) -> None:
        self._stream = pa.CompressedInputStream(pa.PythonFile(_Lent(file), mode="r"), "zstd")

    def read(self, size: int = -1, /) -> bytes:
        try:
            found: bytes = self._stream.read(size)
        except (OSError, pa.ArrowException) as error:
            whole = "Truncated" not in str(error)
            told = "is damaged" if whole else "ends in the middle: the file is not complete"
            raise Broken(f"the zstd stream {told}") from None
        return found


class _Decoded:
    """Text in another encoding made into UTF-8. A byte that means nothing becomes bytes that are no UTF-8 either."""

    def __init__(self, rest: Readable, encoding: str) -> None:
        self._rest, self._encoding = rest, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
        self._waiting = b""
        self._ended = False

    def read(self, size: int = -1, /) -> bytes:
        while not self._waiting and not self._ended:
            raw = self._rest.read(_STEP)
            self._ended = not raw
            try:
                text = self._decoder.decode(raw, self._ended)
            except UnicodeDecodeError as error:
                raise Broken(f"it is not all {self._encoding} ({error.reason})") from None
            self._waiting = text.encode("utf-8", "surrogatepass")
        size = len(self._waiting) if size < 0 else size
        found, self._waiting = self._waiting[:size], self._waiting[size:]
        return found
