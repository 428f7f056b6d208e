"""A web server of the test's own, which answers as the test says and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.ports import on_some_port


class Asked(NamedTuple):
    """A request."""

    path: str
    headers: dict[str, str]
    body: Any


class Web:
    """What the server is to do, and what it was asked.

    Attributes:
        answers: the statuses of the next answers; 200 when there are none left.
        location: where redirects lead.
        silent: paths that are never answered, until `hush` is set.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.asked: list[Asked] = []
        self.answers: list[int] = []
        self.location = ""
        self.silent: set[str] = set()
        self.dripping: set[str] = set()
        self.hush = threading.Event()


@contextmanager
def web() -> Iterator[Web]:
    """A server on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found.asked.append(Asked(self.path, dict(self.headers), json.loads(data)))
            if self.path in found.silent:
                found.hush.wait(60)
                return
            if self.path in found.dripping:
                self._drip()
                return
            status = found.answers.pop(0) if found.answers else 200
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", found.location)
            self.end_headers()

        def _drip(self) -> None:
            """Answer, one byte after another, and never come to an end."""
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                while not found.hush.wait(0.02):
                    self.wfile.write(b"x")
            except OSError:
                return

        def log_message(self, *_: object) -> None:
            pass

    server = on_some_port(lambda port: ThreadingHTTPServer(("127.0.0.1", port), Handler))
    found = Web(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.hush.set()
        server.shutdown()
        thread.join()
        server.server_close()
