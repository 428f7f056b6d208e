"""An automation as far as events have been taken into account, and the events of its firings."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core.automations import OUTSIDE, Action, Automation, Notify, of_data, several
from penstock.core.events import Record
from penstock.core.plans import AutomationFired, AutomationMatched, Owed
from penstock.core.triggers import MOST_GROUPS, Firing, State, certain, deadline_of, is_over, set_back
from penstock.orchestrator.facts import moment

_log = logging.getLogger("penstock.automations")
LONGEST_CHAIN = 8
CHAIN_SECONDS = 600
_NEVER = 2**62
SELF = ""
"""The group that stands for the automation itself: as what it was declared."""


class Known:
    """An automation as of the event that was read last, and what is to be written of it.

    Attributes:
        seq: the last record of its stream that is known here.
        declared: as what it was declared; empty once it was deleted.
        automation: the same, understood; None where it is paused, gone, or of another version.
        groups: what it remembers.
        changed: which groups are other than the journal has them.
        fired: firings that are not written yet.
        loop: why it is to be paused.
        earliest: no silence is too long before that.
    """

    def __init__(self, name: str, seq: int) -> None:
        self.name = name
        self.seq = seq
        self.declared: State = {}
        self.automation: Automation | None = None
        self.groups: dict[str, State] = {}
        self.changed: dict[str, State | None] = {}
        self.fired: list[AutomationFired] = []
        self.loop: str | None = None
        self.earliest = 0
        self._prune_at = 100

    def declare(self, state: State) -> None:
        """Be as it was declared."""
        self.declared = state
        self.automation = None
        self.loop = None
        self.earliest = 0
        if not state or state["paused"]:
            return
        try:
            self.automation = of_data(state["spec"])
        except msgspec.ValidationError as error:
            _log.error("The automation %r cannot be understood (%s); it does not fire.", self.name, error)

    def remember(self, key: str, state: State | None) -> None:
        """Remember this of a group from now on."""
        before = self.groups.pop(key, None)
        if state is not None:
            self.groups[key] = state
            self.earliest = min(self.earliest, self._deadline(state) or self.earliest)
        if state is not None or before is not None or key in self.changed:
            self.changed[key] = state

    def _deadline(self, state: State) -> int | None:
        return deadline_of(self.automation.trigger, state) if self.automation is not None else None

    def waiting(self, until: int) -> list[tuple[str, State]]:
        """The groups whose silence may be too long by then."""
        if until <= self.earliest:
            return []
        deadlines = [(key, state, self._deadline(state)) for key, state in self.groups.items()]
        self.earliest = min((at for _, _, at in deadlines if at is not None and at >= until), default=_NEVER)
        return [(key, state) for key, state, at in deadlines if at is not None and at < until]

    def next_silence(self) -> int | None:
        """When the next silence is too long."""
        found = [at for state in self.groups.values() if (at := self._deadline(state)) is not None]
        return min(found) + 1 if found else None

    def set_back(self, now: int) -> None:
        """The clock may have been set back."""
        for key, state in list(self.groups.items()):
            after = set_back(self.automation.trigger, state, now) if self.automation is not None else None
            if after is not None:
                self.remember(key, after)

    def prune(self, now: int) -> None:
        """Forget what cannot matter any more, and of too many groups those that were met longest ago."""
        if len(self.groups) < self._prune_at or self.automation is None:
            return
        for key, state in list(self.groups.items()):
            if is_over(self.automation.trigger, state, now):
                self.remember(key, None)
        for key in list(self.groups)[: max(0, len(self.groups) - MOST_GROUPS)]:
            self.remember(key, None)
        self._prune_at = min(MOST_GROUPS + MOST_GROUPS // 10, max(100, 2 * len(self.groups)))

    def records(self, now: int) -> list[Record]:
        """What is to be written."""
        matched = [Record(AutomationMatched(at=now, name=self.name, groups=self.changed))] if self.changed else []
        return [*matched, *map(Record, self.fired)]

    def written(self, records: int) -> None:
        """It is."""
        self.seq += records
        self.changed, self.fired = {}, []


class Spread:
    """Says where an action is owed, and when: at once, and what is to be told at several places to each apart."""

    def __call__(self, action: Action, facts: Mapping[str, Any], now: int) -> list[Owed]:
        """What is owed of an action.

        Args:
            action: what is to be done.
            facts: about what.
            now: the time.
        """
        return as_it_is(action)

    def settle(self, written: bool) -> None:
        """What was said since the last time is in the journal, or never will be."""


def as_it_is(action: Action) -> list[Owed]:
    """What is owed at once: where one of several places fails, the others are not told again."""
    apart = [action]
    if isinstance(action, Notify) and len(places := several(action.to)) > 1:
        apart = [msgspec.structs.replace(action, to=place) for place in places]
    return [Owed(msgspec.to_builtins(each), isinstance(each, OUTSIDE)) for each in apart]


def fired(
    automation: Automation,
    firing: Firing,
    facts: dict[str, Any],
    chain: tuple[int, ...],
    now: int,
    spread: Spread,
) -> AutomationFired:
    """The event of a firing. Its id follows from the automation and the event that completed the match."""
    scheduled = automation.trigger.schedule is not None
    firing_id = f"{automation.name}/{f'at-{firing.at}' if scheduled else firing.position}"
    told = {
        **facts,
        "automation": automation.name,
        "firing": firing_id,
        "count": firing.events,
        "since": moment(firing.since),
    }
    owed = tuple(each for action in automation.actions for each in spread(action, told, now))
    return AutomationFired(
        at=now,
        name=automation.name,
        id=firing_id,
        position=firing.position,
        facts=told,
        actions=owed,
        chain=(*chain[1 - LONGEST_CHAIN :], now),
    )


def of_silence(automation: Automation, state: State, firing: Firing) -> dict[str, Any]:
    """What is known where nothing happened: the group it did not happen in."""
    facts: dict[str, Any] = {"event": "missing", "at": moment(firing.at), "position": firing.position}
    if automation.trigger.schedule is not None:
        return {**facts, "event": "schedule"}
    for path, value in (certain(automation.trigger) | state.get("values", {})).items():
        place = facts
        *parents, last = path.split(".")
        for parent in parents:
            if not isinstance(place.get(parent), dict):
                place[parent] = {}
            place = place[parent]
        place[last] = value
    wanted = automation.trigger.event
    waited = {"event": wanted, "seconds": automation.trigger.missing_seconds}
    return {**facts, "missing": msgspec.to_builtins(waited)}


def same_trigger(before: State, after: State) -> bool:
    """Whether what is remembered still holds: nothing has changed but the actions."""
    return bool(before and after) and (
        before["paused"] == after["paused"] and before["spec"]["trigger"] == after["spec"]["trigger"]
    )
