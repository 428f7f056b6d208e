"""A JSON API for tests, on 127.0.0.1: what each path answers is given, and every request is counted."""

from __future__ import annotations

import json
import os
import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


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
    api = _on_some_port(replies)
    thread = threading.Thread(target=api.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield api
    finally:
        api.shutdown()
        thread.join()
        api.server_close()


def _on_some_port(replies: dict[str, list[Reply]]) -> JsonApi:
    for port in _ports():
        try:
            return JsonApi(replies, port)
        except OSError:
            continue
    raise RuntimeError("no free port")


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and nobody can take, until the end of the block."""
    with socket.socket() as held:
        for port in _ports():
            try:
                held.bind(("127.0.0.1", port))
                break
            except OSError:
                continue
        yield held.getsockname()[1]


def _ports() -> list[int]:
    """Below the ephemeral ones; in an order of this process's own, so that test workers seldom meet."""
    return random.Random(os.getpid()).sample(range(20_000, 32_000), 200)
