"""Events of your own, under Prefect's module name: what happened, for automations and for people."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.core.extras import LateModule
from penstock.core.plans import Happened

__all__ = ["emit_event"]

_app: Any = LateModule("penstock.app")
_emitting: Any = LateModule("penstock.orchestrator.emitting")


def emit_event(
    event: str,
    resource: str | Mapping[str, str] | None = None,
    occurred: datetime.datetime | None = None,
    related: Sequence[Mapping[str, str]] | None = None,
    payload: Mapping[str, Any] | None = None,
    id: object | None = None,
    follows: object | None = None,
    **facts: Any,
) -> Happened:
    """Record that something happened. When this returns, it is in the journal.

    Args:
        event: its name, such as `orders.imported`.
        resource: what it is about, such as the name of a dataset; or, as in Prefect, a dict of labels, whose
            `prefect.resource.id` (else the first one) it is about.
        occurred: when it happened; now when left out.
        related: labels of what else it is about; kept among the facts.
        payload: facts, as a dict.
        id: an idempotency key: a second event with it is the first one.
        follows: taken for Prefect's sake; events are in the order in which they were recorded.
        facts: more about it; what JSON can hold.

    Returns:
        What was recorded.

    Raises:
        BadEvent: it cannot be.

    Example:
        emit_event("orders.imported", "orders", rows=1_200, day="2026-01-31")
    """
    told = {**(payload or {}), **facts}
    about = resource if isinstance(resource, str) or resource is None else _subject(resource)
    if isinstance(resource, Mapping):
        told["resource"] = dict(resource)
    if related:
        told["related"] = [dict(each) for each in related]
    at = int(occurred.timestamp() * 1_000_000) if occurred is not None else None
    key = str(id) if id is not None else None
    made: Happened = _emitting.emit(_app.current().journal, event, about, told, at=at, key=key)
    return made


def _subject(labels: Mapping[str, str]) -> str | None:
    return labels.get("prefect.resource.id") or next(iter(labels.values()), None)
