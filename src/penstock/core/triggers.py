"""When a trigger fires: pure functions of the events there were, and of what is remembered of them.

An automation remembers a little for each group of events (see `Trigger.per`): when those happened that have not made
it fire yet, or since when it waits. What it remembers is plain data, and everything follows from it, the next event
and the time. So whoever goes on with it, after whatever restart, comes to the same firings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from penstock.core import audit, datasets, events, plans, sealed, uploads, verdicts, webhooks
from penstock.core.automations import Trigger, several
from penstock.core.calendar import ScheduleSpec, last_between, next_after
from penstock.core.events import Event, TaskEvent
from penstock.core.templates import as_text, lookup

OWN = frozenset({"AutomationMatched", "AutomationFired", "ActionTried", "ActionEnded"})
"""What automations themselves record is nothing that they wait for."""

MOST_GROUPS = 10_000
_LONGEST_KEY = 200
_GLOB = frozenset("*?[")

State = dict[str, Any]


class Met(NamedTuple):
    """An event that a trigger waits for.

    Attributes:
        opens: the time runs from it (`Trigger.after`).
        counts: it is what happens (`Trigger.event`).
    """

    position: int
    at: int
    opens: bool
    counts: bool


class Firing(NamedTuple):
    """A trigger fires.

    Attributes:
        position: of the event that completed it, or after which nothing was heard.
        since: when what it is about began.
        at: when it was so far.
        events: how many there were.
    """

    position: int
    since: int
    at: int
    events: int


class Step(NamedTuple):
    """What to remember from now on, and the firings."""

    state: State | None
    firings: list[Firing]


@lru_cache(maxsize=1)
def stored_names() -> dict[str, type[Event]]:
    """Every event by the name it is stored under."""
    others = (plans.PLANS, verdicts.VERDICTS, sealed.CONNECTIONS, datasets.DATASETS, webhooks.WEBHOOKS, uploads.UPLOADS)
    return {kind.stored: kind for kinds in (events.EVENTS.values(), *others, audit.AUDIT) for kind in kinds}


def is_glob(pattern: str) -> bool:
    """Whether it stands for more than itself."""
    return not _GLOB.isdisjoint(pattern)


def names_like(pattern: str) -> frozenset[str]:
    """The stored names of events that fit a pattern; those of steps only where it begins with `Task`."""
    return frozenset(
        name
        for name, kind in stored_names().items()
        if fnmatchcase(name, pattern) and (pattern.startswith("Task") or not issubclass(kind, TaskEvent))
    )


@lru_cache(maxsize=512)
def types_of(pattern: str) -> frozenset[str]:
    """The stored names of events that a trigger with this pattern may wait for."""
    if pattern in stored_names():
        return frozenset({pattern} - OWN)
    return (names_like(pattern) - OWN) | {"Happened"}


def wanted_types(trigger: Trigger) -> frozenset[str]:
    """The stored names of events that a trigger may wait for."""
    patterns = (*several(trigger.event), *several(trigger.after))
    return frozenset().union(*map(types_of, patterns))


def fits(patterns: tuple[str, ...], stored: str, name: str) -> bool:
    """Whether an event fits: by the name it is stored under, or (one of a user's own) by the name it was given."""
    for pattern in patterns:
        if stored in types_of(pattern) and (pattern == stored or fnmatchcase(name, pattern)):
            return True
    return False


def met(trigger: Trigger, stored: str, facts: Mapping[str, Any], position: int, at: int) -> Met | None:
    """What an event is to a trigger; None where it is nothing.

    Args:
        trigger: the trigger.
        stored: the name the event is stored under.
        facts: what is known of it; `event` is its name.
        position: where it stands in the journal.
        at: when it happened.
    """
    name = facts["event"]
    counts = fits(several(trigger.event), stored, name)
    opens = bool(trigger.after) and fits(several(trigger.after), stored, name)
    if not (counts or opens) or not passes(trigger.where, facts):
        return None
    return Met(position, at, opens, counts)


def passes(where: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether the facts are as the filters want them."""
    return all(fits_filter(wanted, _found(facts, path)) for path, wanted in where.items())


def certain(trigger: Trigger) -> dict[str, Any]:
    """The facts that are the same of every event that passes the filters."""
    found = {}
    for path, wanted in trigger.where.items():
        options = wanted if isinstance(wanted, tuple) else (wanted,)
        only = options[0] if len(options) == 1 else None
        if only is not None and not (isinstance(only, str) and (is_glob(only) or only.startswith("!"))):
            found[path] = only
    return found


def _found(facts: Mapping[str, Any], path: str) -> Any:
    try:
        return lookup(facts, path)
    except KeyError:
        return None


def fits_filter(wanted: Any, found: Any) -> bool:
    """Whether a fact is as a filter wants it. A fact that is a list fits where one of its items does."""
    options = wanted if isinstance(wanted, tuple) else (wanted,)
    items = found if isinstance(found, (list, tuple)) else [found]
    refused = [each[1:] for each in options if isinstance(each, str) and each.startswith("!")]
    asked = [each for each in options if not (isinstance(each, str) and each.startswith("!"))]
    if any(_is(option, item) for option in refused for item in items):
        return False
    return not asked or any(_is(option, item) for option in asked for item in items)


def _is(option: Any, item: Any) -> bool:
    if item is None:
        return False
    if isinstance(option, str):
        return fnmatchcase(as_text(item), option)
    return bool(option == item) and isinstance(option, bool) == isinstance(item, bool)


def group_of(trigger: Trigger, facts: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The key of the group an event belongs to, and the values that make it."""
    values = {path: _found(facts, path) for path in several(trigger.per)}
    key = msgspec.json.encode(list(values.values())).decode()
    if len(key) > _LONGEST_KEY:
        key = hashlib.blake2b(key.encode(), digest_size=20).hexdigest()
    return key, values


def begins(trigger: Trigger, position: int, at: int) -> State | None:
    """What is remembered from the declaration of an automation on: that it waits, if it waits for everything."""
    if not trigger.timed or trigger.after or trigger.per:
        return None
    return {"position": position, "since": at}


def step(trigger: Trigger, state: State | None, event: Met) -> Step:
    """Take an event into account."""
    if trigger.missing_seconds is not None:
        return _waited(trigger, state or {}, event)
    if trigger.after:
        return _followed(trigger, state or {}, event)
    return _counted(trigger, state or {}, event)


def _counted(trigger: Trigger, state: State, event: Met) -> Step:
    if _rests(trigger, state, event.at):
        return Step(state, [])
    within = _us(trigger.within_seconds)
    times = [at for at in state.get("times", ()) if within is None or event.at - at <= within]
    times.append(event.at)
    if len(times) < trigger.count:
        return Step({"position": event.position, "times": times}, [])
    cool = _us(trigger.cool_down_seconds)
    rest = {"position": event.position, "cool": event.at + cool} if cool is not None else None
    return Step(rest, [Firing(event.position, times[0], event.at, len(times))])


def _followed(trigger: Trigger, state: State, event: Met) -> Step:
    armed, rests = "followed" in state, _rests(trigger, state, event.at)
    if not (event.counts and armed) and (armed or not event.opens):
        return Step(state or None, [])
    cool = _us(trigger.cool_down_seconds)
    rest = {"cool": state["cool"]} if rests else {}
    firings = []
    if armed and not rests:
        firings = [Firing(event.position, state["followed"], event.at, 1)]
        rest = {"cool": event.at + cool} if cool is not None else {}
    state = {"position": event.position, **({"followed": event.at} if event.opens else {}), **rest}
    return Step(state if len(state) > 1 else None, firings)


def _waited(trigger: Trigger, state: State, event: Met) -> Step:
    over = silence(trigger, state, event.at)
    state, firings = (over.state or {}, over.firings) if over is not None else (state, [])
    cool = {"cool": state["cool"]} if "cool" in state else {}
    if event.counts and "since" in state:
        state = {"position": event.position, **cool}
    if (event.opens and "since" not in state) or (event.counts and not trigger.after):
        state = {"position": event.position, "since": event.at, **cool}
    return Step(state if set(state) - {"position"} else None, firings)


def silence(trigger: Trigger, state: State, now: int) -> Step | None:
    """What a silence that has lasted too long by now leads to; None where there is none."""
    deadline = deadline_of(trigger, state)
    if deadline is None or now <= deadline:
        return None
    if trigger.schedule is not None:  # of what was due meanwhile, only the last time counts
        due = last_between(_when(trigger), deadline - 1, now) or deadline
        return Step({**state, "since": due}, [Firing(state["position"], state["since"], due, 0)])
    cool = _us(trigger.cool_down_seconds)
    rest = {"position": state["position"], "cool": deadline + cool} if cool is not None else None
    return Step(rest, [Firing(state["position"], state["since"], deadline, 0)])


def deadline_of(trigger: Trigger, state: State) -> int | None:
    """When a silence becomes too long; one that lasts beyond a cool-down counts from the end of that."""
    if trigger.schedule is not None and "since" in state:
        return next_after(_when(trigger), int(state["since"]))
    missing = _us(trigger.missing_seconds)
    if missing is None or "since" not in state:
        return None
    since = int(state["since"])
    return max(since + missing, int(state["cool"]) if _rests(trigger, state, since) else 0)


@lru_cache(maxsize=256)
def _spec(schedule: str, timezone: str) -> ScheduleSpec:
    return ScheduleSpec.of(schedule.strip(), timezone=timezone)


def _when(trigger: Trigger) -> ScheduleSpec:
    return _spec(trigger.schedule or "", trigger.timezone)


def _rests(trigger: Trigger, state: State, now: int) -> bool:
    """Whether it has fired, and does not again as yet. What is too far ahead was said by a clock that was set back."""
    cool = _us(trigger.cool_down_seconds)
    return cool is not None and "cool" in state and state["cool"] - 2 * cool <= now < state["cool"]


def set_back(trigger: Trigger, state: State, now: int) -> State | None:
    """What to remember where the clock was set back since: a silence that is too far ahead begins now. Else None."""
    missing = _us(trigger.missing_seconds)
    if missing is None or "since" not in state or state["since"] <= now + missing:
        return None
    return {name: value for name, value in state.items() if name != "cool"} | {"since": now}


def is_over(trigger: Trigger, state: State, now: int) -> bool:
    """Whether nothing that is remembered can matter any more."""
    if "since" in state or "followed" in state or _rests(trigger, state, now):
        return False
    within = _us(trigger.within_seconds)
    times = state.get("times", ())
    return not times or (within is not None and all(now - at > within for at in times))


def _us(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1_000_000)
