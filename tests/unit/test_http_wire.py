"""What comes over a connection: requests that everybody reads alike are answered, all else is refused, in time."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.patience import until

from penstock.app import Penstock, Settings
from penstock.control.patience import Joined
from penstock.control.server import serving
from penstock.control.settings import ServerSettings

MOST = 200_000
SECONDS = 0.3
ALIVE = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
MAKE = b"POST /api/v1/workflows HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    with serving_at(tmp_path_factory.mktemp("wire"), 60.0) as found:
        yield found


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    with serving_at(tmp_path_factory.mktemp("impatient"), SECONDS) as found:
        yield found


@contextlib.contextmanager
def serving_at(folder: Path, seconds: float) -> Iterator[tuple[str, int]]:
    """A server that waits for so long."""
    settings = ServerSettings(port=0, max_body_bytes=MOST, body_seconds=seconds)
    with Penstock(Settings(home=str(folder / "home"), log_console=False)).activate() as penstock:
        with serving(penstock, settings) as url:
            yield "127.0.0.1", urlsplit(url).port or 0
        penstock.close()


def said(address: tuple[str, int], *parts: bytes, every: float = 0.0) -> bytes:
    """What a server answers to bytes, until it hangs up."""
    answer = b""
    with socket.create_connection(address, timeout=30) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):  # it hung up before it had read all
            for part in parts:
                wire.sendall(part)
                time.sleep(every)
        with contextlib.suppress(ConnectionResetError):
            while found := wire.recv(65_536):
                answer += found
    return answer


def statuses(answer: bytes) -> list[int]:
    """Of the answers."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d+) [A-Z]", answer)]


def made(*lines: bytes) -> bytes:
    """The head of a request that is the only one on its connection."""
    return MAKE + b"".join(line + b"\r\n" for line in (b"Connection: close", *lines)) + b"\r\n"


# -------------------------------------------------------------------------------------------- what is none, or two


@pytest.mark.parametrize(
    "sent",
    {
        "a long header": ALIVE[:-2] + b"X: " + b"x" * 200_000 + b"\r\n\r\n",
        "a long name": ALIVE[:-2] + b"X" * 200_000 + b": x\r\n\r\n",
        "many headers": ALIVE[:-2] + b"X: x\r\n" * 40_000 + b"\r\n",
        "many headers of nothing": ALIVE[:-2] + b"X:\r\n" * 14_000 + b"\r\n",
        "a head as long as what is read at once": ALIVE[:-2] + b"X: " + b"x" * 70_000 + b"\r\n\r\n",
        "a head that does not end": ALIVE[:-2] + b"X: " + b"x" * 200_000,
        "a long address": ALIVE.replace(b"/health/live", b"/" + b"x" * 200_000),
        "blank lines only": b"\r\n" * 100_000,
        "nonsense": b"nonsense\r\n\r\n",
        "an unknown method": ALIVE.replace(b"GET", b"STEAL"),
        "a line feed alone": ALIVE.replace(b"\r\n", b"\n"),
        "a name with a space": ALIVE[:-2] + b"X : x\r\n\r\n",
        "a name of nothing": ALIVE[:-2] + b": x\r\n\r\n",
        "a value with a NUL": ALIVE[:-2] + b"X: a\0b\r\n\r\n",
        "a value with a return": ALIVE[:-2] + b"X: a\rb\r\n\r\n",
        "a value that goes on": ALIVE[:-2] + b"X: a\r\n Y: b\r\n\r\n",
        "no host": ALIVE.replace(b"Host: 127.0.0.1\r\n", b""),
        "two hosts": ALIVE[:-2] + b"Host: localhost\r\n\r\n",
        "a later version": ALIVE.replace(b"HTTP/1.1", b"HTTP/2.0"),
        "the first version": ALIVE.replace(b"HTTP/1.1", b"HTTP/0.9"),
        "an address of no letters": ALIVE.replace(b"/health/live", b"/\xff"),
        "a tunnel": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "a length below nothing": made(b"Content-Length: -1"),
        "a length with a sign": made(b"Content-Length: +1") + b"x",
        "two lengths": made(b"Content-Length: 0", b"Content-Length: 5") + b"12345",
        "two lengths in one": made(b"Content-Length: 5, 5") + b"12345",
        "a length that is too long": made(b"Content-Length: " + b"9" * 30),
        "a length and chunks": made(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + ALIVE,
        "chunks and a length": made(b"Transfer-Encoding: chunked", b"Content-Length: 5") + b"0\r\n\r\n" + ALIVE,
        "another encoding": made(b"Transfer-Encoding: xchunked") + b"0\r\n\r\n" + ALIVE,
        "two encodings": made(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n" + ALIVE,
        "an encoding twice": made(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + ALIVE,
        "chunks of an old version": made(b"Transfer-Encoding: chunked").replace(b"/1.1", b"/1.0")
        + b"0\r\n\r\n"
        + ALIVE,
        "a chunk without its length": made(b"Transfer-Encoding: chunked") + b"x\r\n\r\n" + ALIVE,
        "a chunk with a line feed": made(b"Transfer-Encoding: chunked") + b"1;a=b\nx\r\n0\r\n\r\n" + ALIVE,
        "a chunk that is longer": made(b"Transfer-Encoding: chunked") + b"1\r\nxyz\r\n0\r\n\r\n" + ALIVE,
    }.items(),
    ids=lambda item: item[0],
)
def test_what_is_no_request_is_refused(address: tuple[str, int], sent: tuple[str, bytes]) -> None:
    answer = said(address, sent[1])
    assert statuses(answer) == [400] or (not answer and len(sent[1]) > 50_000), answer[:500]
    assert statuses(said(address, ALIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))) == [200]


@pytest.mark.parametrize(
    "body",
    [b"1;" + b"x" * 300_000, b"0\r\nX: " + b"x" * 300_000, b"0\r\n" + b"X: x\r\n" * 50_000],
    ids=["beside a length", "a line at the end", "lines at the end"],
)
def test_chunks_have_no_more_beside_them_than_a_head_has(address: tuple[str, int], body: bytes) -> None:
    sent = made(b"Transfer-Encoding: chunked") + body
    answer = said(address, *(sent[at : at + 10_000] for at in range(0, len(sent), 10_000)))
    assert statuses(answer) in ([], [400]), answer[:500]


def test_lines_after_a_body_are_no_headers(address: tuple[str, int]) -> None:
    answer = said(address, made(b"Transfer-Encoding: chunked"), b"2\r\n{}\r\n0\r\nX-Request-ID: late\r\n\r\n")
    assert statuses(answer) == [422]
    assert b"late" not in answer


def test_a_request_id_cannot_put_lines_into_answers(address: tuple[str, int]) -> None:
    for value in (b"a\tb", b"a b", b"\xe9", b"x" * 5_000, b"a\r\n Set-Cookie: b=c"):
        answer = said(address, made(b"X-Request-ID: " + value, b"Content-Length: 0"))
        assert answer.startswith(b"HTTP/1.1 4")
        assert b"set-cookie" not in answer.lower()
        assert value not in answer


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\nUpgrade: "


@pytest.mark.parametrize("asked", [b"h2c", b"websocket", b"x" * 1000])
def test_what_is_not_spoken_here_is_answered_as_if_it_had_not_been_asked_for(
    address: tuple[str, int], asked: bytes
) -> None:
    """Java's client asks for it with every request."""
    upgrade = UPGRADE + asked + b"\r\n"
    assert statuses(said(address, ALIVE[:-2] + upgrade + b"\r\n" + ALIVE)) == [200]
    for length, body in ((b"Content-Length: 5", b"wrong"), (b"Transfer-Encoding: chunked", b"5\r\nwrong\r\n0\r\n\r\n")):
        head = MAKE + upgrade + length + b"\r\n\r\n"
        for parts in ([head + body + ALIVE], [head, body[:2], body[2:] + ALIVE]):
            answer = said(address, *parts, every=0.05)
            assert statuses(answer) == [422], answer
            assert b"it is no JSON" in answer
    assert statuses(said(address, MAKE + upgrade + b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n")) == [400]


def test_spaces_behind_a_value_are_none_of_it(address: tuple[str, int]) -> None:
    spaced = MAKE[:-2] + b" \t\r\nTransfer-Encoding: chunked \r\nConnection: close \r\n"
    answer = said(address, spaced + b"X-Request-ID: mine  \r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    assert statuses(answer) == [422]
    assert b"x-request-id: mine\r\n" in answer


# --------------------------------------------------------------------------------------------------- one after another


def test_requests_at_once_are_answered_in_their_order(address: tuple[str, int]) -> None:
    unknown = ALIVE.replace(b"/health/live", b"/nowhere")
    assert statuses(said(address, (ALIVE + unknown) * 20 + made(b"Content-Length: 2") + b"{}")) == [200, 404] * 20 + [
        422
    ]


def test_what_is_wrong_after_requests_is_not_taken_for_their_answer(address: tuple[str, int]) -> None:
    for _ in range(20):
        found = statuses(said(address, ALIVE * 3 + b"nonsense\r\n\r\n"))
        assert found in ([], [200], [200] * 2, [200] * 3, [200] * 3 + [400])


def test_a_request_that_is_wrong_behind_one_that_is_being_answered(address: tuple[str, int]) -> None:
    """Its refusal would be a part of that answer, or be taken for it."""
    stream = ALIVE.replace(b"/health/live", b"/api/v1/events/stream")
    for wrong in (b"nonsense\r\n\r\n", MAKE + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"):
        for before in (stream, ALIVE + stream):
            answer = b""
            with socket.create_connection(address, timeout=30) as wire:
                wire.sendall(before)
                while b"text/event-stream" not in answer:
                    answer += (found := wire.recv(65_536))
                    assert found
                wire.sendall(wrong)
                with contextlib.suppress(ConnectionResetError):
                    while found := wire.recv(65_536):
                        answer += found
            assert set(statuses(answer)) == {200}
            assert b"Invalid HTTP" not in answer


class Sent(asyncio.Transport):
    """A transport that keeps what it is to send, a call at a time."""

    def __init__(self) -> None:
        self.told: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.told.append(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.told.append(b"".join(list_of_data))

    def close(self) -> None:
        self.told.append(b"(closed)")


def test_the_head_of_an_answer_is_sent_with_its_body() -> None:
    async def sent() -> list[list[bytes]]:
        found = []
        for closed in (False, True):
            under = Sent()
            transport = Joined(under, asyncio.get_running_loop())
            for number in b"12":
                transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
                transport.write(b"%c" % number)
            transport.write(b"more")  # of a stream
            transport.write(b"HTTP/1.1 200 OK\r\n\r\n")  # its events come later
            if closed:
                transport.close()
            else:
                await asyncio.sleep(0)
                transport.write(b"event")
            await asyncio.sleep(0)
            found.append(under.told)
        return found

    whole = [b"HTTP/1.1 200 OK\r\n\r\n1", b"HTTP/1.1 200 OK\r\n\r\n2", b"more", b"HTTP/1.1 200 OK\r\n\r\n"]
    assert asyncio.run(sent()) == [[*whole, b"event"], [*whole, b"(closed)"]]


def test_no_more_requests_wait_than_a_hundred(address: tuple[str, int]) -> None:
    stream = ALIVE.replace(b"/health/live", b"/api/v1/events/stream")
    with socket.create_connection(address, 30) as wire:
        wire.sendall(stream + ALIVE * 100)
        assert wire.recv(4096).startswith(b"HTTP/1.1 200")
        wire.settimeout(0.5)
        with pytest.raises(TimeoutError):  # they wait for the stream to end
            list(iter(lambda: wire.recv(65_536), b""))
    assert statuses(said(address, stream + ALIVE * 200)) in ([], [200])


def test_who_is_gone_is_streamed_nothing_more_whoever_waits_behind(tmp_path: Path) -> None:
    stream = ALIVE.replace(b"/health/live", b"/api/v1/events/stream")
    with serving_at(tmp_path, 60.0) as own:
        with socket.create_connection(own, 30) as wire:
            wire.sendall(stream + ALIVE)
            assert wire.recv(4096).startswith(b"HTTP/1.1 200")
            until(lambda: listeners(own) == 1, "it is listened to")
        until(lambda: listeners(own) == 0, "nobody is streamed to", seconds=10)  # sooner than with something to send


def listeners(address: tuple[str, int]) -> int:
    """How many streams the server has open."""
    answer = said(address, ALIVE.replace(b"/health/live", b"/metrics")[:-2] + b"Connection: close\r\n\r\n")
    found = re.search(rb"^penstock_stream_listeners(?:{[^}]*})? (\d+)", answer, re.MULTILINE)
    assert found is not None, answer
    return int(found[1])


@given(cuts=st.lists(st.integers(1, 40), max_size=30))
def test_requests_may_come_in_any_pieces(address: tuple[str, int], cuts: list[int]) -> None:
    sent = (
        ALIVE
        + MAKE
        + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n"
        + made(b"Content-Length: 2")
        + b"{}"
    )
    parts = []
    for cut in cuts:
        parts.append(sent[:cut])
        sent = sent[cut:]
    assert statuses(said(address, *parts, sent)) == [200, 422, 422]


# ------------------------------------------------------------------------------------------------------------- in time


@pytest.mark.parametrize("before", [b"", ALIVE], ids=["at first", "later"])
@pytest.mark.parametrize("begun", [b"", b"GET / HT", ALIVE[:-2] + b"X: "], ids=["nothing", "line", "headers"])
def test_who_never_says_what_they_want_is_sent_away(impatient: tuple[str, int], before: bytes, begun: bytes) -> None:
    with socket.create_connection(impatient, 30) as client:
        if before:
            client.sendall(before)
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
        client.sendall(begun)
        rest = b""
        while part := client.recv(4096):
            rest += part
        assert b"HTTP/1.1" not in rest


def dripped(wire: socket.socket, drop: bytes) -> int:
    """How many drops a server takes before it hangs up; it is sent no more than 200, in four seconds."""
    for sent in range(200):
        try:
            wire.sendall(drop)
        except (ConnectionResetError, BrokenPipeError):
            return sent
        time.sleep(0.02)
    return 200


@pytest.mark.parametrize("drop", [b"\r\n", b"X: x\r\n", b"x"], ids=["blank lines", "headers", "address"])
def test_a_head_that_comes_in_drops_is_not_waited_for(impatient: tuple[str, int], drop: bytes) -> None:
    with socket.create_connection(impatient, 30) as wire:
        wire.sendall({b"\r\n": b"", b"x": b"GET /"}.get(drop, ALIVE[:-2]))
        assert 0 < dripped(wire, drop) < 200


def test_a_body_that_does_not_come_is_not_waited_for(impatient: tuple[str, int]) -> None:
    answer = said(impatient, made(b"Content-Type: application/json", b"Content-Length: 1000"), b'{"name": "nig')
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_body_of_a_request_that_was_refused_keeps_no_connection(impatient: tuple[str, int]) -> None:
    with socket.create_connection(impatient, 30) as wire:
        wire.sendall(MAKE + b"Content-Length: 100000000\r\n\r\n")
        assert wire.recv(65_536).startswith(b"HTTP/1.1 413 ")
        assert dripped(wire, b"x" * 100) < 200
