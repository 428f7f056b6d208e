"""What every answer has around it: packing, headers for browsers, and lines in the log that say no secrets."""

from __future__ import annotations

import gzip
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]
import httpx
import pytest
from fastapi import Response
from fastapi.responses import StreamingResponse

from penstock.app import Penstock, Settings
from penstock.control.app import create_app
from penstock.control.packing import accepted
from penstock.control.server import serving
from penstock.control.settings import ServerSettings, load_server_settings
from penstock.core.errors import ConfigurationError
from penstock.orchestrator.emitting import emit

with warnings.catch_warnings():  # it would rather have another client
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

LONG = b'{"a": "' + b"x" * 5000 + b'"}'


@pytest.fixture
def penstock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Penstock]:
    monkeypatch.chdir(tmp_path)
    found = Penstock(Settings(home=str(tmp_path / "home"), log_console=False))
    with found.activate():
        yield found
    found.close()


@pytest.fixture
def api(penstock: Penstock) -> Iterator[TestClient]:
    app = create_app(penstock)

    @app.get("/long")
    def long(kind: str = "application/json") -> Response:
        return Response(LONG, media_type=kind, headers={"ETag": '"1"'})

    @app.get("/stream")
    def stream(kind: str = "text/event-stream") -> Response:
        return StreamingResponse(iter([LONG, LONG]), media_type=kind)

    with TestClient(app, base_url="http://127.0.0.1:4300", raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    ("header", "how"),
    [
        ("", None),
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("br;q=0.1, gzip;q=0.5", "gzip"),
        ("*", "br"),
        ("*;q=0", None),
        ("identity", None),
        ("br;q=x", None),
        ("brotli, gzipped", None),
        (",;,=;q", None),
        ("BR", "br"),
        ("gzip;q=nan", None),
    ],
    ids=[str(number) for number in range(13)],
)
def test_what_somebody_takes(header: str, how: str | None) -> None:
    assert accepted(header) == how


def raw(api: TestClient, path: str, how: str) -> tuple[Any, bytes]:
    with api.stream("GET", path, headers={"Accept-Encoding": how}) as answer:
        return answer, b"".join(answer.iter_raw())


def test_long_answers_are_packed(api: TestClient) -> None:
    for how, unpack in (("br", brotli.decompress), ("gzip", gzip.decompress)):
        answer, body = raw(api, "/long", how)
        assert answer.headers["content-encoding"] == how
        assert answer.headers["content-length"] == str(len(body))
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["etag"] == 'W/"1"'
        assert len(body) < 500
        assert unpack(body) == LONG


def test_others_are_not(api: TestClient) -> None:
    for path in ("/stream", "/stream?kind=text/plain", "/long?kind=image/png", "/health/live"):
        answer, _ = raw(api, path, "br, gzip")
        assert "content-encoding" not in answer.headers
    assert raw(api, "/long", "identity")[1] == LONG


def test_browsers_are_told_to_make_no_more_of_it(api: TestClient) -> None:
    for path in ("/health/live", "/api/v1/runs", "/nothing", "/metrics"):
        headers = api.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["cache-control"] == "no-store"
    assert api.get("/long").headers["cache-control"] == "private, no-cache"


def test_nobody_is_sent_to_a_host_that_their_request_names(api: TestClient) -> None:
    answer = api.get("/api/v1/workflows/", headers={"Host": "localhost"}, follow_redirects=False)
    assert (answer.status_code, answer.headers.get("location")) == (404, None)


def test_each_request_is_a_line_without_what_it_asked(api: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "penstock.control.access")
    headers = {"X-Request-ID": "r-1", "Authorization": "Bearer secret"}
    api.get("/api/v1/runs/a%0ab%1b?token=secret", headers=headers)
    (record,) = [each for each in caplog.records if each.name == "penstock.control.access"]
    assert record.getMessage() == r"GET /api/v1/runs/a\nb\x1b 404"
    facts = record.__dict__["facts"]
    assert facts["route"] == "/api/v1/runs/{run_id}"
    assert (facts["status"], facts["user"]) == (404, "local")
    assert "secret" not in str(record.__dict__)


def test_settings_may_be_in_dotenv(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.penstock.server]\nport = 1\n")
    (tmp_path / ".env").write_text("PENSTOCK_SERVER_PORT=2\nPENSTOCK_SERVER_CORS_ORIGINS='http://a, http://b'\n")
    found = load_server_settings({}, tmp_path)
    assert (found.port, found.cors_origins) == (2, ("http://a", "http://b"))
    assert load_server_settings({"PENSTOCK_SERVER_PORT": "3"}, tmp_path).port == 3
    (tmp_path / ".env").write_text("PENSTOCK_SERVER_PORT=x\n")
    with pytest.raises(ConfigurationError, match="setting of the server is wrong"):
        load_server_settings({}, tmp_path)


def test_sql_is_echoed_without_what_it_is_given(penstock: Penstock, caplog: pytest.LogCaptureFixture) -> None:
    with serving(penstock, ServerSettings(port=0, echo_sql=True)) as url:
        httpx.get(f"{url}/api/v1/runs", params={"flow": "secret flow"})
        emit(penstock.journal, "orders.imported", key="k")
    said = [each.getMessage() for each in caplog.records if each.name == "penstock.sql"]
    assert any(" ms SELECT" in " ".join(each.split()) and "FROM runs" in each for each in said)
    assert any("append" in each for each in said)
    assert "secret flow" not in str(said)
