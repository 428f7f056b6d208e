"""`/api/v1/events`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from penstock.control.access import Operator, Viewer
from penstock.control.api.events_filters import TheEventFilter
from penstock.control.api.events_models import EmittedOut, EventIn, EventOut
from penstock.control.bodies import BODIES, Raw, parsed
from penstock.control.models import Part
from penstock.control.problems import Problem
from penstock.control.wiring import IdempotencyKey, ThePenstock
from penstock.core.clock import iso
from penstock.orchestrator.emitting import emit
from penstock.orchestrator.watching import EventFilter, newest

router = APIRouter(prefix="/events", tags=["events"])
_LAST = 2**63 - 1
_SPANS = 20
_EXAMPLE = {"name": "orders.imported", "about": "orders", "facts": {"rows": 1200}}


@router.get("")
def list_events(
    penstock: ThePenstock,
    user: Viewer,
    where: TheEventFilter,
    cursor: Annotated[int | None, Query(ge=1, le=_LAST, description="`next` of the part before")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Part[EventOut]:
    """List events, the newest first. A part may have fewer than `limit`, or none: go on while there is a `next`."""
    found = newest(penstock.journal, where, limit, cursor, spans=_SPANS)
    items = [EventOut.model_validate(facts) for facts in found.facts]
    return Part(items=items, limit=limit, next=None if found.before is None else str(found.before))


@router.post("", status_code=201, openapi_extra=BODIES.of(EventIn, _EXAMPLE))
def emit_event(raw: Raw, penstock: ThePenstock, user: Operator, key: IdempotencyKey) -> EmittedOut:
    """Record that something happened, for automations and for people."""
    wanted = parsed(EventIn, raw)
    if not user.sees(()):
        raise Problem(403, "An event bears no tags, and you see only what bears some.", hint="ask an admin for it")
    made = emit(penstock.journal, wanted.name, wanted.about, wanted.facts, key=key)
    if (made.name, made.about, made.facts) != (wanted.name, wanted.about, wanted.facts):
        raise Problem(422, "This key made another event.", hint="give each request its own key")
    return EmittedOut(name=made.name, at=iso(made.at) or "", about=made.about, facts=made.facts)


@router.get("/{position}")
def get(position: Annotated[int, Path(ge=1, le=_LAST - 1)], penstock: ThePenstock, user: Viewer) -> EventOut:
    """One event, by its position in the journal."""
    found = newest(penstock.journal, EventFilter(patterns=("*", "Task*"), any_tags=user.tags), 1, position + 1, spans=1)
    facts = found.facts[0] if found.facts and found.facts[0]["position"] == position else None
    if facts is None:
        raise Problem(404, f"There is no event {position}.", hint="it may have left with the run it is about")
    return EventOut.model_validate(facts)
