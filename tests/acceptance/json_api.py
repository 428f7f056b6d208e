"""A JSON API for tests, on 127.0.0.1: what each path answers is given, and every request is counted."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.ports import on_some_port


class Reply(NamedTuple):
    """One answer. A text is sent as it is, anything else as JSON."""

    content: Any = ""
    status: int = 200
    hang_up: bool = False
    cut_after: int | None = None
    location: str | None = None
    wait_for: threading.Event | None = None

    @property
    def body(self) -> bytes:
        if isinstance(self.content, bytes):
            return self.content
        return (self.content if isinstance(self.content, str) else json.dumps(self.content)).encode()


class JsonApi(ThreadingHTTPServer):
    """Answers each path with its replies in turn, and with the last one from then on."""

    daemon_threads = True

    def __init__(self, replies: dict[str, list[Reply]], port: int) -> None:
        self.replies = replies
        self.hits: Counter[str] = Counter()
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next_reply(self, path: str) -> Reply:
        with self.lock:
            self.hits[path] += 1
            turns = self.replies.get(path, [Reply({"error": "no such path"}, 404)])
            return turns[min(self.hits[path], len(turns)) - 1]


class _Handler(BaseHTTPRequestHandler):
    server: JsonApi

    def do_GET(self) -> None:
        reply = self.server.next_reply(self.path)
        if reply.wait_for is not None:
            reply.wait_for.wait()
        if reply.hang_up:
            return
        self.send_response(reply.status)
        if reply.location is not None:
            self.send_header("Location", reply.location)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body[: reply.cut_after])

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(replies: dict[str, list[Reply]]) -> Iterator[JsonApi]:
    """The API, until the end of the block."""
    api = on_some_port(partial(JsonApi, replies))
    thread = threading.Thread(target=api.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield api
    finally:
        api.shutdown()
        thread.join()
        api.server_close()
