"""A JSON API that is read page by page, and that is no limit to whoever reads it: its pages are made beforehand.

    python api.py PORT ROWS

GET /orders?page=1 gives a page of 1,000 orders, the total, and how many pages there are; GET /expected gives what a
table of all of them has in it. Connections are kept.
"""

import asyncio
import json
import sys
from urllib.parse import parse_qs, urlsplit

from rows import counted, order

PER_PAGE = 1_000


def made(rows: int) -> tuple[list[bytes], dict[str, int]]:
    """All answers, and the facts of all orders."""
    pages = -(-rows // PER_PAGE)
    answers, facts = [], dict.fromkeys(counted([]), 0)
    for page in range(1, pages + 1):
        some = [order(number) for number in range((page - 1) * PER_PAGE + 1, min(page * PER_PAGE, rows) + 1)]
        for name, value in counted(some).items():
            facts[name] += value
        answers.append(answer({"data": some, "page": page, "pages": pages, "total": rows}))
    return answers, facts


def answer(value: object, status: str = "200 OK") -> bytes:
    """An answer as it goes over the wire."""
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Shop(asyncio.Protocol):
    """One connection."""

    def __init__(self, pages: list[bytes], facts: dict[str, int]) -> None:
        self._pages, self._facts = pages, answer(facts)
        self._empty = answer({"data": [], "pages": len(pages), "total": facts["rows"]})
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while b"\r\n\r\n" in self._rest:
            request, _, self._rest = self._rest.partition(b"\r\n\r\n")
            self._transport.write(self._answered(request.split(b" ", 2)[1].decode()))

    def _answered(self, target: str) -> bytes:
        parts = urlsplit(target)
        if parts.path == "/expected":
            return self._facts
        if parts.path != "/orders":
            return answer({"error": "there is nothing here"}, "404 Not Found")
        page = int(parse_qs(parts.query).get("page", ["1"])[0])
        return self._pages[page - 1] if 1 <= page <= len(self._pages) else self._empty


async def main() -> None:
    """Serve until the process is ended."""
    port, rows = int(sys.argv[1]), int(sys.argv[2])
    pages, facts = made(rows)
    server = await asyncio.get_running_loop().create_server(lambda: Shop(pages, facts), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
