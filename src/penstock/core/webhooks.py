"""What a journal keeps of webhooks: what is declared (`webhook/NAME`), and each request, in a stream of its own.

A delivery is appended together with the events that were made of it. The stream of one that was accepted is made of
the sender's own id for it, so that a second request with this id finds the stream begun, and makes nothing.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from penstock.core.events import Event

KIND = "webhook"
ACCEPTED, DUPLICATE, REFUSED, FAILED = "accepted", "duplicate", "refused", "failed"


class WebhookDeclared(Event, frozen=True, omit_defaults=True, kw_only=True):
    """There is a webhook, or it is another one from now on.

    Attributes:
        spec: all of it but its secrets, which are saved connections.
    """

    stored: ClassVar[str] = "WebhookDeclared"
    name: str
    spec: dict[str, Any]


class WebhookDeleted(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A webhook is gone."""

    stored: ClassVar[str] = "WebhookDeleted"
    name: str


class WebhookReceived(Event, frozen=True, omit_defaults=True, kw_only=True):
    """A request came to a webhook. The record's data holds the request, as far as it is kept.

    Attributes:
        id: of this delivery; sorts by time.
        hook: to which webhook.
        status: accepted, refused (by a check of the request), or failed (nothing could be made of it).
        delivery: the sender's own id for it.
        reason: why it was not accepted: a word for programs.
        message: the same for people.
        address: who sent it.
        size: of its body (bytes).
        verified: its signature was right; without, nothing in it can be trusted.
        again: the delivery that was delivered again by hand.
    """

    stored: ClassVar[str] = "WebhookReceived"
    id: str
    hook: str
    status: str
    delivery: str | None = None
    reason: str | None = None
    message: str | None = None
    address: str | None = None
    size: int = 0
    verified: bool = False
    again: str | None = None


WEBHOOKS: tuple[type[Event], ...] = (WebhookDeclared, WebhookDeleted, WebhookReceived)


class StoredWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as the journal has it.

    Attributes:
        declared_at: when it became what it is (microseconds).
    """

    name: str
    spec: dict[str, Any]
    declared_at: int


class StoredDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as the journal lists it: see `WebhookReceived`.

    Attributes:
        stream: where its request is, and the events that were made of it.
        at: when it came (microseconds).
    """

    id: str
    hook: str
    stream: str
    at: int
    status: str
    delivery: str | None
    reason: str | None
    message: str | None
    address: str | None
    size: int
    verified: bool
    again: str | None
