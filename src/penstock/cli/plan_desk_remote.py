"""What `plan_desk` has at hand, asked for over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from penstock.cli.plan_desk import SeenAutomation
from penstock.core import typed
from penstock.core.clock import iso, micros
from penstock.core.errors import ConfigurationError
from penstock.core.model import RememberedGroup, Run, StoredAutomation, StoredDeployment
from penstock.core.plans import Happened
from penstock.orchestrator.rehearsal import Told
from penstock.orchestrator.watching import EventFilter
from penstock.remote import Client
from penstock.remote.calls import first
from penstock.remote.planned import automation_of, deployment_of
from penstock.remote.reading import run_of

_MOST_FIRINGS = 100


class RemoteDeployments:
    """The deployments of a server; see `LocalDeployments`."""

    def __init__(self, client: Client) -> None:
        self._all = client.deployments

    def pause(self, name: str, schedule: str | None) -> StoredDeployment:
        """See `LocalDeployments`."""
        return deployment_of(self._all.pause(name, schedule=schedule))

    def resume(self, name: str, schedule: str | None) -> StoredDeployment:
        """See `LocalDeployments`."""
        return deployment_of(self._all.resume(name, schedule=schedule))

    def delete(self, name: str) -> None:
        """See `LocalDeployments`."""
        self._all.delete(name)

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
        """See `LocalDeployments`."""
        if at is not None:
            raise ConfigurationError("A server is asked for runs that are due now.", hint="leave --at out")
        return run_of(self._all.run(name, parameters, tags=tags, run_name=run_name, key=key))


class RemoteAutomations:
    """The automations of a server; see `LocalAutomations`."""

    def __init__(self, client: Client) -> None:
        self._all = client.automations

    def seen(self, name: str, firings: int) -> SeenAutomation:
        """See `LocalAutomations`."""
        told = self._all.get(name)
        kept = [{**each} for each in told.remembered]
        groups = [RememberedGroup(automation=name, group=each.pop("group", ""), state=each) for each in kept]
        last = first(min(firings, _MOST_FIRINGS), lambda page: self._all.firings(name, limit=page))
        fired = [msgspec.to_builtins(each) for each in last]
        return SeenAutomation(automation_of(told), groups, told.reason, fired)

    def switch(self, name: str, paused: bool) -> tuple[bool, StoredAutomation]:
        """See `LocalAutomations`."""
        before = self._all.get(name).paused
        after = self._all.pause(name) if paused else self._all.resume(name)
        return before != after.paused, automation_of(after)

    def delete(self, name: str) -> None:
        """See `LocalAutomations`."""
        self._all.delete(name)

    def rehearse(self, name: str, events: Sequence[dict[str, Any]]) -> list[Told]:
        """See `LocalAutomations`; there is no pyproject.toml at hand."""
        told = self._all.test(name, {"events": [*events]})
        return [typed.convert(msgspec.to_builtins(each), Told) for each in told.events]


class RemoteEvents:
    """The events of a server; see `LocalEvents`."""

    def __init__(self, client: Client) -> None:
        self._all = client.events

    def newest(self, where: EventFilter, limit: int) -> list[dict[str, Any]]:
        """See `LocalEvents`."""
        patterns, about, since = where.patterns, where.about or "", iso(where.since)
        return first(limit, lambda page: self._all.list(type=patterns, about=about, since=since, limit=page))

    def follow(self, where: EventFilter, lately: EventFilter | None, most: int) -> Iterator[dict[str, Any]]:
        """See `LocalEvents`. It goes on over restarts of the server."""
        head = ""
        if lately is not None:
            last = next(iter(self._all.list(type=("*", "Task*"), limit=1)), None)
            head = str(last["position"]) if last is not None else ""
            for facts in self.newest(lately, most)[::-1]:
                if last is not None and facts["position"] <= last["position"]:
                    yield facts
        for heard in self._all.follow(type=where.patterns, about=where.about or "", last_id=head):
            if heard.event == "event":
                yield heard.data

    def emit(self, name: str, about: str | None, facts: dict[str, Any], key: str | None) -> Happened:
        """See `LocalEvents`."""
        made = self._all.emit(name, about=about, facts=facts, key=key)
        return Happened(at=micros(made.at), name=made.name, about=made.about, facts=made.facts)
