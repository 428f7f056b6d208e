"""Health tests that speak HTTP: what is sent so that a server knows us, and what its answers mean."""

from __future__ import annotations

import base64
import os
import sqlite3
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.acceptance.json_api import Reply, serving
from tests.ports import closed_port

from penstock.connections import Connection, ConnectionFailed, HttpConnection, InfluxConnection, SqlConnection


@pytest.mark.parametrize(
    ("status", "auth", "told"),
    [
        (200, {}, "answered 200"),
        (404, {}, "answered 404"),
        (302, {}, "answered 302"),
        (404, {"auth": "bearer", "token": "sesame"}, "answered 404; nothing tells whether it knows us"),
        (401, {"auth": "bearer", "token": "sesame"}, None),
        (403, {}, None),
        (503, {}, None),
    ],
)
def test_http_health(status: int, auth: dict[str, Any], told: str | None) -> None:
    with serving({"/v2/": [Reply("x", status, location="http://127.0.0.1:1/")]}) as api:
        connection = HttpConnection(base_url=f"{api.url}/v2/", **auth)
        if told is not None:
            assert connection.test(30).told == told
        else:
            with pytest.raises(ConnectionFailed, match=f"The http connection failed: it answered {status}"):
                connection.test(30)


def test_a_test_makes_no_file(tmp_path: Path) -> None:
    new, old = tmp_path / "new.db", tmp_path / "an old.db"
    with closing(sqlite3.connect(old)) as database, database:
        database.execute("CREATE TABLE orders (id)")
    for url in (f"sqlite:///{new}", f"sqlite:///file:{new}?uri=true", f"sqlite:///file:{new}?mode=rwc&uri=true"):
        with pytest.raises(ConnectionFailed, match="there is no such file, and a test makes none"):
            SqlConnection(url=url).test()
    for url in ("sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true", f"sqlite:///{old}"):
        assert SqlConnection(url=url).test().told.startswith("sqlite 3")
    assert SqlConnection(url=f"sqlite:///file:{quote(str(old))}?mode=ro&uri=true").test().told.startswith("sqlite 3")
    assert os.listdir(tmp_path) == [old.name]


def test_what_is_sent_to_know_us() -> None:
    seen: list[tuple[str, dict[str, str], str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            answer = b'{"access_token": "fresh"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        plain = HttpConnection(base_url=f"{base}/v2", headers={"X-Team": "data"}, health_path="/health")
        plain.test(30)
        plain.replace(auth="basic", username="ä", password="p:w").test(30)
        plain.replace(auth="bearer", token="tok").test(30)
        plain.replace(auth="api-key", api_key="k", api_key_name="X-Key").test(30)
        plain.replace(auth="api-key", api_key="k&", api_key_name="key", api_key_in="query").test(30)
        oauth = {"auth": "oauth2", "token_url": f"{base}/token", "client_id": "c", "client_secret": "s/", "scope": "r"}
        plain.replace(**oauth).test(30)
        plain.replace(**oauth, client_auth="form").test(30)
        server.shutdown()
    paths = [path for path, _, _ in seen]
    assert paths == ["/v2/health"] * 4 + ["/v2/health?key=k%26", "/token", "/v2/health", "/token", "/v2/health"]
    given = [headers.get("authorization") for _, headers, _ in seen]
    basic = base64.b64encode("ä:p:w".encode()).decode()
    client = base64.b64encode(b"c:s%2F").decode()
    assert given == [
        *(None, f"Basic {basic}", "Bearer tok", None, None, f"Basic {client}", "Bearer fresh", None, "Bearer fresh"),
    ]
    assert (seen[0][1]["x-team"], seen[3][1]["x-key"]) == ("data", "k")
    assert seen[5][2] == "grant_type=client_credentials&scope=r"
    assert seen[7][2] == "grant_type=client_credentials&scope=r&client_id=c&client_secret=s%2F"


def test_a_token_that_is_not_given() -> None:
    with serving({}) as api:
        made = HttpConnection(
            base_url=api.url, auth="oauth2", token_url=f"{api.url}/token", client_id="c", client_secret="sesame"
        )
        with pytest.raises(ConnectionFailed, match="token_url answered 501 and gave no token"):
            made.test(30)


@pytest.mark.parametrize(
    ("replies", "told"),
    [
        ({"/health": [Reply("{}")]}, "well; nothing tells whether it knows the token"),
        ({"/health": [Reply("{}")], "/api/v2/buckets?limit=1": [Reply("{}")]}, "well"),
        ({"/health": [Reply("{}")], "/api/v2/buckets?limit=1": [Reply("{}", 401)]}, "does not let us in"),
        ({"/health": [Reply("{}", 503)]}, "its /health answered 503"),
    ],
)
def test_influx_health(replies: dict[str, list[Reply]], told: str) -> None:
    with serving(replies) as api:
        connection = InfluxConnection(url=api.url, token="sesame")
        if told.startswith("well"):
            assert connection.test(30).told == told
        else:
            with pytest.raises(ConnectionFailed, match=told):
                connection.test(30)


def test_nobody_there() -> None:
    with closed_port() as port:
        connection = HttpConnection(base_url=f"http://127.0.0.1:{port}")
        with pytest.raises(ConnectionFailed, match="connection refused") as caught:
            connection.test(30)
        assert caught.value.hint == "check host and port, and that it is up"
        with pytest.raises(ConnectionFailed, match=r"a certificate cannot be read: No such file"):
            connection.replace(ca_file="nowhere.pem").test(30)
    with pytest.raises(ConnectionFailed, match="no health test for this type"):
        Untestable().test()


class Untestable(Connection):
    """A type without a health test."""
