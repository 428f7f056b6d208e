"""Servers that take email."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from penstock.core.connections import Connection, Port, Seconds, Secret, Unfit
from penstock.engine.connections.probing import tls_context, why
from penstock.engine.connections.urls import url_parts
from penstock.engine.posting import Lines, in_time

_STEPS = 4
"""Taking all of them together, a session may take so many times as long as one step."""


class _Session(smtplib.SMTP):
    """A session that is cut when its time is over, also by a server that goes on answering a byte at a time."""

    def __init__(self, lines: Lines, *given: Any, **options: Any) -> None:
        self._lines = lines
        super().__init__(*given, **options)

    def getreply(self) -> tuple[int, bytes]:
        """See `SMTP.getreply`."""
        if self.sock is not None:
            self._lines.add(self.sock)
        return super().getreply()


class _TlsSession(_Session, smtplib.SMTP_SSL):
    """The same, with TLS from the first byte."""


class SmtpConnection(Connection):
    """A server that takes email.

    Attributes:
        host: where it is.
        port: 587 with STARTTLS, 465 with TLS, 25 without, unless said otherwise.
        tls: starttls, TLS from the first byte (tls), or none of it.
        username: who we are, if it wants to know.
        password: for that.
        sender: the address that messages are from.
        verify: the server's certificate is checked.
        ca_file: a file with the authorities that may sign it, instead of the system's.
        timeout_seconds: how long each step may take.
    """

    kind = "smtp"
    schemes = ("smtp", "smtps")

    host: str
    port: Port | None = None
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: Secret | None = None
    sender: str
    verify: bool = True
    ca_file: str | None = None
    timeout_seconds: Seconds = 10.0

    @classmethod
    def parts(cls, url: str) -> dict[str, Any]:
        """See `Connection.parts`: `smtp://user:password@host:587?sender=data%40example.com`; smtps is TLS."""
        found = url_parts(url, known=("sender", "tls", "ca_file", "verify"))
        host, colon, port = found.place.rstrip("/").rpartition(":")
        if not colon:
            host, port = port, ""
        if port and not port.isdecimal():
            raise Unfit("the port must be a number")
        given: dict[str, Any] = {"host": host.strip("[]"), **found.query, **found.named("username", "password")}
        if port:
            given["port"] = int(port)
        return {"tls": "tls", **given} if url.lower().startswith("smtps") else given

    @classmethod
    def asks(cls, given: Mapping[str, object]) -> list[str]:
        """See `Connection.asks`: the password of a name."""
        return ["password"] if "username" in given else []

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """See `Connection.mistakes`."""
        if (self.username is None) != (self.password is None):
            yield "password", "give both username and password, or neither"
        if self.username is not None and self.tls == "none":
            yield "tls", "the password would be read by everybody on the way: use starttls or tls"
        if self.sender.count("@") != 1 or not self.sender.isprintable() or " " in self.sender:
            yield "sender", "must be an address such as data@example.com"

    @contextlib.contextmanager
    def opened(self, seconds: float | None = None) -> Iterator[smtplib.SMTP]:
        """A session with the server, which knows us.

        Raises:
            ConnectionFailed: a certificate cannot be read.
            OSError, SMTPException: what went wrong.
        """
        wait = min(seconds or self.timeout_seconds, self.timeout_seconds)
        with in_time(_STEPS * wait) as lines, contextlib.closing(self._connected(wait, lines)) as server:
            if self.tls == "starttls":
                server.starttls(context=self._context())
            if self.username is not None and self.password is not None:
                server.login(self.username, self.password.reveal())
            yield server
            with contextlib.suppress(OSError, smtplib.SMTPException):  # what it took, it has
                server.quit()

    def _connected(self, seconds: float, lines: Lines) -> smtplib.SMTP:
        port = self.port or {"starttls": 587, "tls": 465, "none": 25}[self.tls]
        us = socket.gethostname()  # not the full name: asking for it may take as long as the message

        if self.tls == "tls":
            return _TlsSession(lines, self.host, port, us, timeout=seconds, context=self._context())
        return _Session(lines, self.host, port, us, timeout=seconds)

    def _context(self) -> ssl.SSLContext:
        return tls_context(self.verify, self.ca_file)

    def check(self, seconds: float) -> str:
        """See `Connection.check`: it lets us in; no message is sent."""
        with self.opened(seconds) as server:
            server.noop()
        return "it lets us in" if self.username is not None else "it is there"

    def explain(self, error: Exception) -> tuple[str, str | None]:
        """See `Connection.explain`."""
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return f"it does not let us in ({error.smtp_code})", "check username and password"
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return "it has no STARTTLS, or no way of signing in that we know", "check port and tls"
        if isinstance(error, smtplib.SMTPResponseException):
            return f"it answered {error.smtp_code} {answer_text(error.smtp_error)}", None
        if isinstance(error, smtplib.SMTPException):
            return str(error) or type(error).__name__, "check host, port and tls"
        if isinstance(error, OSError):
            return why(error)
        return super().explain(error)


def answer_text(text: bytes | str) -> str:
    """What a server said, in a line."""
    found = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return " ".join(found.split())[:300]
