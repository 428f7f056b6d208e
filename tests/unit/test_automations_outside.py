"""Calls to real web servers, and alerts: tried again, given up, kept apart, and without a word of what is secret."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.web import Web, web

from penstock.automations import Automation, Call, Notify, Trigger
from penstock.core.clock import Clock, clock_of
from penstock.core.errors import BadAutomation
from penstock.core.model import Alert
from penstock.core.plans import ActionEnded, ActionTried
from penstock.journal import MemoryJournal
from penstock.orchestrator.alerts import alerts_in
from penstock.orchestrator.automations import Automations, declare
from penstock.orchestrator.emitting import emit
from penstock.orchestrator.outside import OF_EACH, SLOTS

S = 1_000_000


class Stand(Clock):
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 1_767_225_600 * S

    def now(self) -> int:
        return self.at


class World:
    """A journal, its automations, and a clock."""

    def __init__(self, clock: Stand, alerts: Any = None) -> None:
        self.clock = clock
        self.journal = MemoryJournal()
        self.automations = Automations(self.journal, alerts or {})

    def on(self, name: str, *actions: Any, event: str = "go") -> None:
        declare(self.journal, Automation(name=name, trigger=Trigger(event=event), actions=actions))

    def emit(self, event: str = "go", **facts: Any) -> None:
        emit(self.journal, event, "thing", facts)

    def settle(self, seconds: float = 0) -> None:
        self.clock.at += int(seconds * S)
        self.automations.settle(self.clock.at)

    def events(self, kind: type[Any]) -> list[Any]:
        return [each.event for each in self.journal.read(0, 10_000) if isinstance(each.event, kind)]

    def ended(self) -> list[ActionEnded]:
        return self.events(ActionEnded)

    def texts(self) -> str:
        return "".join(repr(each.event) for each in self.journal.read(0, 10_000))


@pytest.fixture
def world() -> Iterator[World]:
    clock = Stand()
    with clock_of(clock):
        yield World(clock)


@pytest.fixture
def server() -> Iterator[Web]:
    with web() as found:
        yield found


def test_a_call(world: World, server: Web) -> None:
    world.on(
        "hook", Call(f"{server.url}/a"), Call(f"{server.url}/b", body={"text": "{about}: {facts.rows} {facts.none}"})
    )
    world.emit(rows=7)
    world.settle()
    first, second = sorted(server.asked)
    assert (first.path, first.body["automation"], first.body["facts"]["facts"]) == ("/a", "hook", {"rows": 7})
    assert first.headers["Content-Type"] == "application/json"
    assert first.headers["Idempotency-Key"] == f"{first.body['firing']}/0"
    assert second.body == {"text": "thing: 7 ?"}
    assert [(each.error, each.facts) for each in world.ended()] == [(None, {"status": 200})] * 2
    world.settle(1000)
    assert len(server.asked) == 2


def test_it_is_tried_again_with_the_same_key(world: World, server: Web) -> None:
    server.answers = [503, 429, 200]
    world.on("hook", Call(server.url))
    world.emit()
    world.settle()
    world.settle(3)
    assert len(server.asked) == 1, "it waits before it tries again"
    world.settle(2)
    world.settle(17)
    assert len(server.asked) == 3
    assert len({asked.headers["Idempotency-Key"] for asked in server.asked}) == 1
    assert [each.error for each in world.ended()] == [None]
    assert [each.error for each in world.events(ActionTried) if each.error] == [
        "127.0.0.1 answered 503.",
        "127.0.0.1 answered 429.",
    ]


def test_it_is_given_up(world: World, server: Web) -> None:
    server.answers = [500] * 9
    world.on("hook", Call(server.url, attempts=3))
    world.emit()
    for _ in range(9):
        world.settle(1000)
    assert len(server.asked) == 3
    assert [each.error for each in world.ended()] == ["127.0.0.1 answered 500."]


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_what_would_be_the_same_is_not_tried_again(world: World, server: Web, status: int) -> None:
    server.answers = [status]
    world.on("hook", Call(server.url))
    world.emit()
    world.settle()
    world.settle(1000)
    assert len(server.asked) == 1
    assert [each.error for each in world.ended()] == [f"127.0.0.1 answered {status}."]


@pytest.mark.parametrize("location", ["file:///etc/passwd", "/elsewhere", "ftp://127.0.0.1/x", "http://127.0.0.1:1/"])
def test_redirects_are_not_followed(world: World, server: Web, location: str) -> None:
    server.answers, server.location = [302], location
    world.on("hook", Call(server.url))
    world.emit()
    world.settle()
    assert len(server.asked) == 1
    assert "Redirects are not followed" in str(world.ended()[0].error)


@pytest.mark.parametrize("path", ["/silent", "/dripping"])
def test_a_server_that_comes_to_no_end_is_left_in_time(world: World, server: Web, path: str) -> None:
    server.silent, server.dripping = {"/silent"}, {"/dripping"}
    world.on("hook", Call(f"{server.url}{path}", timeout_seconds=0.2, attempts=1))
    world.emit()
    world.settle()
    assert [each.error for each in world.ended()] == ["127.0.0.1 gave no answer within 0.2 s."]


def test_a_server_that_never_answers_holds_up_nobody_else(world: World, server: Web) -> None:
    server.silent = {"/silent"}
    world.on("stuck", Call(f"{server.url}/silent", timeout_seconds=60))
    world.on("good", Call(f"{server.url}/good"), event="other")
    for _ in range(200):
        world.emit()
    world.emit("other")
    asked = threading.Event()
    world.automations.actions.outside.ended = asked.set
    for _ in range(5):
        world.automations.turn(world.clock.at)
    assert asked.wait(30), "one action has ended"
    assert [each.name for each in world.ended()] == ["good"]
    assert sum(each.path == "/silent" for each in server.asked) <= OF_EACH < SLOTS
    server.hush.set()
    assert world.automations.actions.outside.settle(30)


def test_what_is_secret_is_in_no_record(world: World, server: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_PATH", "hidden-path")
    monkeypatch.setenv("HOOK_TOKEN", "hidden-token")
    world.on("hook", Call(f"{server.url}/${{HOOK_PATH}}", headers={"authorization": "Bearer ${HOOK_TOKEN}"}))
    server.answers = [500, 404]
    world.emit()
    world.settle()
    world.settle(1000)
    assert [(a.path, a.headers["Authorization"]) for a in server.asked] == [("/hidden-path", "Bearer hidden-token")] * 2
    assert world.ended()[0].error == "127.0.0.1 answered 404."
    assert "hidden" not in world.texts()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "The variable HOOK is not set where the scheduler runs."),
        ("file:///etc/passwd", "it is no http or https URL"),
        ("http://hidden:hidden@127.0.0.1/", "cannot be in a URL"),
        ("http://127.0.0.1/hidden\nX: y", "it is no http or https URL"),
        ("http://127.0.0.1:99999/hidden", "it is no http or https URL"),
        ("", "it is no http or https URL"),
    ],
)
def test_variables_that_lead_nowhere(
    world: World, monkeypatch: pytest.MonkeyPatch, value: str | None, told: str
) -> None:
    if value is not None:
        monkeypatch.setenv("HOOK", value)
    world.on("hook", Call("${HOOK}"))
    world.emit()
    world.settle()
    assert told in str(world.ended()[0].error)
    assert "hidden" not in world.texts()


def test_an_address_where_nobody_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIDDEN", "hidden-path")
    world.on("hook", Call("http://127.0.0.1:9/${HIDDEN}", attempts=1), Call("https://127.0.0.1:9/", attempts=1))
    world.emit()
    world.settle()
    errors = [str(each.error) for each in world.ended()]
    assert all("127.0.0.1 could not be called" in error for error in errors)
    assert len(errors) == 2
    assert "hidden" not in world.texts()


@pytest.mark.parametrize(
    ("action", "told"),
    [
        (Call("http://user:secret@example.org/"), "Authorization"),
        (Call("http://example.org/", headers={"Authorization": "Bearer abc"}), "would be on record"),
        (Call("http://example.org/", headers={"X-Api-Key": "abc"}), "would be on record"),
        (Call("http://example.org/", headers={"Host": "x"}), "no name of a header"),
        (Call("http://example.org/", headers={"A: b": "x"}), "no name of a header"),
        (Call("http://example.org/", headers={"A": "x\ny"}), "printable ASCII"),
        (Call("http://example.org/", body={"text": "{nothing}"}), "there is no fact"),
        (Call("file:///etc/passwd"), "no http or https URL"),
        (Call("http://${HOST}:port/"), "no http or https URL"),
        (Call("http://example.org/{facts.path}"), r"actions\[0\]\.url: a fact cannot choose .* go into the body"),
        (Call("${HOOK}/{about}"), r"actions\[0\]\.url: a fact"),
        (
            Call("http://example.org/", headers={"X-Run": "run {run.id}"}),
            r"actions\[0\]\.headers: the value of X-Run cannot hold a fact",
        ),
    ],
)
def test_calls_that_cannot_be(world: World, action: Call, told: str) -> None:
    with pytest.raises(BadAutomation, match=told):
        world.on("hook", action)


# ------------------------------------------------------------------------------------------------ alerts
class Shelf:
    """Keeps alerts; fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.alerts: list[Alert] = []

    def send(self, alert: Alert) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("nobody there")
        self.alerts.append(alert)


def test_alerts() -> None:
    clock = Stand()
    with clock_of(clock):
        shelf = Shelf(failures=2)
        world = World(clock, {"shelf": shelf})
        world.on("tell", Notify("{about} of {facts.nobody}", title="On {event}", level="error", to="shelf"))
        world.on("lost", Notify("x", to=("shelf", "nowhere")), event="other")
        world.emit()
        world.emit("other")
        for _ in range(5):
            world.settle(300)
        alert, other = sorted(shelf.alerts, key=lambda each: each.automation, reverse=True)
        assert (alert.title, alert.message, alert.level, alert.automation) == ("On go", "thing of ?", "error", "tell")
        assert other.automation == "lost", "a place that there is not takes nothing from one that there is"
        assert {(each.name, each.action): each.error for each in world.ended()} == {
            ("tell", 0): None,
            ("lost", 0): None,
            ("lost", 1): "There is no place nowhere for alerts; there are: shelf. Channels are read when the server "
            "or the worker starts: start it again.",
        }


def test_a_place_that_is_not_known_as_yet() -> None:
    """Channels were added while a server runs: it is told there when that has been started again."""
    clock = Stand()
    with clock_of(clock):
        shelf = Shelf()
        places: dict[str, Any] = {"desk": shelf}
        world = World(clock, places)
        world.on("tell", Notify("hello", to="team"))
        world.emit()
        world.settle()
        (tried,) = [each for each in world.events(ActionTried) if each.error]
        assert "There is no place team for alerts; there are: desk. Channels are read when" in tried.error
        assert world.ended() == []
        places["team"] = shelf
        world.settle(10)
        assert [alert.message for alert in shelf.alerts] == ["hello"]
        assert [each.error for each in world.ended()] == [None]


def test_the_console_and_the_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    alert = Alert(
        key="k", at=1, automation="a", title="Oh\x1b[2J", message="two\nlines", level="warning", facts={"n": 1}
    )
    places = alerts_in(tmp_path / "home")
    for name in ("console", "file", "file"):
        places[name].send(alert)
    assert capfd.readouterr().err == "[warning] Oh\\x1b[2J: two\\nlines\n"
    lines = (tmp_path / "home" / "alerts.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert '"message":"two\\nlines"' in lines[0]


def test_a_place_that_a_package_brings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shouting.py").write_text(
        "class Shout:\n"
        "    def __init__(self, home):\n        self.home = home\n"
        "    def send(self, alert):\n        (self.home / 'shouted').write_text(alert.message.upper())\n"
    )
    info = tmp_path / "shouting-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[penstock.alerts]\nshout = shouting:Shout\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    places = alerts_in(tmp_path)
    assert set(places) == {"console", "file", "shout"}
    assert "shouting" not in sys.modules, "it is loaded when it is needed"
    places["shout"].send(Alert(key="k", at=1, automation="a", title="t", message="fire", level="error", facts={}))
    assert (tmp_path / "shouted").read_text() == "FIRE"
    assert "whisper" not in places
