"""Triggers, filters, templates and checks: without a journal."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.automations import (
    Automation,
    Call,
    CancelRun,
    EmitEvent,
    Notify,
    PauseDeployment,
    ResumeDeployment,
    RunDeployment,
    Trigger,
)
from penstock.core.automations import as_data, checked, declared, of_data
from penstock.core.errors import BadAutomation
from penstock.core.triggers import (
    OWN,
    Firing,
    Met,
    begins,
    deadline_of,
    fits,
    group_of,
    is_over,
    passes,
    set_back,
    silence,
    step,
    stored_names,
    types_of,
    wanted_types,
)

S = 1_000_000
EVERY_ACTION = (
    RunDeployment("repair", {"run": "{run.id}", "days": [1, "{partition}"]}, ("automatic",)),
    PauseDeployment("{deployment}", "nightly"),
    ResumeDeployment("etl"),
    CancelRun(),
    EmitEvent("etl.broken", "{flow}", {"n": "{count}"}),
    Notify("{flow} failed", title="Oh", level="error", to="console"),
    Call("https://example.org/hook?x=1", timeout_seconds=3, attempts=2),
)


def automation(**changes: Any) -> Automation:
    return Automation(**{"name": "tell", "trigger": Trigger(event="RunFailed"), "actions": (Notify("x"),), **changes})


# ------------------------------------------------------------------------------------------------ declaring
def test_round_trip() -> None:
    made = automation(
        trigger=Trigger(
            event=["Run*", "orders.*"],  # type: ignore[arg-type]
            where={"flow": "etl", "tags": ["a", "!b"], "attempt": 2},  # type: ignore[dict-item]
            count=3,
            within_seconds=60,
            per=["flow"],  # type: ignore[arg-type]
            cool_down_seconds=5,
        ),
        actions=list(EVERY_ACTION),
        description="all of it",
        paused=True,
    )
    good = checked(made)
    assert good == of_data(as_data(made)) == of_data(as_data(good))
    assert good.trigger.event == ("Run*", "orders.*")
    assert good.actions == EVERY_ACTION


def test_a_table_of_pyproject() -> None:
    table = {
        "trigger": {
            **{"event": "RunFailed", "where": {"flow": "etl"}, "missing_seconds": 7200, "after": "RunStarted"},
            "per": "run.id",
        },
        "actions": [{"type": "notify", "message": "no {flow}"}, {"type": "cancel-run"}],
    }
    assert declared("tell", table) == automation(
        trigger=Trigger(
            event="RunFailed", where={"flow": "etl"}, missing_seconds=7200.0, after="RunStarted", per="run.id"
        ),
        actions=(Notify("no {flow}"), CancelRun()),
    )


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (5, "it is no table"),
        ({"trigger": {"event": "RunFailed"}}, "actions"),
        ({"trigger": {"event": 5}, "actions": []}, "trigger.event"),
        ({"trigger": {"event": "RunFailed"}, "actions": [{"type": "shout"}]}, "shout"),
        ({"trigger": {"event": "RunFailed", "wen": 1}, "actions": [{"type": "cancel-run"}]}, "trigger.wen"),
        ({"trigger": {"event": "RunFailed"}, "actions": [{"type": "cancel-run", "ru": 1}]}, r"actions\[0\].ru"),
        ({"trigger": {"event": "RunFailed"}, "actions": [{"type": "cancel-run"}], "name": "x"}, "name"),
    ],
)
def test_a_table_that_cannot_be(table: Any, told: str) -> None:
    with pytest.raises(BadAutomation, match=told):
        declared("tell", table)


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(BadAutomation) as caught:
        checked(
            Automation(
                name="a/b ",
                trigger=Trigger(event="RunFialed", where={"flwo": "x"}, count=0, within_seconds=-1, per="7", after="x"),
                actions=(Notify("{nothing}"), Call("ftp://x", attempts=0, timeout_seconds=0), EmitEvent("RunFailed")),
            )
        )
    places = [where for where, _ in caught.value.mistakes]
    assert places == [
        "name", "trigger.event", "trigger.after", "trigger.count", "trigger.within_seconds", "trigger.where",
        "trigger.per", "actions[0].message", "actions[1].url", "actions[1].timeout_seconds", "actions[1].attempts",
        "actions[2].event",
    ]  # fmt: skip
    assert "did you mean RunFailed?" in str(caught.value)
    assert "did you mean flow?" in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"trigger": Trigger(event=())},
        {"trigger": Trigger(event="")},
        {"trigger": Trigger(event="AutomationFired")},
        {"trigger": Trigger(event="RunFailed", within_seconds=5)},
        {"trigger": Trigger(event="RunFailed", count=2, missing_seconds=5)},
        {"trigger": Trigger(event="RunFailed", within_seconds=5, missing_seconds=5)},
        {"trigger": Trigger(event="RunFailed", count=1001)},
        {"trigger": Trigger(event="RunFailed", missing_seconds=float("nan"))},
        {"trigger": Trigger(event="RunFailed", missing_seconds=5), "actions": (CancelRun(),)},
        {
            "trigger": Trigger(event="RunFailed", missing_seconds=5, where={"flow": "e*"}),
            "actions": (Notify("{flow}"),),
        },
        {"trigger": Trigger(event="RunFailed", where={"flow": ()})},
        {"actions": ()},
        {"actions": (Notify("x"),) * 21},
        {"actions": (Notify("a {"),)},
        {"actions": (Notify("{run.id!r}"),)},
        {"actions": (Notify("{}"),)},
        {"actions": (Notify(" "),)},
        {"actions": (Notify("x", to=()),)},
        {"actions": (Notify("x", level="loud"),)},  # type: ignore[arg-type]
        {"actions": (RunDeployment(""),)},
        {"actions": (RunDeployment("x", {"a": [{"b": "{c"}]}),)},
        {"actions": (Call("http://"),)},
        {"actions": (Call("http://a b/"),)},
        {"actions": (Call("http://[x/"),)},
        {"actions": ("notify",)},
        {"trigger": "RunFailed"},
        {"name": 5},
        {"name": ""},
        {"name": "a\nb"},
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadAutomation):
        checked(automation(**changes))


# ------------------------------------------------------------------------------------------------ which events
def test_patterns_and_types() -> None:
    assert types_of("RunFailed") == {"RunFailed"}
    assert types_of("orders.imported") == {"Happened"}
    assert types_of("Happened") == {"Happened"}
    runs = types_of("Run*")
    assert {"RunFailed", "RunCreated", "Happened"} <= runs
    assert all(name.startswith("Run") or name == "Happened" for name in runs)
    everything = types_of("*")
    assert not any(name.startswith("Task") for name in everything)
    assert not everything & OWN
    assert types_of("*Failed") == {"RunFailed", "CheckFailed", "Happened"}
    assert types_of("Task*") >= {"TaskFailed", "TaskCompleted"}
    assert types_of("TaskFailed") == {"TaskFailed"}
    assert wanted_types(Trigger(event="RunFailed", after=("RunStarted", "a.b"))) == {
        *("RunFailed", "RunStarted", "Happened"),
    }
    assert set(stored_names()) >= OWN


@pytest.mark.parametrize(
    ("pattern", "stored", "name", "fit"),
    [
        ("RunFailed", "RunFailed", "RunFailed", True),
        ("Run*", "RunFailed", "RunFailed", True),
        ("Run?ailed", "RunFailed", "RunFailed", True),
        ("RunFailed", "RunCrashed", "RunCrashed", False),
        ("orders.*", "Happened", "orders.imported", True),
        ("orders.*", "Happened", "orders", False),
        ("Happened", "Happened", "orders.imported", True),
        ("*", "Happened", "orders.imported", True),
        ("*", "TaskFailed", "TaskFailed", False),
        ("TaskF*", "TaskFailed", "TaskFailed", True),
        ("RunFailed", "Happened", "RunFailed", False),
        ("*", "ActionEnded", "ActionEnded", False),
    ],
)
def test_what_fits_a_pattern(pattern: str, stored: str, name: str, fit: bool) -> None:
    assert fits((pattern,), stored, name) is fit


FACTS = {
    "event": "RunFailed",
    "flow": "etl",
    "tags": ["nightly", "big"],
    "attempt": 2,
    "late": True,
    "facts": {"rows": 17, "file": "a.csv"},
    "deployment": None,
}


@pytest.mark.parametrize(
    ("where", "passing"),
    [
        ({}, True),
        ({"flow": "etl"}, True),
        ({"flow": "e*"}, True),
        ({"flow": "E*"}, False),
        ({"flow": ("web", "etl")}, True),
        ({"flow": "!web"}, True),
        ({"flow": ("!e*", "etl")}, False),
        ({"flow": ("e*", "!etl-old")}, True),
        ({"tags": "big"}, True),
        ({"tags": "small"}, False),
        ({"tags": ("small", "n*")}, True),
        ({"tags": "!big"}, False),
        ({"attempt": 2}, True),
        ({"attempt": 2.0}, True),
        ({"attempt": "2"}, True),
        ({"attempt": 1}, False),
        ({"late": True}, True),
        ({"late": 1}, False),
        ({"late": "true"}, True),
        ({"facts.rows": 17}, True),
        ({"facts.file": "*.csv"}, True),
        ({"facts.none": "*"}, False),
        ({"facts.none": "!x"}, True),
        ({"deployment": "*"}, False),
        ({"tags.0": "nightly"}, True),
        ({"flow": "etl", "attempt": 3}, False),
    ],
)
def test_filters(where: dict[str, Any], passing: bool) -> None:
    assert passes(where, FACTS) is passing


def test_groups() -> None:
    assert group_of(Trigger(event="x"), FACTS) == ("[]", {})
    assert group_of(Trigger(event="x", per="flow"), FACTS) == ('["etl"]', {"flow": "etl"})
    key, values = group_of(Trigger(event="x", per=("facts.rows", "tags", "none")), FACTS)
    assert key == '[17,["nightly","big"],null]'
    assert values == {"facts.rows": 17, "tags": ["nightly", "big"], "none": None}
    long, _ = group_of(Trigger(event="x", per="flow"), {"flow": "z" * 5000})
    other, _ = group_of(Trigger(event="x", per="flow"), {"flow": "z" * 4999})
    assert len(long) == 40
    assert long != other


# ------------------------------------------------------------------------------------------------ firing
def play(trigger: Trigger, *seconds: float) -> list[int]:
    """The numbers (from 1) of the events that make it fire."""
    state, fired = None, []
    for position, at in enumerate(seconds, start=1):
        state, firings = step(trigger, state, Met(position, int(at * S), False, True))
        fired += [firing.position for firing in firings]
    return fired


@pytest.mark.parametrize(
    ("trigger", "seconds", "fired"),
    [
        (Trigger(event="x"), (1, 1, 5), [1, 2, 3]),
        (Trigger(event="x", count=3), (1, 2, 999, 1000, 1001, 1002), [3, 6]),
        (Trigger(event="x", count=3, within_seconds=10), (0, 5, 10), [3]),
        (Trigger(event="x", count=3, within_seconds=10), (0, 5, 10.001), []),
        (Trigger(event="x", count=3, within_seconds=10), (0, 5, 10.001, 12, 14, 15, 16), [4, 7]),
        (Trigger(event="x", cool_down_seconds=10), (0, 1, 9.9, 10, 11), [1, 4]),
        (Trigger(event="x", count=2, cool_down_seconds=10), (0, 1, 2, 3, 11, 12), [2, 6]),
        (Trigger(event="x", missing_seconds=10), (0, 10, 20.001, 30), [2]),
        (Trigger(event="x", missing_seconds=5, cool_down_seconds=20), (0, 6, 12, 18, 40), [1, 4]),
    ],
)
def test_when_it_fires(trigger: Trigger, seconds: tuple[float, ...], fired: list[int]) -> None:
    assert play(trigger, *seconds) == fired


def test_what_is_remembered_stays_small() -> None:
    state = None
    trigger = Trigger(event="x", count=5, within_seconds=1)
    for number in range(1000):
        state, _ = step(trigger, state, Met(number, number * S // 2, False, True))
        assert state is None or len(state["times"]) < 5


def test_a_clock_that_jumps_ahead_and_back_does_no_harm() -> None:
    assert play(Trigger(event="x", count=2, within_seconds=10), 0, 86_400, 5, 6) == [3]
    assert play(Trigger(event="x", cool_down_seconds=10), 86_400, 5, 6) == [1, 2], "it does not rest for a day"
    assert play(Trigger(event="x", cool_down_seconds=10), 20, 11, 12, 29, 30) == [1, 5], "clocks differ a little"
    assert play(Trigger(event="x", missing_seconds=10), 100, 50, 55) == []
    waits = {"position": 1, "since": 86_400 * S, "cool": 86_405 * S}
    trigger = Trigger(event="x", missing_seconds=10, cool_down_seconds=5)
    assert set_back(trigger, waits, 86_395 * S) is None
    assert set_back(trigger, waits, 5 * S) == {"position": 1, "since": 5 * S}
    assert deadline_of(trigger, {"position": 1, "since": 5 * S, "cool": 86_400 * S}) == 15 * S


def test_a_silence_fires_once() -> None:
    trigger = Trigger(event="x", missing_seconds=10)
    state = begins(trigger, 7, 0)
    assert state == {"position": 7, "since": 0}
    assert silence(trigger, state, 10 * S) is None
    over = silence(trigger, state, 10 * S + 1)
    assert over is not None
    assert [(firing.position, firing.since, firing.at, firing.events) for firing in over.firings] == [(7, 0, 10 * S, 0)]
    assert over.state is None
    assert begins(Trigger(event="x", missing_seconds=10, per="flow"), 7, 0) is None
    assert begins(Trigger(event="x", missing_seconds=10, after="y"), 7, 0) is None


def test_what_has_to_come_after_something() -> None:
    trigger = Trigger(event="x", after="y", missing_seconds=10)
    assert step(trigger, None, Met(1, 0, False, True)) == (None, [])
    opened = step(trigger, None, Met(2, 1 * S, True, False)).state
    assert opened == {"position": 2, "since": 1 * S}
    assert step(trigger, opened, Met(3, 5 * S, True, False)).state == opened, "the first one counts"
    assert step(trigger, opened, Met(3, 5 * S, False, True)).state is None
    late = step(trigger, opened, Met(4, 12 * S, False, True))
    assert [firing.position for firing in late.firings] == [2]
    assert late.state is None
    assert deadline_of(trigger, opened) == 11 * S


def test_what_follows_something() -> None:
    trigger = Trigger(event="x", after="y")
    assert step(trigger, None, Met(1, 0, False, True)) == (None, [])
    armed = step(trigger, None, Met(2, 1 * S, True, False)).state
    assert armed == {"position": 2, "followed": 1 * S}
    assert step(trigger, armed, Met(3, 5 * S, True, False)).state == armed, "the first one counts"
    fires = step(trigger, armed, Met(4, 6 * S, False, True))
    assert fires == (None, [Firing(4, 1 * S, 6 * S, 1)])
    assert not is_over(trigger, armed or {}, 10**18)
    both = step(trigger, armed, Met(5, 7 * S, True, True))
    assert both == ({"position": 5, "followed": 7 * S}, [Firing(5, 1 * S, 7 * S, 1)])


def test_what_follows_something_rests_when_it_has_fired() -> None:
    trigger = Trigger(event="x", after="y", cool_down_seconds=10)
    armed = step(trigger, None, Met(1, 0, True, False)).state
    fires = step(trigger, armed, Met(2, 1 * S, False, True))
    assert fires == ({"position": 2, "cool": 11 * S}, [Firing(2, 0, 1 * S, 1)])
    again = step(trigger, fires.state, Met(3, 2 * S, True, False)).state
    assert again == {"position": 3, "followed": 2 * S, "cool": 11 * S}
    rests = step(trigger, again, Met(4, 3 * S, False, True))
    assert rests == ({"position": 4, "cool": 11 * S}, []), "what happens meanwhile does not count"
    later = step(trigger, rests.state, Met(5, 12 * S, True, False)).state
    assert later == {"position": 5, "followed": 12 * S}
    assert len(step(trigger, later, Met(6, 13 * S, False, True)).firings) == 1


@pytest.mark.parametrize("wrong", [{"count": 2}, {"within_seconds": 5, "count": 2}], ids=str)
def test_what_follows_something_counts_nothing(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadAutomation, match=r"trigger\.after: it cannot be had together with count"):
        checked(Automation(name="a", trigger=Trigger(event="x", after="y", **wrong), actions=(Notify("x"),)))


def test_what_is_over_can_be_forgotten() -> None:
    trigger = Trigger(event="x", count=3, within_seconds=10, cool_down_seconds=5)
    assert not is_over(trigger, {"times": [0, 5 * S]}, 10 * S)
    assert is_over(trigger, {"times": [0, 5 * S]}, 15 * S + 1)
    assert not is_over(trigger, {"cool": 9}, 8)
    assert is_over(trigger, {"cool": 9}, 9)
    assert not is_over(Trigger(event="x", count=3), {"times": [0]}, 10**18)
    assert not is_over(Trigger(event="x", missing_seconds=1), {"since": 0}, 10**18)
