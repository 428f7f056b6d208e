"""Actions that leave the journal: alerts, and calls to URLs. They are done at least once.

An attempt is recorded before it begins, and that it failed afterwards. What was begun and not heard of again (its
process died) is tried again when its time is over, as often as what failed. Each attempt has a thread of its own. Of a
channel there is one at a time, and of an automation's calls a few, so that a server which does not answer holds up
nobody but those who need it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from penstock.core.alerting import LANE
from penstock.core.automations import Call, Notify, action_of, several
from penstock.core.errors import PenstockError, SequenceConflict
from penstock.core.events import Append, Event, Record, now_us
from penstock.core.model import OwedAction
from penstock.core.plans import ActionEnded, ActionTried
from penstock.core.ports import Alerts, Journal
from penstock.core.sending import Hopeless, Unanswered
from penstock.orchestrator.calls import Send, call
from penstock.orchestrator.routing import DIGEST
from penstock.orchestrator.silences import Silences
from penstock.orchestrator.telling import alert_of, combined

_log = logging.getLogger("penstock.automations")
SLOTS = 16
OF_EACH = 4
_ALERT_ATTEMPTS = 5
CHANNEL_ATTEMPTS = 20
_ALERT_SECONDS = 30.0
_GRACE_SECONDS = 30.0
_LONGEST_PAUSE = 300
_CHANNEL_REST = 1.0
_IN_ORDER = 3
"""So many times a channel waits for a message that failed, before it is told of what came after it."""
_MOST_TOGETHER = 500
_AT_ONCE = 200


class Outside:
    """Tries what is due: so many at a time, and so many of each lane.

    Args:
        journal: where the actions are owed.
        alerts: places for alerts, by name.
        send: what carries out calls.

    Attributes:
        ended: called from the thread of an attempt when that has ended.
    """

    def __init__(self, journal: Journal, alerts: Mapping[str, Alerts], send: Send = call) -> None:
        self._journal = journal
        self._alerts = alerts
        self._send = send
        self._silences = Silences(journal)
        self._busy: dict[tuple[str, int], tuple[str, threading.Thread]] = {}
        self._rests: dict[str, int] = {}
        self.ended: Callable[[], None] = lambda: None

    def turn(self, now: int) -> int:
        """Begin what is due, as far as there is room; returns how many attempts that are."""
        self._busy = {key: busy for key, busy in self._busy.items() if busy[1].is_alive()}
        self._silences.catch_up()
        begun = 0
        passed: set[str] = set()
        while True:  # each look passes over the lanes that have their share
            passed |= {lane for lane, _ in self._busy.values() if not self._room(lane)}
            passed |= {lane for lane, until in list(self._rests.items()) if now < until <= now + 3_600_000_000}
            owed = self._look(now, sorted(passed))
            if not owed:
                return begun
            for each in owed:
                if each.lane in passed or not self._room(each.lane):
                    passed.add(each.lane)
                elif (each.firing, each.action) in self._busy:
                    continue  # it was told together with one before it
                elif self._begin(self._first(each, now), now):
                    begun += 1
                else:
                    passed.add(each.lane)
            if begun >= _AT_ONCE:
                return begun

    def _room(self, lane: str) -> bool:
        lanes = [other for other, _ in self._busy.values()]
        if lane.startswith(LANE):
            return lane not in lanes
        calls = [other for other in lanes if not other.startswith(LANE)]
        return len(calls) < SLOTS and calls.count(lane) < OF_EACH

    def _look(self, now: int, but_of: Sequence[str]) -> list[OwedAction]:
        found = self._journal.owed_actions(now, True, SLOTS + len(self._busy), but_of)
        return [owed for owed in found if (owed.firing, owed.action) not in self._busy]

    def _first(self, owed: OwedAction, now: int) -> OwedAction:
        """What is due in a lane, and failed before, goes before what came after it."""
        if owed.lane not in self._rests:
            return owed
        lane = self._journal.owed_actions(now, True, _MOST_TOGETHER, lane=owed.lane)
        tried = [each for each in lane if each.attempt]
        return min([*tried, owed], key=lambda each: (each.fired_at, each.action))

    def settle(self, seconds: float) -> bool:
        """Wait for the attempts that are under way here; False when some take longer."""
        end = time.monotonic() + seconds
        threads = [thread for _, thread in self._busy.values()]
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _begin(self, owed: OwedAction, now: int) -> bool:
        """Begin an attempt, or end what needs none; False where somebody else was faster."""
        try:
            action = action_of(owed.do)
        except msgspec.ValidationError as error:
            return self._record([owed], [[_ended(owed, now, f"This action is of another version: {error}.")]])
        if owed.attempt >= _attempts(owed, action):
            return self._record([owed], [[_ended(owed, now, _UNHEARD)]])
        if isinstance(action, Notify) and (quiet := self._silences.covering(_matched(owed, action), owed.fired_at)):
            facts = {"silence": quiet.id, **_told(owed, action)}
            return self._record([owed], [[_ended(owed, now, None, facts)]])
        batch = self._together(owed, action, now)
        seconds = (action.timeout_seconds if isinstance(action, Call) else _ALERT_SECONDS) + _GRACE_SECONDS
        due = now + int(seconds * 1_000_000)
        events: list[list[Event]] = [
            [
                *([_tried(each, now, each.attempt, now, _UNHEARD)] if each.under_way else []),
                _tried(each, now, each.attempt + 1, due),
            ]
            for each in batch
        ]
        if not self._record(batch, events):
            return False
        seqs = [_seq(each) + len(told) for each, told in zip(batch, events, strict=True)]
        thread = threading.Thread(target=self._try, args=(batch, action, seqs), name="penstock-action", daemon=True)
        for each in batch:
            self._busy[(each.firing, each.action)] = (each.lane, thread)
        thread.start()
        return True

    def _together(self, owed: OwedAction, action: Any, now: int) -> list[OwedAction]:
        """What is told in one message with this."""
        if not isinstance(action, Notify) or action.group is None or not owed.lane.startswith(LANE):
            return [owed]
        lane = self._journal.owed_actions(now, True, _MOST_TOGETHER, lane=owed.lane)
        alike = [each for each in lane if each.do.get("group") == action.group and each.attempt < CHANNEL_ATTEMPTS]
        heard = [
            each
            for each in alike
            if not self._silences.covering(_matched(each, action_of(each.do)), each.fired_at)  # its own turn comes
        ]
        return heard if owed in heard else [owed]

    def _try(self, batch: list[OwedAction], action: Any, seqs: list[int]) -> None:
        """One attempt, in a thread of its own."""
        owed, error, hopeless, rest = batch[0], None, False, None
        facts: dict[str, Any] = {}
        try:
            facts = self._tell(batch) if isinstance(action, Notify) else dict(self._send(owed, action))
        except Hopeless as refused:
            error, hopeless = str(refused), True
        except Unanswered as missing:
            error, rest = str(missing), missing.after_seconds
        except Exception as failed:
            error = f"{type(failed).__name__}: {failed}"
        now = now_us()
        if error is None:
            self._rests.pop(owed.lane, None)
        else:
            _log.warning("Action %d of the firing %s failed: %s", owed.action, owed.firing, error)
            if owed.lane.startswith(LANE) and not hopeless:
                alone = _pause(owed, rest) if owed.attempt < _IN_ORDER else rest if rest is not None else _CHANNEL_REST
                self._rests[owed.lane] = now + int(alone * 1_000_000)
        events = [[_outcome(each, action, now, error, hopeless, rest, facts)] for each in batch]
        try:
            self._record(batch, events, seqs)
        except PenstockError as problem:
            _log.error("It could not be recorded how an action ended (%s); it will be tried again.", problem.message)
        self.ended()

    def _record(
        self, batch: Sequence[OwedAction], events: Sequence[Sequence[Event]], seqs: Sequence[int] | None = None
    ) -> bool:
        """Append to the streams of actions; False when somebody else has taken one over."""
        ends = seqs if seqs is not None else [_seq(each) for each in batch]
        try:
            self._journal.commit(
                [
                    Append(stream_of_action(each), seq, [Record(event) for event in told])
                    for each, seq, told in zip(batch, ends, events, strict=True)
                ]
            )
        except SequenceConflict:
            return False
        return True

    def _tell(self, batch: list[OwedAction]) -> dict[str, Any]:
        """Tell people; what is worth recording of it."""
        actions = [action_of(each.do) for each in batch]
        places = several(actions[0].to)  # type: ignore[union-attr] # they are alike
        unknown = [place for place in places if place not in self._alerts]
        if unknown:
            raise Unanswered(_UNKNOWN.format(", ".join(unknown), ", ".join(self._alerts)))
        alerts = [alert_of(each, action) for each, action in zip(batch, actions, strict=True)]  # type: ignore[arg-type]
        alert = combined(alerts, batch[0].do.get("group") == DIGEST and batch[0].lane.startswith(LANE))
        told: dict[str, Any] = {}
        for place in places:
            told |= self._alerts[place].send(alert) or {}
        return told | ({"with": len(batch)} if len(batch) > 1 else {})


_UNKNOWN = (
    "There is no place {} for alerts; there are: {}. Channels are read when the server or the worker starts: "
    "start it again."
)
_UNHEARD = "Nothing was heard of this attempt: its process seems to have died."


def stream_of_action(owed: OwedAction) -> str:
    """Each action of each firing has a stream of its own, so that whoever ends it is the only one."""
    return f"action/{owed.firing}/{owed.action}"


def _attempts(owed: OwedAction, action: Any) -> int:
    if isinstance(action, Call):
        return action.attempts
    return CHANNEL_ATTEMPTS if owed.lane.startswith(LANE) else _ALERT_ATTEMPTS


def _seq(owed: OwedAction) -> int:
    """How many records an action's stream has: two for an attempt that failed, one for one that is under way."""
    return 2 * owed.attempt - owed.under_way


def _matched(owed: OwedAction, action: Any) -> dict[str, Any]:
    """The facts that silences look at."""
    return {**owed.facts, "level": action.level, "automation": owed.automation, "channel": list(several(action.to))}


def _told(owed: OwedAction, action: Notify) -> dict[str, Any]:
    """What a list of alerts shows of one."""
    alert = alert_of(owed, action)
    tags = {"tags": list(owed.facts["tags"])} if owed.facts.get("tags") else {}
    return {"to": list(several(action.to)), "level": alert.level, "title": alert.title[:200], **tags}


def _outcome(
    owed: OwedAction,
    action: Any,
    now: int,
    error: str | None,
    hopeless: bool,
    rest: float | None,
    facts: Mapping[str, Any],
) -> Event:
    """How an attempt ended."""
    if error is None or hopeless or owed.attempt + 1 >= _attempts(owed, action):
        own = _told(owed, action_of(owed.do)) if isinstance(action, Notify) else {}  # type: ignore[arg-type]
        return _ended(owed, now, error, {**facts, **own})
    return _tried(owed, now, owed.attempt + 1, now + int(_pause(owed, rest) * 1_000_000), error)


def _pause(owed: OwedAction, rest: float | None) -> float:
    """How long to wait before what has just failed is tried again."""
    return max(float(min(4 ** (owed.attempt + 1), _LONGEST_PAUSE)), rest or 0.0)


def _tried(owed: OwedAction, now: int, attempt: int, due_at: int, error: str | None = None) -> ActionTried:
    return ActionTried(
        at=now,
        name=owed.automation,
        id=owed.firing,
        action=owed.action,
        attempt=attempt,
        due_at=due_at,
        error=error,
    )


def _ended(owed: OwedAction, now: int, error: str | None, facts: Mapping[str, Any] | None = None) -> ActionEnded:
    return ActionEnded(
        at=now, name=owed.automation, id=owed.firing, action=owed.action, error=error, facts=dict(facts or {})
    )
