"""Server-sent events as they come over the wire (WHATWG HTML, section 9.2), read without waiting for anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_MOST_BYTES = 16 * 1024 * 1024


class Message(NamedTuple):
    """One event of a stream.

    Attributes:
        event: its type.
        data: what it says.
        id: where the stream is after it; goes back as `Last-Event-ID`.
    """

    event: str
    data: str
    id: str


class Reader:
    """Takes pieces of a stream, and gives the messages that are complete.

    Attributes:
        last_id: where the stream is.
        retry_seconds: how long the server wants a client to wait before it comes back; None where it said nothing.
    """

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry_seconds: float | None = None
        self._rest = b""
        self._event = ""
        self._data: list[str] = []
        self._id = last_id

    def feed(self, piece: bytes) -> Iterator[Message]:
        """The messages that are complete with this piece.

        Raises:
            ValueError: a line is longer than any message of a Penstock server.
        """
        *lines, self._rest = _lines(self._rest + piece)
        if len(self._rest) > _MOST_BYTES:
            raise ValueError("a message without an end")
        for line in lines:
            if line:
                self._take(line.decode("utf-8", "replace"))
                continue
            self.last_id = self._id
            if self._data:
                yield Message(self._event or "message", "\n".join(self._data), self._id)
            self._event, self._data = "", []

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdecimal():
            self.retry_seconds = int(value) / 1000


def _lines(data: bytes) -> list[bytes]:
    """Lines that end with CR LF, LF or CR; the last one may not have ended yet."""
    held = b""
    if data.endswith(b"\r"):  # an LF may follow
        data, held = data[:-1], b"\r"
    found = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    found[-1] += held
    return found
