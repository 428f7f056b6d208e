"""Deployments, automations and events for commands: those of the journal at hand. `plan_desk_remote` has the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from penstock.app import Penstock
from penstock.core.automations import Automation, of_data
from penstock.core.errors import PlanNotFound
from penstock.core.model import RememberedGroup, Run, StoredAutomation, StoredDeployment
from penstock.core.plans import Happened
from penstock.orchestrator import automations, deployments
from penstock.orchestrator.declaring import project_file
from penstock.orchestrator.emitting import emit
from penstock.orchestrator.facts import Facts
from penstock.orchestrator.firings import firings_of
from penstock.orchestrator.rehearsal import Told, rehearse
from penstock.orchestrator.watching import EventFilter, newest

_LOOK_SECONDS = 0.5
_PAGE = 1000


class LocalDeployments:
    """The deployments of the journal at hand; what is read of them, `Desk.journal` has."""

    def __init__(self, penstock: Penstock) -> None:
        self._journal = penstock.journal

    def pause(self, name: str, schedule: str | None) -> StoredDeployment:
        """Let its schedules, or one of them, make no runs."""
        deployments.pause(self._journal, name, schedule)
        return deployments.find_deployment(self._journal, name)

    def resume(self, name: str, schedule: str | None) -> StoredDeployment:
        """Let them make runs again."""
        deployments.unpause(self._journal, name, schedule)
        return deployments.find_deployment(self._journal, name)

    def delete(self, name: str) -> None:
        """Remove it; its runs stay."""
        deployments.delete(self._journal, name)

    def trigger(
        self,
        name: str,
        parameters: Mapping[str, Any],
        *,
        at: int | None,
        key: str | None,
        tags: Sequence[str],
        run_name: str | None,
    ) -> Run:
        """Ask for a run; `at` is when it is due (microseconds)."""
        return deployments.trigger(
            self._journal,
            name,
            parameters,
            at=at,
            key=key,
            tags=tags,
            run_name=run_name,
            cause="cli",
            same=True,
        )


class SeenAutomation(NamedTuple):
    """All there is to see of an automation.

    Attributes:
        groups: what it remembers.
        reason: why Penstock has paused it.
        firings: the last ones, the newest first.
    """

    stored: StoredAutomation
    groups: list[RememberedGroup]
    reason: str | None
    firings: list[dict[str, Any]]


class LocalAutomations:
    """The automations of the journal at hand; what is read of them, `Desk.journal` has."""

    def __init__(self, penstock: Penstock) -> None:
        self._journal = penstock.journal

    def seen(self, name: str, firings: int) -> SeenAutomation:
        """One with all there is to see of it, and so many of its firings."""
        stored = automations.find_automation(self._journal, name)
        groups = [each for each in self._journal.remembered(name) if each.group]
        return SeenAutomation(stored, groups, *firings_of(self._journal, name, firings))

    def switch(self, name: str, paused: bool) -> tuple[bool, StoredAutomation]:
        """Let it not fire, or fire again; whether that is news."""
        changed = (automations.pause if paused else automations.unpause)(self._journal, name)
        return changed, automations.find_automation(self._journal, name)

    def delete(self, name: str) -> None:
        """Remove it."""
        automations.delete(self._journal, name)

    def rehearse(self, name: str, events: Sequence[dict[str, Any]]) -> list[Told]:
        """What it would do about events; also one that only pyproject.toml declares."""
        return list(rehearse(self._meant(name), events))

    def _meant(self, name: str) -> Automation:
        stored = self._journal.automations(name)
        if stored:
            return of_data(stored[0].spec)
        file = project_file(Path.cwd())
        declared = automations.automations_in_project(file) if file is not None else {}
        if name not in declared:
            raise PlanNotFound(
                f"There is no automation {name!r} in the journal, and pyproject.toml declares none.",
                hint="penstock automations list",
            )
        return declared[name]


class LocalEvents:
    """The events of the journal at hand."""

    def __init__(self, penstock: Penstock) -> None:
        self._journal = penstock.journal

    def newest(self, where: EventFilter, limit: int) -> list[dict[str, Any]]:
        """Those that fit, the newest first."""
        return newest(self._journal, where, limit).facts

    def follow(self, where: EventFilter, lately: EventFilter | None, most: int) -> Iterator[dict[str, Any]]:
        """At most so many that happened lately, if they are wanted; and then each as it is recorded, without end."""
        journal, position = self._journal, self._journal.head()
        if lately is not None:
            yield from newest(journal, lately, most, position + 1).facts[::-1]
        types, facts_of = tuple(sorted(where.types)), Facts(journal)
        watch = journal.watch()
        try:
            while True:
                found = journal.read(position, _PAGE, types)
                facts_of.learn(found)
                for stored in found:
                    facts = where.wanted(facts_of, stored)
                    if facts is not None:
                        yield facts
                if found:
                    position = found[-1].position
                if len(found) < _PAGE:
                    watch.wait(_LOOK_SECONDS)
        finally:
            watch.close()

    def emit(self, name: str, about: str | None, facts: dict[str, Any], key: str | None) -> Happened:
        """Record that something happened."""
        return emit(self._journal, name, about, facts, key=key)
