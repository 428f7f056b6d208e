"""What can be wrong with an automation, found when it is declared."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

import msgspec

from penstock.core.access import SIGNING_KEYS
from penstock.core.automations import (
    Automation,
    Call,
    EmitEvent,
    Notify,
    Trigger,
    several,
)
from penstock.core.errors import PenstockError
from penstock.core.secrets import sounds_secret
from penstock.core.templates import ALIASES, is_path, names_fact, paths_in, with_variables
from penstock.core.triggers import OWN, certain, is_glob, stored_names, wanted_types

MOST_COUNTED = 1000
_MOST_ACTIONS = 20
_LONGEST_TIMEOUT = 300
_MOST_ATTEMPTS = 20
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_CONNECTION = re.compile(r"[a-z][a-z0-9_-]{0,99}")
_OWN_HEADERS = frozenset(
    {
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "content-length",
        "host",
        "idempotency-key",
        "transfer-encoding",
        "connection",
    }
)
_SHORTCUTS = frozenset(
    {
        *("event", "at", "position", "stream", "run", "flow", "deployment", "state", "tags", "partition", "about"),
        *("message", "name", "task", "parameters", "facts", "error", *ALIASES),
    }
)
_OF_FIRINGS = frozenset({"automation", "firing", "count", "since"})
_OF_SILENCES = frozenset({"event", "at", "position", "missing"})

_NO_TRIGGER = {name: getattr(Trigger(), name) for name in Trigger.__struct_fields__}
Mistakes = Iterator[tuple[str, str]]


def mistakes_of(automation: Automation) -> list[tuple[str, str]]:
    """Every mistake: where it is, and what it is."""
    found = []
    for check in (_name, _schedule, _events, _numbers, _facts, _actions):
        found += list(check(automation))
    return found


def event_mistake(name: str) -> str | None:
    """Why this cannot be the name of an event of one's own; None where it can."""
    if not name or name != name.strip() or not name.isprintable() or len(name) > 200:
        return f"{name!r} must be a text of at most 200 characters, without space around it"
    if is_glob(name):
        return f"{name!r} must not hold any of * ? ["
    if name in stored_names():
        return f"{name!r} is an event of Penstock's own"
    return None


def _name(automation: Automation) -> Mistakes:
    name = automation.name
    if name in (".", ".."):
        yield "name", f"{name!r} means another place in an address; give another name"
    elif not name or "/" in name or name != name.strip() or not name.isprintable() or len(name) > 200:
        yield "name", f"{name!r} must be a text of at most 200 characters, without slashes and without space around it"


def _schedule(automation: Automation) -> Mistakes:
    trigger = automation.trigger
    if trigger.schedule is None:
        if trigger.timezone != "UTC":
            yield "trigger.timezone", "it needs a schedule"
        return
    from penstock.core.calendar import ScheduleSpec  # it costs more than all the rest of this

    others = [name for name in Trigger.__struct_fields__ if getattr(trigger, name) != _NO_TRIGGER[name]]
    for name in others:
        if name not in ("schedule", "timezone"):
            yield f"trigger.{name}", "it cannot be had together with a schedule"
    try:
        ScheduleSpec.of(trigger.schedule.strip(), timezone=trigger.timezone)
    except (PenstockError, ValueError, TypeError) as error:
        yield "trigger.schedule", str(getattr(error, "message", error))


def _events(automation: Automation) -> Mistakes:
    trigger = automation.trigger
    for where in ("event", "after"):
        patterns = several(getattr(trigger, where))
        if where == "event" and not patterns and trigger.schedule is None:
            yield "trigger.event", "say which event"
        for pattern in patterns:
            if told := _pattern_mistake(pattern):
                yield f"trigger.{where}", told
    if trigger.after and trigger.missing_seconds is None and (trigger.count != 1 or trigger.within_seconds is not None):
        yield "trigger.after", "it cannot be had together with count and within_seconds"


def _pattern_mistake(pattern: str) -> str | None:
    if pattern in OWN:
        return f"{pattern} is recorded by automations themselves, so that none can wait for it"
    if pattern in stored_names() or is_glob(pattern):
        return None if pattern.strip() else "it is empty"
    if told := event_mistake(pattern):
        return told
    close = get_close_matches(pattern, stored_names(), n=1, cutoff=0.85)
    return f"there is no event {pattern!r}; did you mean {close[0]}?" if close else None


def _numbers(automation: Automation) -> Mistakes:
    trigger = automation.trigger
    if not 1 <= trigger.count <= MOST_COUNTED:
        yield "trigger.count", f"{trigger.count} is not between 1 and {MOST_COUNTED}"
    for name in ("within_seconds", "missing_seconds", "cool_down_seconds"):
        value = getattr(trigger, name)
        if value is not None and not 0 < value <= 10 * 366 * 86_400:
            yield f"trigger.{name}", f"{value:g} is not between 0 and ten years"
    if trigger.within_seconds is not None and trigger.count == 1 and trigger.missing_seconds is None:
        yield "trigger.within_seconds", "it needs a count above 1"
    if trigger.missing_seconds is not None and (trigger.count != 1 or trigger.within_seconds is not None):
        yield "trigger.missing_seconds", "it cannot be had together with count and within_seconds"


def _facts(automation: Automation) -> Mistakes:
    trigger = automation.trigger
    known = _SHORTCUTS | _fields(trigger)
    for where, paths in (("where", tuple(trigger.where)), ("per", several(trigger.per))):
        for path in paths:
            if told := _path_mistake(path, known):
                yield f"trigger.{where}", told
    for path, wanted in trigger.where.items():
        if wanted == ():
            yield "trigger.where", f"{path} may be nothing at all, so nothing passes"


def _fields(trigger: Trigger) -> frozenset[str]:
    kinds = [kind for name, kind in stored_names().items() if name in wanted_types(trigger)]
    return frozenset(field for kind in kinds for field in kind.__struct_fields__)


def _path_mistake(path: str, known: Iterable[str], silent: bool = False) -> str | None:
    if not is_path(path):
        return f"{path!r} cannot name a fact"
    first = path.partition(".")[0]
    if first in known:
        return None
    if silent:
        return f"there is no fact {path!r} where nothing happened, but those of trigger.per and trigger.where"
    close = get_close_matches(first, known, n=1)
    meant = f"; did you mean {close[0]}?" if close else f" (what you tell of events of your own: facts.{first})"
    return f"there is no fact {path!r}{meant}"


def _actions(automation: Automation) -> Mistakes:
    if not 1 <= len(automation.actions) <= _MOST_ACTIONS:
        yield "actions", f"there are {len(automation.actions)}; there must be 1 to {_MOST_ACTIONS}"
    known = _told(automation.trigger)
    for place, action in enumerate(automation.actions):
        where = f"actions[{place}]"
        yield from _templates(where, action, known, automation.trigger.timed)
        for kind, check in _CHECKS.items():
            if isinstance(action, kind):
                for field, told in check(action):
                    yield f"{where}.{field}", told


def _told(trigger: Trigger) -> frozenset[str]:
    """What actions are told: the facts of the event, or, where nothing happened, those that nothing happened of."""
    if not trigger.timed:
        return _SHORTCUTS | _OF_FIRINGS | _fields(trigger)
    paths = (*several(trigger.per), *certain(trigger))
    return _OF_FIRINGS | _OF_SILENCES | {path.partition(".")[0] for path in paths}


def _templates(where: str, action: Any, known: Iterable[str], silent: bool) -> Mistakes:
    for field in action.__struct_fields__:
        if isinstance(action, Call) and field != "body":
            continue
        value = msgspec.to_builtins(getattr(action, field))
        if isinstance(value, str) and not value.strip():
            yield f"{where}.{field}", "it is empty"
        try:
            for path in paths_in(value):
                if told := _path_mistake(path, known, silent):
                    yield f"{where}.{field}", told
        except ValueError as error:
            yield f"{where}.{field}", str(error)


def url_mistake(url: str) -> str | None:
    """Why this cannot be called; None where it can. It says nothing of the URL itself, which may be a secret."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or not url.isprintable() or not url.isascii() or " " in url:
        return "it is no http or https URL of printable ASCII"
    if "@" in parts.netloc:
        return "a user or password cannot be in a URL; say it in a header Authorization"
    return None


def header_mistake(name: str, value: str) -> str | None:
    """Why this cannot be sent as a header; None where it can. It says nothing of the value."""
    if not _HEADER.fullmatch(name) or name.lower() in _OWN_HEADERS:
        return f"{name!r} is no name of a header that can be set"
    if not value.isascii() or not value.isprintable():
        return f"the value of {name} must be printable ASCII"
    return None


def _call(action: Call) -> Mistakes:
    if names_fact(with_variables(action.url, lambda name: "x")):
        yield "url", "a fact cannot choose where a call goes; facts go into the body"
    if not action.url.startswith("${") and (told := url_mistake(with_variables(action.url, lambda name: "x"))):
        yield "url", told
    for name, value in action.headers.items():
        if names_fact(with_variables(value, lambda name: "x")):
            yield "headers", f"the value of {name} cannot hold a fact; facts go into the body"
        if told := header_mistake(name, with_variables(value, lambda name: "x")):
            yield "headers", told
        elif sounds_secret(name) and with_variables(value, lambda name: "x") == value:
            yield (
                "headers",
                f"the value of {name} would be on record; write ${{NAME}} for a variable of the environment",
            )
    if action.sign is not None and not _CONNECTION.fullmatch(action.sign):
        yield "sign", f"{action.sign[:120]!r} cannot be the name of a connection"
    if action.sign == SIGNING_KEYS:
        yield "sign", f"{SIGNING_KEYS} is Penstock's own; name another connection"
    if not 0 < action.timeout_seconds <= _LONGEST_TIMEOUT:
        yield "timeout_seconds", f"{action.timeout_seconds:g} is not between 0 and {_LONGEST_TIMEOUT}"
    if not 1 <= action.attempts <= _MOST_ATTEMPTS:
        yield "attempts", f"{action.attempts} is not between 1 and {_MOST_ATTEMPTS}"


def _notify(action: Notify) -> Mistakes:
    if not several(action.to):
        yield "to", "say where to"


def _emit(action: EmitEvent) -> Mistakes:
    if "{" not in action.event and (told := event_mistake(action.event)):
        yield "event", told


_CHECKS: dict[type[Any], Callable[[Any], Mistakes]] = {Call: _call, Notify: _notify, EmitEvent: _emit}
