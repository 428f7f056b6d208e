"""Actions that leave the journal: alerts, and calls to URLs. They are done at least once.

An attempt is recorded before it begins, and that it failed afterwards. What was begun and not heard of again (its
process died) is tried again when its time is over, as often as what failed. Each attempt has a thread of its own, and
each automation its share of them, so that a server which does not answer holds up nobody but those who call it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from penstock.core.automations import Call, Notify, action_of, several
from penstock.core.errors import PenstockError, SequenceConflict
from penstock.core.events import Event, Record, now_us
from penstock.core.model import Alert, OwedAction
from penstock.core.plans import ActionEnded, ActionTried
from penstock.core.ports import Alerts, Journal
from penstock.core.templates import fill_text
from penstock.orchestrator.calls import Hopeless, Send, Unanswered, call

_log = logging.getLogger("penstock.automations")
SLOTS = 16
OF_EACH = 4
_ALERT_ATTEMPTS = 5
_ALERT_SECONDS = 30.0
_GRACE_SECONDS = 30.0
_LONGEST_PAUSE = 300


class Outside:
    """Tries what is due: so many at a time, and so many of one automation.

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
        self._busy: dict[tuple[str, int], tuple[str, threading.Thread]] = {}
        self.ended: Callable[[], None] = lambda: None

    def turn(self, now: int) -> int:
        """Begin what is due, as far as there is room; returns how many attempts that are."""
        self._busy = {key: busy for key, busy in self._busy.items() if busy[1].is_alive()}
        begun = 0
        for _ in range(SLOTS):  # each look passes over those that have their share
            owed = self._look(now) if len(self._busy) < SLOTS else []
            if not owed:
                break
            for each in owed:
                if len(self._busy) < SLOTS and self._share(each.automation) < OF_EACH:
                    begun += self._begin(each, now)
        return begun

    def _share(self, automation: str) -> int:
        return sum(name == automation for name, _ in self._busy.values())

    def _look(self, now: int) -> list[OwedAction]:
        full = {name for name, _ in self._busy.values() if self._share(name) >= OF_EACH}
        found = self._journal.owed_actions(now, True, SLOTS + len(self._busy), sorted(full))
        return [owed for owed in found if (owed.firing, owed.action) not in self._busy]

    def settle(self, seconds: float) -> bool:
        """Wait for the attempts that are under way here; False when some take longer."""
        end = time.monotonic() + seconds
        threads = [thread for _, thread in self._busy.values()]
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _begin(self, owed: OwedAction, now: int) -> int:
        try:
            action = action_of(owed.do)
        except msgspec.ValidationError as error:
            self._record(owed, _seq(owed), _ended(owed, now, f"This action is of another version: {error}."))
            return 0
        attempts = action.attempts if isinstance(action, Call) else _ALERT_ATTEMPTS
        unheard = "Nothing was heard of this attempt: its process seems to have died."
        if owed.attempt >= attempts:
            self._record(owed, _seq(owed), _ended(owed, now, unheard))
            return 0
        seconds = (action.timeout_seconds if isinstance(action, Call) else _ALERT_SECONDS) + _GRACE_SECONDS
        events: list[Event] = [_tried(owed, now, owed.attempt, now, unheard)] if owed.under_way else []
        events.append(_tried(owed, now, owed.attempt + 1, now + int(seconds * 1_000_000)))
        if not self._record(owed, _seq(owed), *events):
            return 0
        seq, last = _seq(owed) + len(events), owed.attempt + 1 >= attempts
        thread = threading.Thread(target=self._try, args=(owed, action, seq, last), name="penstock-action", daemon=True)
        self._busy[(owed.firing, owed.action)] = (owed.automation, thread)
        thread.start()
        return 1

    def _try(self, owed: OwedAction, action: Any, seq: int, last: bool) -> None:
        """One attempt, in a thread of its own."""
        error, facts = None, {}
        try:
            facts = self._tell(owed, action) if isinstance(action, Notify) else dict(self._send(owed, action))
        except Hopeless as refused:
            error, last = str(refused), True
        except Unanswered as missing:
            error = str(missing)
        except Exception as failed:
            error = f"{type(failed).__name__}: {failed}"
        now = now_us()
        pause = min(4 ** (owed.attempt + 1), _LONGEST_PAUSE) * 1_000_000
        event: Event = (
            _ended(owed, now, error, facts)
            if error is None or last
            else _tried(owed, now, owed.attempt + 1, now + pause, error)
        )
        if error is not None:
            _log.warning("Action %d of the firing %s failed: %s", owed.action, owed.firing, error)
        try:
            self._record(owed, seq, event)
        except PenstockError as problem:
            _log.error("It could not be recorded how an action ended (%s); it will be tried again.", problem.message)
        self.ended()

    def _record(self, owed: OwedAction, seq: int, *events: Event) -> bool:
        """Append to the action's stream; False when somebody else has taken it over."""
        try:
            self._journal.append(stream_of_action(owed), seq, [Record(event) for event in events])
        except SequenceConflict:
            return False
        return True

    def _tell(self, owed: OwedAction, action: Notify) -> dict[str, Any]:
        alert = Alert(
            key=f"{owed.firing}/{owed.action}",
            at=owed.fired_at,
            automation=owed.automation,
            title=fill_text(action.title or owed.automation, owed.facts, "?"),
            message=fill_text(action.message, owed.facts, "?"),
            level=action.level,
            facts=owed.facts,
        )
        places = several(action.to)
        unknown = [place for place in places if place not in self._alerts]
        if unknown:
            raise Hopeless(f"There is no place {', '.join(unknown)} for alerts; there are: {', '.join(self._alerts)}.")
        for place in places:
            self._alerts[place].send(alert)
        return {}


def stream_of_action(owed: OwedAction) -> str:
    """Each action of each firing has a stream of its own, so that whoever ends it is the only one."""
    return f"action/{owed.firing}/{owed.action}"


def _seq(owed: OwedAction) -> int:
    """How many records an action's stream has: two for an attempt that failed, one for one that is under way."""
    return 2 * owed.attempt - owed.under_way


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
