"""Calls to URLs: one POST request, within its time, and nothing of what is secret in what is told of it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

import msgspec

from penstock.core.automation_checks import header_mistake, url_mistake
from penstock.core.automations import Call
from penstock.core.model import OwedAction
from penstock.core.templates import fill, with_variables

_AGAIN = frozenset({408, 425, 429})
_SHORTEST_SECRET = 4
_LONGEST_REASON = 500


class Hopeless(Exception):
    """Trying again would not help."""


class Unanswered(Exception):
    """It may be another time."""


def call(owed: OwedAction, action: Call) -> dict[str, Any]:
    """Send the facts (or the action's own body) to the action's URL; the status of the answer.

    Raises:
        Hopeless: it cannot be sent, or the answer says that it would be the same another time.
        Unanswered: there was no answer in time, or one that says to come back.
    """
    secrets: set[str] = set()
    request = _request(owed, action, secrets)
    host = urlsplit(request.full_url).hostname
    try:
        status = _status(request, action.timeout_seconds)
    except TimeoutError:
        raise Unanswered(f"{host} gave no answer within {action.timeout_seconds:g} s.") from None
    except (OSError, HTTPException) as error:
        raise Unanswered(f"{host} could not be called ({_without(secrets, error)}).") from None
    if 200 <= status < 300:
        return {"status": status}
    told = f"{host} answered {status}."  # the rest of a URL may be a secret
    if 300 <= status < 400:
        told += " Redirects are not followed: give the URL it leads to."
    raise Unanswered(told) if status >= 500 or status in _AGAIN else Hopeless(told)


def _request(owed: OwedAction, action: Call, secrets: set[str]) -> Request:
    def value_of(name: str) -> str:
        value = os.environ.get(name)
        if value is None:
            raise Hopeless(f"The variable {name} is not set where the scheduler runs.")
        secrets.add(value)
        return value

    url = with_variables(action.url, value_of)
    if told := url_mistake(url):
        raise Hopeless(f"The URL cannot be called: {told}.")
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": f"{owed.firing}/{owed.action}".encode("ascii", "backslashreplace").decode(),
        "User-Agent": "penstock",
    }
    for name, given in action.headers.items():
        value = with_variables(given, value_of)
        if told := header_mistake(name, value):
            raise Hopeless(f"The headers cannot be sent: {told}.")
        headers[name.title()] = value
    facts = {"automation": owed.automation, "firing": owed.firing, "facts": owed.facts}
    body = fill(action.body, owed.facts, "?") if action.body else facts
    return Request(url, msgspec.json.encode(body), headers, method="POST")


def _status(request: Request, seconds: float) -> int:
    """The status of the answer; nothing more of it is read.

    Raises:
        TimeoutError: it took longer than that, however busily.
    """
    with _in_time(seconds) as lines:
        opener = OpenerDirector()  # it follows no redirects, and knows no other kinds of URLs
        for handler in (ProxyHandler(), _Http(lines), _Https(lines)):
            opener.add_handler(handler)
        with opener.open(request, timeout=seconds) as answer:
            return int(answer.status)


class _Lines:
    """The connections of one attempt; they are cut when its time is over."""

    def __init__(self) -> None:
        self._made: list[HTTPConnection] = []
        self.over = False

    def making(self, kind: Callable[..., HTTPConnection]) -> Callable[..., HTTPConnection]:
        """What makes connections of this kind."""

        def make(*args: Any, **options: Any) -> HTTPConnection:
            connection = kind(*args, **options)
            connect = connection.connect

            def connect_in_time() -> None:
                connect()
                if self.over:
                    raise TimeoutError

            connection.connect = connect_in_time  # type: ignore[method-assign]
            self._made.append(connection)
            return connection

        return make

    def cut(self) -> None:
        """The time is over. A socket's own timeout begins anew with every byte that comes."""
        self.over = True
        for connection in self._made:
            with contextlib.suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)


class _Http(HTTPHandler):
    def __init__(self, lines: _Lines) -> None:
        super().__init__()
        self._lines = lines

    def http_open(self, req: Request) -> Any:
        return self.do_open(self._lines.making(HTTPConnection), req)


class _Https(HTTPSHandler):
    def __init__(self, lines: _Lines) -> None:
        super().__init__()
        self._lines = lines

    def https_open(self, req: Request) -> Any:
        return self.do_open(self._lines.making(HTTPSConnection), req)


@contextlib.contextmanager
def _in_time(seconds: float) -> Iterator[_Lines]:
    lines = _Lines()
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


def _without(secrets: set[str], error: Exception) -> str:
    """What an error says, with nothing in it that came from a variable."""
    told = str(getattr(error, "reason", error)) or type(error).__name__
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            told = told.replace(secret, "***")
    return told if len(told) <= _LONGEST_REASON else told[:_LONGEST_REASON] + "..."


Send = Callable[[OwedAction, Call], Mapping[str, Any]]
"""What carries out a call; tests put their own in its place."""
