"""What goes to a server and back, the steps in which it does, and what the calls of a client share."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from penstock.remote.calls import Call, plain
from penstock.remote.errors import ServerError
from penstock.remote.identity import Identity

R = TypeVar("R")
Steps = Generator[Any, Any, R]
_PREFIX = ("api", "v1")


class Request(NamedTuple):
    """What goes over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    content: bytes | Path | None
    seconds: float


class Answer(NamedTuple):
    """What comes back; the names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Send(NamedTuple):
    """Send this; told the Answer."""

    request: Request


class Open(NamedTuple):
    """Send this; told the Answer, whose body is only there where it is a refusal. The rest comes by More."""

    request: Request


class More(NamedTuple):
    """Told the next piece of the body that is open; nothing at its end."""


class Rest(NamedTuple):
    """Wait."""

    seconds: float


class Alone(NamedTuple):
    """Do these steps while nobody else does such."""

    steps: Callable[[], Steps[None]]


class Give(NamedTuple):
    """Hand this to whoever asked."""

    item: Any


class Heard(NamedTuple):
    """One thing of a stream.

    Attributes:
        event: what kind of thing: `state`, `step`, `note`, `log` and `end` of a run; `event` of the journal.
        data: what is told of it.
        id: where the stream is after it. Whoever comes back with it hears what came later.
    """

    event: str
    data: Any
    id: str


class Unreached(Exception):
    """Thrown into the steps: there is no answer.

    Attributes:
        sent: the server may have got the request.
    """

    def __init__(self, reason: str, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


class Session:
    """What the calls of a client share.

    Args:
        url: of the server.
        identity: who asks.
        patience_seconds: how long a server that is away is waited for.
        timeout_seconds: how long an answer may take.
        agent: how the client calls itself.
        clock: tells the time, in seconds.
    """

    def __init__(
        self,
        url: str,
        identity: Identity,
        *,
        patience_seconds: float = 60.0,
        timeout_seconds: float = 30.0,
        agent: str = "penstock",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self.identity = identity
        self.patience_seconds = patience_seconds
        self.timeout_seconds = timeout_seconds
        self.agent = agent
        self.clock = clock
        self.met = False
        """It has answered before."""

    def request(self, call: Call[Any]) -> Request:
        """The request of a call; the same for every time that it is sent.

        Raises:
            ServerError: a name in it is empty.
        """
        if "" in call.path:
            raise ServerError("A name is empty.", hint="give the name or the id of what is meant")
        parts = call.path if call.root else (*_PREFIX, *call.path)
        target = "/" + "/".join(quote(str(part), safe="") for part in parts)
        query = [(name, _told(each)) for name, value in call.query.items() for each in _several(value)]
        content, kind = _content(call)
        headers = {"Accept": "application/json", "User-Agent": self.agent, "X-Request-ID": uuid.uuid4().hex}
        headers |= call.headers
        if kind is not None:
            headers["Content-Type"] = kind
        if isinstance(content, Path):
            headers["Content-Length"] = str(content.stat().st_size)
        if call.creates:
            headers["Idempotency-Key"] = call.key or uuid.uuid4().hex
        target += f"?{urlencode(query)}" if query else ""
        return Request(call.method, target, headers, content, self.timeout_seconds + call.seconds)


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]


def _told(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _content(call: Call[Any]) -> tuple[bytes | Path | None, str | None]:
    if call.content is not None:
        return call.content, call.content_type or "application/octet-stream"
    if call.form is not None:
        return urlencode(call.form).encode(), "application/x-www-form-urlencoded"
    if call.body is not msgspec.UNSET:
        return msgspec.json.encode(plain(call.body)), "application/json"
    return None, None
