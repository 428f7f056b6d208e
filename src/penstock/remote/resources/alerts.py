"""What people were told, and for how long they are not to be told something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.remote.answers import Part
from penstock.remote.calls import Call, K, Resource, given, got, listing, made, operation, removed, told


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was sent, or is to be."""

    id: str
    state: str
    automation: str
    to: list[str]
    title: str
    level: str
    at: str
    due_at: str | None = None
    attempts: int = 0
    error: str | None = None


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """Where messages go; `off` says why nothing does."""

    name: str
    type: str
    connection: str
    off: str | None = None


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """How a message of trial went."""

    channel: str
    ok: bool
    error: str | None = None


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """For how long nobody is told of what fits."""

    id: str
    state: str
    where: dict[str, Any]
    since: str
    until: str
    reason: str | None = None
    by: str | None = None


class Alerts(Resource[K]):
    """Messages, and where they go."""

    @listing
    def list(self, *, state: str | Sequence[str] | None = None, limit: int = 200) -> Call[Alert]:
        """Messages, the newest first."""
        return got(Part[Alert], "alerts", state=state, limit=limit)

    @operation
    def retry(self, alert_id: str) -> Call[dict[str, str]]:
        """Send one again that was given up."""
        return told(dict[str, str], "alerts", "retry", body={"id": alert_id})

    @operation
    def channels(self) -> Call[Sequence[Channel]]:
        """Where messages go."""
        return got(tuple[Channel, ...], "alerts", "channels")

    @operation
    def test(self, channel: str) -> Call[Tried]:
        """Send a message of trial."""
        return told(Tried, "alerts", "channels", channel, "test")


class Silences(Resource[K]):
    """For how long nobody is told of something."""

    @listing
    def list(self, *, over: bool | None = None, limit: int = 200) -> Call[Silence]:
        """Those that hold; with `over` those that are over, too."""
        return got(Part[Silence], "silences", over=over, limit=limit)

    @operation
    def create(
        self,
        where: Mapping[str, Any],
        seconds: float,
        *,
        since: str | None = None,
        reason: str | None = None,
        key: str | None = None,
    ) -> Call[Silence]:
        """Tell nobody of what fits, for so long."""
        body = given(where=dict(where), seconds=seconds, since=since, reason=reason)
        return made(Silence, "silences", body=body, key=key)

    @operation
    def get(self, silence_id: str) -> Call[Silence]:
        """One of them."""
        return got(Silence, "silences", silence_id)

    @operation
    def end(self, silence_id: str) -> Call[None]:
        """End it now."""
        return removed("silences", silence_id)
