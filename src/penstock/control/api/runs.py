"""`/api/v1/runs`."""

from __future__ import annotations

import datetime
from collections import Counter
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Response

from penstock.control import artifacts as content
from penstock.control import runs as service
from penstock.control.access import Editor, Operator, Viewer
from penstock.control.answers import Encoded
from penstock.control.api.queries import OPEN_WORDS, micros_of, states_of
from penstock.control.api.runs_models import (
    AnswerIn,
    ArtifactDetailOut,
    LogsOut,
    PauseIn,
    QuestionOut,
    RunDetailOut,
    RunsOut,
)
from penstock.control.bodies import BODIES, Raw, parsed
from penstock.control.models import ArtifactOut, CancelIn, ForkIn, LogOut, Part, RunOut
from penstock.control.problems import Problem
from penstock.control.wiring import IdempotencyKey, ThePenstock, tell_place
from penstock.core.clock import iso, now_us
from penstock.core.levels import LEVELS
from penstock.core.model import Artifact, Run, RunFilter
from penstock.core.ports import Journal
from penstock.engine import recovery
from penstock.engine.waiting import replies
from penstock.orchestrator.records import artifact_record, log_record, run_record, step_record

router = APIRouter(prefix="/runs", tags=["runs"])
_Word = Annotated[str | None, Query(max_length=1000)]
_Words = Annotated[list[Annotated[str, Query(max_length=1000)]] | None, Query(max_length=50)]
_Limit = Annotated[int, Query(ge=1, le=500)]
_Cursor = Annotated[str | None, Query(max_length=200, description="`next` of the part before")]
_Sort = Literal["created", "-created", "started", "-started", "duration", "-duration", "name", "-name"]
_TYPES = {"text/html": {"schema": {"type": "string"}}, "text/plain": {"schema": {"type": "string"}}}
_SHOWN = 10


def _told(run: Run) -> RunOut:
    return RunOut.model_validate(run_record(run, now_us()))


async def _filter(
    user: Viewer,
    state: Annotated[_Words, Query(description="one or more of the states")] = None,
    flow: _Word = None,
    workflow: _Word = None,
    deployment: Annotated[_Word, Query(description="the same as workflow")] = None,
    tag: Annotated[_Words, Query(description="every one of them")] = None,
    text: Annotated[str, Query(max_length=200, description="words of its name, flow or message")] = "",
    since: datetime.datetime | None = None,
    until: datetime.datetime | None = None,
    parent: _Word = None,
    children: bool = False,
    pool: Annotated[_Word, Query(description="only of runs that have not ended")] = None,
    partition: _Word = None,
    parameter: Annotated[_Words, Query(description="NAME=VALUE, every one of them")] = None,
) -> RunFilter:
    if workflow is not None and deployment is not None:
        raise Problem(422, "A workflow is a deployment.", [("query.deployment", "give it or workflow, not both")])
    return RunFilter(
        states=states_of("query.state", state or ()) if pool is None else _open_states(state),
        flow=flow,
        deployment=workflow if deployment is None else deployment,
        tags=tuple(tag or ()),
        any_tags=user.tags,
        text=text,
        since=micros_of("query.since", since),
        until=micros_of("query.until", until),
        children=children,
        parent_id=parent,
        pool=pool,
        partition=partition,
        parameters=dict(map(_parameter, parameter or ())),
    )


def _parameter(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not name or not equals:
        raise Problem(422, "A parameter is NAME=VALUE.", [("query.parameter", f"{given[:100]!r} is not")])
    return name, value


def _open_states(given: list[str] | None) -> tuple[str, ...]:
    """No index tells the pool of a run that has ended, of which there may be millions."""
    return states_of("query.state", given or (), OPEN_WORDS) or OPEN_WORDS


@router.get("", response_model=RunsOut)
def list_runs(
    penstock: ThePenstock,
    user: Viewer,
    where: Annotated[RunFilter, Depends(_filter)],
    cursor: _Cursor = None,
    skip: Annotated[int | None, Query(ge=0, le=service.MOST_COUNTED, description="with it, `total` is told")] = None,
    sort: Annotated[_Sort, Query(description="- is the other way round")] = "-created",
    limit: _Limit = 50,
) -> Encoded:
    """List runs, the newest first: on and on with `cursor`, or with `skip` and `sort` among the newest 5,000."""
    journal, now = penstock.journal, now_us()
    if skip is None and sort == "-created":
        found = journal.runs(msgspec.structs.replace(where, before=cursor, limit=limit + 1))
        runs, more = found[:limit], len(found) > limit
        counted: dict[str, Any] = {"skip": None, "total": None, "complete": True}
    elif cursor is not None:
        told = "goes on with the newest first; leave it out, or skip and sort"
        raise Problem(422, "A cursor is for one order only.", [("query.cursor", told)])
    else:
        page = service.page(journal, where, sort, skip or 0, limit)
        runs, more = page.runs, sort == "-created" and (skip or 0) + limit < page.total
        counted = {"skip": skip or 0, "total": page.total, "complete": page.complete}
    items = [run_record(run, now) for run in runs]
    return Encoded({"items": items, "limit": limit, "next": items[-1]["id"] if more and items else None, **counted})


@router.get("/{run_id}", response_model=RunDetailOut)
def get(run_id: str, penstock: ThePenstock, user: Viewer) -> Encoded:
    """One run, with its task runs and where the time went."""
    run, now = service.found(penstock.journal, run_id, user), now_us()
    steps = [step_record(step) for step in penstock.journal.task_runs(run.id)]
    return Encoded({**run_record(run, now), "task_runs": steps, "timings": _timings(run, steps, now)})


def _timings(run: Run, steps: list[dict[str, Any]], now: int) -> dict[str, Any]:
    """Where the time of a run went; see `TimingsOut`."""
    asked = run.scheduled_at if run.scheduled_at is not None else run.created_at
    began, until = run.started_at, run.ended_at
    longest = sorted(steps, key=lambda step: step["duration_seconds"] or 0.0, reverse=True)
    waited_until = now if began is None and not run.ended else began
    return {
        "waited_seconds": None if waited_until is None else max(0, waited_until - asked) / 1e6,
        "running_seconds": None if began is None else max(0, (now if until is None else until) - began) / 1e6,
        "steps": Counter(step["state"] for step in steps),
        "slowest": [step["key"] for step in longest[:_SHOWN] if step["duration_seconds"]],
    }


@router.delete("/{run_id}", status_code=204)
def delete(run_id: str, penstock: ThePenstock, user: Editor) -> None:
    """Remove a run that nobody executes (it has ended, waits, or is due later), with its subflow runs and its logs."""
    recovery.delete(penstock.journal, service.found(penstock.journal, run_id, user).id)


@router.post(
    "/{run_id}/cancel",
    openapi_extra=BODIES.of(CancelIn, {"reason": "wrong day", "grace_seconds": 5}, needed=False),
)
def cancel(run_id: str, raw: Raw, penstock: ThePenstock, user: Operator) -> RunOut:
    """Stop a run and everything it has started. It is asked first, and killed when it has not stopped in time."""
    wanted = parsed(CancelIn, raw)
    run = service.found(penstock.journal, run_id, user)
    reason = wanted.reason or f"Cancelled by {user.name}."
    return _told(service.cancel(penstock.journal, run, wanted.grace_seconds, reason))


@router.post("/{run_id}/pause", openapi_extra=BODIES.of(PauseIn, {"reason": "wrong day"}, needed=False))
def pause(run_id: str, raw: Raw, penstock: ThePenstock, user: Operator) -> RunOut:
    """Let a run begin no other step until it is resumed; what is under way ends. Once is as good as twice."""
    wanted = parsed(PauseIn, raw)
    run = service.found(penstock.journal, run_id, user)
    return _told(replies.pause(penstock.journal, run.id, by=user.name, reason=wanted.reason))


@router.post("/{run_id}/resume", status_code=201, responses={200: {"model": RunOut, "description": "It goes on."}})
def resume(run_id: str, response: Response, penstock: ThePenstock, user: Operator, key: IdempotencyKey) -> RunOut:
    """Let a run go on that was asked to pause; or a new run that takes over what an ended one has completed."""
    run = service.found(penstock.journal, run_id, user)
    nobody = run.pool is None and run.lost(now_us())
    after = None if nobody else replies.let_go_on(penstock.journal, run.id, by=user.name)
    if after is not None:
        response.status_code = 200
        return _told(after)
    made = service.resume(penstock.journal, run, key)
    tell_place(response, "runs", made.id)
    return _told(made)


@router.post("/{run_id}/retry", status_code=201)
def retry(run_id: str, response: Response, penstock: ThePenstock, user: Operator, key: IdempotencyKey) -> RunOut:
    """A new run of the same flow with the same parameters, from the beginning; of a run that has ended."""
    made = service.retry(penstock.journal, service.found(penstock.journal, run_id, user), key)
    tell_place(response, "runs", made.id)
    return _told(made)


@router.post("/{run_id}/fork", status_code=201, openapi_extra=BODIES.of(ForkIn, {"from_step": "load"}))
def fork(
    run_id: str, response: Response, raw: Raw, penstock: ThePenstock, user: Operator, key: IdempotencyKey
) -> RunOut:
    """A new run that executes this step, and every one called after it, anew."""
    wanted = parsed(ForkIn, raw)
    made = service.fork(penstock.journal, service.found(penstock.journal, run_id, user), wanted.from_step, key)
    tell_place(response, "runs", made.id)
    return _told(made)


@router.get("/{run_id}/waiting")
def waiting(run_id: str, penstock: ThePenstock, user: Viewer) -> list[QuestionOut]:
    """What a run waits for, and what an answer must be like."""
    run = service.found(penstock.journal, run_id, user)
    return [
        QuestionOut(
            step=each.key,
            kind=each.kind,
            prompt=each.prompt,
            until=iso(each.until),
            schema=each.answer,
            approvers=list(each.approvers),
            refused=each.refused,
        )
        for each in (replies.waits_of(penstock.journal, run.id) if run.waiting is not None else ())
    ]


@router.post("/{run_id}/answer", openapi_extra=BODIES.of(AnswerIn, {"value": {"approved": True}, "step": "approve#1"}))
def answer(run_id: str, raw: Raw, penstock: ThePenstock, user: Operator) -> RunOut:
    """Answer what a run asks; it goes on. An answer that does not fit is refused, and the run goes on waiting."""
    wanted = parsed(AnswerIn, raw)
    run = service.found(penstock.journal, run_id, user)
    return _told(replies.reply(penstock.journal, run.id, wanted.value, by=user.name, step=wanted.step))


@router.get("/{run_id}/logs")
def logs(
    run_id: str,
    penstock: ThePenstock,
    user: Viewer,
    step: _Word = None,
    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] | None, Query(description="or worse")
    ] = None,
    text: Annotated[str, Query(max_length=200, description="somewhere in the message")] = "",
    cursor: Annotated[int, Query(ge=0, le=2**63 - 1, description="`next` of the part before")] = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> LogsOut:
    """What a run (or one step of it) has logged. Fewer than `limit` may come while there is more: go on with `next`."""
    run = service.found(penstock.journal, run_id, user)
    found = service.lines(penstock.journal, run.id, step, LEVELS[level] if level else 0, text, cursor, limit)
    items = [LogOut(id=line.id, **log_record(line)) for line in found.lines]
    return LogsOut(items=items, limit=limit, next=None if found.next is None else str(found.next))


@router.get("/{run_id}/artifacts")
def artifacts(
    run_id: str, penstock: ThePenstock, user: Viewer, cursor: _Cursor = None, limit: _Limit = 50
) -> Part[ArtifactOut]:
    """What a run left to look at, the newest first, without what is in it."""
    run = service.found(penstock.journal, run_id, user)
    found = penstock.journal.artifacts(run.id, before=cursor, limit=limit + 1, bare=True)
    items = [ArtifactOut.model_validate(artifact_record(each)) for each in found[:limit]]
    return Part(items=items, limit=limit, next=items[-1].id if len(found) > limit else None)


@router.get(
    "/{run_id}/artifacts/{artifact_id}",
    response_model=ArtifactDetailOut,
    responses={200: {"description": "The artifact.", "content": _TYPES}},
)
def artifact(
    run_id: str,
    artifact_id: str,
    penstock: ThePenstock,
    user: Viewer,
    format: Annotated[Literal["json", "text", "html"], Query(description="html is a page to be looked at")] = "json",
) -> Any:
    """One artifact, with what is in it."""
    found = _artifact(penstock.journal, service.found(penstock.journal, run_id, user), artifact_id)
    if format == "json":
        return ArtifactDetailOut(**artifact_record(found), data=content.content_of(found))
    made = content.as_page(found) if format == "html" else content.as_text(found)
    kind = "text/html" if format == "html" else "text/plain"
    return Response(made.encode(errors="replace"), media_type=f"{kind}; charset=utf-8", headers=content.HEADERS)


def _artifact(journal: Journal, run: Run, artifact_id: str) -> Artifact:
    for found in journal.artifacts(run.id, named=artifact_id, limit=1):
        if found.id == artifact_id:
            return found
    raise Problem(404, f"Run {run.name} has no artifact {artifact_id!r}.", hint="its list shows those there are")
