"""A stream as an answer to a request."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi.responses import StreamingResponse
from starlette.types import Send


class EventStream(StreamingResponse):
    """`text/event-stream`: never kept by anybody on the way, and closed with the connection."""

    media_type = "text/event-stream"

    def __init__(self, content: AsyncGenerator[bytes], status_code: int = 200) -> None:
        super().__init__(content, status_code, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._content = content

    async def stream_response(self, send: Send) -> None:
        """See `StreamingResponse`; what the stream holds is given back at once when nobody listens any more."""
        async with aclosing(self._content):
            await super().stream_response(send)
