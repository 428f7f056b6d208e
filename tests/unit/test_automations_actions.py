"""What firings do inside the journal; hostile texts, crowds, and large events."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.automations_world import deploy, ended, fails, found, on, opened, works

from penstock.automations import (
    Automation,
    CancelRun,
    EmitEvent,
    Notify,
    PauseDeployment,
    ResumeDeployment,
    RunDeployment,
    Trigger,
)
from penstock.core.errors import BadAutomation
from penstock.core.events import Append, Event, Record, RunCancelRequested
from penstock.core.plans import (
    ActionEnded,
    AutomationFired,
    AutomationMatched,
    Happened,
)
from penstock.core.triggers import MOST_GROUPS
from penstock.events import emit_event
from penstock.journal import MemoryJournal
from penstock.journal.sqlite import SqliteJournal
from penstock.orchestrator import automations as room
from penstock.orchestrator.automations import Automations
from penstock.orchestrator.emitting import emit
from penstock.orchestrator.evaluator import Evaluator
from penstock.orchestrator.services import run_deployment


def test_a_run_with_facts_in_its_parameters() -> None:
    with opened() as world:
        deploy(world, "works", "fails")
        on(
            "RunFailed",
            RunDeployment(
                "works", {"word": "{flow}: {message}", "number": "{count}", "many": ["{run.id}"]}, ("{flow}",)
            ),
            where={"deployment": "fails"},
            count=2,
        )
        first, second = (run_deployment("fails", {"word": f"{n}"}, timeout=0) for n in (1, 2))
        world.run(minutes=1)
        (made,) = world.runs(flow="works")
        assert made.cause == "automation"
        assert made.tags == ("fails",)
        assert made.parameters["number"] == 2
        assert made.parameters["many"][0] in (first.id, second.id)
        assert "ValueError: no" in made.parameters["word"]
        assert made.state == "Completed"
        assert found(world, ActionEnded)[0].facts == {"run": made.id}


def test_a_deployment_is_paused_and_resumed() -> None:
    with opened() as world:
        world.deploy(fails.to_deployment("fails", cron="* * * * *"))
        on("RunFailed", PauseDeployment("{deployment}"), count=3)
        on("go", ResumeDeployment("fails"), name="again")
        world.run(minutes=10)
        assert len(world.runs()) == 3
        assert world.app.journal.deployments("fails")[0].paused
        emit_event("go")
        world.run(minutes=10)
        assert len(world.runs()) == 6
        (schedule,) = world.app.journal.deployments("fails")[0].schedules
        on("go", PauseDeployment("fails", schedule.name), PauseDeployment("fails", "none"), name="one")
        emit_event("go")
        world.settle()
        assert ended(world)[-1] == "The deployment 'fails' has no schedule 'none'."


def test_a_run_is_cancelled() -> None:
    with opened() as world:
        deploy(world, "works")
        waits = run_deployment("works", timeout=0, scheduled_time=None)
        journal = world.app.journal
        on("stop", CancelRun("{facts.run}", reason="because of {event}"))
        emit_event("stop", run=waits.id)
        emit_event("stop", run=waits.id)
        emit_event("stop", run="no-such-run")
        world.automations.settle(world.clock.now())
        cancelled = journal.run(waits.id)
        assert cancelled is not None
        assert (cancelled.state, cancelled.message) == ("Cancelled", "because of stop")
        assert ended(world) == [None, None, "There is no run 'no-such-run'."]


def test_a_run_that_is_executed_is_asked_to_stop(tmp_path: Any) -> None:
    from penstock.testing.samples import begin_run

    journal = SqliteJournal(tmp_path / "journal.db")
    run_id = begin_run(journal)
    room.declare(journal, Automation(name="stop", trigger=Trigger(event="stop"), actions=(CancelRun("{about}"),)))
    emit(journal, "stop", run_id)
    looks = Automations(journal, {})
    looks.settle()
    (asked,) = [s.event for s in journal.load(run_id) if isinstance(s.event, RunCancelRequested)]
    assert asked.reason == "The automation stop cancelled it."
    journal.close()


def test_a_deadline_that_is_missed() -> None:
    with opened() as world:
        world.deploy(works.to_deployment("works", cron="0 0 2 1 *", promises={"fresh_seconds": 3600}))
        on("DeadlineMissed", Notify("{deployment} is not fresh: {promise}"), where={"promise": "fresh"})
        world.run(hours=3)
        assert {alert.message for alert in world.alerts} == {"works is not fresh: fresh"}


def test_no_success_for_two_hours() -> None:
    with opened() as world:
        world.deploy(fails.to_deployment("fails", cron="*/10 * * * *"))
        tell = Notify("{flow}: no {missing.event} since {since}")
        on("RunCompleted", tell, missing_seconds=7200, where={"flow": "fails", "tags": "!x"})
        world.run(hours=1, minutes=59)
        assert world.alerts == []
        world.run(minutes=2)
        assert [alert.message[:28] for alert in world.alerts] == ["fails: no RunCompleted since"]
        world.run(hours=10)
        assert len(world.alerts) == 1, "it was told once"


# ------------------------------------------------------------------------------------------------ hostile, many, large
@pytest.mark.parametrize("text", ["{0.__class__}", "{flow!r}", "{flow:>99999999}", "{{{0}}}", "{flow[0]}", "{}"])
def test_texts_that_would_look_inside_python_are_refused(text: str) -> None:
    with opened(), pytest.raises(BadAutomation, match=r"actions\[0\].facts"):
        on("go", EmitEvent("said", facts={"text": text}))


@pytest.mark.parametrize("text", ["{flow.__class__.__mro__}", "{facts.__init__.__globals__}", "{facts.keys}"])
def test_names_of_python_are_no_facts(text: str) -> None:
    with opened() as world:
        on("go", EmitEvent("said", facts={"text": text}))
        emit_event("go")
        world.settle()
        assert ended(world) == [f"There is no fact {text[1:-1]!r}."]


def test_what_an_event_tells_is_never_a_template() -> None:
    with opened() as world:
        on("go", EmitEvent("said", facts={"text": "{facts.word}"}))
        emit_event("go", word="{run.id} {0.__class__} {")
        world.settle()
        assert [each.facts for each in found(world, Happened)][-1] == {"text": "{run.id} {0.__class__} {"}


def test_a_fact_that_is_missing_is_told_and_holds_up_nothing() -> None:
    with opened() as world:
        on("go", EmitEvent("said", facts={"x": "{facts.none}"}), EmitEvent("said", facts={"x": 1}))
        emit_event("go")
        world.settle()
        assert ended(world) == ["There is no fact 'facts.none'.", None]


def test_facts_do_not_grow_from_event_to_event() -> None:
    with opened() as world:
        on("grow", EmitEvent("grow", facts={"a": "{facts}", "b": "{facts}"}))
        emit_event("grow", text="x" * 10_000)
        world.settle()
        assert "there is room for" in str(ended(world)[-1])


def test_an_event_with_a_megabyte_of_facts() -> None:
    """Nobody can emit one; another version may have."""
    with opened() as world:
        event = Happened(at=world.clock.now(), name="go", facts={"text": "x" * 1_000_000, "n": 1})
        world.app.journal.append("event/large", 0, [Record(event)])
        on("go", EmitEvent("said", facts={"text": "{facts.text}"}), EmitEvent("said", facts={"n": "{facts.n}"}))
        world.app.journal.append("event/large", 1, [Record(event)])
        world.settle()
        assert "there is room for" in str(ended(world)[0])
        assert ended(world)[1] is None


def test_many_groups() -> None:
    journal = MemoryJournal()
    wanted = Trigger(event="order", count=2, per="about")
    room.declare(journal, Automation(name="twice", trigger=wanted, actions=(EmitEvent("again", about="{about}"),)))
    many = MOST_GROUPS + MOST_GROUPS // 10
    _append(journal, [Happened(at=n, name="order", about=f"o{n}") for n in range(many)])
    _turned(Evaluator(journal))
    assert len(journal.remembered("twice")) == MOST_GROUPS + 1, "those that were met longest ago are forgotten"
    _append(journal, [Happened(at=many, name="order", about=f"o{n}") for n in (0, many - 1)])
    again = Evaluator(journal)
    _turned(again)
    fired = [s.event for s in journal.read(0, 100_000, ("AutomationFired",))]
    assert [event.facts["about"] for event in fired if isinstance(event, AutomationFired)] == [f"o{many - 1}"]


def _append(journal: MemoryJournal, events: list[Event]) -> None:
    stream = f"event/{journal.head()}"
    journal.commit([Append(stream, 0, [Record(event) for event in events])])


def _turned(evaluator: Evaluator) -> None:
    evaluator.turn(0)
    while evaluator.behind:
        evaluator.turn(0)


def test_what_is_read_without_effect_is_not_written() -> None:
    journal = MemoryJournal()
    room.declare(journal, Automation(name="a", trigger=Trigger(event="a"), actions=(Notify("x"),)))
    evaluator = Evaluator(journal)
    evaluator.turn(0)
    written = len(journal.read(0, 1000))
    _append(journal, [Happened(at=1, name="b") for _ in range(500)])
    evaluator.turn(0)
    assert not [
        s for s in journal.read(0, 10_000)[written:] if isinstance(s.event, (AutomationMatched, AutomationFired))
    ]


def test_how_far_it_has_read_is_noted_once_when_nothing_happens_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = MemoryJournal()
    room.declare(journal, Automation(name="a", trigger=Trigger(event="a"), actions=(Notify("x"),)))
    evaluator = Evaluator(journal)
    evaluator.turn(0)
    _append(journal, [Happened(at=1, name="b")])
    for now in (5_000_000, 9_999_999):
        evaluator.turn(now)
        assert journal.cursor("automations") < journal.head()
    evaluator.turn(10_000_000)
    assert journal.cursor("automations") == journal.head()

    def refuse(*given: Any) -> None:
        raise AssertionError("there is nothing to note")

    monkeypatch.setattr(journal, "commit", refuse)
    for now in range(10_000_000, 100_000_000, 5_000_000):
        evaluator.turn(now)
