"""Automations by request: what may be in one that somebody sends, and what one would do about what happened."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from penstock.core.automations import Automation, Call, declared
from penstock.core.errors import BadAutomation
from penstock.core.events import Stored
from penstock.core.ports import Journal
from penstock.core.triggers import wanted_types
from penstock.orchestrator.facts import Facts

VARIABLES = "PENSTOCK_CALL_"
"""How variables begin that automations made by request may send: the others may be anybody's secrets."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PART = 1000


def automation_of(name: str, table: dict[str, Any], folder: str | None = None) -> Automation:
    """An automation that somebody sends.

    Raises:
        BadAutomation: it cannot be; every mistake is told.
    """
    made = msgspec.structs.replace(declared(name, table), folder=folder)
    mistakes = [
        (f"actions[{place}].{field}", f"${{{variable}}} cannot be sent: its name must begin with {VARIABLES}")
        for place, action in enumerate(made.actions)
        if isinstance(action, Call)
        for field, variable in _variables(action)
    ]
    if mistakes:
        raise BadAutomation(name, mistakes)
    return made


def _variables(action: Call) -> Iterator[tuple[str, str]]:
    texts = [("url", action.url), *(("headers", value) for value in action.headers.values())]
    for field, text in texts:
        for variable in _VARIABLE.findall(text):
            if not variable.startswith(VARIABLES):
                yield field, variable


def past(journal: Journal, automation: Automation, since: int, until: int, limit: int) -> list[Mapping[str, Any]]:
    """The facts of the last events that an automation waits for, in the order in which they happened.

    Args:
        journal: where they are.
        automation: what waits for them.
        since: when they happened at the earliest (microseconds).
        until: before that.
        limit: at most so many.
    """
    types, before = tuple(sorted(wanted_types(automation.trigger))), None
    found: list[Stored] = []
    while types and len(found) < limit:
        part = journal.read_back(before, _PART, types)
        found += [each for each in part if since <= each.event.at < until]
        if len(part) < _PART or part[-1].event.at < since:
            break
        before = part[-1].position
    facts = Facts(journal)
    return [facts.of(each) for each in reversed(found[:limit])]
