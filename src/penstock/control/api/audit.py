"""`/api/v1/audit`: who did what to what."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from penstock.control.access import Admin, check_all
from penstock.control.api.auth_models import EntryOut, VerdictOut
from penstock.control.api.queries import micros_of
from penstock.control.auth import reading
from penstock.control.models import Part
from penstock.control.wiring import ThePenstock
from penstock.core.audit import AuditFilter

router = APIRouter(prefix="/audit", tags=["access"])
_Word = Annotated[str | None, Query(max_length=300)]


@router.get("")
def list_entries(
    penstock: ThePenstock,
    user: Admin,
    who: _Word = None,
    action: _Word = None,
    target: _Word = None,
    since: datetime.datetime | None = None,
    until: datetime.datetime | None = None,
    cursor: Annotated[int | None, Query(ge=1, le=2**62, description="`next` of the part before")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Part[EntryOut]:
    """List entries, the newest first."""
    check_all(user)
    where = AuditFilter(
        who=who,
        action=action,
        target=target,
        since=micros_of("query.since", since),
        until=micros_of("query.until", until),
        before=cursor,
        limit=limit + 1,
    )
    found = reading.listed(penstock.journal, where)
    items = [EntryOut.model_validate(each) for each in found[:limit]]
    return Part(items=items, limit=limit, next=str(items[-1].number) if len(found) > limit else None)


@router.get("/verify")
def verify(
    penstock: ThePenstock,
    user: Admin,
    number: Annotated[int | None, Query(ge=1, le=2**62, description="an entry whose hash was noted elsewhere")] = None,
    hash: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$", description="its hash")] = None,
) -> VerdictOut:
    """Compute every hash anew, and say what is not as it was written. A head that is noted vouches for all before."""
    check_all(user)
    found = reading.verify(penstock.journal, number, hash)
    breaks = [{"number": place, "told": told} for place, told in found.breaks]
    return VerdictOut(sound=found.sound, entries=found.entries, head=found.head, breaks=breaks)


@router.get("/export", response_class=StreamingResponse)
def export(penstock: ThePenstock, user: Admin, format: Literal["ndjson", "csv"] = "ndjson") -> StreamingResponse:
    """Every entry, the oldest first."""
    check_all(user)
    kind = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}[format]
    lines = reading.as_csv(penstock.journal) if format == "csv" else reading.ndjson(penstock.journal)
    headers = {"Content-Disposition": f'attachment; filename="audit.{format}"', "Cache-Control": "no-store"}
    return StreamingResponse(lines, media_type=kind, headers=headers)
