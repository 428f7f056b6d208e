"""The shop's HTTP API: products by page, customers by cursor, from a server that is busy now and then."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import records
from world import World

PORTS = range(18180, 18280)
PAGE = 40
TOKEN = "shop-token"
BUSY_EVERY = 5


class ShopApi(ThreadingHTTPServer):
    """Answers `/products?page=N` and `/customers?after=CURSOR` on 127.0.0.1; every fifth request is told to come back.

    Args:
        world: what there is.
        ports: the first of these that is free.

    Attributes:
        asked: how many requests came.
        refused: how many of them were told to come back.
    """

    daemon_threads = True

    def __init__(self, world: World, ports: Sequence[int] = PORTS) -> None:
        self.products = records.products(world)
        self.customers = records.customers(world)
        self.asked = self.refused = 0
        self.lock = threading.Lock()
        for port in ports:
            try:
                super().__init__(("127.0.0.1", port), _Answer)
                return
            except OSError:
                continue
        raise OSError(f"no port from {min(ports)} to {max(ports)} on 127.0.0.1 is free")

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"

    def busy(self) -> bool:
        """Whether the next request is told to come back."""
        with self.lock:
            self.asked += 1
            busy = self.asked % BUSY_EVERY == 0
            self.refused += busy
            return busy


class _Answer(BaseHTTPRequestHandler):
    server: ShopApi
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Give a page, or a reason not to."""
        target = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(target.query).items()}
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, {"error": "a token is needed"})
        elif self.server.busy():
            self._send(429, {"error": "busy"}, {"Retry-After": "0"})
        elif target.path == "/products":
            page = int(query.get("page", "1"))
            some = self.server.products[(page - 1) * PAGE : page * PAGE]
            self._send(200, {"data": {"items": some}, "page": page, "total": len(self.server.products)})
        elif target.path == "/customers":
            after = int(query.get("after", "0"))
            rest = [record for record in self.server.customers if record["id"] > after]
            cursor = str(rest[PAGE - 1]["id"]) if len(rest) > PAGE else None
            self._send(200, {"customers": rest[:PAGE], "next": cursor})
        else:
            self._send(404, {"error": "there is /products and /customers"})

    def _send(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet."""
