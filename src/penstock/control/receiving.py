"""The body of a request as it comes, a piece at a time: a file as it is, or the file of a form."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from penstock.control.problems import Problem
from penstock.core.extras import LateExtra

_multipart: Any = LateExtra("python_multipart.multipart", "server")
logging.getLogger("python_multipart").setLevel(logging.ERROR)  # what is wrong with a form is told to who has sent it
_SLOWEST = 1024
_LONGEST_HEADER = 8192


async def pieces(request: Request, seconds: float) -> AsyncIterator[bytes]:
    """The body.

    Args:
        request: whose body.
        seconds: how long it may take, and a second more for each KiB.

    Raises:
        Problem: it did not come in time, or not whole.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    size = 0
    stream = request.stream()
    try:
        while True:
            async with asyncio.timeout_at(end + size / _SLOWEST):
                part = await anext(stream, None)
            if part is None:
                return
            size += len(part)
            yield part
    except TimeoutError:
        raise Problem(408, f"The body came too slowly: {size:,} bytes of it.") from None
    except ClientDisconnect:
        raise Problem(400, "The request ended before its body did.") from None


class Form:
    """The one file of a form (`multipart/form-data`), taken out as it comes.

    Attributes:
        name: of the file, once its part has begun.
    """

    def __init__(self, boundary: bytes) -> None:
        self.name: str | None = None
        self.ended = False
        self._inside = False
        self._headers: dict[bytes, bytes] = {}
        self._field = b""
        self._value = b""
        self._found: list[bytes] = []
        self._parser = _multipart.MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._on_field,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header,
                "on_headers_finished": self._on_headers,
                "on_part_data": self._on_data,
                "on_part_end": self._on_end,
                "on_end": self._on_last,
            },
        )

    def feed(self, data: bytes) -> bytes:
        """What of these bytes is the file's.

        Raises:
            Problem: it is no form, or has more than one file.
        """
        try:
            self._parser.write(data)
        except ValueError as error:  # what the parser raises is one
            raise Problem(400, f"The form cannot be read: {error}.") from None
        made, self._found = b"".join(self._found), []
        return made

    def _begin(self) -> None:
        self._headers = {}

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._short(self._field)

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._short(self._value)

    def _short(self, text: bytes) -> None:
        if len(text) > _LONGEST_HEADER or len(self._headers) > 20:
            raise Problem(400, "A part of the form has headers that are too long.")

    def _on_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _on_headers(self) -> None:
        _, options = _multipart.parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"filename")
        self._inside = name is not None
        if name is None:
            return
        if self.name is not None:
            raise Problem(422, "There is more than one file in the form.", hint="send each with a request of its own")
        self.name = bytes(name).decode("utf-8", "replace")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._inside:
            self._found.append(data[start:end])

    def _on_end(self) -> None:
        self._inside = False

    def _on_last(self) -> None:
        self.ended = True


def form_of(request: Request) -> Form | None:
    """The form that a request says it has; None for any other body.

    Raises:
        Problem: it does not say what is between its parts.
    """
    kind, options = _multipart.parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        return None
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 70:
        raise Problem(400, "The form does not say its boundary.")
    return Form(boundary)
