"""A lake in a bucket: the conformance suites, lost answers, stores that go away, credentials that expire."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.conftest import service_url
from tests.integration.buckets import Bucket
from tests.integration.proxy import Proxy
from tests.unit.test_lake import InTheLake, batch, changes, ids, people

from penstock.core.errors import ConfigurationError, PipeTakenOver, SinkUnavailable
from penstock.core.ports.data import Counts, Part, Sink
from penstock.stores.lake import Lake
from penstock.testing import ChangesConformance, MergeConformance, ReplaceConformance, SinkConformance
from penstock.testing.data_memory import table_of

pytestmark = pytest.mark.integration


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    made = Bucket(service_url("s3"))
    yield made
    made.remove()


@pytest.fixture
def lake(bucket: Bucket) -> Lake:
    return bucket.lake()


class TestTable(InTheLake, SinkConformance):
    pass


class TestMerging(InTheLake, MergeConformance):
    pass


class TestReplacing(InTheLake, ReplaceConformance):
    pass


class TestSeveral(InTheLake, ChangesConformance):
    several = True

    def make_sink(self, **options: Any) -> Sink:
        return self.lake.tables("raw/", keys=options.get("keys", ()), table="rows")


@pytest.fixture
def proxy(bucket: Bucket) -> Iterator[Proxy]:
    made = Proxy(bucket.host, bucket.port)
    yield made
    made.close()


@pytest.mark.parametrize("lost", [b"_delta_log", b".json HTTP", b".parquet HTTP"])
def test_an_answer_that_is_lost_on_its_way(bucket: Bucket, proxy: Proxy, lost: bytes) -> None:
    """The client writes again what is there already; whether that was its own commit, the transaction tells."""
    with bucket.lake(proxy.port).table("raw/rows").open("pipe") as landing:
        landing.land(batch(people(1), 1))
        for number in (2, 3):
            proxy.only, proxy.mode = b"PUT /" + bucket.name.encode(), "lose answer"
            if lost != b"_delta_log":
                proxy.only = lost
            landing.land(batch(people(number), number))
    assert proxy.mode == "forward"
    with bucket.lake().table("raw/rows").open("pipe") as landing:
        assert (landing.position, landing.counts) == ({"next": 3}, Counts(3, 3))
    assert ids(bucket.lake()) == [1, 2, 3]


def test_a_store_that_goes_away_and_comes_back(bucket: Bucket) -> None:
    proxy = Proxy(bucket.host, bucket.port)
    with bucket.lake(proxy.port).table("raw/rows").open("pipe") as landing:
        landing.land(batch(people(1), 1))
        proxy.close()
        with pytest.raises(SinkUnavailable):
            landing.land(batch(people(2), 2))
        with pytest.raises(SinkUnavailable):
            landing.land(batch(people(2), 2))
    with pytest.raises(SinkUnavailable, match="cannot be reached") as caught:
        bucket.lake(proxy.port).table("raw/rows").open("pipe")
    assert "endpoint" in str(caught.value)
    with bucket.lake().table("raw/rows").open("pipe") as landing:
        assert landing.position == {"next": 1}
        landing.land(batch(people(2), 2))
    assert ids(bucket.lake()) == [1, 2]


def test_two_that_make_the_same_table_at_once(bucket: Bucket) -> None:
    results: list[Any] = []

    def bring(pipe: str, number: int) -> None:
        try:
            with bucket.lake().table("raw/rows").open(pipe) as landing:
                results.append(landing.land(batch(people(number), 1)).counts)
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=bring, args=(f"pipe {number}", number)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [Counts(1, 1)] * 4
    assert ids(bucket.lake()) == [0, 1, 2, 3]


def test_who_was_replaced_writes_nothing(bucket: Bucket) -> None:
    sink = bucket.lake().tables("raw/", keys="id")
    with sink.open("pipe") as first:
        first.land(changes(1, Part(table_of(people(1)), "a")))
        with sink.open("pipe") as second:
            for table in ("a", "b"):
                with pytest.raises(PipeTakenOver):
                    first.land(changes(2, Part(table_of(people(2)), table)))
            second.land(changes(2, Part(table_of(people(2)), "a")))
    assert ids(bucket.lake(), "raw/a") == [1, 2]
    assert bucket.lake().names() == ["raw/a"]


def test_there_is_no_such_bucket(bucket: Bucket) -> None:
    lake = Lake("s3://no-such-bucket-at-all", endpoint=f"http://{bucket.host}:{bucket.port}", **bucket.access)
    with pytest.raises(SinkUnavailable, match="no such bucket"):
        lake.table("raw/rows").open("pipe")


class _Answers(BaseHTTPRequestHandler):
    """An S3 API that says one thing only."""

    code = 400
    body = b""
    forgetful = False

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        code, body = (200, b"") if self.forgetful and self.command in ("PUT", "DELETE") else (self.code, self.body)
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _answer

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def answering() -> Iterator[tuple[type[_Answers], int]]:
    kind = type("Answers", (_Answers,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield kind, server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def _lake_at(port: int, **options: Any) -> Lake:
    return Lake(
        "s3://bucket/x", endpoint=f"http://127.0.0.1:{port}", access_key_id="me", secret_access_key="hush", **options
    )


@pytest.mark.parametrize(
    ("code", "word", "told"),
    [(400, "ExpiredToken", "expired"), (403, "InvalidAccessKeyId", "denied"), (403, "AccessDenied", "denied")],
)
def test_credentials_that_are_refused(answering: tuple[type[_Answers], int], code: int, word: str, told: str) -> None:
    kind, port = answering
    kind.code, kind.body = code, f"<Error><Code>{word}</Code><Message>no hush here</Message></Error>".encode()
    with pytest.raises(SinkUnavailable, match=told) as caught:
        _lake_at(port).table("raw/rows").open("pipe")
    assert "hush" not in str(caught.value)
    assert "credentials" in str(caught.value)


def test_a_store_without_conditional_writes_is_refused(answering: tuple[type[_Answers], int]) -> None:
    kind, port = answering
    kind.forgetful, kind.code = True, 404
    kind.body = b"<Error><Code>NoSuchKey</Code></Error>"
    with pytest.raises(ConfigurationError, match="If-None-Match") as caught:
        _lake_at(port)._storage.check_conditions()
    assert "single_writer=True" in str(caught.value)
    _lake_at(port, single_writer=True)._storage.check_conditions()
