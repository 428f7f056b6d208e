"""What happens to every request on its way in and out: it gets an id, and is refused where it is too large."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from random import Random
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penstock.control.problems import answer
from penstock.control.telling import answered
from penstock.engine.log_lines import log_facts

_ids = Random()  # they need not be secret, and the system's own randomness takes its time
_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")


def _first_headers(scope: Scope) -> dict[bytes, bytes]:
    """The headers of a request by their names, which are in lower case; of those that came twice, the first."""
    found: dict[bytes, bytes] | None = scope.get("penstock.headers")
    if found is None:
        found = scope["penstock.headers"] = dict(reversed(scope["headers"]))
    return found


class RequestIds:
    """Each request has an id, the one it came with (`X-Request-ID`) or a new one; the answer and the log name it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = _first_headers(scope).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _ID.fullmatch(given) else f"{_ids.getrandbits(128):032x}"
        scope["penstock.request_id"] = request_id
        began, status, stream = time.monotonic(), 0, False

        async def named(message: Message) -> None:
            nonlocal status, stream
            if message["type"] == "http.response.start":
                status = message["status"]
                made = message.get("headers", ())
                headers = dict(made)  # of a name that comes twice, as cookies do, nothing is asked
                stream = headers.get(b"content-type", b"").startswith(b"text/event-stream")
                scope["penstock.location"] = headers.get(b"location", b"").decode("latin-1")
                more = [(b"x-request-id", request_id.encode()), *_hardening(headers)]
                message = {**message, "headers": [*made, *more]}
            await send(message)

        said = log_facts.set({"request_id": request_id})
        try:
            await self.app(scope, receive, named)
        finally:
            answered(scope, status, time.monotonic() - began, stream=stream)
            log_facts.reset(said)


_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}


def _hardening(headers: Mapping[bytes, bytes]) -> Iterator[tuple[bytes, bytes]]:
    """What has no browser make more of an answer than it is, nor keep it; unless a route says something else."""
    for name, value in _HEADERS.items():
        if name not in headers:
            yield name, value
    if b"cache-control" not in headers:
        yield b"cache-control", b"private, no-cache" if b"etag" in headers else b"no-store"


_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guards:
    """Refuses what a page of another origin has a browser send here: nobody signs in, so a browser's word is enough.

    Args:
        app: what comes after.
        hosts: names that the server is reached by; None for any.
        origins: pages of these origins may use it; None for all, where a browser's word is not enough.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None, origins: tuple[str, ...] | None) -> None:
        self.app = app
        self.hosts = hosts
        self.origins = frozenset(origins) if origins is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and (told := self._mistake(scope)):
            await _refuse(scope, send, 403, "forbidden", told)
            return
        await self.app(scope, receive, send)

    def _mistake(self, scope: Scope) -> str | None:
        headers = _first_headers(scope)
        host = headers.get(b"host", b"").decode("latin-1")
        name = _name_of(host)
        if self.hosts is not None and name not in self.hosts:
            return f"The server is not known as {name[:100]!r}; known_hosts says which names it has."
        if self.origins is None or scope["method"] in _HARMLESS or b"origin" not in headers:
            return None
        if headers[b"origin"].decode("latin-1") in (f"http://{host}", f"https://{host}", *self.origins):
            return None
        return "Pages of other origins change nothing here; cors_origins names those that may."


@lru_cache(maxsize=64)
def _name_of(host: str) -> str:
    return re.sub(r":\d*$", "", host).strip("[]").lower()


class Limits:
    """Refuses what says that it is too large, and addresses with characters that no database takes.

    Args:
        app: what comes after.
        max_body_bytes: of a request.
        others: of requests that may have more or less, by their path.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, others: Mapping[str, int] | None = None) -> None:
        self.app = app
        self.most = max_body_bytes
        self.others = others or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            await _refuse(scope, send, 400, "request", "The address holds a character that cannot be stored.")
            return
        length = _first_headers(scope).get(b"content-length", b"")
        most = self.others.get(scope["path"], self.most)
        if length.isdigit() and int(length) > most:
            await _refuse(scope, send, 413, "too-large", f"A request has at most {most:,} bytes.")
            return
        await self.app(scope, receive, send)


async def _refuse(scope: Scope, send: Send, status: int, code: str, told: str) -> None:
    async def nothing() -> Any:
        return {"type": "http.disconnect"}

    await answer(Request(scope), status, code, told)(scope, nothing, send)
