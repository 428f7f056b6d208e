"""What came back: its head, its body as a stream that is never larger than was allowed, and what its errors say."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.connectors.http.retries import Again
from penstock.core.errors import BadData, SourceUnavailable

if TYPE_CHECKING:
    import httpx

    from penstock.connectors.http.transport import Budget

_PIECE = 1 << 16
_GZIP = b"\x1f\x8b"
_EXCERPT, _SHOWN = 4096, 200
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


class Answer:
    """An answer whose body has not been read yet.

    Attributes:
        status: the HTTP status.
        headers: their names in lower case.
        url: where it came from, after redirects; without secrets.
        name: of the request, for messages.
        size: bytes of the body that were read so far, as they came over the wire.
    """

    def __init__(self, response: httpx.Response, budget: Budget, url: str, name: str, most: int) -> None:
        self._response, self._budget, self._most = response, budget, most
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = {key.lower(): value for key, value in response.headers.items()}
        self.url, self.name = url, name
        self.size = 0

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._response.close()

    @property
    def kind(self) -> str:
        """What the server says that the body is, in lower case and without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str:
        """The charset that the server says the body has; empty where it says nothing."""
        found = re.search(r"charset\s*=\s*\"?([^\s\";]+)", self.headers.get("content-type", ""), re.IGNORECASE)
        return found[1] if found else ""

    def pieces(self) -> Iterator[bytes]:
        """The body, decompressed.

        Raises:
            Again: it broke off.
            BadData: it is larger than allowed.
        """
        length = 0
        for piece in self._inflated(self._raw()):
            length += len(piece)
            if length > self._most:
                raise BadData(
                    f"{self.name}: the answer is larger than max_bytes={self._most:,}.",
                    hint="ask for smaller pages, or raise max_bytes",
                )
            yield piece

    def content(self) -> bytes:
        """The whole body, decompressed; see `pieces`."""
        return b"".join(self.pieces())

    def _raw(self) -> Iterator[bytes]:
        from penstock.connectors.http.transport import Broken

        raw = self._response.iter_raw()
        while True:
            try:
                with self._budget.running():
                    piece = next(raw, None)
            except Broken as broken:
                raise Again(broken.reason) from None
            if piece is None:
                return
            self.size += len(piece)
            yield piece

    def _inflated(self, raw: Iterable[bytes]) -> Iterator[bytes]:
        """Goes by the first bytes rather than by what the server says: no format that is read here begins like gzip."""
        coding = self.headers.get("content-encoding", "").strip().lower()
        if coding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise SourceUnavailable(
                f"{self.name}: the answer is compressed in a way nobody asked for ({coding[:40]!r})."
            )
        raw = iter(raw)
        head = b""
        while len(head) < 2 and (piece := next(raw, None)) is not None:
            head += piece
        if head.startswith(_GZIP) or (coding == "deflate" and head):
            yield from _unzipped(head, raw)
        elif head:
            yield head
            yield from raw

    def excerpt(self) -> str:
        """What an error says, for a message; empty where it says nothing that can be shown. Not without secrets yet."""
        content = b""
        with suppress(Again, BadData, SourceUnavailable):
            for piece in self._inflated(self._raw()):
                content += piece
                if len(content) >= _EXCERPT:
                    break
        return spoken(content[:_EXCERPT])


def _unzipped(head: bytes, raw: Iterable[bytes]) -> Iterator[bytes]:
    """Any number of gzip members, or one zlib stream, piece by piece: a small body cannot fill the memory at once."""
    member = zlib.decompressobj(wbits=47)
    try:
        for piece in chain((head,), raw):
            while piece:
                if member.eof:
                    if not piece.startswith(_GZIP):
                        return
                    member = zlib.decompressobj(wbits=47)
                out = member.decompress(piece, _PIECE)
                if out:
                    yield out
                piece = member.unused_data if member.eof else member.unconsumed_tail
    except zlib.error:
        raise Again("the compressed answer is damaged") from None
    if not member.eof:
        raise Again("the compressed answer broke off")


def spoken(content: bytes) -> str:
    """What a body says to people: the message of a JSON error, the title of a web page, or how it begins."""
    if found := _TITLE.search(content):
        content = found[1]
    with suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        said = _message(msgspec.json.decode(content))
        content = said.encode("utf-8", "replace") if said else content
    text = content.decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _message(body: Any) -> str:
    if isinstance(body, str):
        return body
    if isinstance(body, list) and body:
        return _message(body[0])
    if not isinstance(body, dict):
        return ""
    names = ("error", "error_description", "message", "detail", "title", "errors")
    said = [_message(body[name]) for name in names if name in body]
    return ": ".join(part for part in said if part)


def cut(text: str) -> str:
    """So much of it as a message has room for."""
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
