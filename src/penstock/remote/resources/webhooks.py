"""Webhooks, and what was sent to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.remote.answers import Page, Part
from penstock.remote.calls import Call, K, Resource, changed, got, listing, made, operation, removed, told


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook; its secrets are names of connections."""

    slug: str
    path: str
    declared_at: str
    signature: dict[str, Any]
    secrets: list[dict[str, Any]] = []
    template: str | None = None
    mapping: dict[str, Any] | None = None
    schema: dict[str, Any] | None = None
    allow: list[str] = []
    most_bytes: int = 0
    per_second: float | None = None
    burst: int = 0
    per_second_each: float | None = None
    methods: list[str] = []
    active: bool = True
    description: str | None = None
    etag: str | None = None


class HookEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that a delivery became."""

    event: str
    resource: str | None = None
    payload: dict[str, Any] = {}


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why something was not taken."""

    reason: str
    message: str


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What would come of a request."""

    accepted: bool
    refused: Why | None = None
    failed: Why | None = None
    delivery: str | None = None
    events: list[HookEvent] = []
    answer: str | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent to a webhook, and what came of it."""

    id: str
    webhook: str
    at: str
    status: str
    delivery: str | None = None
    reason: str | None = None
    message: str | None = None
    address: str | None = None
    size: int = 0
    verified: bool = False
    again: str | None = None


class SentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it was sent."""

    method: str
    path: str
    headers: list[tuple[str, str]] = []
    query: list[tuple[str, str]] = []
    body: str = ""


class DeliveryDetail(Delivery, frozen=True, kw_only=True):
    """A delivery with the request, and the events it became."""

    request: SentRequest
    events: list[HookEvent] = []


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a delivery that was taken in again."""

    status: str
    id: str | None = None
    reason: str | None = None
    message: str | None = None
    events: list[HookEvent] = []


class Webhooks(Resource[K]):
    """Webhooks; what one is, `docs/webhooks.md` says."""

    @operation
    def create(self, webhook: Mapping[str, Any], *, key: str | None = None) -> Call[Webhook]:
        """Make one, of plain data."""
        return made(Webhook, "webhooks", body=dict(webhook), key=key)

    @listing
    def list(self, *, text: str = "", active: bool | None = None, limit: int = 200) -> Call[Webhook]:
        """Every one of them, by name."""
        return got(Page[Webhook], "webhooks", text=text, active=active, limit=limit)

    @operation
    def get(self, slug: str) -> Call[Webhook]:
        """One of them."""
        return got(Webhook, "webhooks", slug)

    @operation
    def update(self, slug: str, webhook: Mapping[str, Any], *, etag: str | None = None) -> Call[Webhook]:
        """Have one become as this says."""
        return changed(Webhook, "webhooks", slug, body=dict(webhook), etag=etag)

    @operation
    def delete(self, slug: str, *, etag: str | None = None) -> Call[None]:
        """Remove one."""
        return removed("webhooks", slug, etag=etag)

    @operation
    def enable(self, slug: str) -> Call[Webhook]:
        """Take in what is sent to it."""
        return told(Webhook, "webhooks", slug, "enable", repeatable=True)

    @operation
    def disable(self, slug: str) -> Call[Webhook]:
        """Refuse what is sent to it."""
        return told(Webhook, "webhooks", slug, "disable", repeatable=True)

    @operation
    def dry_run(self, slug: str, sample: Mapping[str, Any]) -> Call[Rehearsal]:
        """Say what would come of a request; nothing is kept."""
        return told(Rehearsal, "webhooks", slug, "dry-run", body=dict(sample), repeatable=True)

    @listing
    def deliveries(self, webhook: str | None = None, *, status: str | None = None, limit: int = 200) -> Call[Delivery]:
        """What was sent, the newest first."""
        return got(Part[Delivery], "deliveries", webhook=webhook, status=status, limit=limit)

    @operation
    def delivery(self, delivery_id: str) -> Call[DeliveryDetail]:
        """One delivery, with its request."""
        return got(DeliveryDetail, "deliveries", delivery_id)

    @operation
    def redeliver(self, delivery_id: str) -> Call[Outcome]:
        """Take one in again."""
        return told(Outcome, "deliveries", delivery_id, "redeliver")
