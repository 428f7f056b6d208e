"""How the client's calls become answers: retries, signing in, pages, streams; played step by step, nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from penstock.core.connections import ConnectionFailed
from penstock.core.errors import (
    AccountConflict,
    AutomationConflict,
    BadWorkflow,
    ConfigurationError,
    RunNotFound,
    UploadNotFound,
    WebhookNotFound,
    WorkflowNotFound,
)
from penstock.remote import AnswerLost, NotAllowed, NotPenstock, NotSignedIn, ServerError, ServerUnavailable
from penstock.remote.answers import Page, Part
from penstock.remote.calls import Call
from penstock.remote.client import Client
from penstock.remote.exchange import chunks, one, pages, stream
from penstock.remote.identity import Identity
from penstock.remote.messages import Reader
from penstock.remote.session import Alone, Answer, Give, More, Open, Request, Rest, Send, Session, Unreached

GET = Call[Any](method="GET", path=("things",), answer=Any)
POST = Call[Any](method="POST", path=("things",), answer=Any, body={"a": 1})
CREATE = msgspec.structs.replace(POST, creates=True)
GONE, REFUSED = Unreached("connection reset", True), Unreached("connection refused", False)


def told(status: int, body: Any = None, **headers: str) -> Answer:
    kind = "application/problem+json" if status >= 400 else "application/json"
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"content-type": kind, **names}, json.dumps(body).encode())


def problem(status: int, code: str, **more: Any) -> Answer:
    return told(status, {"code": code, "detail": "It is so.", "request_id": "r1", **more})


class Played:
    """Plays the steps of calls: answers come from a list, time passes only by resting."""

    def __init__(self, *script: Any, identity: Identity | None = None, patience: float = 60.0) -> None:
        self.script = list(script)
        self.sent: list[Request] = []
        self.given: list[Any] = []
        self.rests: list[float] = []
        self.now = 0.0
        self.session = Session(
            "http://x", identity or Identity(), patience_seconds=patience, clock=lambda: self.now
        )  # fmt: skip

    def play(self, steps: Any) -> Any:
        back: Any = None
        while True:
            try:
                step = steps.throw(back) if isinstance(back, Unreached) else steps.send(back)
            except StopIteration as end:
                return end.value
            back = None
            if isinstance(step, Send | Open):
                self.sent.append(step.request._replace(headers=dict(step.request.headers)))
                back = self.script.pop(0)
            elif isinstance(step, More):
                back = self.script.pop(0)
            elif isinstance(step, Rest):
                self.rests.append(step.seconds)
                self.now += step.seconds
            elif isinstance(step, Alone):
                self.play(step.steps())
            else:
                assert isinstance(step, Give)
                self.given.append(step.item)

    def one(self, call: Call[Any]) -> Any:
        return self.play(one(self.session, call))


def test_a_request_says_what_is_asked() -> None:
    played = Played(told(200, 1))
    call = Call[Any](
        method="GET", path=("runs", "a/b c?#ü"), query={"tag": ["x", "y"], "on": True, "no": None}, answer=int
    )
    assert played.one(call) == 1
    (sent,) = played.sent
    assert sent.target == "/api/v1/runs/a%2Fb%20c%3F%23%C3%BC?tag=x&tag=y&on=true"
    assert sent.headers["User-Agent"] == "penstock"
    assert "Idempotency-Key" not in sent.headers
    with pytest.raises(ServerError, match="empty"):
        played.one(Call(method="GET", path=("runs", "")))


@pytest.mark.parametrize("away", [GONE, REFUSED], ids=["gone", "refused"])
@pytest.mark.parametrize("call", [GET, CREATE], ids=["get", "create"])
def test_what_may_be_repeated_is_sent_until_it_is_answered(call: Call[Any], away: Unreached) -> None:
    played = Played(away, away, told(503, {"code": "journal-unavailable"}, retry_after="5"), told(201, {"made": True}))
    assert played.one(call) == {"made": True}
    assert len(played.sent) == 4
    assert len({sent.headers.get("Idempotency-Key") for sent in played.sent}) == 1
    assert len({sent.headers["X-Request-ID"] for sent in played.sent}) == 1
    assert played.rests[2] >= 5
    assert ("Idempotency-Key" in played.sent[0].headers) == call.creates


def test_what_may_not_be_repeated_is_not() -> None:
    played = Played(GONE)
    with pytest.raises(AnswerLost) as caught:
        played.one(POST)
    assert caught.value.request_id == played.sent[0].headers["X-Request-ID"]
    played = Played(problem(503, "journal-unavailable"))
    with pytest.raises(Exception, match="It is so") as refused:
        played.one(POST)
    assert refused.value.status == 503  # type: ignore[attr-defined]
    assert Played(REFUSED, told(200, 1)).one(POST) == 1  # nobody got it, so that it can be sent again
    changed = msgspec.structs.replace(POST, method="PUT", headers={"If-Match": '"1-1"'})
    with pytest.raises(AnswerLost):
        Played(GONE).one(changed)


def test_patience_ends() -> None:
    played = Played(told(200, 1), *[REFUSED] * 100, patience=30)
    played.one(GET)
    with pytest.raises(ServerUnavailable, match=r"http://x cannot be reached: connection refused\."):
        played.one(GET)
    assert 20 < played.now <= 30
    stranger = Played(*[REFUSED] * 100, patience=30)
    with pytest.raises(ServerUnavailable):
        stranger.one(GET)
    assert stranger.now <= 3


def test_a_deletion_whose_answer_was_lost_is_done() -> None:
    call = Call[None](method="DELETE", path=("workflows", "a"))
    missing = problem(404, "workflow-not-found")
    assert Played(GONE, missing).one(call) is None
    for away in ([], [REFUSED]):
        with pytest.raises(WorkflowNotFound):
            Played(*away, missing).one(call)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(404, "run-not-found"), RunNotFound),
        (problem(422, "workflow", errors=[{"field": "tasks", "message": "has a cycle"}]), BadWorkflow),
        (problem(401, "not-signed-in"), NotSignedIn),
        (problem(403, "not-allowed"), NotAllowed),
        (problem(404, "webhook-not-found"), WebhookNotFound),
        (problem(409, "automation-conflict"), AutomationConflict),
        (problem(404, "file-not-found"), UploadNotFound),
        (problem(409, "account-conflict"), AccountConflict),
        (problem(502, "connection-failed"), ConnectionFailed),
        (problem(418, "never-heard-of"), ServerError),
        (problem(422, "bad-rules"), ServerError),
        (problem(500, "server-unavailable"), ServerError),
        (Answer(502, {"content-type": "text/html"}, b"<html>"), NotPenstock),
        (Answer(301, {"location": "/login"}, b""), NotPenstock),
        (Answer(400, {"content-type": "application/json"}, b"[1]"), NotPenstock),
        (Answer(200, {"content-type": "text/html"}, b"<html>"), NotPenstock),
    ],
    ids=lambda value: getattr(value, "__name__", getattr(value, "status", None)),
)
def test_a_refusal_is_the_error_it_is_there(answer: Answer, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        Played(answer, patience=0).one(GET)
    assert type(caught.value) is kind
    if answer.headers["content-type" if "content-type" in answer.headers else "location"].startswith("application/pro"):
        assert caught.value.request_id == "r1"  # type: ignore[attr-defined]
        assert "It is so." in str(caught.value)
    if kind is BadWorkflow:
        assert caught.value.mistakes == [("tasks", "has a cycle")]  # type: ignore[attr-defined]


def test_pages_are_read_to_the_end() -> None:
    def page(items: list[int], following: str | None) -> Answer:
        return told(200, {"items": items, "limit": 2, "next": following})

    played = Played(page([1, 2], "b"), GONE, page([3], "c&d"), page([], None))
    call = Call[int](method="GET", path=("things",), answer=Part[int], query={"skip": 1, "limit": 2})
    played.play(pages(played.session, call))
    assert played.given == [1, 2, 3]
    assert [sent.target.partition("?")[2] for sent in played.sent] == [
        "skip=1&limit=2", "limit=2&cursor=b", "limit=2&cursor=b", "limit=2&cursor=c%26d"
    ]  # fmt: skip


def test_pages_without_a_cursor_are_skipped_through() -> None:
    def page(items: list[int], skip: int) -> Answer:
        return told(200, {"items": items, "limit": 2, "skip": skip, "total": 3, "next": None})

    played = Played(page([1, 2], 0), page([3], 2))
    played.play(pages(played.session, Call[int](method="GET", path=("things",), answer=Page[int], query={"limit": 2})))
    assert played.given == [1, 2, 3]
    assert [sent.target.partition("?")[2] for sent in played.sent] == ["limit=2", "limit=2&skip=2"]
    last = Played(page([3], 0))
    last.play(pages(last.session, Call[int](method="GET", path=("a",), answer=Page[int], query={"cursor": "b"})))
    assert last.given == [3]


def message(number: int) -> bytes:
    return b'id: %d\nevent: log\ndata: {"n": %d}\n\n' % (number, number)


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_stream_gives_each_message_once_wherever_it_breaks_off(cut: int) -> None:
    whole = message(1) + b": still here\n\n" + message(2)
    heard = 2 if cut >= len(whole) else 1 if cut >= len(message(1)) else 0
    rest = b"".join(message(each) for each in (1, 2, 3) if each > heard)
    end = b'id: 3\nevent: end\ndata: {"state": "Completed"}\n\n'
    opened = Answer(200, {"content-type": "text/event-stream"}, b"")
    played = Played(opened, whole[:cut] or GONE, GONE, REFUSED, opened, rest, b"retry: 1\n\n" + end)
    if not cut:
        del played.script[2]
    played.play(stream(played.session, Call[Any](method="GET", path=("runs", "a", "stream"))))
    assert [item.data.get("n") for item in played.given] == [1, 2, 3, None]
    assert (played.given[-1].event, played.given[-1].data) == ("end", {"state": "Completed"})
    assert [sent.headers.get("Last-Event-ID") for sent in played.sent] == [None, *[str(heard) if heard else None] * 2]
    assert played.sent[0].headers["Accept"] == "text/event-stream"


def test_a_stream_goes_on_when_the_server_says_again_and_ends_when_nothing_comes() -> None:
    opened = Answer(200, {}, b"")
    again = b'event: again\ndata: {"reason": "shutdown"}\n\n'
    played = Played(opened, b"retry: 2000\n\n" + message(1) + again, b"", Answer(204, {}, b""))
    played.play(stream(played.session, Call[Any](method="GET", path=("events", "stream"))))
    assert [item.data for item in played.given] == [{"n": 1}]
    assert played.rests[0] >= 2


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_messages_are_the_same_however_they_are_cut(ends: str) -> None:
    text = "event: a\ndata: 1\ndata:2\nid: x\n\n: note\n\ndata: ü\n\nevent: nothing\n\nid: y\n\ndata\n\n"
    data = text.replace("\n", ends).encode()
    whole = list(Reader().feed(data + b"x"))
    assert [(each.event, each.data, each.id) for each in whole] == [
        ("a", "1\n2", "x"), ("message", "ü", "x"), ("message", "", "y")
    ]  # fmt: skip
    for size in (1, 2, 3, 5):
        reader = Reader()
        pieces = [data[at : at + size] for at in range(0, len(data), size)] + [b"x"]
        assert [each for piece in pieces for each in reader.feed(piece)] == whole


def test_a_body_goes_on_where_it_broke_off() -> None:
    opened = Answer(200, {"etag": '"s"', "content-length": "6"}, b"")
    played = Played(opened, b"abc", GONE, Answer(206, {"etag": '"s"', "content-length": "3"}, b""), b"def", b"")
    played.play(chunks(played.session, Call[bytes](method="GET", path=("files", "1", "content"))))
    assert b"".join(played.given) == b"abcdef"
    assert (played.sent[1].headers["Range"], played.sent[1].headers["If-Range"]) == ("bytes=3-", '"s"')
    other = Played(opened, b"abc", GONE, Answer(200, {"etag": '"t"', "content-length": "6"}, b""))
    with pytest.raises(ServerError, match="changed while"):
        other.play(chunks(other.session, Call[bytes](method="GET", path=("files", "1", "content"))))


def tokens(access: str, refresh: str | None = "r") -> Answer:
    return told(200, {"access_token": access, "token_type": "Bearer", "expires_in": 60, "refresh_token": refresh})


def test_a_token_is_got_and_renewed_once() -> None:
    expired = problem(401, "not-signed-in")
    played = Played(
        tokens("t1"), told(200, 1), expired, tokens("t2"), told(200, 2), identity=Identity(user="ann", password="pw")
    )
    assert (played.one(GET), played.one(GET)) == (1, 2)
    assert [sent.headers.get("Authorization") for sent in played.sent] == [
        None, "Bearer t1", "Bearer t1", None, "Bearer t2"
    ]  # fmt: skip
    assert b"grant_type=password" in (played.sent[0].content or b"")  # type: ignore[operator]
    assert b"refresh_token=r" in (played.sent[3].content or b"")  # type: ignore[operator]
    refused = Played(expired, tokens("t4"), expired, identity=played.session.identity)
    with pytest.raises(NotSignedIn):
        refused.one(GET)
    assert not refused.script


def test_a_lost_answer_to_a_refresh_token_is_asked_for_again() -> None:
    played = Played(
        tokens("t1"), told(200, 1), problem(401, "x"), GONE, tokens("t2"), told(200, 2),
        identity=Identity(user="ann", password="pw"),
    )  # fmt: skip
    assert (played.one(GET), played.one(GET)) == (1, 2)
    assert [b"refresh_token=r" in (sent.content or b"") for sent in played.sent[3:5]] == [True, True]  # type: ignore[operator]


def test_a_refresh_token_that_is_refused_is_followed_by_the_password() -> None:
    wrong = told(400, {"error": "invalid_grant", "error_description": "Wrong."})
    played = Played(
        tokens("t1"), told(200, 1), problem(401, "x"), wrong, tokens("t2"), told(200, 2),
        identity=Identity(user="ann", password="pw"),
    )  # fmt: skip
    assert (played.one(GET), played.one(GET)) == (1, 2)
    with pytest.raises(NotSignedIn, match=r"Wrong\."):
        Played(wrong, identity=Identity(user="ann", password="no")).one(GET)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Client("ftp://x"),
        lambda: Client("http://"),
        lambda: Client("http://x:99999"),
        lambda: Client("http://ann:secret@x"),
        lambda: Client("http://ops.example", api_key="pk_1"),
        lambda: Client("http://127.0.0.1:1", api_key="pk_\n1"),
        lambda: Client("http://127.0.0.1:1", api_key="a", token="b"),
        lambda: Client("http://127.0.0.1:1", user="ann"),
        lambda: Client("https://x", ca_file="/nowhere.pem"),
        lambda: Client("http://127.0.0.1:1", timeout_seconds=float("nan")),
    ],
)
def test_options_that_cannot_be(make: Callable[[], Client]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert "secret" not in str(caught.value)


def test_keys_go_over_networks_only_where_that_is_said() -> None:
    for url, more in (("http://ops.example", {"insecure": True}), ("https://ops.example/api/v1/", {})):
        with Client(url, api_key="pk_1", **more) as client:
            assert client.session.identity.header == "Bearer pk_1"
            assert not client.session.url.endswith("v1/")
