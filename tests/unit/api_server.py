"""An HTTP server of the test's own. It answers as a function says, and breaks the rules of HTTP when told to."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.ports import on_some_port


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    url: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What to answer.

    Attributes:
        body: bytes, or anything that becomes JSON.
        length: what Content-Length says; None for the truth, -1 for no such header.
        cut: close the connection after so many bytes of the body.
        drip: send one byte at a time, this many seconds apart.
        raw: send these bytes, and nothing else.
        endless: send the body again and again, until nobody listens.
    """

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    cut: int | None = None
    drip: float = 0.0
    raw: bytes | None = None
    endless: bool = False

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Site = Callable[[Request], Any]


class Api:
    """The server.

    Attributes:
        site: answers; gives a `Reply`, or a body.
        asked: every request, in order.
        hush: set at the end, to let go of those who wait.
    """

    def __init__(self, port: int, site: Site) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.site = site
        self.asked: list[Request] = []
        self.hush = threading.Event()


@contextmanager
def api(site: Site, tls: ssl.SSLContext | None = None) -> Iterator[Api]:
    """A server on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            request = Request(self.command, parts.path, query, headers, body, found.url)
            found.asked.append(request)
            reply = found.site(request)
            with suppress(OSError):
                self.answer(reply if isinstance(reply, Reply) else Reply(reply))

        do_POST = do_PUT = do_GET

        def answer(self, reply: Reply) -> None:
            if reply.raw is not None:
                self.wfile.write(reply.raw)
                self.close_connection = True
                return
            content = reply.content
            self.send_response(reply.status)
            given = {name.lower() for name in reply.headers}
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if "content-type" not in given:
                self.send_header("Content-Type", "application/json")
            if reply.length != -1 and not reply.endless:
                self.send_header("Content-Length", str(len(content) if reply.length is None else reply.length))
            else:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            self.wfile.flush()
            self.pour(reply, content if reply.cut is None else content[: reply.cut])
            if reply.cut is not None or reply.length not in (None, -1):
                self.close_connection = True

        def pour(self, reply: Reply, content: bytes) -> None:
            if reply.endless:
                while not found.hush.is_set():
                    self.wfile.write(content)
            elif reply.drip:
                for byte in content:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    if found.hush.wait(reply.drip):
                        return
            else:
                self.wfile.write(content)

        def finish(self) -> None:
            with suppress(OSError):
                super().finish()

        def handle(self) -> None:
            with suppress(ConnectionError, ssl.SSLError):
                super().handle()

        def log_message(self, *_: object) -> None:
            pass

    server = on_some_port(lambda port: _Server(("127.0.0.1", port), Handler))
    server.tls = tls
    found = Api(server.server_address[1], site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.hush.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    tls: ssl.SSLContext | None = None

    def get_request(self) -> tuple[Any, Any]:
        client, address = super().get_request()
        if self.tls is not None:
            client = self.tls.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        return client, address
