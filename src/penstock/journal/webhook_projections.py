"""What events of webhooks do to their tables; see `projections`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.core.events import Event
from penstock.core.webhooks import WebhookDeclared, WebhookDeleted, WebhookReceived
from penstock.journal.projections import Projection

_json = msgspec.json.Encoder().encode
DELIVERY_COLUMNS = (
    "id", "hook", "stream", "at", "status", "delivery", "reason", "message", "address", "size", "verified", "again",
)  # fmt: skip


def _declared(stream: str, e: WebhookDeclared, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    return ((e.name, _json(e.spec).decode(), e.at),)


def _received(stream: str, e: WebhookReceived, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    return ((e.id, e.hook, stream, e.at, *(getattr(e, column) for column in DELIVERY_COLUMNS[4:])),)


PROJECTIONS: dict[type[Event], tuple[Projection, ...]] = {
    WebhookDeclared: (Projection("webhooks", "put", ("name", "spec", "updated_at"), _declared),),
    WebhookDeleted: (Projection("webhooks", "drop", ("name",), lambda s, e, d: ((e.name,),)),),
    WebhookReceived: (Projection("deliveries", "put", DELIVERY_COLUMNS, _received),),
}
