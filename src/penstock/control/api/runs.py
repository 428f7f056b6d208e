"""`/api/v1/runs`."""

from __future__ import annotations

import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response

from penstock.control import runs as service
from penstock.control.access import CurrentUser
from penstock.control.bodies import BODIES, Raw, parsed
from penstock.control.models import ArtifactOut, CancelIn, ForkIn, LogOut, Part, RunDetail, RunOut, StepOut
from penstock.control.problems import Problem
from penstock.control.wiring import ThePenstock, tell_place
from penstock.core.clock import now_us
from penstock.core.errors import InvalidTransition
from penstock.core.model import Run, RunFilter
from penstock.core.states import StateType
from penstock.engine import recovery
from penstock.orchestrator.records import artifact_record, log_record, run_record, step_record

router = APIRouter(prefix="/runs", tags=["runs"])
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_Word = Annotated[str | None, Query(max_length=1000)]
_Limit = Annotated[int, Query(ge=1, le=500)]


def _told(run: Run) -> RunOut:
    return RunOut.model_validate(run_record(run, now_us()))


def _micros(name: str, moment: datetime.datetime | None) -> int | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise Problem(422, "A time needs its offset.", [(f"query.{name}", "write it like 2026-01-31T13:00:00Z")])
    return (moment - _EPOCH) // datetime.timedelta(microseconds=1)


@router.get("")
def list_runs(
    penstock: ThePenstock,
    user: CurrentUser,
    state: Annotated[list[str] | None, Query(description="one or more of the states")] = None,
    flow: _Word = None,
    workflow: _Word = None,
    tag: Annotated[list[str] | None, Query(description="every one of them")] = None,
    text: Annotated[str, Query(max_length=200, description="words of its name, flow or message")] = "",
    since: datetime.datetime | None = None,
    until: datetime.datetime | None = None,
    parent: _Word = None,
    children: bool = False,
    cursor: Annotated[str | None, Query(max_length=200, description="`next` of the part before")] = None,
    limit: _Limit = 50,
) -> Part[RunOut]:
    """List runs, the newest first."""
    words = {kind.word for kind in StateType}
    unknown = [each for each in state or () if each not in words]
    if unknown:
        told = f"there are {', '.join(sorted(words))}"
        raise Problem(422, "There is no such state.", [("query.state", f"{each!r}: {told}") for each in unknown])
    where = RunFilter(
        states=tuple(state or ()),
        flow=flow,
        deployment=workflow,
        tags=tuple(tag or ()),
        text=text,
        since=_micros("since", since),
        until=_micros("until", until),
        before=cursor,
        children=children,
        parent_id=parent,
        limit=limit + 1,
    )
    found = penstock.journal.runs(where)
    items = [_told(run) for run in found[:limit]]
    return Part(items=items, limit=limit, next=items[-1].id if len(found) > limit else None)


@router.get("/{run_id}")
def get(run_id: str, penstock: ThePenstock, user: CurrentUser) -> RunDetail:
    """One run, with its task runs and how long each took."""
    run = service.found(penstock.journal, run_id)
    steps = [StepOut.model_validate(step_record(step)) for step in penstock.journal.task_runs(run.id)]
    return RunDetail(**run_record(run, now_us()), task_runs=steps)


@router.delete("/{run_id}", status_code=204)
def delete(run_id: str, penstock: ThePenstock, user: CurrentUser) -> None:
    """Remove a run that has ended, with its subflow runs, logs and events."""
    recovery.delete(penstock.journal, service.found(penstock.journal, run_id).id)


@router.post(
    "/{run_id}/cancel",
    openapi_extra=BODIES.of(CancelIn, {"reason": "wrong day", "grace_seconds": 5}, needed=False),
)
def cancel(run_id: str, raw: Raw, penstock: ThePenstock, user: CurrentUser) -> RunOut:
    """Stop a run and everything it has started. It is asked first, and killed when it has not stopped in time."""
    wanted = parsed(CancelIn, raw)
    run = service.found(penstock.journal, run_id)
    if run.ended:
        raise InvalidTransition(f"Run {run.name} has ended ({run.state}).", hint="an ended run needs no cancelling")
    reason = wanted.reason or f"Cancelled by {user.name}."
    return _told(recovery.cancel(penstock.journal, run.id, grace_seconds=wanted.grace_seconds, reason=reason))


@router.post("/{run_id}/resume", status_code=201)
def resume(run_id: str, response: Response, penstock: ThePenstock, user: CurrentUser) -> RunOut:
    """A new run that takes over what a failed, crashed or cancelled one has completed."""
    made = service.resume(penstock.journal, run_id)
    tell_place(response, made)
    return _told(made)


@router.post("/{run_id}/fork", status_code=201, openapi_extra=BODIES.of(ForkIn, {"from_step": "load"}))
def fork(run_id: str, response: Response, raw: Raw, penstock: ThePenstock, user: CurrentUser) -> RunOut:
    """A new run that executes this step, and every one called after it, anew."""
    made = service.fork(penstock.journal, run_id, parsed(ForkIn, raw).from_step)
    tell_place(response, made)
    return _told(made)


@router.get("/{run_id}/logs")
def logs(
    run_id: str,
    penstock: ThePenstock,
    user: CurrentUser,
    step: _Word = None,
    cursor: Annotated[int, Query(ge=0, le=2**63 - 1, description="`next` of the part before")] = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> Part[LogOut]:
    """What a run (or one step of it) has logged."""
    run = service.found(penstock.journal, run_id)
    found = penstock.journal.logs(run.id, step, cursor, limit + 1)
    items = [LogOut.model_validate(log_record(line)) for line in found[:limit]]
    return Part(items=items, limit=limit, next=str(found[limit - 1].id) if len(found) > limit else None)


@router.get("/{run_id}/artifacts")
def artifacts(
    run_id: str,
    penstock: ThePenstock,
    user: CurrentUser,
    cursor: Annotated[str | None, Query(max_length=200, description="`next` of the part before")] = None,
    limit: _Limit = 50,
) -> Part[ArtifactOut]:
    """What a run left to look at, the newest first, without what is in it."""
    run = service.found(penstock.journal, run_id)
    found = penstock.journal.artifacts(run.id, before=cursor, limit=limit + 1, bare=True)
    items = [ArtifactOut.model_validate(artifact_record(each)) for each in found[:limit]]
    return Part(items=items, limit=limit, next=items[-1].id if len(found) > limit else None)
