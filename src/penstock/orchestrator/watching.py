"""Which of the journal's events somebody wants to see, and the newest of them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from penstock.core.events import Stored, stored_name
from penstock.core.ports import Journal
from penstock.core.triggers import is_glob, names_like, stored_names
from penstock.orchestrator.facts import Facts, run_of

_SPAN = 10_000
_QUIET = frozenset({"AutomationMatched", "ActionTried"})
"""What is only worth seeing for those who ask for it."""

_HIDDEN = frozenset({"Audited"})
"""What is not for everybody who may look: the audit has a list of its own."""

_encode = msgspec.json.Encoder().encode


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events. Those of steps, and what automations note down, only where patterns ask for them.

    Attributes:
        patterns: names of events, such as RunFailed, 'Run*', 'orders.*'; at least one of them. Empty for any.
        about: a run (the beginning or the end of its id), flow, deployment or thing; * and ? stand for any text.
        run: about this run.
        tags: about something with every one of these tags.
        any_tags: about something with at least one of these; None for anything.
        text: somewhere in what is known of it.
        since, until: from, and before, these times (microseconds).
    """

    patterns: tuple[str, ...] = ()
    about: str | None = None
    run: str | None = None
    tags: tuple[str, ...] = ()
    any_tags: tuple[str, ...] | None = None
    text: str = ""
    since: int | None = None
    until: int | None = None

    @property
    def types(self) -> frozenset[str]:
        """Under which names events are stored that may be wanted."""
        return _types(self.patterns)

    def wanted(self, facts_of: Facts, stored: Stored) -> dict[str, Any] | None:
        """What is known of an event; None where it is not wanted."""
        event, kind = stored.event, stored_name(stored.event)[0]
        if kind not in self.types or not self._is_in_time(event.at):
            return None
        if self.run is not None and run_of(stored) != self.run:
            return None
        facts = facts_of.of(stored)
        names = (kind, facts["event"])
        if self.patterns and not any(fnmatchcase(name, each) for name in names for each in self.patterns):
            return None
        if self.about is not None and not is_about(facts, self.about):
            return None
        tags = _tags_of(facts)
        if not tags.issuperset(self.tags) or (self.any_tags is not None and tags.isdisjoint(self.any_tags)):
            return None
        if self.text and self.text.casefold() not in _encode(facts).decode().casefold():
            return None
        return facts

    def _is_in_time(self, at: int) -> bool:
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


class Newest(NamedTuple):
    """Some of the newest events.

    Attributes:
        facts: what is known of them, the newest first.
        before: those that come next stand before this position; None where there are none.
    """

    facts: list[dict[str, Any]]
    before: int | None


def newest(journal: Journal, where: EventFilter, limit: int, before: int | None = None, *, spans: int = 1000) -> Newest:
    """The newest events that fit.

    Args:
        journal: where.
        where: the filter.
        limit: at most so many.
        before: only those before this position.
        spans: look through so many times ten thousand events at most.
    """
    facts_of, found = Facts(journal), list[dict[str, Any]]()
    types = tuple(sorted(where.types))
    for _ in range(spans):
        page, further = journal.glance(before, types, min(limit + 1, 1000), _SPAN)
        facts_of.learn(page)
        for stored in page:
            facts = where.wanted(facts_of, stored)
            if facts is not None:
                if len(found) == limit:
                    return Newest(found, before)
                found.append(facts)
            before = stored.position
        over = where.since is not None and page and all(each.event.at < where.since for each in page)
        if further is None or over:
            return Newest(found, None)
        before = further
    return Newest(found, before)


def is_about(facts: dict[str, Any], about: str) -> bool:
    """Whether this is about a run, a flow, a deployment or a thing of that name."""
    run = facts.get("run", {})
    if run and not is_glob(about) and (run["id"].startswith(about) or run["id"].endswith(about)):
        return True
    stream = facts["stream"].partition("/")[2]
    names = (run.get("name"), facts.get("flow"), facts.get("deployment"), facts.get("about"), facts.get("name"), stream)
    return any(name is not None and fnmatchcase(str(name), about) for name in names)


def _tags_of(facts: dict[str, Any]) -> set[str]:
    found = facts.get("tags")
    return set(map(str, found)) if isinstance(found, (list, tuple)) else set()


@lru_cache(maxsize=512)
def _types(patterns: Sequence[str]) -> frozenset[str]:
    if not patterns:
        return names_like("*") - _QUIET - _HIDDEN
    found: set[str] = set()
    for pattern in patterns:
        found |= names_like(pattern)
        if pattern not in stored_names():
            found.add("Happened")
    return frozenset(found - _HIDDEN)
