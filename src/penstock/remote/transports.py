"""The two that send: one waits, the other awaits. All else is in `exchange`."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

from penstock.core.extras import LateExtra
from penstock.remote import exchange
from penstock.remote.calls import Call
from penstock.remote.session import Alone, Answer, Give, More, Open, Request, Rest, Send, Session, Steps, Unreached

_httpx: Any = LateExtra("httpx", "client")
_PIECE = 256 * 1024


def _unreached(error: Any) -> Unreached:
    unsent = (_httpx.ConnectError, _httpx.ConnectTimeout, _httpx.PoolTimeout)
    told = str(error) or type(error).__name__
    if isinstance(error, _httpx.TimeoutException):
        told = "it does not answer in time"
    return Unreached(told.strip().rstrip("."), not isinstance(error, unsent))


def _options(request: Request) -> dict[str, Any]:
    """What httpx is told of a request."""
    return {"headers": request.headers, "timeout": _httpx.Timeout(request.seconds, connect=10.0)}


class SyncSender:
    """Sends, and waits for what comes. May be used by several threads at once.

    Args:
        session: what the calls share.
        http: an `httpx.Client`.
    """

    def __init__(self, session: Session, http: Any) -> None:
        self.session = session
        self.http = http
        self._alone = threading.RLock()

    def send(self, call: Call[Any]) -> Any:
        """See `Sender`."""
        return _last(self._drive(exchange.one(self.session, call)))

    def pages(self, call: Call[Any]) -> Iterator[Any]:
        """See `Sender`."""
        return self._drive(exchange.pages(self.session, call))

    def stream(self, call: Call[Any]) -> Iterator[Any]:
        """See `Sender`."""
        return self._drive(exchange.stream(self.session, call))

    def chunks(self, call: Call[Any]) -> Iterator[bytes]:
        """See `Sender`."""
        return self._drive(exchange.chunks(self.session, call))

    def _drive(self, steps: Steps[Any]) -> Generator[Any, None, Any]:
        """Do the steps, one after the other; a generator of what they give, that returns what they return."""
        body, told, away = _Body(), None, None
        try:
            while True:
                try:
                    step = steps.send(told) if away is None else steps.throw(away)
                except StopIteration as end:
                    return end.value
                told = away = None
                if isinstance(step, Give):
                    yield step.item
                    continue
                try:
                    told = self._done(step, body)
                except _httpx.TransportError as error:
                    away = _unreached(error)
        finally:
            steps.close()
            body.close()

    def _done(self, step: Any, body: _Body) -> Any:
        if isinstance(step, Send):
            found = self.http.send(self._built(step.request))
            return Answer(found.status_code, found.headers, found.content)
        if isinstance(step, Open):
            body.close()
            body.response = self.http.send(self._built(step.request), stream=True)
            refused = body.response.status_code >= 400
            return Answer(body.response.status_code, body.response.headers, body.response.read() if refused else b"")
        if isinstance(step, More):
            return body.piece()
        if isinstance(step, Rest):
            return time.sleep(step.seconds)
        assert isinstance(step, Alone)
        with self._alone:
            return _last(self._drive(step.steps()))

    def _built(self, request: Request) -> Any:
        content: Any = request.content
        if isinstance(content, Path):
            content = _pieces(content)
        return self.http.build_request(request.method, request.target, content=content, **_options(request))


class _Body:
    """A body that is being read."""

    def __init__(self) -> None:
        self.response: Any = None
        self._pieces: Iterator[bytes] | None = None

    def piece(self) -> bytes:
        if self._pieces is None:
            self._pieces = self.response.iter_bytes()
        return next(self._pieces, b"")

    def close(self) -> None:
        if self.response is not None:
            self.response.close()
        self.response = self._pieces = None


def _last(steps: Generator[Any, None, Any]) -> Any:
    """What steps return that give nothing."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            yield piece


class AsyncSender:
    """Sends, and awaits what comes. Belongs to one event loop.

    Args:
        session: what the calls share.
        http: an `httpx.AsyncClient`.
    """

    def __init__(self, session: Session, http: Any) -> None:
        self.session = session
        self.http = http
        self._alone = asyncio.Lock()

    async def send(self, call: Call[Any]) -> Any:
        """See `Sender`."""
        return await self._to_the_end(exchange.one(self.session, call))

    def pages(self, call: Call[Any]) -> AsyncIterator[Any]:
        """See `Sender`."""
        return self._drive(exchange.pages(self.session, call), [])

    def stream(self, call: Call[Any]) -> AsyncIterator[Any]:
        """See `Sender`."""
        return self._drive(exchange.stream(self.session, call), [])

    def chunks(self, call: Call[Any]) -> AsyncIterator[bytes]:
        """See `Sender`."""
        return self._drive(exchange.chunks(self.session, call), [])

    async def _to_the_end(self, steps: Steps[Any]) -> Any:
        returned: list[Any] = []
        async for _ in self._drive(steps, returned):
            pass
        return returned[0]

    async def _drive(self, steps: Steps[Any], returned: list[Any]) -> AsyncIterator[Any]:
        """Do the steps, one after the other; what they return goes into the list."""
        body, told, away = _AsyncBody(), None, None
        try:
            while True:
                try:
                    step = steps.send(told) if away is None else steps.throw(away)
                except StopIteration as end:
                    returned.append(end.value)
                    return
                told = away = None
                if isinstance(step, Give):
                    yield step.item
                    continue
                try:
                    told = await self._done(step, body)
                except _httpx.TransportError as error:
                    away = _unreached(error)
        finally:
            steps.close()
            await body.close()

    async def _done(self, step: Any, body: _AsyncBody) -> Any:
        if isinstance(step, Send):
            found = await self.http.send(self._built(step.request))
            return Answer(found.status_code, found.headers, found.content)
        if isinstance(step, Open):
            await body.close()
            body.response = await self.http.send(self._built(step.request), stream=True)
            refused = body.response.status_code >= 400
            told = await body.response.aread() if refused else b""
            return Answer(body.response.status_code, body.response.headers, told)
        if isinstance(step, More):
            return await body.piece()
        if isinstance(step, Rest):
            return await asyncio.sleep(step.seconds)
        assert isinstance(step, Alone)
        async with self._alone:
            return await self._to_the_end(step.steps())

    def _built(self, request: Request) -> Any:
        content: Any = request.content
        if isinstance(content, Path):
            content = _pieces_aside(content)
        return self.http.build_request(request.method, request.target, content=content, **_options(request))


class _AsyncBody:
    """A body that is being read."""

    def __init__(self) -> None:
        self.response: Any = None
        self._pieces: AsyncIterator[bytes] | None = None

    async def piece(self) -> bytes:
        if self._pieces is None:
            self._pieces = self.response.aiter_bytes()
        return await anext(self._pieces, b"")

    async def close(self) -> None:
        if self.response is not None:
            await self.response.aclose()
        self.response = self._pieces = None


async def _pieces_aside(file: Path) -> AsyncIterator[bytes]:
    """The same, read in a thread."""
    with await asyncio.to_thread(file.open, "rb") as opened:
        while piece := await asyncio.to_thread(opened.read, _PIECE):
            yield piece
