"""A small JSON API to try the pipeline on: dirty data, from a server that fails now and then.

`python examples/users_posts/flaky_api.py` serves it by itself, on port 8808.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dirty_data import dirty_posts, dirty_users

OK, HANG_UP = 200, 0
FIRST_ANSWERS = {"/users": [503], "/posts": [500, HANG_UP]}
THEN_FAIL_EVERY = 4
PORTS = range(18080, 18180)


class FlakyApi(ThreadingHTTPServer):
    """Answers `/users` and `/posts` on 127.0.0.1: badly at first, and badly again now and then.

    Args:
        port: where to answer; the first free port of PORTS when left out.

    Attributes:
        answered: how often each path was answered in which way, such as `("/users", 503)`.
    """

    daemon_threads = True

    def __init__(self, port: int | None = None) -> None:
        self.data = {"/users": dirty_users(), "/posts": dirty_posts()}
        self.answered: Counter[tuple[str, int]] = Counter()
        self.lock = threading.Lock()
        ports = [port] if port is not None else list(PORTS)
        for port in ports:
            try:
                super().__init__(("127.0.0.1", port), Answer)
                return
            except OSError as error:
                if port == ports[-1]:
                    raise OSError(f"port {port} on 127.0.0.1 cannot be used: {error.strerror}") from error

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"

    def next_status(self, path: str) -> int:
        """How the next request is answered."""
        with self.lock:
            before = sum(count for (asked, _), count in self.answered.items() if asked == path)
            first = FIRST_ANSWERS.get(path, [])
            if path not in self.data:
                status = 404
            elif before < len(first):
                status = first[before]
            else:
                status = 503 if before % THEN_FAIL_EVERY == THEN_FAIL_EVERY - 1 else OK
            self.answered[path, status] += 1
            return status


class Answer(BaseHTTPRequestHandler):
    """One request."""

    server: FlakyApi

    def do_GET(self) -> None:
        """Give the data, or a reason not to."""
        status = self.server.next_status(self.path)
        if status == HANG_UP:
            return
        body = json.dumps(self.server.data[self.path] if status == OK else {"error": status}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet."""


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8808)
    try:
        with FlakyApi(parser.parse_args().port) as api:
            print(f"{api.url}/users and {api.url}/posts (Ctrl-C stops)", flush=True)
            api.serve_forever()
    except OSError as error:
        sys.exit(f"flaky_api: {error}")
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
