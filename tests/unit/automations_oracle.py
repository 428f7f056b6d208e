"""What automations must do, by a second way that knows nothing of cursors, memory and commits.

A history of things that happen, clocks that move, evaluators that turn, die and come back is played on a journal. Then
the whole journal is looked at once, and every firing that follows from it is worked out afresh from lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from penstock.core.automations import Automation, EmitEvent, Trigger
from penstock.core.clock import Clock, clock_of
from penstock.core.errors import JournalUnavailable
from penstock.core.events import Stored
from penstock.core.plans import ActionEnded, AutomationDeclared, AutomationDeleted, AutomationFired, Happened
from penstock.core.ports import Journal
from penstock.orchestrator import automations
from penstock.orchestrator.automations import Automations
from penstock.orchestrator.emitting import emit
from penstock.testing.faults import Fault, FaultyJournal, fail_with

SECOND = 1_000_000
START = 1_767_225_600 * SECOND
NAMES = ("one", "two")


class HandClock(Clock):
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> int:
        return self.at


Test = Callable[[Happened], bool]


class Kind(NamedTuple):
    """A trigger, and the same in plain Python: what counts, what opens, and which group it is of."""

    trigger: Trigger
    counts: Test
    opens: Test = lambda event: False
    group: Callable[[Happened], Any] = lambda event: None


def _a(event: Happened) -> bool:
    return event.name in ("a.x", "a.y")


def _n(number: int) -> Test:
    return lambda event: event.facts["n"] == number


KINDS = (
    Kind(Trigger(event="a.x"), lambda e: e.name == "a.x"),
    Kind(Trigger(event="a.*", count=3), _a),
    Kind(Trigger(event="a.*", count=3, within_seconds=10), _a),
    Kind(Trigger(event="a.*", count=2, within_seconds=5, per="about"), _a, group=lambda e: e.about),
    Kind(
        Trigger(event=("a.x", "b"), where={"facts.n": 1}, cool_down_seconds=3), lambda e: e.name != "a.y" and _n(1)(e)
    ),
    Kind(Trigger(event="a.*", where={"about": "!p"}, count=2, cool_down_seconds=3), lambda e: _a(e) and e.about != "p"),
    Kind(Trigger(event="b", missing_seconds=10), lambda e: e.name == "b"),
    Kind(Trigger(event="b", missing_seconds=4, cool_down_seconds=20), lambda e: e.name == "b"),
    Kind(Trigger(event="a.*", missing_seconds=6, per=("about",)), _a, group=lambda e: e.about),
    Kind(
        Trigger(event="a.y", after="a.x", missing_seconds=8, per=("about", "facts.n")),
        lambda e: e.name == "a.y",
        lambda e: e.name == "a.x",
        lambda e: (e.about, e.facts["n"]),
    ),
    Kind(Trigger(event="a.*", after="a.x", missing_seconds=5), _a, lambda e: e.name == "a.x"),
)

ACTION = EmitEvent(event="done.{automation}", about="{firing}")

events = st.tuples(
    st.just("emit"), st.sampled_from(("a.x", "a.y", "b")), st.sampled_from(("p", "q")), st.integers(1, 2)
)
moves = st.tuples(st.just("advance"), st.sampled_from((1, 2, 3, 5, 8, 13)))
turns = st.tuples(st.just("turn"), st.integers(0, 2))
restarts = st.tuples(st.just("restart"), st.integers(0, 2))
deaths = st.tuples(
    st.sampled_from(("die", "stumble")), st.integers(0, 2), st.sampled_from(("before", "after")), st.integers(1, 3)
)
plans = st.tuples(
    st.sampled_from(("declare", "declare", "pause", "unpause", "delete")),
    st.sampled_from(NAMES),
    st.integers(0, len(KINDS) - 1),
)
meddling = st.tuples(st.just("meddle"), st.integers(0, 2), st.one_of(turns, turns, events, plans), st.integers(1, 20))
some = st.one_of(*([events] * 8), *([moves] * 4), *([turns] * 2), meddling, meddling, restarts, deaths, plans)
histories = st.builds(
    lambda one, two, rest: [("declare", "one", one), ("declare", "two", two), *rest],
    st.integers(0, len(KINDS) - 1),
    st.integers(0, len(KINDS) - 1),
    st.lists(some, min_size=30, max_size=100),
)


class Meddled(FaultyJournal):
    """A journal in which somebody else does something at a certain call.

    Attributes:
        left: how many calls there are until then.
        meddle: what they do.
    """

    left = 0
    meddle: Callable[[], Any] | None = None

    def __getattribute__(self, name: str) -> Any:
        if name in CALLS and self.left:
            self.left -= 1
            if not self.left and self.meddle is not None:
                self.meddle()
        return super().__getattribute__(name)


CALLS = frozenset(
    {"head", "read", "cursor", "remembered", "last_seq", "settled", "owed_actions", "commit", "append", "automations"}
)


class Play:
    """Plays a history on a journal, with three evaluators that know nothing of each other."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.clock = HandClock()
        self.at_work = [self._new() for _ in range(3)]

    def _new(self, fault: Fault | None = None) -> Automations:
        return Automations(Meddled(self.journal, fault), {})

    def play(self, history: list[tuple[Any, ...]]) -> None:
        with clock_of(self.clock):
            for do, *what in history:
                getattr(self, do)(*what)
            for _ in range(200):  # a turn is bounded
                before = self.journal.head()
                self.turn(0)
                if self.journal.head() == before:
                    return
        raise AssertionError("it never comes to rest")

    def emit(self, name: str, about: str, number: int) -> None:
        emit(self.journal, name, about, {"n": number})

    def advance(self, seconds: int) -> None:
        self.clock.at += seconds * SECOND

    def turn(self, which: int) -> None:
        self.at_work[which].turn(self.clock.at)

    def restart(self, which: int) -> None:
        self.at_work[which] = self._new()

    def die(self, which: int, when: Any, at: int) -> None:
        self.stumble(which, when, at)
        self.restart(which)

    def stumble(self, which: int, when: Any, at: int) -> None:
        """One of its next commits fails, or seems to."""
        journal: Any = self.at_work[which].evaluator.journal
        journal.fault = Fault(journal.appends + at, when, fail_with(JournalUnavailable("nothing answers")))
        for _ in range(at):
            try:
                self.turn(which)
            except JournalUnavailable:
                break
        journal.fault = None

    def meddle(self, which: int, what: tuple[Any, ...], at: int) -> None:
        """Another one takes its turn, or something happens, in the middle of this one's turn."""
        journal: Any = self.at_work[which].evaluator.journal
        do, *how = what
        if do == "turn" and how == [which]:
            return
        journal.left, journal.meddle = at, lambda: getattr(self, do)(*how)
        self.turn(which)
        journal.left = 0

    def declare(self, name: str, kind: int) -> None:
        automations.declare(
            self.journal, Automation(name=name, trigger=KINDS[kind].trigger, actions=(ACTION,), description=str(kind))
        )

    def pause(self, name: str, kind: int) -> None:
        self._if_there(automations.pause, name)

    def unpause(self, name: str, kind: int) -> None:
        self._if_there(automations.unpause, name)

    def delete(self, name: str, kind: int) -> None:
        self._if_there(automations.delete, name)

    def _if_there(self, do: Callable[[Journal, str], Any], name: str) -> None:
        if self.journal.automations(name):
            do(self.journal, name)


class Life(NamedTuple):
    """An automation that is active, from a declaration until it is changed."""

    kind: Kind
    start: Stored
    position_end: float
    end: int


def lives_of(name: str, records: list[Stored], now: int) -> list[Life]:
    found: list[Life] = []
    current: tuple[Kind, Stored] | None = None
    for stored in records:
        event = stored.event
        if not isinstance(event, (AutomationDeclared, AutomationDeleted)) or event.name != name:
            continue
        active = isinstance(event, AutomationDeclared) and not event.paused
        kind = KINDS[int(event.spec["description"])] if isinstance(event, AutomationDeclared) and active else None
        if current is not None and kind is not None and current[0].trigger == kind.trigger:
            continue
        if current is not None:
            found.append(Life(*current, stored.position, event.at))
        current = (kind, stored) if kind is not None else None
    if current is not None:
        found.append(Life(*current, float("inf"), now))
    return found


def expected(records: list[Stored], now: int) -> Counter[str]:
    """The ids of all firings there must be."""
    found: Counter[str] = Counter()
    for name in NAMES:
        for life in lives_of(name, records, now):
            for position in _firings(life, records):
                found[f"{name}/{position}"] += 1
    return found


def _firings(life: Life, records: list[Stored]) -> list[int]:
    kind, trigger = life.kind, life.kind.trigger
    groups: dict[Any, list[Stored]] = {}
    for stored in records:
        event = stored.event
        if not life.start.position < stored.position < life.position_end or not isinstance(event, Happened):
            continue
        if event.name.startswith("done.") or not (kind.counts(event) or kind.opens(event)):
            continue
        groups.setdefault(kind.group(event), []).append(stored)
    if trigger.missing_seconds is None:
        return [position for met in groups.values() for position in _counted(trigger, met)]
    if not trigger.after and not trigger.per:
        groups.setdefault(None, [])
        groups[None].insert(0, life.start)
    return [position for met in groups.values() for position in _missed(life, met)]


def _counted(trigger: Trigger, met: list[Stored]) -> list[int]:
    within = (trigger.within_seconds or 10**9) * SECOND
    cool = (trigger.cool_down_seconds or 0) * SECOND
    used: set[int] = set()
    fired: list[int] = []
    quiet_until = 0.0
    for last in range(len(met)):
        if met[last].event.at < quiet_until:
            used.add(last)
            continue
        open_ = [i for i in range(last + 1) if i not in used and met[last].event.at - met[i].event.at <= within]
        if len(open_) == trigger.count:
            used |= set(range(last + 1))
            fired.append(met[last].position)
            quiet_until = met[last].event.at + cool if cool else 0.0
    return fired


def _missed(life: Life, met: list[Stored]) -> list[int]:
    kind, trigger = life.kind, life.kind.trigger
    assert trigger.missing_seconds is not None
    patience = int(trigger.missing_seconds * SECOND)
    cool = int((trigger.cool_down_seconds or 0) * SECOND)
    fired: list[int] = []
    quiet_until = 0
    place = 0
    while place < len(met):
        first = met[place]
        if trigger.after and not kind.opens(first.event):  # type: ignore[arg-type]
            place += 1
            continue
        deadline = max(first.event.at + patience, quiet_until)
        ends = [i for i in range(place + 1, len(met)) if met[i].event.at > deadline or kind.counts(met[i].event)]  # type: ignore[arg-type]
        at_end = met[ends[0]].event.at if ends else life.end
        if at_end > deadline:
            fired.append(first.position)
            quiet_until = deadline + cool if cool else 0
        place = ends[0] if ends else len(met)
    return fired


def check(journal: Journal, now: int, records: list[Stored]) -> Counter[str]:
    """Every firing that must be is there once, and so is what it has done."""
    fired = Counter(s.event.id for s in records if isinstance(s.event, AutomationFired))
    assert fired == expected(records, now)
    done = Counter(s.event.about for s in records if isinstance(s.event, Happened) and s.event.name.startswith("done."))
    ended = [s.event for s in records if isinstance(s.event, ActionEnded)]
    assert done == fired
    assert Counter(event.id for event in ended) == fired
    assert not [event.error for event in ended if event.error]
    assert journal.owed_actions(now + 10**15, False) == []
    return fired
