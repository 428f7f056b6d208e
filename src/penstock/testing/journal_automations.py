"""What a journal must do for those that follow its events, automations above all."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

import msgspec

from penstock.core.errors import SequenceConflict
from penstock.core.events import Append, Record
from penstock.core.ids import new_run_id
from penstock.core.model import OwedAction, RememberedGroup
from penstock.core.plans import (
    ActionEnded,
    ActionTried,
    AutomationDeclared,
    AutomationFired,
    AutomationMatched,
    Owed,
    stream_of,
)
from penstock.core.ports import Journal
from penstock.testing.openings import Openings
from penstock.testing.samples import created, happened, refused, started, task_completed

_STREAM = stream_of("automation", "tell")


class FollowerDuties(Openings):
    """Reading some kinds of events, forwards and backwards; what automations remember, and what they owe."""

    def test_only_events_of_some_types_are_read(self) -> None:
        journal = self.opened()
        run_id = new_run_id()
        journal.append(run_id, 0, [created(), started(), *(task_completed(number) for number in range(1, 40))])
        journal.append("event/a", 0, [happened("one"), happened("two")])
        everything = self.settled(journal, 0, 43)
        wanted = [stored for stored in everything if stored.event.stored in ("RunCreated", "Happened")]
        other = self.again(journal)
        assert len(wanted) == 3
        assert other.read(0, 10, ("Happened", "RunCreated")) == wanted
        assert other.read(0, 2, ("Happened", "RunCreated")) == wanted[:2]
        assert other.read(wanted[0].position, 10, ["Happened"]) == wanted[1:]
        assert other.read(0, 10, ("NoSuchEvent",)) == []

    def test_events_are_read_backwards(self) -> None:
        journal = self.opened()
        journal.append("event/a", 0, [happened(f"{number}") for number in range(20)])
        journal.append(new_run_id(), 0, [created()])
        everything = self.settled(journal, 0, 21)
        other = self.again(journal)
        assert other.read_back() == everything[::-1]
        assert other.read_back(limit=3) == everything[:-4:-1]
        assert other.read_back(everything[5].position, 3) == everything[4:1:-1]
        assert other.read_back(None, 2, ["Happened"]) == everything[19:17:-1]
        assert other.read_back(everything[0].position) == []

    def test_a_journal_in_which_nothing_is_under_way_is_settled(self) -> None:
        journal = self.opened()
        journal.append("event/a", 0, [happened("one")])
        self.settled(journal, 0, 1)
        assert journal.settled()

    def test_what_automations_remember(self) -> None:
        journal = self.opened()
        journal.append(_STREAM, 0, [_matched({"a": {"times": [1, 2]}, "b": {"since": 3}, "": {"spec": {"zoë": [1]}}})])
        journal.append("automation/other", 0, [Record(AutomationMatched(at=1, name="other", groups={"a": {}}))])
        journal.append(_STREAM, 1, [_matched({"a": None, "b": {"since": 4}, "none": None})])
        found = self.again(journal).remembered("tell")
        assert sorted(found, key=lambda each: each.group) == [
            RememberedGroup(automation="tell", group="", state={"spec": {"zoë": [1]}}),
            RememberedGroup(automation="tell", group="b", state={"since": 4}),
        ]
        assert len(journal.remembered()) == 3

    def test_what_firings_owe(self) -> None:
        journal = self.opened()
        inside, outside = Owed({"type": "emit-event", "event": "zoë"}), Owed({"type": "notify"}, True)
        late = AutomationFired(at=20, name="tell", id="tell/2", position=2, actions=(outside,), chain=(5, 20))
        both = AutomationFired(at=10, name="tell", id="tell/9", position=9, facts={"n": 1}, actions=(inside, outside))
        early = AutomationFired(at=10, name="tell", id="tell/8", position=8, actions=(inside,))
        journal.append(_STREAM, 0, [Record(late), Record(both), Record(early)])
        other = self.again(journal)
        assert [each.firing for each in other.owed_actions(10, False)] == ["tell/8", "tell/9"]
        assert other.owed_actions(9, False) == other.owed_actions(9, True) == []
        assert [each.firing for each in other.owed_actions(99, True)] == ["tell/9", "tell/2"]
        assert [each.firing for each in other.owed_actions(99, True, 1)] == ["tell/9"]
        assert [each.firing for each in other.owed_actions(99, True, 1, ["none", "other"])] == ["tell/9"]
        assert other.owed_actions(99, True, 1, ["other", "tell"]) == []
        assert other.owed_actions(99, True)[0] == OwedAction(
            firing="tell/9",
            action=1,
            automation="tell",
            do={"type": "notify"},
            facts={"n": 1},
            fired_at=10,
            chain=(),
            due_at=10,
            lane="tell",
        )
        assert other.owed_actions(99, True)[1].chain == (5, 20)

    def test_what_is_owed_later_and_in_another_lane(self) -> None:
        journal = self.opened()
        owed = (Owed({"type": "notify"}, True, lane="alerts/x"), Owed({"type": "notify"}, True, 50, "alerts/y"))
        fired = AutomationFired(at=10, name="tell", id="tell/1", position=1, actions=owed)
        journal.append(_STREAM, 0, [Record(fired), _fired("tell/2")])
        other = self.again(journal)
        assert [each.lane for each in other.owed_actions(49, True)] == ["tell", "alerts/x"]
        assert [each.lane for each in other.owed_actions(50, True, but_of=["tell"])] == ["alerts/x", "alerts/y"]
        assert [each.due_at for each in other.owed_actions(99, True, lane="alerts/y")] == [50]
        assert other.owed_actions(99, True, but_of=["alerts/y"], lane="alerts/y") == []

    def test_an_action_that_is_tried_and_ends(self) -> None:
        journal = self.opened()
        journal.append(_STREAM, 0, [_fired("tell/1")])
        (owed,) = journal.owed_actions(99, True)
        stream = "action/tell/1/0"
        journal.append(stream, 0, [_tried(attempt=1, due_at=50)])
        begun = msgspec.structs.replace(owed, attempt=1, under_way=True, due_at=50)
        assert self.again(journal).owed_actions(99, True) == [begun]
        assert journal.owed_actions(49, True) == []
        journal.append(stream, 1, [_tried(attempt=1, due_at=60, error="no route"), _tried(attempt=2, due_at=90)])
        again = msgspec.structs.replace(owed, attempt=2, under_way=True, due_at=90)
        assert journal.owed_actions(99, True) == [again]
        ended = Record(ActionEnded(at=9, name="tell", id="tell/1", action=0))
        with refused(SequenceConflict):
            journal.append(stream, 2, [ended])
        assert journal.owed_actions(99, True) == [again]
        journal.append(stream, 3, [ended])
        assert self.again(journal).owed_actions(99, True) == []

    def test_a_firing_what_it_remembers_and_the_step_are_one_commit(self) -> None:
        journal = self.opened()
        declared = Record(AutomationDeclared(at=1, name="tell", spec={}))
        journal.append(_STREAM, 0, [declared])
        journal.commit([Append(_STREAM, 1, [_matched({"a": {"n": 1}}), _fired("tell/1")])], ("automations", 0, 7))
        other = self.again(journal)
        before = _everything(other)
        for appends, cursor in (
            ([Append(_STREAM, 3, [_matched({"a": None}), _fired("tell/2")])], ("automations", 6, 9)),
            ([Append(_STREAM, 2, [_matched({"a": None}), _fired("tell/2")])], ("automations", 7, 9)),
        ):
            with refused(SequenceConflict):
                other.commit(appends, cursor)
        assert _everything(other) == _everything(journal) == before
        assert journal.automations("tell")[0].fired_at == 5


def _everything(journal: Journal) -> list[object]:
    return [
        journal.remembered(),
        journal.owed_actions(99, True),
        journal.cursor("automations"),
        journal.last_seq(_STREAM),
    ]


def _matched(groups: dict[str, dict[str, object] | None]) -> Record:
    return Record(AutomationMatched(at=1, name="tell", groups=groups))


def _fired(firing: str) -> Record:
    position = int(firing.rpartition("/")[2])
    owed = (Owed({"type": "notify"}, True),)
    return Record(AutomationFired(at=5, name="tell", id=firing, position=position, actions=owed))


def _tried(attempt: int, due_at: int, error: str | None = None) -> Record:
    return Record(ActionTried(at=6, name="tell", id="tell/1", action=0, attempt=attempt, due_at=due_at, error=error))
