"""`/api/v1/runs/ID/stream` and `/api/v1/events/stream`: what happens, while it happens."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from penstock.control import runs as service
from penstock.control.access import Viewer
from penstock.control.api.events_filters import TheEventFilter
from penstock.control.patience import PUSH
from penstock.control.problems import Problem
from penstock.control.streams import EventsSubject, EventStream, Hub, RunSubject
from penstock.control.wiring import ThePenstock, control_of

router = APIRouter(tags=["streams"])
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "What happens.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
}
_OVER: dict[int | str, dict[str, Any]] = {204: {"description": "It was all heard, and nothing more will come."}}
_HELP = "the id of the last thing that was heard; what came after it is sent"
_Header = Annotated[str | None, Header(alias="Last-Event-ID", max_length=100, description=_HELP)]
_Query = Annotated[str | None, Query(alias="last_event_id", max_length=100, description=_HELP)]


async def _last_heard(header: _Header = None, query: _Query = None) -> str | None:
    return header or query


LastHeard = Annotated[str | None, Depends(_last_heard)]


async def _streams_of(request: Request) -> Hub:
    found: Hub = control_of(request).streams
    found.admit()
    return found


TheStreams = Annotated[Hub, Depends(_streams_of)]


@router.get("/runs/{run_id}/stream", response_class=EventStream, responses={**_STREAM, **_OVER})
async def follow_run(
    run_id: str, request: Request, penstock: ThePenstock, user: Viewer, streams: TheStreams, last: LastHeard
) -> Any:
    """The states of a run and of its steps, and what it logs: from its beginning, or from what was heard last."""
    subject = RunSubject(penstock.journal, run_id)
    await streams.in_thread(service.found, penstock.journal, run_id, user)
    place = (0, 0) if last is None else await streams.in_thread(subject.place_of, last)
    if place is None:
        raise _unheard(last)
    part = await streams.in_thread(subject.past, place, 0)
    if part.over is not None and last is not None and not part.frames:
        return Response(status_code=204)
    return EventStream(streams.listen(subject, place, part, request.scope.get(PUSH)))


@router.get("/events/stream", response_class=EventStream, responses=_STREAM)
async def follow_events(
    request: Request,
    penstock: ThePenstock,
    user: Viewer,
    streams: TheStreams,
    where: TheEventFilter,
    last: LastHeard,
) -> EventStream:
    """Events as they are recorded: from now on, or from what was heard last."""
    head = await streams.in_thread(penstock.journal.head)
    position = head
    if last is not None:
        if not (last.isascii() and last.isdecimal() and len(last) < 20):
            raise _unheard(last)
        position = min(int(last), head)
    subject = EventsSubject(penstock.journal, where, streams.facts)
    return EventStream(streams.listen(subject, (position, 0), push=request.scope.get(PUSH)))


def _unheard(last: str | None) -> Problem:
    told = "it is no id of this stream; leave it out to begin anew"
    return Problem(422, f"Nothing here has the id {last!r}.", [("Last-Event-ID", told)])
