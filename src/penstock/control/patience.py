"""HTTP on a connection, for which somebody has only so long, and so many bytes, to say what they want."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sized
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD = 65_536
_MOST_QUEUED = 100
_FEW = 10
_VERSIONS = ("1.0", "1.1")
_HEAD = b"HTTP/"
PUSH = "penstock.push"
"""Where a request has what sends parts of its answer, past whoever answers it."""


class Patient(HttpToolsProtocol):
    """Reads requests strictly, and closes a connection that keeps the server waiting.

    The parser is strict about lines, names, values and lengths; what it leaves to others is looked at here.

    - A connection on which nothing is being answered, and no head of a request has come to its end in time, is closed.
    - A head has at most `LONGEST_HEAD` bytes, and so has whatever else comes that is neither a head nor a body: what
      stands beside the length of a chunk, or after the last one.
    - A request has one `Host`, and says in one way how long its body is.
    - Requests that come before others are answered wait, up to a hundred of them; nothing is read while more than a few
      do.

    Attributes:
        seconds: how long a head may take.
    """

    seconds = 30.0
    _late: asyncio.TimerHandle | None = None
    _running: Any = None
    _in_head = False
    _size = 0
    _idle = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        self.transport = Joined(transport, self.loop)  # type: ignore[assignment]
        self._expect()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._unset_keepalive_if_required()
        self._idle += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        if self.transport.is_closing():
            self._rest()
        elif self._idle > LONGEST_HEAD:
            self.send_400_response("A request has shorter headers.")
        elif self._late is None and (self.cycle is None or self.cycle.response_complete):
            self._expect()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # The parser stops behind the head: what follows would be in another language. Here it is a body as ever.
            self.parser = httptools.HttpRequestParser(_Body(self))
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(b"POST / HTTP/1.1\r\nConnection: close\r\n" + self._framing() + b"\r\n")
            self.parser.feed_data(data[upgrade.args[0] :])

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`. Whoever is being answered is gone, and so are those who wait behind."""
        self._rest()
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head = True
        self._size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header has come, before the body or after it: those are not for anybody."""
        if self._in_head:
            self._size += len(name) + len(value) + 4
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """A head has come to its end.

        Raises:
            ValueError: it is none that can be answered, or too many wait; the parser stops.
        """
        self._idle = 0
        self._in_head = False
        if self._size + len(self.url) > LONGEST_HEAD or len(self.pipeline) >= _MOST_QUEUED or not self._is_clear():
            raise ValueError
        super().on_headers_complete()
        self.flow.resume_reading()
        self._rest()
        if self.parser.should_upgrade():  # to something that is not spoken here: it is answered, and nothing after it
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A part of a body has come."""
        self._idle = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request has come to its end; one that would speak of something else then has its body before it."""
        self._idle = 0
        if not (self.parser.should_upgrade() and self._framing()):
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what came; where that would look like the answer to a request before it, only close."""
        cycle = self.cycle
        unanswered = cycle is self._running and cycle is not None and cycle.more_body and not cycle.response_started
        if cycle is None or cycle.response_complete or unanswered:
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        cycle.scope[PUSH] = Pushing(cycle)
        super()._start_asgi_task(cycle, app)

    def _framing(self) -> bytes:
        """What a head says of its body, as it says it; nothing where there is none."""
        for name, value in self.headers:
            if name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0")):
                return b"%b: %b\r\n" % (name, value)
        return b""

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


class _Body:
    """Hears what a parser says of a body, and nothing else."""

    def __init__(self, protocol: Patient) -> None:
        self.on_body = protocol.on_body
        self.on_message_complete = protocol.on_message_complete


class Joined:
    """A transport that sends what is written in one go at once: the head of an answer comes with its body behind it.

    Args:
        transport: what sends.
        loop: what is written and has nothing behind it is sent at the loop's next turn.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """See `asyncio.Transport`."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.writelines([held, data])
        elif data.startswith(_HEAD):
            self._held = data
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """See `asyncio.Transport`."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            data, self._held = self._held, b""
            self._transport.write(data)


class Pushing:
    """Sends parts of a body that goes on and on, from outside of whoever answers the request.

    It keeps nobody alive: the request has it, and it has the request.

    Args:
        cycle: a request and its answer.
    """

    def __init__(self, cycle: Any) -> None:
        self._cycle = weakref.ref(cycle)

    def __call__(self, part: bytes) -> bool:
        """Send this now; False where that cannot be, and then nothing was sent."""
        cycle = self._cycle()
        if cycle is None or cycle.disconnected or not cycle.response_started or cycle.response_complete:
            return False
        if not cycle.chunked_encoding or cycle.flow.write_paused:
            return False
        cycle.transport.write(b"%x\r\n%b\r\n" % (len(part), part))
        return True


class _Flow(FlowControl):
    """Reads nothing while more than a few requests wait to be answered: each that is would have more of them read.

    With a few it reads on, and so learns of a connection that is gone.
    """

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        """Read on, unless too many wait."""
        if len(self._waiting) <= _FEW:
            super().resume_reading()


def patient(seconds: float) -> type[Patient]:
    """The protocol that waits for so long."""
    return type("Patient", (Patient,), {"seconds": seconds})
