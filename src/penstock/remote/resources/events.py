"""Events, the flows there are, and how things stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.remote.answers import Part
from penstock.remote.calls import Call, K, Resource, asked, given, got, listing, made, operation, stream
from penstock.remote.session import Heard

Facts = dict[str, Any]
"""What is known of an event: `event`, `at`, `position`, `stream`, and what else belongs to it."""


class Emitted(msgspec.Struct, frozen=True, kw_only=True):
    """An event of one's own, as it was recorded."""

    name: str
    at: str
    about: str | None = None
    facts: dict[str, Any] = {}


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """A flow that has run."""

    flow: str
    runs: int
    last_run_id: str
    last_state: str
    last_created_at: str | None = None
    entrypoint: str | None = None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand: runs by state, pools and workers."""

    at: str
    hours: float
    runs: dict[str, int]
    most: int
    pools: list[dict[str, Any]]
    workers: list[dict[str, Any]]


class Events(Resource[K]):
    """What happens, of its own and of Penstock."""

    @listing
    def list(
        self,
        *,
        type: Sequence[str] = (),
        about: str = "",
        run: str = "",
        tag: Sequence[str] = (),
        text: str = "",
        since: str | None = None,
        until: str | None = None,
        limit: int = 200,
    ) -> Call[Facts]:
        """Events that fit, the newest first; `type` is one or more names or patterns such as `Run*`."""
        return got(
            Part[Facts], "events", type=type, about=about, run=run, tag=tag, text=text, since=since, until=until,
            limit=limit,
        )  # fmt: skip

    @operation
    def get(self, position: int) -> Call[Facts]:
        """One event, by its place in the journal."""
        return got(Facts, "events", position)

    @operation
    def emit(
        self, name: str, *, about: str | None = None, facts: Mapping[str, Any] | None = None, key: str | None = None
    ) -> Call[Emitted]:
        """Record that something happened."""
        body = given(name=name, about=about, facts=dict(facts or {}))
        return made(Emitted, "events", body=body, key=key)

    @stream
    def follow(
        self,
        *,
        type: Sequence[str] = (),
        about: str = "",
        run: str = "",
        tag: Sequence[str] = (),
        text: str = "",
        last_id: str = "",
    ) -> Call[Heard]:
        """Events as they are recorded, each once: from now on, or behind `last_id`."""
        query = asked({"type": type, "about": about, "run": run, "tag": tag, "text": text})
        headers = {"Last-Event-ID": last_id} if last_id else {}
        return Call(method="GET", path=("events", "stream"), query=query, headers=headers)


class Overview(Resource[K]):
    """How things stand."""

    @operation
    def flows(self) -> Call[Sequence[Flow]]:
        """The flows that have run."""
        return got(tuple[Flow, ...], "flows")

    @operation
    def summary(self, *, hours: float | None = None) -> Call[Summary]:
        """Runs by state (those that ended within so many hours), pools and workers."""
        return got(Summary, "summary", hours=hours)
