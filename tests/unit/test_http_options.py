"""What an API source may be told, from Python, from a saved connection, and as an address."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.api_server import Api, Reply, Request, api

from penstock.connections import HttpConnection
from penstock.connectors.http import (
    ApiKey,
    Basic,
    Bearer,
    Cursor,
    HttpApi,
    Incremental,
    NextUrl,
    OAuth2ClientCredentials,
    Offset,
    Page,
    Retries,
    at,
)  # fmt: skip
from penstock.connectors.http.paths import MISSING, Path
from penstock.core.addresses import parsed
from penstock.core.errors import ConfigurationError
from penstock.core.secrets import Secret


@pytest.fixture(scope="module")
def server() -> Iterator[Api]:
    with api(lambda request: []) as found:
        yield found


def rows(source: Any) -> list[dict[str, Any]]:
    with source:
        return [row for batch in source.batches(None) for part in batch.parts for row in part.rows.to_pylist()]


MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    ({"url": "api.example/x"}, ["url: is not a URL"]),
    ({"url": "https://ada:hunter2-password@api.example/x"}, ["url: has a user or a password in it"]),
    (
        {"method": "DELETE", "nested": "no", "batch_rows": 0, "per_second": 0, "records": "a..b"},
        ["method: is one of GET, POST", "nested: ", "batch_rows: ", "per_second: ", "records: 'a..b'"],
    ),
    ({"json": {}, "form": {"a": 1}}, ["json: goes with method='POST'", "form: goes with method='POST'"]),
    ({"method": "post", "json": {}, "form": {}}, ["form: cannot be sent together with json"]),
    ({"format": "csv", "records": "a", "delimiter": "::"}, ["records: is for JSON", "delimiter: "]),
    ({"format": "csv", "pages": NextUrl(), "repeated": "end"}, ["pages.path: is for JSON", "repeated: can be"]),
    ({"format": "ndjson", "pages": Page(more="m"), "total": "n"}, ["pages.more: is for JSON", "total: is for JSON"]),
    ({"auth": Basic("a:b", "x"), "headers": {"authorization": "x"}}, ["auth.user: ", "headers.Authorization: "]),
    ({"auth": Bearer("a\nb")}, ["auth.token: has characters"]),
    ({"auth": ApiKey("k", header="X", query="y")}, ["auth: the key goes into"]),
    ({"auth": OAuth2ClientCredentials("x", "a", "b", send="no")}, ["auth.token_url: ", "auth.send: "]),  # type: ignore[arg-type]
    ({"pages": Cursor()}, ["pages: Cursor needs a path or a header"]),
    ({"pages": Page(per_page=5)}, ["pages.size: goes with per_page"]),
    ({"pages": Offset(per_page=0, within="x")}, ["pages.per_page: ", "pages.within: "]),  # type: ignore[arg-type]
    ({"pages": NextUrl("a[")}, ["pages.path: "]),
    ({"since": Incremental(parameter="", column="a[x", lookback=-1)}, ["since.param", "since.col", "since.look"]),
    ({"retries": Retries(times=-1)}, ["retries.times: "]),
    ({"parameters": {"key": Secret("s")}}, ["parameters.key: is a secret"]),
    ({"parameters": [{"a": 1}, {"a": "1"}]}, ["parameters: has the same parameters twice"]),
    ({"headers": {"X": "a\r\nY: b"}}, ["headers.X: has characters"]),
    ({"pages": "page", "auth": "token", "parameters": "a=1"}, ["auth: is no Auth", "pages: is no", "parameters[0]: "]),
    (
        {"pages": Cursor(path="c", within="body"), "since": Incremental(parameter="a", column="b", within="body")},
        ["pages.within: 'body' goes with", "since.within: 'body' goes with"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("options", "told"), MISTAKES)
def test_every_mistake_is_told_at_once(options: dict[str, Any], told: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        HttpApi(**{"url": "https://api.example/x", **options})
    message = str(caught.value)
    assert message.startswith(f"{len(told)} mistake")
    assert all(f"\n  {line}" in message for line in told)
    assert "hunter2" not in message


def test_place_names_the_host_and_the_path_and_nothing_else() -> None:
    place = HttpApi("https://API.example:443/v1/orders?token=s3cret#x").place
    assert (place.namespace, place.name) == ("https://api.example", "/v1/orders")
    assert json.dumps([place.namespace, place.name]).find("s3cret") < 0
    assert HttpApi("http://[::1]:8080").place.namespace == "http://[::1]:8080"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {"a": {"b.c": [1, {"d": None}]}, "": 7}),
        ("a", {"b.c": [1, {"d": None}]}),
        ('a["b.c"][0]', 1),
        ("a['b.c'][-1].d", None),
        ("a['b.c'][-1].e?", MISSING),
        ("a.b", MISSING),
        ("a['b.c'][2]", MISSING),
        ("[0]", MISSING),
    ],
)
def test_paths(text: str, found: Any) -> None:
    value = {"a": {"b.c": [1, {"d": None}]}, "": 7}
    assert Path(text).find(value) is found or Path(text).find(value) == found


@pytest.mark.parametrize("text", [".a", "a..b", "a[", "a[x]", "a.", "a[']", "[1"])
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(ValueError, match="is no path"):
        Path(text)


def test_putting_something_at_a_path_changes_a_copy() -> None:
    body = {"variables": {"first": 10}, "list": [1, 2]}
    assert Path("variables.after").put("x", body) == {"variables": {"first": 10, "after": "x"}, "list": [1, 2]}
    assert Path("new.deep").put(1, body)["new"] == {"deep": 1}
    assert Path("list[-1]").put(9, body)["list"] == [1, 9]
    assert body == {"variables": {"first": 10}, "list": [1, 2]}


CONNECTIONS: list[tuple[dict[str, Any], dict[str, str], dict[str, str]]] = [
    ({}, {}, {}),
    ({"auth": "basic", "username": "ada", "password": "pw"}, {"authorization": "Basic YWRhOnB3"}, {}),
    ({"auth": "bearer", "token": "tok"}, {"authorization": "Bearer tok"}, {}),
    ({"auth": "api-key", "api_key": "k1"}, {"x-api-key": "k1"}, {}),
    ({"auth": "api-key", "api_key": "k1", "api_key_name": "key", "api_key_in": "query"}, {}, {"key": "k1"}),
    ({"headers": {"X-Team": "data"}}, {"x-team": "data"}, {}),
]


@pytest.mark.parametrize(("fields", "headers", "query"), CONNECTIONS)
def test_a_connection_says_where_and_who(server: Api, fields: Any, headers: Any, query: Any) -> None:
    server.site = lambda request: [{"id": 1}]
    server.asked.clear()
    connection = HttpConnection(base_url=f"{server.url}/v1/", **fields)
    source = HttpApi("/orders", connection=connection)
    assert rows(source) == [{"id": 1}]
    assert source.place.name == "/v1/orders"
    assert headers.items() <= server.asked[0].headers.items()
    assert server.asked[0].query == query


def test_a_connection_with_client_credentials(server: Api) -> None:
    def site(request: Request) -> Any:
        if request.path == "/token":
            assert b"audience=shop" in request.body
            assert b"client_secret=s3cret" in request.body
            return {"access_token": "t"}
        return [{"id": 1}] if request.headers.get("authorization") == "Bearer t" else Reply(b"", status=401)

    server.site = site
    connection = HttpConnection(
        base_url=server.url, auth="oauth2", token_url=f"{server.url}/token", client_id="me", client_secret="s3cret",
        audience="shop", client_auth="form",
    )  # fmt: skip
    assert rows(HttpApi("orders", connection=connection)) == [{"id": 1}]


def test_a_saved_connection_is_found_by_name(server: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_CONNECTION_SHOP", server.url)
    server.site = lambda request: [{"id": 1}]
    assert rows(HttpApi("orders", connection="shop")) == [{"id": 1}]


def test_the_credentials_of_a_connection_stay_with_its_host() -> None:
    connection = HttpConnection(base_url="https://api.example/v1", auth="bearer", token="tok")
    with pytest.raises(ConfigurationError, match="is not on the host"):
        HttpApi("https://other.example/x", connection=connection)
    with pytest.raises(ConfigurationError, match="auth is given twice"):
        HttpApi("/x", connection=connection, auth=Bearer("other"))


ADDRESSES: list[tuple[dict[str, str], list[str]]] = [
    ({"records": "rows", "page": "p", "size": "n", "per_page": "2"}, ["n=2&p=1", "n=2&p=2", "n=2&p=3"]),
    ({"records": "rows", "offset": "o"}, ["o=0", "o=2", "o=4"]),
    ({"records": "rows", "offset": "o", "limit": "l", "per_page": "2"}, ["l=2&o=0", "l=2&o=2", "l=2&o=4"]),
    ({"records": "rows", "cursor": "next", "cursor_parameter": "o"}, ["", "o=2", "o=4"]),
    ({"records": "rows", "next": "url"}, ["", "o=2", "o=4"]),
    (
        {"records": "rows", "since": "s", "column": "id", "start": "-1", "offset": "o"},
        ["s=-1&o=0", "s=-1&o=2", "s=-1&o=4"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("options", "asked"), ADDRESSES)
def test_an_address_says_how_to_read(server: Api, options: dict[str, str], asked: list[str]) -> None:
    def site(request: Request) -> Any:
        page = int(request.query["p"]) * 2 - 2 if "p" in request.query else 0
        start = int(request.query.get("o", page))
        more = start + 2 if start < 4 else None
        found = [{"id": number} for number in range(start, min(start + 2, 4))]
        return {"rows": found, "next": more, "url": f"?o={more}" if more else None}

    server.site = site
    server.asked.clear()
    found = rows(at(parsed(f"{server.url}/orders", {**options, "per_second": "1000"})))
    assert [row["id"] for row in found] == [0, 1, 2, 3]
    assert ["&".join(f"{name}={value}" for name, value in request.query.items()) for request in server.asked] == asked


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pages": "x"}, "no option pages"),
        ({"page": "p", "next": "n"}, "page and next do not tell"),
        ({"size": "n"}, "size do not tell"),
        ({"per_second": "fast"}, "per_second is a number"),
        ({"column": "at"}, "column goes with since"),
        ({"format": "xml"}, "format: is one of"),
    ],
)
def test_an_address_that_cannot_be(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        at(parsed("https://api.example/orders", options))


@pytest.mark.parametrize(
    ("ending", "body"), [("csv", b"id\n1\n"), ("ndjson", b'{"id": 1}\n'), ("json", b'[{"id": 1}]')]
)
def test_the_format_is_that_of_the_ending(server: Api, ending: str, body: bytes) -> None:
    server.site = lambda request: Reply(body)
    assert rows(HttpApi(f"{server.url}/v1/orders.{ending}?x=1")) == [{"id": 1}]
