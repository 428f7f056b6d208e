"""The topics of the API: how the load counts, what it does when it is refused, and what is made of the answers."""

import asyncio
import json
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contenders"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import desk
import listen
import load
from harness.budgets import BUDGETS
from harness.columns import COLUMNS
from harness.contenders import load as contenders
from harness.control_budgets import CONTROL as PROMISES
from harness.texts import METHODS, THINGS, TITLES
from harness.topics import CONTROL
from made_results import result, row


def verdict(promise: str, results: dict[str, dict[str, Any]]) -> str:
    return next(budget.verdict(results)[1] for budget in BUDGETS if promise in budget.promise)


@contextmanager
def answering(*statuses: int) -> Iterator[tuple[int, list[str]]]:
    """A server that answers with these, and then with 200; its port, and what it was asked."""
    asked: list[str] = []
    waiting = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked.append(body)
            status = waiting.pop(0) if waiting else 200
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        server.server_close()


def loaded(port: int, count: int, **more: Any) -> dict[str, Any]:
    jobs = [["one", [["POST", "/", {}, str(number)]]] for number in range(count)]
    plan = {"port": port, "connections": 3, "rate": 0, "keep": "", "jobs": jobs, **more}
    return asyncio.run(load.Load(plan).run())


def test_each_job_is_done_once_and_its_answer_kept(tmp_path: Path) -> None:
    with answering() as (port, asked):
        found = loaded(port, 20, keep=str(tmp_path / "kept"))
    assert found["statuses"] == {"200": 20}
    assert sorted(map(int, asked)) == list(range(20))
    assert json.loads((tmp_path / "kept").read_text()) == [[str(number)] for number in range(20)]
    assert found["repeated"] == 0


@pytest.mark.parametrize("status", [503, 429, 0], ids=["busy", "too many", "hangs up"])
def test_what_is_refused_for_now_is_asked_again(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "PAUSE_SECONDS", 0)
    with answering(status, status) as (port, asked):
        found = loaded(port, 4)
    assert (found["statuses"], found["repeated"], len(asked)) == ({"200": 4}, 2, 6)


def test_what_is_refused_for_good_is_told() -> None:
    with answering(500) as (port, _):
        assert loaded(port, 4)["statuses"] == {"500": 1, "200": 3}


def test_a_job_waits_from_when_it_was_due() -> None:
    """One connection, and jobs that are all due before the first is answered: each waits for those before it."""
    with answering() as (port, _):
        work = load.Load(
            {"port": port, "connections": 1, "rate": 1e9, "keep": "", "jobs": [["one", [["POST", "/", {}, "1"]]]] * 50}
        )
        asyncio.run(work.run())
    times = work.times["one"]
    assert times == sorted(times)


@pytest.mark.parametrize("status", [503, 0], ids=["busy", "hangs up"])
def test_a_server_that_is_busy_is_asked_again_about_itself(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "PAUSE_SECONDS", 0)
    with answering(status) as (port, asked):
        monkeypatch.setenv("BENCH_PORT", str(port))
        assert desk.call(desk.Site(), "POST", "/", 7) == 7
    assert asked == ["7", "7"]


def test_nobody_is_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (desk, load):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)
    with answering(*[503] * 20) as (port, _):
        monkeypatch.setenv("BENCH_PORT", str(port))
        with pytest.raises(SystemExit, match="was answered 503"):
            desk.call(desk.Site(), "POST", "/", 7)
        with pytest.raises(SystemExit, match="was not answered"):
            loaded(port, 4)


async def _spread(count: int, lost: int, kind: str) -> dict[str, Any]:
    """What so many listeners have heard of a server that tells each of them, but for some, what it is told."""
    telling: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET") and kind == "sse":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            telling.append(writer)
            await reader.read()
            return
        if head.startswith(b"GET"):
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x89\x02hi")
            flags, size, mask, pong = struct.unpack("BB4s2s", await reader.readexactly(8))
            if (flags, size, bytes(a ^ b for a, b in zip(mask, pong, strict=False))) == (0x8A, 0x82, b"hi"):
                telling.append(writer)
            await reader.read()
            return
        body = await reader.readexactly(7)
        for each in telling[lost:]:
            each.write(body if kind == "sse" else b"\x81\x07" + body)
            await each.drain()
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        told = [["POST", "/", {}, f"mark-{number}."] for number in range(3)]
        plan = {"path": "/", "headers": {}, "kind": kind, "first": [], "publish": told}
        port = server.sockets[0].getsockname()[1]
        found = await listen.Listeners({**plan, "port": port, "count": count}).run()
        for each in telling:
            each.close()
        await asyncio.gather(*(each.wait_closed() for each in telling))
    return found


@pytest.mark.parametrize("kind", ["sse", "websocket"])
@pytest.mark.parametrize("lost", [0, 2])
def test_each_listener_hears_each_thing(lost: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "BETWEEN_SECONDS", 0.01)
    monkeypatch.setattr(listen, "PATIENCE_SECONDS", 5.0 if not lost else 0.5)
    found = asyncio.run(_spread(20, lost, kind))
    assert (found["executed"], found["recorded"], found["doubled"]) == (60, 60 - 3 * lost, 0)


@pytest.mark.parametrize("size", [1, 3, 50, 1_000_000])
@pytest.mark.parametrize("kind", ["sse", "websocket"])
def test_a_listener_hears_what_comes_in_pieces(kind: str, size: int) -> None:
    texts = [b"mark-%d.%s" % (number, b"x" * long) for number, long in enumerate((0, 125, 126, 70_000))]
    sizes = [bytes([size]) if size < 126 else (b"\x7e%c%c" % divmod(size, 256)) for size in map(len, texts[:3])]
    sizes.append(b"\x7f" + len(texts[3]).to_bytes(8, "big"))
    frames = [b"\x81" + each + text for each, text in zip(sizes, texts, strict=True)]
    sent = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n" + b"".join(texts if kind == "sse" else frames)

    async def heard() -> dict[tuple[int, int], float]:
        crowd = listen.Listeners({"port": 1, "path": "/", "headers": {}, "kind": kind})
        one = listen.Listener(crowd, 0)
        for begin in range(0, len(sent), size):
            one.data_received(sent[begin : begin + size])
        assert await one.entered == 200
        assert not crowd.twice
        return crowd.heard

    assert {mark for _, mark in asyncio.run(heard())} == {0, 1, 2, 3}


def test_a_text_for_a_websocket_is_masked() -> None:
    for text in (b"short", b"x" * 126, b"y" * 1_000):
        frame = listen.framed(text)
        start = 2 if len(text) < 126 else 4
        mask, rest = frame[start : start + 4], frame[start + 4 :]
        assert bytes(byte ^ mask[place % 4] for place, byte in enumerate(rest)) == text
        assert frame[0] == 0x81


class Pages(desk.Site):
    """A site whose pages are lists."""

    def listed(self, body: Any) -> list[Any]:
        found: list[Any] = body
        return found

    def moment(self, run: Any) -> Any:
        return run


GOOD = list(range(desk.PAGE, 0, -1))


@pytest.mark.parametrize(
    "page", [GOOD[:-1], GOOD[::-1], [*GOOD[:-1], -1]], ids=["too few", "the oldest first", "not asked for"]
)
def test_a_wrong_page_is_no_measurement(page: list[int]) -> None:
    desk.seen(Pages(), "first", 0, GOOD, lambda _, run: run > 0)
    with pytest.raises(SystemExit, match="error: the page first 0"):
        desk.seen(Pages(), "first", 0, page, lambda _, run: run > 0)


def test_what_was_answered_and_is_not_there_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "load", lambda *_: {"seconds": 1.0, "p50": 1.0, "p99": 1.0, "worst": 1.0, "repeated": 0})
    counts = iter([5, 14])
    with pytest.raises(SystemExit, match="10 were answered, and 9 are there"):
        desk.made(lambda _: [], lambda: next(counts), 10)


def test_every_topic_of_the_api_has_its_words_columns_and_reference() -> None:
    known = {contender.name: contender for contender in contenders()[1]}
    for topic in CONTROL:
        assert topic.name in TITLES
        assert topic.name in METHODS
        assert topic.name in COLUMNS
        assert topic.name in known[topic.reference].topics
        assert topic.sizes == (1,) or topic.name in THINGS


def test_every_budget_of_the_api_names_who_takes_part() -> None:
    shown = {}
    metrics = dict.fromkeys(
        ("request_seconds", "ready_seconds", "idle_share", "memory_mb", "p50", "p95", "p99", "executed", "recorded"),
        1.0,
    )
    for topic in CONTROL:
        made = [
            row(one.name, size, **metrics)
            for one in contenders()[1]
            if topic.name in one.topics
            for size in topic.sizes_for(one, quick=False)
        ]
        shown |= result(topic.name, *made)
    promised = [budget for budget in BUDGETS if budget.promise in {promise for promise, _, _ in PROMISES}]
    assert len(promised) == len(PROMISES)
    assert not [budget.promise for budget in promised if budget.verdict(shown)[1] == "not measured"]


@pytest.mark.parametrize(("on", "own", "peer"), [("SQLite", "-four", ""), ("PostgreSQL", "-postgres", "-postgres")])
@pytest.mark.parametrize(("seconds", "expected"), [(1.0, "met"), (1.001, "**NOT met**")])
def test_five_times_is_five_times(seconds: float, expected: str, on: str, own: str, peer: str) -> None:
    """Over as many connections: Prefect bears few on SQLite."""
    rows = [
        row("penstock-api", 10_000, request_seconds=0.1),
        row(f"penstock-api{own}", 10_000, request_seconds=seconds),
        row(f"prefect-api{peer}", 10_000, request_seconds=5.0),
    ]
    promise = f"10,000 webhooks taken in, {on}: 5 times as quick as Prefect, throughput"
    assert verdict(promise, result("api-hooks", *rows)) == expected


@pytest.mark.parametrize(("seconds", "pages"), [(0.01, 60), (1.0, 20), (60.0, 5)])
def test_whoever_is_slow_is_asked_for_fewer_pages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seconds: float, pages: int
) -> None:
    asked: list[int] = []

    class Slow(desk.Site):
        def pages(self, runs: int) -> dict[str, Any]:
            return {"first": (lambda place: place, lambda place, run: run == place)}

        def listed(self, body: Any) -> Any:
            return [body] * desk.PAGE

        def moment(self, run: Any) -> Any:
            return 0

    def load_of(jobs: list[Any], connections: int, *, keep: bool = False) -> dict[str, Any]:
        asked[:] = [job[1][0] for job in jobs]
        took = len(jobs) * seconds
        return {"seconds": took, "kinds": {"first": {"p50": seconds, "p95": seconds, "p99": seconds}}}

    monkeypatch.setattr(desk, "load", load_of)
    monkeypatch.setattr(desk, "answers", lambda: [[str(place)] for place in asked])
    desk.listing(Slow(), 1_000)
    told = json.loads(capsys.readouterr().out)
    assert (told["executed"], told["request_seconds"]) == (len(asked), pytest.approx(seconds)) == (pages, seconds)
    assert asked == sorted({*asked}), "each of them another one"
    assert (asked[0], asked[-1]) == (0, 60 - 60 // pages), "over the whole range"


@pytest.mark.parametrize(("heard", "expected"), [(20_000, "met"), (19_999, "**NOT met**")])
def test_whether_everybody_has_heard_everything(heard: int, expected: str) -> None:
    own = row("penstock-api", 1_000, p99=1.0, executed=20_000, recorded=heard)
    assert verdict("1,000 listeners, SQLite", result("api-listeners", own)) == expected
