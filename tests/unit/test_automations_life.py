"""Loops of automations; declaring, pausing and deleting them; clocks; and being woken by what happens."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.unit.alert_sites import alert
from tests.unit.automations_world import deploy, found, on, opened, works

from penstock.automations import (
    Automation,
    EmitEvent,
    Notify,
    PauseDeployment,
    ResumeDeployment,
    RunDeployment,
    Trigger,
    declare,
    delete,
    pause,
    resume,
)
from penstock.core.errors import PlanNotFound
from penstock.core.plans import (
    AutomationDeclared,
    AutomationFired,
    DeploymentPaused,
)
from penstock.events import emit_event
from penstock.journal.sqlite import SqliteJournal
from penstock.orchestrator import automations as room
from penstock.orchestrator.automations import Automations
from penstock.orchestrator.emitting import emit
from penstock.orchestrator.services import run_deployment
from penstock.testing import Simulation
from penstock.testing.heard import Heard


# ------------------------------------------------------------------------------------------------ loops
def _paused_by_itself(world: Simulation, name: str = "it") -> str:
    assert world.app.journal.automations(name)[0].paused
    reasons = [e.reason for e in found(world, AutomationDeclared) if e.name == name and e.reason]
    assert len(reasons) == 1
    return str(reasons[0])


@pytest.mark.parametrize("how", ["event", "run", "two", "through a run of a run", "paused"])
def test_a_loop_is_ended_and_told(how: str) -> None:
    with opened() as world:
        deploy(world, "works", "fails", "starts-another")
        if how == "event":
            on("go", EmitEvent("go"))
            emit_event("go")
        elif how == "run":
            on("RunFailed", RunDeployment("fails"))
            run_deployment("fails", timeout=0)
        elif how == "two":
            on("go", RunDeployment("works"))
            on("works.done", EmitEvent("go"), name="other")
            emit_event("go")
        elif how == "through a run of a run":
            on("works.done", RunDeployment("starts-another"))
            run_deployment("works", timeout=0)
        else:
            on("DeploymentPaused", ResumeDeployment("works"))
            on("DeploymentResumed", PauseDeployment("works"), name="other")
            room_pause(world)
        world.run(minutes=5, until=lambda: any(each.paused for each in world.app.journal.automations()))
        name = next(each.name for each in world.app.journal.automations() if each.paused)
        assert "part of a loop" in _paused_by_itself(world, name)
        fired = len(found(world, AutomationFired))
        assert fired < 40
        world.run(minutes=30)
        assert len(found(world, AutomationFired)) == fired


def room_pause(world: Simulation) -> None:
    from penstock.orchestrator.deployments import pause as pause_deployment

    pause_deployment(world.app.journal, "works")
    assert found(world, DeploymentPaused)


def test_what_comes_round_slowly_is_no_loop() -> None:
    with opened() as world:
        world.deploy(works.to_deployment("works", cron="0 * * * *"))
        on("works.done", EmitEvent("hourly"))
        world.run(days=2)
        assert len(found(world, AutomationFired)) == 48
        assert not world.app.journal.automations("it")[0].paused


# ------------------------------------------------------------------------------------------------ declared and changed
def test_declaring_again_pausing_and_deleting() -> None:
    with opened() as world:
        it = Automation(name="it", trigger=Trigger(event="go", count=2), actions=(EmitEvent("said"),))
        assert declare(it) == ["it"]
        assert declare(it) == []
        emit_event("go")
        world.settle()
        assert pause("it")
        assert not pause("it")
        emit_event("go")
        emit_event("go")
        world.settle()
        assert declare(it) == [], "it stays paused"
        assert resume("it")
        emit_event("go")
        world.settle()
        assert found(world, AutomationFired) == [], "what it had counted before is forgotten"
        emit_event("go")
        world.settle()
        assert len(found(world, AutomationFired)) == 1
        delete("it")
        emit_event("go")
        emit_event("go")
        world.settle()
        assert len(found(world, AutomationFired)) == 1
        for change in (pause, resume, delete):
            with pytest.raises(PlanNotFound, match="There is no automation 'it'"):
                change("it")


def test_what_happened_before_it_was_declared_does_not_count() -> None:
    with opened() as world:
        emit_event("go")
        on("go", EmitEvent("said"))
        world.settle()
        assert found(world, AutomationFired) == []


def test_it_is_told_of_events_of_the_past_and_the_future() -> None:
    import datetime

    with opened() as world:
        on("go", Notify("silence"), missing_seconds=3600)
        emit_event("go", occurred=datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC))
        world.run(hours=2)
        assert len(world.alerts) == 1, "an event of the future ends no silence for good"


def test_a_clock_that_is_set_back() -> None:
    with opened() as world:
        on("go", Notify("silence"), missing_seconds=3600)
        world.clock.advance(7 * 86_400)
        emit_event("go")
        world.settle()
        told = len(world.alerts)
        world.clock.advance(-7 * 86_400)
        world.settle()
        world.run(hours=2)
        assert len(world.alerts) == told + 1


# ------------------------------------------------------------------------------------------------ being woken
def test_what_happens_wakes_it(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never looks by itself here: only because something happened."""
    monkeypatch.setattr(room, "_LOOK_SECONDS", 1000.0)
    journal, other = SqliteJournal(tmp_path / "journal.db"), SqliteJournal(tmp_path / "journal.db")
    told = threading.Semaphore(0)

    class Shelf:
        def send(self, alert: Any) -> None:
            told.release()

    looks = Automations(journal, {"shelf": Shelf()})
    stop = threading.Event()
    thread = threading.Thread(target=looks.attend, args=(stop, lambda: True))
    thread.start()
    try:
        room.declare(other, Automation(name="it", trigger=Trigger(event="go"), actions=(Notify("x", to="shelf"),)))
        for _ in range(5):
            emit(other, "go")
            assert told.acquire(timeout=60)
    finally:
        stop.set()
        looks.wake()
        thread.join(60)
    assert not thread.is_alive()
    journal.close()
    other.close()


def test_who_does_not_lead_does_nothing(tmp_path: Any) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    room.declare(journal, Automation(name="it", trigger=Trigger(event="go"), actions=(EmitEvent("said"),)))
    emit(journal, "go")
    asked = threading.Semaphore(0)
    stop = threading.Event()

    def leads() -> bool:
        asked.release()
        return False

    looks = Automations(journal, {})
    thread = threading.Thread(target=looks.attend, args=(stop, leads))
    thread.start()
    try:
        for _ in range(2):
            assert asked.acquire(timeout=60)
            looks.wake()
    finally:
        stop.set()
        looks.wake()
        thread.join(60)
    assert not journal.read(0, 100, ("AutomationFired",))
    journal.close()


# ------------------------------------------------------------------------------------------------ what tests hear
class _Slow(list[Any]):
    """A list that takes its time."""

    def append(self, each: Any) -> None:
        time.sleep(0.1)
        super().append(each)


def test_what_two_places_are_told_at_once_is_one_alert() -> None:
    heard = Heard(_Slow(), [])
    alerts = [alert(key=f"it/1/{place}") for place in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(heard.send, alerts))
    assert [each.message for each in heard.alerts] == ["it broke"]
