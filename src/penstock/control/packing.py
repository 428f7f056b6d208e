"""Answers packed with Brotli or gzip, for those who take them so."""

from __future__ import annotations

import gzip
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penstock.core.errors import MissingExtra
from penstock.core.extras import require

_LEAST = 1_000
_IN_A_THREAD = 64 * 1024
_TEXT = ("application/json", "application/problem+json", "application/yaml", "text/")


def accepted(header: str) -> str | None:
    """The packing that somebody takes, best first: `br`, `gzip`; None for neither."""
    weights: dict[str, float] = {}
    for part in header.lower().split(","):
        name, _, rest = part.strip().partition(";")
        try:
            weights[name.strip()] = float(rest.strip().removeprefix("q=")) if rest.strip() else 1.0
        except ValueError:
            weights[name.strip()] = 0.0
    others = weights.get("*", 0.0)
    known = ["br", "gzip"] if _brotli() is not None else ["gzip"]
    best = max(known, key=lambda name: weights.get(name, others))
    return best if weights.get(best, others) > 0 else None


def _brotli() -> Any:
    try:
        return require("brotli", "server")
    except MissingExtra:
        return None


def packed(body: bytes, how: str) -> bytes:
    """The body, packed."""
    if how == "br":
        made: bytes = _brotli().compress(body, quality=4)
        return made
    return gzip.compress(body, 6, mtime=0)


class Packing:
    """Packs answers of text that are whole. What comes in pieces (streams, files) goes out as it is.

    Args:
        app: what comes after.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        how = accepted(Headers(scope=scope).get("accept-encoding", "")) if scope["type"] == "http" else None
        begun: Message | None = None

        async def pack(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if not _may_be_packed(message["status"], headers):
                    await send(message)
                    return
                headers.add_vary_header("Accept-Encoding")
                begun = message
                return
            if begun is not None:
                start, begun = begun, None
                if how is not None and not message.get("more_body") and len(message.get("body", b"")) >= _LEAST:
                    message = {**message, "body": await _pack(message["body"], how)}
                    _tell(MutableHeaders(scope=start), how, len(message["body"]))
                await send(start)
            await send(message)

        await self.app(scope, receive, pack if scope["type"] == "http" else send)


def _may_be_packed(status: int, headers: Headers) -> bool:
    kind = headers.get("content-type", "")
    plain = "content-encoding" not in headers and "content-range" not in headers
    return plain and status != 206 and kind.startswith(_TEXT) and not kind.startswith("text/event-stream")


async def _pack(body: bytes, how: str) -> bytes:
    return await run_in_threadpool(packed, body, how) if len(body) >= _IN_A_THREAD else packed(body, how)


def _tell(headers: MutableHeaders, how: str, size: int) -> None:
    headers["Content-Encoding"] = how
    headers["Content-Length"] = str(size)
    tag = headers.get("etag")
    if tag is not None and not tag.startswith("W/"):  # these are other bytes than those of the tag
        headers["ETag"] = f"W/{tag}"
