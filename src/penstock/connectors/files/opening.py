"""The bytes of a file as text in UTF-8: decompressed, decoded, and from any place on."""

from __future__ import annotations

import codecs
from typing import BinaryIO

from penstock.core.packed import STEP, Broken, Compression, Readable, compression_of, unpacked

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_AS_IT_IS = ("utf-8", "ascii")


def verify(file: BinaryIO, compression: Compression | None = None) -> None:
    """Decompress all of a file that is compressed, to see that it is whole, and go back to its beginning.

    Raises:
        Broken: it is not.
    """
    head = file.read(4)
    file.seek(0)
    compression = compression or compression_of(head)
    if compression != "none":
        stream = unpacked(file, compression)
        while stream.read(STEP):
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
        source = unpacked(file, compression)
        start = head if compression == "none" else _at_least(source, 4)
        self.mark, found = next(((mark, name) for mark, name in _MARKS if start.startswith(mark)), (b"", "utf-8"))
        name = codecs.lookup(encoding or found).name.removesuffix("-sig")
        name = found if self.mark and name.startswith(found) else name  # utf-16-le with a mark is utf-16
        self.plain = compression == "none" and name in _AS_IT_IS
        if not self.plain:
            rest: Readable = source if compression == "none" else _After(start, source)
            source = rest if name in _AS_IT_IS else _Decoded(rest, name)
        self._readable = source
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
            if not self.read(min(STEP, offset - self.offset)):
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


class _Decoded:
    """Text in another encoding made into UTF-8. A byte that means nothing becomes bytes that are no UTF-8 either."""

    def __init__(self, rest: Readable, encoding: str) -> None:
        self._rest, self._encoding = rest, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
        self._waiting = b""
        self._ended = False

    def read(self, size: int = -1, /) -> bytes:
        while not self._waiting and not self._ended:
            raw = self._rest.read(STEP)
            self._ended = not raw
            try:
                text = self._decoder.decode(raw, self._ended)
            except UnicodeDecodeError as error:
                raise Broken(f"it is not all {self._encoding} ({error.reason})") from None
            self._waiting = text.encode("utf-8", "surrogatepass")
        size = len(self._waiting) if size < 0 else size
        found, self._waiting = self._waiting[:size], self._waiting[size:]
        return found
