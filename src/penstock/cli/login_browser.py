"""Where a browser comes back to that somebody signs in with: a place on this machine, for as long as it takes."""

from __future__ import annotations

import hmac
import os
import queue
import secrets
import sys
import threading
import webbrowser
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from penstock.core.access import challenge_of
from penstock.core.errors import ConfigurationError
from penstock.remote.identity import CodeIdentity

_SECONDS = 300.0
_IDLE_SECONDS = 10
_LONGEST = 4096
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Penstock</title>
<body style="font-family: sans-serif; margin: 4em"><p>{}</p></body></html>"""
_DONE = "Penstock has got what it needs. You can close this page and go back to the command line."
_FAILED = "Signing in did not work. The command line tells why; you can close this page."
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Connection": "close",
}


class _Landing(ThreadingHTTPServer):
    """Listens for one browser; others, and other programs of this machine, do not know the state."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = secrets.token_urlsafe(24)
        self.found: queue.Queue[dict[str, str]] = queue.Queue()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up is no mistake."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _IDLE_SECONDS
    server: _Landing

    def do_GET(self) -> None:
        """See `BaseHTTPRequestHandler`."""
        asked = parse_qs(urlsplit(self.path).query) if len(self.path) <= _LONGEST else {}
        brought = {name: values[0] for name, values in asked.items()}
        if not hmac.compare_digest(brought.get("state", "").encode(), self.server.state.encode()):
            self._answer(404, "There is nothing here.")
            return
        self._answer(200, _DONE if "code" in brought else _FAILED)
        self.server.found.put(brought)

    def _answer(self, status: int, told: str) -> None:
        page = _PAGE.format(told).encode()
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: Any) -> None:
        """Nothing is written."""


def through_browser(url: str, tell: Callable[[str], None], *, opened: bool) -> CodeIdentity:
    """Have somebody sign in with a browser.

    Args:
        url: of the server.
        tell: shows where the browser is to go.
        opened: open it, if there is one.

    Returns:
        Who it came back for.

    Raises:
        ConfigurationError: it did not come back, or with a refusal.
    """
    verifier = secrets.token_urlsafe(48)
    with _Landing() as landing:
        back = f"http://127.0.0.1:{landing.server_address[1]}/"
        asked = {
            "response_type": "code",
            "redirect_uri": back,
            "state": landing.state,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        place = f"{url}/api/v1/auth/oidc/authorize?{urlencode(asked)}"
        tell(place)
        thread = threading.Thread(target=landing.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            if opened and _is_graphical():
                webbrowser.open(place)
            brought = landing.found.get(timeout=_SECONDS)
        except queue.Empty:
            raise ConfigurationError("No browser has come back.", hint="begin again: penstock login") from None
        finally:
            landing.shutdown()
            thread.join()
    if "code" not in brought:
        raise ConfigurationError(brought.get("error_description") or "Signing in was refused.", hint=None)
    return CodeIdentity(brought["code"], verifier, back)


def _is_graphical() -> bool:
    """Whether a browser can be opened that does not take the terminal."""
    return sys.platform == "darwin" or any(os.environ.get(each) for each in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
