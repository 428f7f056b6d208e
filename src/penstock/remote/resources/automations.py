"""Automations, and what they did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.remote.answers import Page, Part
from penstock.remote.calls import Call, K, Resource, changed, got, listing, made, operation, removed, told


class Automation(msgspec.Struct, frozen=True, kw_only=True):
    """An automation."""

    name: str
    trigger: dict[str, Any]
    actions: list[dict[str, Any]]
    description: str | None = None
    paused: bool = False
    fired_at: str | None = None
    etag: str | None = None


class AutomationDetail(Automation, frozen=True, kw_only=True):
    """An automation, with what it keeps in mind."""

    reason: str | None = None
    remembered: list[dict[str, Any]] = []


class DoneAction(msgspec.Struct, frozen=True, kw_only=True):
    """An action that was taken, or is to be."""

    type: str
    state: str
    error: str | None = None
    attempts: int = 0
    facts: dict[str, Any] = {}


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """A time at which an automation fired, why, and what it did."""

    id: str
    at: str | None = None
    facts: dict[str, Any] = {}
    actions: list[DoneAction] = []


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What an automation would have made of an event."""

    event: str
    outcome: str
    why: str
    actions: list[dict[str, Any]] = []


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What an automation would have done."""

    events: list[Judged]
    firings: int


class Automations(Resource[K]):
    """Automations; what one is, `docs/automations.md` says."""

    @operation
    def create(self, automation: Mapping[str, Any], *, key: str | None = None) -> Call[Automation]:
        """Make one, of plain data."""
        return made(Automation, "automations", body=dict(automation), key=key)

    @listing
    def list(self, *, text: str = "", paused: bool | None = None, limit: int = 200) -> Call[Automation]:
        """Every one of them, by name."""
        return got(Page[Automation], "automations", text=text, paused=paused, limit=limit)

    @operation
    def get(self, name: str) -> Call[AutomationDetail]:
        """One of them."""
        return got(AutomationDetail, "automations", name)

    @operation
    def update(self, name: str, automation: Mapping[str, Any], *, etag: str | None = None) -> Call[Automation]:
        """Have one become as this says."""
        return changed(Automation, "automations", name, body=dict(automation), etag=etag)

    @operation
    def delete(self, name: str, *, etag: str | None = None) -> Call[None]:
        """Remove one."""
        return removed("automations", name, etag=etag)

    @operation
    def pause(self, name: str) -> Call[Automation]:
        """Have it do nothing."""
        return told(Automation, "automations", name, "pause", repeatable=True)

    @operation
    def resume(self, name: str) -> Call[Automation]:
        """Have it at work again."""
        return told(Automation, "automations", name, "resume", repeatable=True)

    @listing
    def firings(self, name: str, *, limit: int = 50) -> Call[Firing]:
        """When it fired, why, and what it did."""
        return got(Part[Firing], "automations", name, "firings", limit=limit)

    @operation
    def test(self, name: str, events: Mapping[str, Any]) -> Call[Trial]:
        """What it would do with past or given events (`{"events": [...]}` or `{"past": {...}}`)."""
        return told(Trial, "automations", name, "test", body=dict(events), repeatable=True)

    @operation
    def test_other(self, automation: Mapping[str, Any], events: Mapping[str, Any]) -> Call[Trial]:
        """The same for one that is not there yet."""
        body = {**events, "automation": dict(automation)}
        return told(Trial, "automations", "test", body=body, repeatable=True)
