"""Who asks, how fast, and how often: credentials, limits, retries; and no secret anywhere."""

from __future__ import annotations

import base64
import email.utils
import logging
import ssl
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.unit.api_server import Api, Reply, Request, api

from penstock.connectors.http import (
    ApiKey,
    Auth,
    Basic,
    Bearer,
    HttpApi,
    OAuth2ClientCredentials,
    Offset,
    Page,
    Retries,
)  # fmt: skip
from penstock.connectors.http.pace import Pace
from penstock.core.errors import DataError, SourceUnavailable
from penstock.core.ports.data import Batch
from penstock.core.secrets import Secret
from penstock.testing.clock import FakeClock

SECRETS = ("hunter2-password", "tok3n-of-mine", "key-à-moi?&", "client s3cret", "hush-header", "later-token")


@pytest.fixture(scope="module")
def server() -> Iterator[Api]:
    with api(lambda request: []) as found:
        yield found


@pytest.fixture(autouse=True)
def clock() -> Iterator[FakeClock]:
    with FakeClock("2026-01-01T00:00:00").running() as fake:
        yield fake


def rows(batches: list[Batch]) -> list[dict[str, Any]]:
    return [row for batch in batches for part in batch.parts for row in part.rows.to_pylist()]


def read(server: Api, site: Any, **options: Any) -> list[dict[str, Any]]:
    server.site = site
    server.asked.clear()
    with HttpApi(f"{server.url}/x", **options) as source:
        return rows(list(source.batches(None)))


def answers(server: Api, *replies: Any, **options: Any) -> list[dict[str, Any]]:
    waiting = iter(replies)
    return read(server, lambda request: next(waiting), **options)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("auth", "headers", "query"),
    [
        (Basic("ada", "hunter2-password"), {"authorization": basic("ada", "hunter2-password")}, {}),
        (Basic("ada", Secret("à")), {"authorization": basic("ada", "à")}, {}),
        (Bearer("tok3n-of-mine"), {"authorization": "Bearer tok3n-of-mine"}, {}),
        (Bearer(lambda: "later-token"), {"authorization": "Bearer later-token"}, {}),
        (ApiKey("k"), {"x-api-key": "k"}, {}),
        (ApiKey("k", header="X-Token"), {"x-token": "k"}, {}),
        (ApiKey("key-à-moi?&", query="key"), {}, {"a": "1", "key": "key-à-moi?&"}),
    ],
)
def test_credentials_are_sent_as_the_server_wants_them(server: Api, auth: Auth, headers: Any, query: Any) -> None:
    assert read(server, lambda request: [{"id": 1}], auth=auth, parameters={"a": 1}) == [{"id": 1}]
    request = server.asked[0]
    assert headers.items() <= request.headers.items()
    assert request.query == (query or {"a": "1"})


class Tokens:
    """A site that wants a token, and gives one; tokens last as long as `lasting` says."""

    def __init__(self, lasting: Any = 3600) -> None:
        self.lasting = lasting
        self.given = 0
        self.valid: set[str] = set()
        self.forms: list[dict[str, list[str]]] = []

    def __call__(self, request: Request) -> Any:
        if request.path == "/token":
            self.given += 1
            self.forms.append(parse_qs(request.body.decode()))
            self.valid = {f"later-token-{self.given}"}
            return {"access_token": f"later-token-{self.given}", "token_type": "bearer", "expires_in": self.lasting}
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.valid:
            return Reply({"message": "who are you?"}, status=401)
        start = int(request.query["offset"])
        if start == 20:
            self.valid = set()
        return [{"id": number} for number in range(50)][start : start + 10] if start != 20 else self.page(start)

    def page(self, start: int) -> Any:
        return [{"id": number} for number in range(start, start + 10)]


def client(server: Api, **options: Any) -> OAuth2ClientCredentials:
    return OAuth2ClientCredentials(f"{server.url}/token", "me", "client s3cret", scope="orders read", **options)


def test_a_token_is_asked_for_once_and_again_when_it_is_not_accepted_any_more(server: Api) -> None:
    site = Tokens()
    assert len(read(server, site, auth=client(server), pages=Offset(limit=""))) == 50
    assert site.given == 2, "it became invalid after the third page"
    assert site.forms[0] == {"grant_type": ["client_credentials"], "scope": ["orders read"]}
    assert server.asked[0].headers["authorization"] == basic("me", "client+s3cret")


def test_a_token_that_expires_is_renewed_before_it_does(server: Api) -> None:
    site = Tokens(lasting="0")
    assert len(read(server, site, auth=client(server), pages=Offset(limit=""))) == 50
    assert site.given == 6, "one for each request"


def test_id_and_secret_may_go_into_the_body(server: Api) -> None:
    site = Tokens()
    read(server, site, auth=client(server, send="body", extra={"audience": "a"}), pages=Offset(limit=""))
    assert site.forms[0]["client_secret"] == ["client s3cret"]
    assert site.forms[0]["audience"] == ["a"]
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            Reply({"error": "invalid_client", "error_description": "no client s3cret"}, status=401),
            "401 (invalid_client",
        ),
        (Reply({"nothing": 1}), "no access_token"),
        (Reply(b"<html>"), "no access_token"),
        (Reply({"access_token": "x", "token_type": "mac"}), "'mac'"),
        (Reply(b"", status=302, headers={"Location": "/else"}), "302"),
        (Reply(b"", status=503), "token server answered 503 (after 2 tries)"),
    ],
)
def test_a_token_server_that_gives_none(server: Api, reply: Reply, message: str) -> None:
    with pytest.raises(SourceUnavailable) as caught:
        read(server, lambda request: reply, auth=client(server), retries=Retries(times=1))
    assert message in str(caught.value)
    assert not any(secret in str(caught.value) for secret in SECRETS)


def test_a_token_that_a_function_gives_is_renewed_once(server: Api) -> None:
    tokens = iter(["old", "later-token", "never"])
    found = read(
        server,
        lambda request: [{"id": 1}] if request.headers["authorization"] == "Bearer later-token" else Reply(b"", 401),
        auth=Bearer(lambda: next(tokens)),
    )
    assert found == [{"id": 1}]
    with pytest.raises(SourceUnavailable, match="401"):
        read(server, lambda request: Reply(b"", status=401), auth=Bearer(lambda: "later-token"))
    assert len(server.asked) == 2


def hostile_echo(request: Request) -> Reply:
    """Says back everything it was sent."""
    told = f"{request.headers} {request.query} {request.body!r}"
    return Reply({"message": told}, status=400)


ALL_AUTH: list[Any] = [
    Basic("ada", "hunter2-password"), Bearer("tok3n-of-mine"), Bearer(lambda: "later-token"),
    ApiKey("key-à-moi?&", query="k"), ApiKey("tok3n-of-mine", header="X-K"),
]  # fmt: skip


@pytest.mark.parametrize("auth", ALL_AUTH, ids=repr)
def test_no_secret_is_in_an_error_a_log_or_a_repr(server: Api, auth: Auth, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    options: dict[str, Any] = {"auth": auth, "headers": {"X-Tenant": Secret("hush-header"), "X-Token": "later-token"}}
    options["parameters"] = {"session_key": "tok3n-of-mine"}
    seen = []
    for status in (400, 500):
        with pytest.raises(DataError) as caught:
            read(
                server,
                lambda request, status=status: Reply(hostile_echo(request).body, status=status),
                retries=Retries(times=1),
                **options,
            )
        seen.append("".join(traceback.format_exception(caught.value)))
    source = HttpApi(f"{server.url}/x", **options)
    seen += [caplog.text, repr(auth), str(auth), repr(source), str(source.place)]
    for secret in (*SECRETS, base64.b64encode(b"ada:hunter2-password").decode()):
        assert not any(secret in text for text in seen)
    assert "***" in seen[0]


def waited(clock: FakeClock, since: float) -> float:
    return clock.now() / 1_000_000 - since


def test_the_server_says_how_long_to_wait(server: Api, clock: FakeClock) -> None:
    def instant(seconds: float) -> float:
        return clock.now() / 1_000_000 + seconds

    for status, headers, least, most in [
        (429, {"Retry-After": "40"}, 40, 41),
        (503, {"Retry-After": email.utils.formatdate(instant(40 + 90), usegmt=True)}, 88, 91),
        (429, {"X-RateLimit-Reset": str(int(instant(40 + 90 + 200)))}, 197, 202),
        (429, {"RateLimit-Reset": "33"}, 33, 34),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "25"}, 25, 26),
        (429, {"Retry-After": "soon"}, 0, 1),
        (500, {"Retry-After": "40"}, 0, 1),
        (429, {"Retry-After": "-5"}, 0, 1),
    ]:
        began = clock.now() / 1_000_000
        assert answers(server, Reply(b"", status=status, headers=headers), [{"id": 1}]) == [{"id": 1}]
        assert least <= waited(clock, began) <= most, (status, headers)


def test_an_answer_that_says_it_was_the_last_for_now_is_followed_by_a_pause(server: Api, clock: FakeClock) -> None:
    limited = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"}
    began = clock.now() / 1_000_000
    assert len(answers(server, Reply([{"id": 1}], headers=limited), [{"id": 2}], [], pages=Page())) == 2
    assert 60 <= waited(clock, began) <= 61


def test_too_long_a_pause_is_an_error_that_says_so(server: Api, clock: FakeClock) -> None:
    began = clock.now() / 1_000_000
    with pytest.raises(SourceUnavailable, match=r"asks to wait 7200 s(.|\n)*wait_at_most=600"):
        answers(server, Reply(b"", status=429, headers={"Retry-After": "7200"}))
    assert waited(clock, began) < 1


def test_retries_back_off_with_full_jitter(server: Api, clock: FakeClock) -> None:
    rule = Retries(times=20, base_seconds=1, most_seconds=30)
    for retry in range(1, 80):
        delays = [rule.delay(retry) for _ in range(50)]
        assert 0 <= min(delays) <= max(delays) <= min(30, 2.0 ** (retry - 1))
        assert min(delays) < max(delays) / 2
    began = clock.now() / 1_000_000
    with pytest.raises(SourceUnavailable, match="after 21 tries"):
        read(server, lambda request: Reply(b"", status=500), retries=rule)
    assert len(server.asked) == 21
    assert 0 < waited(clock, began) < 31 + 15 * 30


def test_a_rate_of_our_own_outside_a_run(server: Api, clock: FakeClock) -> None:
    began = clock.now() / 1_000_000
    rest = [{"id": number} for number in range(30)]
    read(server, lambda request: rest[int(request.query["offset"]) :][:2], pages=Offset(), per_second=4)
    assert 15 / 4 <= waited(clock, began) <= 15 / 4 + 0.1


def test_two_readings_of_a_source_share_its_rate(clock: FakeClock) -> None:
    pace = Pace("x", 2)
    other = pace.afresh()
    began = clock.now() / 1_000_000
    for turn in (pace, other, pace, other):
        turn.turn()
    assert 1.5 <= waited(clock, began) <= 1.6
    other.stop.set()
    pace.turn()


def test_bodies_of_a_post(server: Api) -> None:
    read(server, lambda request: [], method="post", json={"a": {"b": 1}}, parameters={"x": True, "y": [1, 2]})
    assert server.asked[0].json == {"a": {"b": 1}}
    assert server.asked[0].query == {"x": "true", "y": "2"}
    read(server, lambda request: [], method="POST", form={"a": "ü b", "n": 1})
    assert parse_qs(server.asked[0].body.decode()) == {"a": ["ü b"], "n": ["1"]}


def test_a_parameter_of_the_url_is_replaced_by_one_of_paging(server: Api) -> None:
    server.site = lambda request: []
    server.asked.clear()
    with HttpApi(f"{server.url}/x?page=9&open=a%20b", pages=Page(number="page")) as source:
        list(source.batches(None))
    assert server.asked[0].url == server.url
    assert server.asked[0].query == {"open": "a b", "page": "1"}


def test_a_proxy_of_the_environment_is_used(server: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url.replace("http://", "http://ada:hunter2-password@"))
    server.site = lambda request: [{"id": 1}]
    server.asked.clear()
    with HttpApi("http://api.example/x?a=1") as source:
        assert rows(list(source.batches(None))) == [{"id": 1}]
    request = server.asked[0]
    assert (request.headers["host"], request.query) == ("api.example", {"a": "1"})
    assert request.headers["proxy-authorization"] == basic("ada", "hunter2-password")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with HttpApi(f"{server.url}/x") as source:
        list(source.batches(None))
    assert "proxy-authorization" not in server.asked[-1].headers


def test_a_certificate_that_is_not_trusted_is_not_tried_again(clock: FakeClock, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from tests.unit.certificates import tls_server

    with tls_server(tmp_path) as (url, authority):
        began = clock.now()
        with pytest.raises(SourceUnavailable, match="certificate is not trusted"):
            list(HttpApi(f"{url}/x").batches(None))
        assert clock.now() - began < 1_000_000
        trusting = ssl.create_default_context(cadata=authority)
        with HttpApi(f"{url}/x", tls=trusting) as source:
            assert rows(list(source.batches(None))) == [{"id": 1}]
