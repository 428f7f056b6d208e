"""Alerts in their order: a window opens when its alert is kept, each place is told apart, and nothing overtakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from tests.unit.alert_sites import S, Stand, Told
from tests.unit.api_server import Api, Reply, Request, api

from penstock.automations import Automation, Notify, Trigger
from penstock.connections import WebhookConnection
from penstock.core.alerting import alert_settings
from penstock.core.clock import clock_of
from penstock.core.errors import SequenceConflict
from penstock.core.events import Append
from penstock.core.model import Alert
from penstock.core.ports import Alerts, Journal
from penstock.core.secrets import Secret
from penstock.journal import MemoryJournal
from penstock.orchestrator import outbox, silences
from penstock.orchestrator.automations import Automations, declare
from penstock.orchestrator.emitting import emit
from penstock.orchestrator.evaluator import Evaluator
from penstock.orchestrator.routing import Routing


@pytest.fixture
def clock() -> Iterator[Stand]:
    found = Stand()
    with clock_of(found):
        yield found


@pytest.fixture
def site() -> Iterator[Api]:
    with api(lambda request: Reply(status=204)) as found:
        yield found


def channel(clock: Stand, site: Api, **options: Any) -> Told:
    """A journal with one channel, a webhook."""
    table = {"channels": {"a": {"type": "webhook", "connection": "a", **options}}}
    return Told(clock, table, {"a": WebhookConnection(url=Secret(f"{site.url}/a"), timeout_seconds=30)})


def messages(site: Api) -> list[str]:
    return [request.json["data"]["message"] for request in site.asked]


@pytest.mark.parametrize("how", [SequenceConflict, RuntimeError])
def test_a_window_opens_when_its_alert_is_kept(
    clock: Stand, monkeypatch: pytest.MonkeyPatch, how: type[Exception]
) -> None:
    """What was decided and could not be written is decided anew, and is the first of its window still."""
    journal = MemoryJournal()
    table = {"channels": {"a": {"type": "webhook", "connection": "a", "group_seconds": 3600}}}
    told = Notify("{facts.word}", to="a")
    declare(journal, Automation(name="it", trigger=Trigger(event="go"), actions=(told,)))
    evaluator = Evaluator(journal, Routing(alert_settings(table)))
    evaluator.turn(clock.at)
    emit(journal, "go", "thing", {"word": "first"})
    commit = journal.commit
    failed: list[tuple[str, int, int]] = []

    def refused(appends: Sequence[Append], cursor: tuple[str, int, int] | None = None) -> None:
        if not failed and cursor is not None:
            failed.append(cursor)
            raise how("somebody else was faster")
        commit(appends, cursor)

    monkeypatch.setattr(journal, "commit", refused)
    for _ in range(3):
        try:
            evaluator.turn(clock.at)
        except RuntimeError:
            continue
    assert failed
    (owed,) = journal.owed_actions(clock.at + 1, True)
    assert owed.due_at <= clock.at, "it is not held back to the end of a window that nothing has opened"
    emit(journal, "go", "thing", {"word": "second"})
    evaluator.turn(clock.at)
    assert [each.due_at - clock.at for each in journal.owed_actions(2**62, True)] == [0, 3600 * S]


class _Place:
    """A place that takes so many alerts badly first."""

    def __init__(self, bad: int = 0) -> None:
        self.bad = bad
        self.told: list[str] = []

    def send(self, alert: Alert) -> Mapping[str, Any] | None:
        """See `Alerts.send`."""
        if self.bad:
            self.bad -= 1
            raise OSError("it is on the way")
        self.told.append(alert.message)
        return None


@pytest.mark.parametrize("routed", [False, True], ids=["plain", "routed"])
def test_a_place_that_fails_has_no_other_told_again(clock: Stand, routed: bool) -> None:
    places: dict[str, Any] = {"console": _Place(), "file": _Place(), "pager": _Place(bad=2)}
    known: Mapping[str, Alerts] = places
    journal: Journal = MemoryJournal()
    spread = Routing(alert_settings({})) if routed else None
    automations = Automations(journal, known, spread=spread)
    told = Notify("it broke", to=("console", "file", "pager"))
    declare(journal, Automation(name="it", trigger=Trigger(event="go"), actions=(told,)))
    emit(journal, "go", "thing")
    for _ in range(4):
        automations.settle(clock.at)
        clock.at += 60 * S
    assert [place.told for place in places.values()] == [["it broke"]] * 3
    newest, *others = [each.to for each in outbox.alerts_of(journal)]
    assert newest == ("pager",)
    assert sorted(others) == [("console",), ("file",)], "both were told at once, either may have ended first"


def test_what_failed_is_not_overtaken(clock: Stand, site: Api) -> None:
    world = channel(clock, site)
    answers = [503, 503]
    site.site = lambda request: Reply(status=answers.pop(0) if answers else 204)
    world.on("a")
    world.emit("down")
    world.settle()
    world.emit("up")
    world.settle(2)
    assert messages(site) == ["down"], "the channel waits for what failed"
    world.settle(3)
    world.settle(3)
    assert messages(site) == ["down", "down"]
    world.settle(20)
    world.settle()
    assert messages(site) == ["down", "down", "down", "up"]


def test_what_is_never_taken_holds_up_the_others_for_a_while_only(clock: Stand, site: Api) -> None:
    world = channel(clock, site)

    def answer(request: Request) -> Reply:
        return Reply(status=500 if request.json["data"]["message"] == "bad" else 204)

    site.site = answer
    world.on("a")
    world.emit("bad")
    world.emit("good")
    for _ in range(10):
        world.settle(20)
    assert "good" in messages(site)
    states = {each.state for each in outbox.alerts_of(world.journal)}
    assert states == {"told", "waiting"}, "the bad one is tried still"


def test_silences_are_read_once_a_turn(clock: Stand, site: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    world = channel(clock, site)
    world.on("a")
    silences.start(world.journal, {"facts.word": "quiet*"}, 3600)
    for number in range(20):
        world.emit(f"quiet-{number}")
    read: list[str] = []
    load = world.journal.load

    def noted(stream: str, after: int = 0) -> Any:
        read.append(stream)
        return load(stream, after)

    monkeypatch.setattr(world.journal, "load", noted)
    world.automations.evaluator.turn(clock.at)
    read.clear()
    world.automations.actions.outside.turn(clock.at)
    assert len(world.ended()) == 20
    assert read.count(silences.STREAM) == 1
    world.emit("loud")
    world.settle()
    silences.start(world.journal, {}, 3600)
    world.emit("loud too")
    world.settle(1)
    assert messages(site) == ["loud"], "one that begins meanwhile counts"


def test_why_alerts_wait_is_asked_for_all_of_them_at_once(
    clock: Stand, site: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = {"channels": {name: {"type": "webhook", "connection": "a"} for name in "abc"}}
    world = Told(clock, table, {"a": WebhookConnection(url=Secret(f"{site.url}/a"), timeout_seconds=30)})
    site.site = lambda request: Reply(status=503)
    world.on("a", "b", "c")
    world.emit()
    for _ in range(3):
        world.settle(20)
    asked: list[str] = []
    journal: Any = world.journal
    fetch = journal._fetch

    def noted(sql: str, *values: Any) -> Any:
        asked.append(sql)
        return fetch(sql, *values)

    monkeypatch.setattr(journal, "_fetch", noted)
    found = outbox.alerts_of(world.journal, ("waiting", "sending"))
    assert [each.error for each in found] == ["127.0.0.1 answered 503"] * 3
    assert len(asked) == 2, asked
