"""The client of Airflow's REST API against answers that a sound Airflow does not give; a real one is elsewhere."""

from __future__ import annotations

import datetime
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.ports import nobody

from penstock.core.errors import ConfigurationError, EngineRefused, EngineUnreachable, RunNotThere
from penstock.deploy.airflow import client as module
from penstock.deploy.airflow.client import AirflowClient

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
RUN = {"dag_id": "d", "dag_run_id": "r", "state": "queued", "run_after": "2026-01-01T00:00:00Z", "conf": None}


class Stand:
    """Stands where Airflow would: `answers` are given in turn to what is not a sign-in; the last one again and again.

    An answer is a status and a body (bytes, or what becomes JSON), or a function of the handler.
    """

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked: list[tuple[str, str, str | None, Any]] = []
        self.tokens = 0
        self.password = "secret"
        stand = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stand.handle(self)

            do_POST = do_PATCH = do_DELETE = do_GET

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self._lock = threading.Lock()
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def handle(self, handler: Any) -> None:
        size = int(handler.headers.get("content-length") or 0)
        body = json.loads(handler.rfile.read(size)) if size else None
        if handler.path == "/auth/token":
            with self._lock:
                right = body["password"] == self.password
                self.tokens += right
            self.give(
                handler, 201 if right else 401, {"access_token": f"t{self.tokens}"} if right else {"detail": "no"}
            )
            return
        with self._lock:
            self.asked.append((handler.command, handler.path, handler.headers.get("authorization"), body))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer(handler)
        else:
            self.give(handler, *answer)

    @staticmethod
    def give(handler: Any, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)


@pytest.fixture
def stand() -> Iterator[Stand]:
    found = Stand()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def rests() -> list[float]:
    return []


@pytest.fixture
def client(stand: Stand, rests: list[float]) -> AirflowClient:
    return AirflowClient(f"{stand.url}/api/v2/", "ann", "secret", seconds=30.0, rest=rests.append)


def test_a_token_that_has_expired_is_renewed_once(stand: Stand, client: AirflowClient) -> None:
    stand.answers = [(200, RUN), (401, {"detail": "Token Expired"}), (200, RUN)]
    assert client.run("d", "r").state == "queued"
    assert client.run("d", "r").state == "queued"
    assert [each[2] for each in stand.asked] == ["Bearer t1", "Bearer t1", "Bearer t2"]


def test_a_token_that_is_never_taken_is_a_refusal(stand: Stand, client: AirflowClient) -> None:
    stand.answers = [(401, {"detail": "Not authenticated"})]
    with pytest.raises(EngineRefused, match="401, Not authenticated"):
        client.run("d", "r")
    assert len(stand.asked) == 2


def test_threads_whose_token_expires_together_sign_in_once(stand: Stand, client: AirflowClient) -> None:
    stand.answers = [(200, RUN)]
    client.run("d", "r")

    def judge(handler: Any) -> None:
        good = handler.headers.get("authorization") == "Bearer t2"
        stand.give(handler, 200 if good else 401, RUN if good else {})

    stand.answers = [judge]
    with ThreadPoolExecutor(8) as pool:
        assert [each.state for each in pool.map(lambda _: client.run("d", "r"), range(16))] == ["queued"] * 16
    assert stand.tokens == 2


def test_a_wrong_password_is_told_without_it(stand: Stand) -> None:
    with pytest.raises(EngineRefused, match="does not let the user 'ann' in") as caught:
        AirflowClient(stand.url, "ann", "hunter2").version()
    assert "hunter2" not in f"{caught.value}{caught.value.hint}"
    assert "AIRFLOW_PASSWORD" in str(caught.value.hint)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_is_busy_is_asked_again(
    stand: Stand, client: AirflowClient, rests: list[float], status: int
) -> None:
    stand.answers = [(status, b"<html>busy</html>"), (200, RUN)]
    assert client.trigger("d", "r", {}).dag_run_id == "r"
    assert len(rests) == 1


def test_a_server_that_stays_busy_is_out_of_reach(stand: Stand, client: AirflowClient, rests: list[float]) -> None:
    stand.answers = [(503, {"detail": "starting"})]
    with pytest.raises(EngineUnreachable, match=r"cannot be reached: HTTP 503, starting"):
        client.run("d", "r")
    assert (len(stand.asked), len(rests)) == (3, 2)


def test_nobody_waits_here_as_long_as_a_server_wants_to_be_left_alone(
    stand: Stand, client: AirflowClient, rests: list[float]
) -> None:
    stand.answers = [lambda handler: stand.give(handler, 429, {}, {"Retry-After": "600"})]
    with pytest.raises(EngineUnreachable):
        client.run("d", "r")
    assert (len(stand.asked), rests) == (1, [])


@pytest.mark.parametrize(
    ("status", "body", "error", "told"),
    [
        (400, {"detail": "bad conf"}, EngineRefused, "HTTP 400, bad conf"),
        (403, {"detail": "Forbidden"}, EngineRefused, "Forbidden"),
        (404, {"detail": "no such run"}, RunNotThere, "no such run"),
        (422, {"detail": [{"msg": "n must be a number"}, {"msg": "m"}]}, EngineRefused, "n must be a number; m"),
        (418, b"\x1b[31mred\nlines\x00", EngineRefused, r"418, \[31mred lines"),
        (302, b"", EngineRefused, "HTTP 302"),
        (404, b"<html>nginx</html>", RunNotThere, r"HTTP 404\."),
    ],
)
def test_a_refusal_is_asked_once_and_told_in_a_line(
    stand: Stand, client: AirflowClient, status: int, body: Any, error: type[Exception], told: str
) -> None:
    stand.answers = [(status, body)]
    with pytest.raises(error, match=told) as caught:
        client.run("d", "r")
    assert len(stand.asked) == 1
    assert str(caught.value).partition("\nHint")[0].isprintable()


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><title>Sign in</title>", b"", b"[]", b"null", b'{"dag_run_id": 3}', b"\xff\xfe",
        b"[" * 100_000,
        json.dumps({**RUN, "run_after": "yesterday"}).encode(), json.dumps({**RUN, "state": None}).encode(),
    ],
)  # fmt: skip
def test_an_answer_that_is_something_else_is_told_so(stand: Stand, client: AirflowClient, body: bytes) -> None:
    stand.answers = [(200, body)]
    with pytest.raises((EngineRefused, EngineUnreachable), match=r"not Airflow's API|broke its answer off"):
        client.run("d", "r")


def test_an_answer_without_end_is_not_read_to_its_end(
    stand: Stand, client: AirflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 1000)
    stand.answers = [(200, {**RUN, "note": "x" * 5000})]
    with pytest.raises(EngineRefused, match="longer than 1,000 bytes"):
        client.run("d", "r")


def _hangs_up(handler: Any) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def _breaks_off(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"dag_id": "d", "dag_run')
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("answer", [_hangs_up, _breaks_off])
def test_a_connection_that_ends_early_is_no_refusal(
    stand: Stand, client: AirflowClient, answer: Callable[[Any], None]
) -> None:
    stand.answers = [answer]
    with pytest.raises(EngineUnreachable):
        client.run("d", "r")


def test_a_server_that_never_answers_takes_no_longer_than_it_may(stand: Stand) -> None:
    over = threading.Event()
    stand.answers = [lambda handler: over.wait(30)]
    hasty = AirflowClient(stand.url, seconds=0.05, rest=lambda seconds: None)
    with pytest.raises(EngineUnreachable, match="does not answer in time"):
        hasty.run("d", "r")
    over.set()


def test_where_nobody_listens_it_says_so() -> None:
    with pytest.raises(EngineUnreachable, match=f"{nobody()} cannot be reached"):
        AirflowClient(nobody(), "a", "b", rest=lambda seconds: None).version()


@pytest.mark.parametrize("url", ["", "airflow:8080", "ftp://airflow", "http://", "http://a?b=c", "http://u:geheim@a"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="AIRFLOW") as caught:
        AirflowClient(url)
    assert "geheim" not in str(caught.value)


def test_pages_are_followed_to_their_end(stand: Stand, client: AirflowClient) -> None:
    def page(handler: Any) -> None:
        offset = int(handler.path.partition("offset=")[2])
        tasks = [{"task_id": f"t{number}"} for number in range(offset, min(offset + 100, 250))]
        stand.give(handler, 200, {"task_instances": tasks, "total_entries": 250})

    stand.answers = [page]
    assert [each.task_id for each in client.tasks("d", "r")] == [f"t{number}" for number in range(250)]
    assert len(stand.asked) == 3


def test_pages_without_end_end(stand: Stand, client: AirflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_PAGES", 5)
    stand.answers = [(200, {"dag_runs": [RUN] * 100, "total_entries": 10**9})]
    assert len(list(client.runs(NOW))) == 500


def test_a_log_is_read_on_while_there_is_more(stand: Stand, client: AirflowClient) -> None:
    stand.answers = [
        (200, {"content": [{"event": "a"}], "continuation_token": "x"}),
        (200, {"content": ["b"], "continuation_token": "x"}),
    ]
    assert list(client.log("d", "r", "t", 1)) == [{"event": "a"}, "b"]
    stand.answers = [(404, {"detail": "no log"})]
    assert list(client.log("d", "r", "t", 1)) == []


def test_an_order_that_was_carried_out_is_the_run_it_made(stand: Stand, client: AirflowClient) -> None:
    stand.answers = [(409, {"detail": {"reason": "Unique constraint violation"}}), (200, {**RUN, "state": "running"})]
    assert client.trigger("d", "r", {"n": 1}).state == "running"
    assert stand.asked[0][3] == {"dag_run_id": "r", "logical_date": None, "conf": {"n": 1}}


def test_names_cannot_leave_their_place_in_a_path(stand: Stand, client: AirflowClient) -> None:
    stand.answers = [(200, RUN)]
    client.run("../../auth", "a/b?c#d")
    assert stand.asked[0][1] == "/api/v2/dags/..%2F..%2Fauth/dagRuns/a%2Fb%3Fc%23d"
