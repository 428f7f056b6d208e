"""Servers that are broken, slow, or lie: each ends in an error that says what it is, or in the quarantine."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from tests.ports import nobody
from tests.unit.api_reading import error, read, rows
from tests.unit.api_server import Api, Reply, Request, api
from tests.unit.api_sites import lines_of

from penstock.connectors.http import HttpApi, Retries, Timeouts
from penstock.core.errors import BadData, DataError, SourceChanged, SourceUnavailable
from penstock.testing.clock import FakeClock

FINE = [{"id": 1, "name": "Zoë"}, {"id": 2, "name": "Ada"}]
GZIP = {"Content-Encoding": "gzip"}
HTML = b"<!DOCTYPE html><html><head><title>Sign in to\n Example</title></head></html>"


@pytest.fixture(scope="module")
def server() -> Iterator[Api]:
    with api(lambda request: []) as found:
        yield found


@pytest.fixture(autouse=True)
def clock() -> Iterator[FakeClock]:
    with FakeClock().running() as fake:
        yield fake


def text(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


WHOLE = {
    "gzip": Reply(gzip.compress(text(FINE)), headers=GZIP),
    "two gzip members": Reply(gzip.compress(text(FINE)[:9]) + gzip.compress(text(FINE)[9:]), headers=GZIP),
    "deflate": Reply(zlib.compress(text(FINE)), headers={"Content-Encoding": "deflate"}),
    "gzip that is said and is not": Reply(text(FINE), headers=GZIP),
    "gzip that is and is not said": Reply(gzip.compress(text(FINE))),
    "no length": Reply(text(FINE), length=-1),
    "a byte order mark": Reply(b"\xef\xbb\xbf" + text(FINE)),
    "UTF-16": Reply(json.dumps(FINE, ensure_ascii=False).encode("utf-16")),
    "UTF-8 that is said to be Latin-1": Reply(
        text(FINE), headers={"Content-Type": "application/json; charset=latin-1"}
    ),
    "Latin-1 that says so": Reply(
        json.dumps(FINE, ensure_ascii=False).encode("latin-1"), headers={"Content-Type": 'text/x; charset="latin-1"'}
    ),
    "JSON that is said to be a web page": Reply(text(FINE), headers={"Content-Type": "text/html"}),
}


@pytest.mark.parametrize("which", sorted(WHOLE))
def test_what_can_be_understood_is_understood(server: Api, which: str) -> None:
    assert rows(read(server, WHOLE[which])) == FINE
    assert len(server.asked) == 1


def test_a_charset_that_nobody_tells_can_be_named(server: Api) -> None:
    reply = Reply(json.dumps(FINE, ensure_ascii=False).encode("latin-1"))
    assert "encoding=" in str(error(server, reply))
    assert rows(read(server, reply, encoding="latin-1")) == FINE


TRIED_AGAIN = {
    "fewer bytes than told": (Reply(FINE, length=5000), "broke off"),
    "more bytes than told": (Reply(FINE, length=20, headers={"Connection": "close"}), "ends in the middle"),
    "JSON that ends in the middle": (Reply(b'[{"id": 1}, {"id"'), "ends in the middle"),
    "nothing": (Reply(b""), "is empty"),
    "no HTTP": (Reply(raw=b"SSH-2.0-OpenSSH_9.6\r\n"), "broke off or is no HTTP"),
    "half a head": (Reply(raw=b"HTTP/1.1 200 OK\r\nContent-"), "broke off or is no HTTP"),
    "no answer": (Reply(raw=b""), "broke off or is no HTTP"),
    "half of the gzip": (Reply(gzip.compress(text(FINE))[:-12], headers=GZIP), "compressed answer broke off"),
    "damaged gzip": (Reply(gzip.compress(text(FINE))[:20] + b"\0" * 40, headers=GZIP), "compressed answer"),
    "chunks that break off": (
        Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[{}, \r\n"), "broke off",
    ),
    "status 500": (Reply(b"oops", status=500), r"answered 500 \(oops\)"),
    "status 408": (Reply(b"", status=408), "answered 408"),
    "status 425": (Reply(b"", status=425), "answered 425"),
    "status 502 with a page": (Reply(HTML, status=502), r"502 \(Sign in to Example\)"),
}  # fmt: skip


@pytest.mark.parametrize("which", sorted(TRIED_AGAIN))
def test_what_may_go_better_is_tried_again(server: Api, which: str) -> None:
    reply, message = TRIED_AGAIN[which]
    found = error(server, reply)
    assert isinstance(found, SourceUnavailable)
    assert found.message.startswith(f"GET {server.url}/x: ")
    assert "after 3 tries" in found.message
    with pytest.raises(SourceUnavailable, match=message):
        raise found
    assert len(server.asked) == 3
    answers = iter([reply, reply, Reply(text(FINE))])
    assert rows(read(server, lambda request: next(answers))) == FINE


FINAL = {
    "a login": (Reply(HTML, headers={"Content-Type": "text/html"}), SourceUnavailable, "web page.*Sign in to Example"),
    "no JSON": (Reply(b'{"id": 1,}'), BadData, r"no JSON.*byte 9"),
    "lines": (Reply(b'{"id": 1}\n{"id": 2}\n'), BadData, "format='ndjson'"),
    "deep arrays": (Reply(b"[" * 100_000), BadData, "nested too deeply"),
    "deep objects": (Reply(b'{"a":' * 100_000), BadData, "nested too deeply"),
    "another compression": (Reply(b"x", headers={"Content-Encoding": "br"}), SourceUnavailable, "nobody asked for"),
    "status 400": (Reply({"error": {"message": "bad since"}}, status=400), SourceUnavailable, r"400 \(bad since\)"),
    "status 401": (Reply(b"", status=401), SourceUnavailable, "give auth="),
    "status 403": (Reply({"detail": "not you"}, status=403), SourceUnavailable, r"403 \(not you\)"),
    "status 404": (Reply(b"", status=404), SourceUnavailable, "check the URL"),
    "status 501": (Reply(b"", status=501), SourceUnavailable, "501"),
    "status 206": (Reply(FINE, status=206), SourceUnavailable, "206"),
    "status 304 unasked": (Reply(b"", status=304), SourceUnavailable, "304"),
}


@pytest.mark.parametrize("which", sorted(FINAL))
def test_what_will_not_go_better_is_not_tried_again(server: Api, which: str) -> None:
    reply, kind, message = FINAL[which]
    found = error(server, reply)
    assert type(found).__mro__.count(kind) == 1
    with pytest.raises(DataError, match=rf"(?s){message}"):
        raise found
    assert len(server.asked) == 1


def test_records_are_missing_where_they_should_be(server: Api) -> None:
    found = error(server, {"rows": [], "next": None}, records="data.items")
    assert "an object with rows, next" in str(found)
    assert "records='data.items?'" in str(found)
    assert rows(read(server, {"next": None}, records="data.items?")) == []
    assert rows(read(server, {"data": None}, records="data")) == []
    assert rows(read(server, {"data": {"id": 1}}, records="data")) == [{"id": 1}]


def test_a_body_larger_than_allowed_is_not_read_to_its_end(server: Api) -> None:
    bomb = Reply(gzip.compress(b"[" + b" " * 50_000_000 + b"]", 9), headers=GZIP)
    assert "max_bytes=1,000,000" in str(error(server, bomb, max_bytes=1_000_000))
    assert "max_bytes=2,000,000" in str(error(server, Reply(b"[1, ", endless=True), max_bytes=2_000_000))
    assert "max_bytes" in str(error(server, Reply(b"[1, ", endless=True), max_bytes=70_000, format="ndjson"))


def test_a_line_without_an_end_is_not_kept_in_memory(server: Api) -> None:
    assert "longer than 16,777,216 bytes" in str(error(server, Reply(b"x" * 65536, endless=True), format="ndjson"))


def test_a_drip_ends_when_the_time_for_the_whole_answer_is_over(server: Api) -> None:
    timeouts = Timeouts(read=5, total=0.15)
    drip = Reply(b" " * 1000 + text(FINE), drip=0.01)
    assert "did not come within 0.15 s" in str(error(server, drip, timeouts=timeouts, retries=Retries(times=0)))


def test_a_head_that_drips_ends_too() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
                while not over.wait(0.01):
                    try:
                        client.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        source = HttpApi(url, timeouts=Timeouts(read=5, total=0.15), retries=Retries(times=0))
        with pytest.raises(SourceUnavailable, match=r"within 0\.15 s"):
            list(source.batches(None))
        over.set()
        thread.join()


def test_silence_ends_after_the_read_timeout(server: Api) -> None:
    def site(request: Request) -> Any:
        server.hush.wait(5)
        return []

    found = error(server, site, timeouts=Timeouts(read=0.1), retries=Retries(times=0))
    assert "fell silent" in str(found)


def test_an_answer_that_begins_too_late_is_not_waited_for(server: Api) -> None:
    def site(request: Request) -> Any:
        server.hush.wait(2)
        return []

    found = error(server, site, timeouts=Timeouts(read=30, total=0.1), retries=Retries(times=0))
    assert "did not come within 0.1 s" in str(found)


def test_nobody_listens() -> None:
    url = nobody()
    with pytest.raises(
        SourceUnavailable, match=r"no connection could be made(.|\n)*after 3 tries(.|\n)*what has landed"
    ):
        list(HttpApi(f"{url}/x", retries=Retries(times=2)).batches(None))


def test_close_from_another_thread_ends_what_is_under_way(server: Api) -> None:
    asked = threading.Event()

    def site(request: Request) -> Any:
        asked.set()
        server.hush.wait(20)
        return []

    server.site = site
    source = HttpApi(f"{server.url}/x", timeouts=Timeouts(read=20))
    caught: list[BaseException] = []

    def reader() -> None:
        try:
            list(source.batches(None))
        except DataError as error:
            caught.append(error)

    thread = threading.Thread(target=reader)
    thread.start()
    assert asked.wait(10)
    source.close()
    thread.join(10)
    assert not thread.is_alive()
    assert "was closed while it was read" in str(caught[0])


def test_a_stream_that_breaks_goes_on_where_it_broke(server: Api) -> None:
    records = [{"id": number} for number in range(50)]
    content = lines_of(records)
    cuts = iter([Reply(content, cut=100), Reply(content, cut=90), Reply(content, cut=300), Reply(content)])
    batches = read(server, lambda request: next(cuts), format="ndjson", batch_rows=5)
    assert rows(batches) == records
    assert len(server.asked) == 4


def test_a_stream_that_is_another_one_the_second_time_is_not_mixed(server: Api) -> None:
    records = [{"id": number} for number in range(50)]
    other = [{"id": -number} for number in range(50)]
    answers = iter([Reply(lines_of(records), cut=200), Reply(lines_of(other))])
    found = error(server, lambda request: next(answers), format="ndjson", batch_rows=5)
    assert isinstance(found, SourceChanged)


@pytest.mark.parametrize("kind", ["ndjson", "csv"])
def test_a_login_instead_of_lines_is_said_to_be_one(server: Api, kind: str) -> None:
    assert "Sign in to Example" in str(error(server, Reply(HTML), format=kind))


def test_a_last_line_that_was_cut_is_no_record(server: Api) -> None:
    assert "line 2" in str(error(server, Reply(b'{"id": 1}\n{"id"'), format="ndjson"))
    assert "line 3" in str(error(server, Reply(b'id,n\n1,a\n2,"b'), format="csv"))
