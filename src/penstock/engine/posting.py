"""One POST request over HTTP, within its time: no redirects, and no more of the answer than is wanted."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hmac
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPSConnection
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from penstock.engine.egress import Connect, Egress

_LONGEST_REST = 3600.0
_PREFIX = "whsec_"


class Posted(NamedTuple):
    """What a server answered.

    Attributes:
        status: of the answer.
        body: of a long one only the beginning.
        rest_seconds: it wants to be left alone for so long.
    """

    status: int
    body: bytes
    rest_seconds: float | None


def post(
    request: Request,
    seconds: float,
    tls: ssl.SSLContext | None = None,
    most_bytes: int = 0,
    egress: Egress | None = None,
) -> Posted:
    """Send a request.

    Args:
        request: what to send, and where.
        seconds: how long it may take altogether.
        tls: what TLS is done with; as the system has it when left out.
        most_bytes: read so much of the answer.
        egress: where it may go; anywhere when left out.

    Raises:
        TimeoutError: it took longer than that, however busily.
        OSError, HTTPException: there was no answer.
    """
    with in_time(seconds, egress.connect if egress is not None and not _proxied(request, egress) else None) as lines:
        opener = OpenerDirector()  # it follows no redirects, and knows no other kinds of URLs
        for handler in (ProxyHandler(), _Http(lines), _Https(lines, tls)):
            opener.add_handler(handler)
        with opener.open(request, timeout=seconds) as answer:
            body = answer.read(most_bytes) if most_bytes else b""
            return Posted(int(answer.status), body, _rest(answer.headers.get("Retry-After")))


def _proxied(request: Request, egress: Egress) -> bool:
    parts = urlsplit(request.full_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return egress.through_proxy(parts.scheme, parts.hostname or "", port)


def _rest(header: str | None) -> float | None:
    """The seconds of a Retry-After, which may be a number or a date (RFC 9110, section 10.2.3)."""
    if header is None:
        return None
    try:
        if header.strip().isdecimal():
            return min(float(header), _LONGEST_REST)
        left = parsedate_to_datetime(header) - datetime.datetime.now(datetime.UTC)
        return min(max(0.0, left.total_seconds()), _LONGEST_REST)
    except (ValueError, TypeError, OverflowError):
        return None


def signed(secret: str, message_id: str, at: int, body: bytes) -> dict[str, str]:
    """The headers that Standard Webhooks (standardwebhooks.com) wants of a message.

    Args:
        secret: see `standard_key`.
        message_id: the same whenever it is sent again.
        at: the time, in seconds since 1970.
        body: what is sent.

    Raises:
        ValueError: the secret cannot be one.
    """
    signature = standard_signature(standard_key(secret), message_id.encode(), b"%d" % at, body)
    return {"Webhook-Id": message_id, "Webhook-Timestamp": str(at), "Webhook-Signature": signature}


def standard_signature(key: bytes, message_id: bytes, at: bytes, body: bytes) -> str:
    """The signature of a message as Standard Webhooks has it, made or expected."""
    return f"v1,{base64.b64encode(hmac.digest(key, b'.'.join((message_id, at, body)), 'sha256')).decode()}"


def standard_key(secret: str) -> bytes:
    """The key that a secret of Standard Webhooks stands for: base64 behind `whsec_`; any other text is it as it is.

    Raises:
        ValueError: there is no base64 behind `whsec_`. The message does not hold it.
    """
    key = secret.encode("utf-8", "surrogatepass")
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except ValueError:  # binascii.Error is one
            key = b""
    if not key:
        raise ValueError(f"the secret is not `{_PREFIX}` with base64 behind it")
    return key


class Lines:
    """The connections of one exchange; they are cut when its time is over."""

    def __init__(self, connect: Connect | None) -> None:
        self._connect = connect
        self._open: list[socket.socket] = []
        self.over = False

    def making(self, kind: Callable[..., HTTPConnection]) -> Callable[..., HTTPConnection]:
        """What makes connections of this kind."""

        def make(*args: Any, **options: Any) -> HTTPConnection:
            connection = kind(*args, **options)
            connect = connection.connect
            if self._connect is not None:
                connection._create_connection = self._connect  # type: ignore[attr-defined]

            def connect_in_time() -> None:
                connect()
                self.add(connection.sock)  # a connection that is to be closed after its answer forgets it

            connection.connect = connect_in_time  # type: ignore[method-assign]
            return connection

        return make

    def add(self, line: socket.socket) -> None:
        """Take care of one more.

        Raises:
            TimeoutError: the time is over already.
        """
        self._open.append(line)
        if self.over:
            raise TimeoutError

    def cut(self) -> None:
        """The time is over. A socket's own timeout begins anew with every byte that comes."""
        self.over = True
        for line in self._open:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


class _Http(HTTPHandler):
    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def http_open(self, req: Request) -> Any:
        return self.do_open(self._lines.making(HTTPConnection), req)


class _Https(HTTPSHandler):
    def __init__(self, lines: Lines, tls: ssl.SSLContext | None) -> None:
        super().__init__()
        self._lines = lines
        self._tls = tls

    def https_open(self, req: Request) -> Any:
        options = {"context": self._tls} if self._tls is not None else {}
        return self.do_open(self._lines.making(HTTPSConnection), req, **options)


@contextlib.contextmanager
def in_time(seconds: float, connect: Connect | None = None) -> Iterator[Lines]:
    """Cut connections when so much time is over, however busy they are.

    Args:
        seconds: how much.
        connect: makes them, where it is not for everything.

    Raises:
        TimeoutError: it was over.
    """
    lines = Lines(connect)
    timer = threading.Timer(seconds, lines.cut)
    timer.daemon = True
    timer.start()
    try:
        yield lines
        if lines.over:  # what was read of the answer is only a part of it
            raise TimeoutError
    except Exception as error:
        if lines.over or isinstance(getattr(error, "reason", None), TimeoutError):
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
