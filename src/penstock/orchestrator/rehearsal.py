"""What an automation would do, without doing it: events given by hand, and no journal."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from penstock.core.automations import Automation, Call, Notify, several
from penstock.core.errors import ConfigurationError
from penstock.core.events import now_us
from penstock.core.templates import FactMissing, fill, lookup
from penstock.core.triggers import State, deadline_of, fits, fits_filter, group_of, met, step, stored_names
from penstock.orchestrator.facts import moment
from penstock.orchestrator.known import Spread, fired, of_silence

_LAST = 253_402_300_800_000_000
"""The end of the year 9999."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event.

    Attributes:
        event: its name.
        outcome: ignored, counted, waits or fires.
        why: in words.
        actions: what would be done, with the facts in it.
    """

    event: str
    outcome: str
    why: str
    actions: list[dict[str, Any]] = []


def rehearse(automation: Automation, events: Iterable[Mapping[str, Any]]) -> Iterator[Told]:
    """Let an automation meet events, one after the other.

    Args:
        automation: it need not be declared.
        events: facts of each; `event` is its name, `at` (an ISO time) when it happened.

    Raises:
        ConfigurationError: an event has no name, or a time that is none.
    """
    groups: dict[str, State] = {}
    for position, given in enumerate(events, start=1):
        name, at = given.get("event"), _at(given)
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"Event {position} has no name.", hint='give it one: {"event": "RunFailed", ...}')
        stored = name if name in stored_names() else "Happened"
        facts = {"position": position, **given, "event": name, "at": moment(at)}
        if isinstance(facts.get("run"), Mapping):
            facts = {**{key: value for key, value in facts["run"].items() if key not in ("id", "name")}, **facts}
        yield _meet(automation, groups, stored, facts, position, at)


def _meet(
    automation: Automation, groups: dict[str, State], stored: str, facts: dict[str, Any], position: int, at: int
) -> Told:
    trigger, name = automation.trigger, facts["event"]
    event = met(trigger, stored, facts, position, at)
    if event is None:
        return Told(event=name, outcome="ignored", why=_why_not(automation, stored, facts))
    key, values = group_of(trigger, facts)
    before = groups.get(key)
    after = step(trigger, before, event)
    if after.state is not None:
        begun = {"values": values} if "since" in after.state and after.state is not before else {}
        groups[key] = {**after.state, **begun}
    else:
        groups.pop(key, None)
    if after.firings:
        firing = after.firings[-1]
        told = facts if firing.events else of_silence(automation, before or {}, firing)
        made = fired(automation, firing, told, (), at, Spread())
        why = "it fires" if firing.events else f"nothing was heard until {moment(firing.at)}, so it fired then"
        return Told(event=name, outcome="fires", why=why, actions=actions_told(automation, made.facts))
    return _remembered(automation, name, groups.get(key), at)


def _remembered(automation: Automation, name: str, state: State | None, at: int) -> Told:
    trigger = automation.trigger
    deadline = deadline_of(trigger, state or {})
    if deadline is not None:
        return Told(event=name, outcome="waits", why=f"it fires if nothing is heard until {moment(deadline)}")
    if state is not None and state.get("cool", 0) > at:
        return Told(event=name, outcome="ignored", why=f"it has fired, and rests until {moment(state['cool'])}")
    if trigger.missing_seconds is not None:
        return Told(event=name, outcome="counted", why="it waits for nothing any more")
    if trigger.after:
        waits = "followed" in (state or {})
        told = f"it fires when {' or '.join(several(trigger.event))} follows"
        return Told(event=name, outcome="waits" if waits else "ignored", why=told if waits else "it follows nothing")
    return Told(event=name, outcome="counted", why=f"{len((state or {}).get('times', ()))} of {trigger.count}")


def _why_not(automation: Automation, stored: str, facts: Mapping[str, Any]) -> str:
    trigger = automation.trigger
    patterns = (*several(trigger.event), *several(trigger.after))
    if trigger.schedule is not None:
        return "it waits for its schedule"
    if not fits(patterns, stored, facts["event"]):
        return f"it waits for {' or '.join(patterns)}"
    for path, wanted in trigger.where.items():
        try:
            found = lookup(facts, path)
        except KeyError:
            found = None
        if not fits_filter(wanted, found):
            shown = msgspec.json.encode(found).decode() if found is not None else "not there"
            return f"{path} is {shown}, and must be {msgspec.json.encode(wanted).decode()}"
    return "it does not fit"


def actions_told(automation: Automation, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The actions with the facts in them; `error` where one is missing."""
    found = []
    for action in automation.actions:
        data: dict[str, Any] = msgspec.to_builtins(action)
        kind = data.pop("type")
        try:
            if isinstance(action, Call):
                filled = {**data, **({"body": fill(action.body, facts, "?")} if action.body else {})}
            else:
                filled = fill(data, facts, "?" if isinstance(action, Notify) else None)
        except FactMissing as missing:
            filled = {**data, "error": missing.message}
        found.append({"type": kind, **filled})
    return found


def _at(given: Mapping[str, Any]) -> int:
    at = given.get("at")
    if at is None:
        return now_us()
    if isinstance(at, int) and not isinstance(at, bool) and 0 <= at < _LAST:
        return at
    try:
        read = datetime.datetime.fromisoformat(str(at))
        return int(read.astimezone(datetime.UTC).timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"{at!r} is no time.", hint="give an ISO time, such as 2026-01-31T06:00Z") from None
