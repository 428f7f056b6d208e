"""Where answers lead to: redirects, next pages, other hosts; and who may see the credentials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.api_reading import error, read, rows
from tests.unit.api_server import Api, Reply, Request, api

from penstock.connectors.http import ApiKey, NextUrl
from penstock.connectors.http.fetching import Fetcher, Refused
from penstock.connectors.http.messages import Ask
from penstock.connectors.http.pace import Pace
from penstock.connectors.http.rules import Rules
from penstock.testing.clock import FakeClock

FINE = [{"id": 1, "name": "Zoë"}, {"id": 2, "name": "Ada"}]


@pytest.fixture(scope="module")
def server() -> Iterator[Api]:
    with api(lambda request: []) as found:
        yield found


@pytest.fixture(autouse=True)
def clock() -> Iterator[FakeClock]:
    with FakeClock().running() as fake:
        yield fake


@pytest.fixture
def elsewhere() -> Iterator[Api]:
    with api(lambda request: FINE) as found:
        yield found


def test_redirects_on_the_same_host_are_followed(server: Api) -> None:
    def site(request: Request) -> Any:
        return FINE if request.path == "/y" else Reply(b"", status=302, headers={"Location": "y?a=1"})

    assert rows(read(server, site)) == FINE
    assert server.asked[-1].query == {"a": "1"}


def test_redirects_to_another_host_are_refused_unless_allowed_and_get_no_credentials(
    server: Api, elsewhere: Api
) -> None:
    away = Reply(b"", status=307, headers={"Location": f"{elsewhere.url}/y?key=s3cret"})
    options: dict[str, Any] = {"auth": ApiKey("s3cret", query="key"), "headers": {"X-Secret": "hush", "Cookie": "c=1"}}
    found = error(server, away, **options)
    host = elsewhere.url.removeprefix("http://")
    assert f"hosts=['{host}']" in str(found)
    assert "s3cret" not in str(found)
    assert elsewhere.asked == []
    assert rows(read(server, away, hosts=[host], **options)) == FINE
    request = elsewhere.asked[0]
    assert request.query == {}
    assert not {"authorization", "x-secret", "cookie"} & set(request.headers)
    assert server.asked[0].query == {"key": "s3cret"}
    assert server.asked[0].headers["x-secret"] == "hush"


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("/x", "again and again"),
        ("ftp://127.0.0.1/", "cannot be asked over HTTP"),
        ("file:///etc/passwd", "cannot be asked over HTTP"),
        ("http://user:pass@127.0.0.1/", "cannot be asked over HTTP"),
        ("http://[::1", "no URL"),
        ("http://169.254.169.254/latest/meta-data", "another host, http://169.254.169.254/latest/meta-data"),
    ],
)
def test_redirects_that_lead_nowhere_good(server: Api, location: str, message: str) -> None:
    found = error(server, Reply(b"", status=301, headers={"Location": location}))
    assert message in str(found)
    assert "pass" not in str(found).replace("passwd", "")


def test_a_next_page_on_another_host_is_refused_unless_allowed(server: Api, elsewhere: Api) -> None:
    answer = {"rows": FINE, "next": f"{elsewhere.url}/next"}
    elsewhere.site = lambda request: {"rows": [{"id": 3, "name": "x"}], "next": None}
    options: dict[str, Any] = {"records": "rows", "pages": NextUrl(), "headers": {"X-Secret": "hush"}}
    assert "another host" in str(error(server, answer, **options))
    assert elsewhere.asked == []
    host = elsewhere.url.removeprefix("http://")
    assert len(rows(read(server, answer, hosts=[host], **options))) == 3
    assert "x-secret" not in elsewhere.asked[0].headers


def test_https_is_never_left_for_http() -> None:
    url = "https://api.example/x"
    fetcher = Fetcher(Rules(url, hosts=("cdn.example", "api.example")), {}, Pace("x", None), connections=1)
    try:
        for target in ("http://api.example/x", "http://cdn.example/x"):
            with pytest.raises(Refused, match="nothing is encrypted"):
                fetcher.allow(Ask("GET", url), target, url)
        fetcher.allow(Ask("GET", url), "https://cdn.example/x", url)
        assert fetcher.next_url("http://api.example/x?page=2") == "https://api.example/x?page=2"
        assert fetcher.next_url("http://cdn.example/x?page=2") == "http://cdn.example/x?page=2"
    finally:
        fetcher.close()


def test_a_post_is_not_sent_again_unless_it_may_be(server: Api) -> None:
    options: dict[str, Any] = {"method": "POST", "json": {}}
    assert "repeatable=True" in str(error(server, Reply(b"", status=500), **options))
    assert len(server.asked) == 1
    error(server, Reply(b"", status=500), repeatable=True, **options)
    assert len(server.asked) == 3
    error(server, Reply(b"", status=429), **options)
    assert len(server.asked) == 3
    assert "redirect (302)" in str(error(server, Reply(b"", status=302, headers={"Location": "/login"}), **options))
