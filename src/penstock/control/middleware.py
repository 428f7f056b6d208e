"""What happens to every request on its way in and out: it gets an id, and is refused where it is too large."""

from __future__ import annotations

import logging
import re
import time
from typing import Any
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penstock.control.problems import answer

_log = logging.getLogger("penstock.control.access")
_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")


class RequestIds:
    """Each request has an id, the one it came with (`X-Request-ID`) or a new one; the answer and the log name it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else uuid4().hex
        scope["penstock.request_id"] = request_id
        began, status = time.monotonic(), 0

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, named)
        finally:
            took = (time.monotonic() - began) * 1000
            _log.debug("%s %s %d %.1f ms %s", scope["method"], _path(scope), status, took, request_id)


def _path(scope: Scope) -> str:
    return str(scope["path"]).encode("unicode_escape").decode()


_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guards:
    """Refuses what a page of another origin has a browser send here: nobody signs in, so a browser's word is enough.

    Args:
        app: what comes after.
        hosts: names that the server is reached by.
        origins: pages of these origins may use it.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], origins: tuple[str, ...]) -> None:
        self.app = app
        self.hosts = hosts
        self.origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and (told := self._mistake(scope)):
            await _refuse(scope, send, 403, "forbidden", told)
            return
        await self.app(scope, receive, send)

    def _mistake(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        name = re.sub(r":\d*$", "", host).strip("[]").lower()
        if name not in self.hosts:
            return f"The server is not known as {name[:100]!r}."
        own = (f"http://{host}", f"https://{host}")
        if scope["method"] in _HARMLESS or origin is None or origin in own or origin in self.origins:
            return None
        return "Pages of other origins change nothing here; cors_origins names those that may."


class Limits:
    """Refuses what says that it is too large, and addresses with characters that no database takes.

    Args:
        app: what comes after.
        max_body_bytes: of a request.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self.app = app
        self.most = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            await _refuse(scope, send, 400, "request", "The address holds a character that cannot be stored.")
            return
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > self.most:
            await _refuse(scope, send, 413, "too-large", f"A request has at most {self.most:,} bytes.")
            return
        await self.app(scope, receive, send)


async def _refuse(scope: Scope, send: Send, status: int, code: str, told: str) -> None:
    async def nothing() -> Any:
        return {"type": "http.disconnect"}

    await answer(Request(scope), status, code, told)(scope, nothing, send)
