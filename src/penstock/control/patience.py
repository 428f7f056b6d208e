"""HTTP on a connection, for which somebody has only so long, and so many bytes, to say what they want."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD = 65_536
_VERSIONS = ("1.0", "1.1")


class Patient(HttpToolsProtocol):
    """Reads requests strictly, and closes a connection that keeps the server waiting.

    The parser is strict about lines, names, values and lengths; what it leaves to others is looked at here.

    - A connection on which nothing is being answered, and no head of a request has come to its end in time, is closed.
    - A head has at most `LONGEST_HEAD` bytes, and so has whatever else comes that is neither a head nor a body: what
      stands beside the length of a chunk, or after the last one.
    - A request has one `Host`, and says in one way how long its body is.

    Attributes:
        seconds: how long a head may take.
    """

    seconds = 30.0
    _late: asyncio.TimerHandle | None = None
    _in_head = False
    _size = 0
    _idle = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._idle += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            self._rest()
        elif self._idle > LONGEST_HEAD:
            self.send_400_response("A request has shorter headers.")
        elif self._late is None and (self.cycle is None or self.cycle.response_complete):
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._rest()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head = True
        self._size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header has come, before the body or after it: those are not for anybody."""
        if self._in_head:
            self._size += len(name) + len(value)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A head has come to its end.

        Raises:
            ValueError: it is none that can be answered; the parser stops.
        """
        self._idle = 0
        self._in_head = False
        if self._size + len(self.url) > LONGEST_HEAD or not self._is_clear():
            raise ValueError
        super().on_headers_complete()
        self._rest()
        if self.parser.should_upgrade():  # to something that is not spoken here: it is answered, and nothing after it
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A part of a body has come."""
        self._idle = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request has come to its end."""
        self._idle = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what came; where that would look like the answer to a request before it, only close."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or (cycle.more_body and not cycle.response_started):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: anybody can ask for it, as often as they like."""

    def _is_clear(self) -> bool:
        """Whether everybody on the way would read the head as it is read here."""
        version = self.parser.get_http_version()
        names = [name for name, _ in self.headers]
        coded = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        return (
            version in _VERSIONS
            and names.count(b"host") == 1 - (version == "1.0" and b"host" not in names)
            and (not coded or (coded == [b"chunked"] and version == "1.1"))
        )

    def _expect(self) -> None:
        self._late = self.loop.call_later(self.seconds, self.transport.close)

    def _rest(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def patient(seconds: float) -> type[Patient]:
    """The protocol that waits for so long."""
    return type("Patient", (Patient,), {"seconds": seconds})
